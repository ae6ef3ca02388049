"""Findings put together as people read them: a deviation once, by station and by side at fault, the worst first.

Decides which findings are the same deviation: those that differ in nothing but values, list positions and connections.
Refuses to know how it is written (`as_text`, `as_markdown`, `as_junit`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ocpp_proxy.core.finding import SEVERITIES, Finding
from ocpp_proxy.core.frame import Sender

FRAMES_QUOTED = 3
SIDES: dict[Sender, str] = {"station": "the station", "csms": "the CSMS", "proxy": "this proxy"}
_SIDE_ORDER = {"station": 0, "csms": 1, "proxy": 2}


@dataclass(frozen=True, slots=True)
class Deviation:
    """Findings that differ in nothing but values, list positions and connections, in their order."""

    findings: Sequence[Finding]

    @property
    def first(self) -> Finding:
        return self.findings[0]

    @property
    def count(self) -> int:
        return sum(finding.count for finding in self.findings)

    @property
    def evidence(self) -> list[tuple[str, int]]:
        """The frames to quote."""
        return self.first.evidence[:FRAMES_QUOTED]

    def messages(self) -> list[tuple[str, int]]:
        """What the findings say, each sentence once, with how often it is true."""
        counted: dict[str, int] = {}
        for finding in self.findings:
            sentence = f"{finding.message}{where(finding)}"
            counted[sentence] = counted.get(sentence, 0) + finding.count
        return list(counted.items())


def deviations(findings: Iterable[Finding]) -> list[Deviation]:
    """By station, side at fault and severity, the worst first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.station, finding.at_fault, finding.rule, finding.severity, place(finding.pointer))
        groups.setdefault(key, []).append(finding)
    all_of_them = [Deviation(group) for group in groups.values()]
    worst: dict[str | None, int] = {}
    for deviation in all_of_them:
        station = deviation.first.station
        worst[station] = min(rank(deviation.first), worst.get(station, len(SEVERITIES)))
    return sorted(all_of_them, key=lambda one: (
        worst[one.first.station], one.first.station or "", _SIDE_ORDER[one.first.at_fault], rank(one.first), -one.count,
    ))  # fmt: skip


def rank(finding: Finding) -> int:
    """0 is the worst."""
    return SEVERITIES.index(finding.severity)


def place(pointer: str | None) -> str:
    """A pointer with its list positions left out."""
    return "/".join("*" if token.isdigit() else token for token in (pointer or "").split("/"))


def where(finding: Finding) -> str:
    """The connector, and the field where the message cannot have named it by its last word alone."""
    parts = []
    if finding.pointer is not None and finding.pointer.count("/") > 1:
        parts.append(f"at {place(finding.pointer)}")
    if finding.connector is not None:
        parts.append(f"connector {finding.connector}")
    return f" ({', '.join(parts)})" if parts else ""


def number(count: int, word: str, several: str | None = None) -> str:
    """A count with its word in the singular or the plural."""
    return f"{count} {word if count == 1 else several or f'{word}s'}"


def plain(text: str) -> str:
    """What a peer sent, with everything that a terminal would obey instead of show spelled out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
