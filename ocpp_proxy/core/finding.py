"""What a rule or a schema says about the traffic.

Decides what every finding has to tell. Refuses to know which rules there are (`ocpp_proxy.rules`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ocpp_proxy.core.frame import Sender

Severity: TypeAlias = Literal["error", "warning", "info"]
Axis: TypeAlias = Literal["conformance", "compatibility"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
FRAMES_KEPT = 100


@dataclass(slots=True, kw_only=True)
class Finding:
    """One deviation, with a counter for its repetitions in the same connection.

    severity: `error` breaks a SHALL or loses data or billing; `warning` breaks a SHOULD or depends on a guess;
    `info` is an observation. axis: `conformance` is the specification's, `compatibility` what this CSMS or site wants.
    frames: `seq` of the first 100 occurrences and of the last; evidence: (connection, seq) of every frame to look at.
    pointer: JSON Pointer relative to the payload ("" is the payload itself), None where there is no one place.
    seen, expected: JSON values or a phrase; cause, fix: the usual reason and what to do about it, by whom.
    """

    rule: str
    severity: Severity
    axis: Axis
    at_fault: Sender
    station: str | None
    connection: str
    message: str
    frames: list[int] = field(default_factory=list)
    frames_omitted: int = 0
    evidence: list[tuple[str, int]] = field(default_factory=list)
    pointer: str | None = None
    connector: int | None = None
    transaction: int | str | None = None
    seen: Any = None
    expected: Any = None
    count: int = 1
    references: tuple[str, ...] = ()
    cause: str = ""
    fix: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """The same rule, place and values again are the same finding."""
        return (self.rule, self.connection, self.at_fault, self.pointer, self.connector, self.transaction,
                repr(self.seen), self.message)

    def as_dict(self) -> dict[str, Any]:
        """The finding as `check --format json` and captures have it."""
        return {
            "rule": self.rule, "severity": self.severity, "axis": self.axis, "at_fault": self.at_fault,
            "station": self.station, "connection": self.connection, "frames": list(self.frames),
            "frames_omitted": self.frames_omitted, "evidence": [list(frame) for frame in self.evidence],
            "pointer": self.pointer, "connector": self.connector, "transaction": self.transaction,
            "message": self.message, "seen": self.seen, "expected": self.expected, "count": self.count,
            "references": list(self.references),
        }  # fmt: skip

    def repeat(self, other: Finding) -> None:
        """Count another occurrence of the same finding; keep its frames as far as there is room."""
        self.count += 1
        for seq in other.frames:
            if len(self.frames) > FRAMES_KEPT:
                self.frames[-1] = seq
                self.frames_omitted += 1
            else:
                self.frames.append(seq)
