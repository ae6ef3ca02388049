"""Runs the tests inside rule files.

Decides whether a rule says of its own examples what it promises to say, no more and no less: each conversation goes
through a pipeline in which that rule alone is in force. Refuses to know how rules are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.capture.jsonl import decode
from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Entry, FrameRecord, Gap, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import SUBPROTOCOLS
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.rules.model import Rule, RuleTest, Step
from ocpp_proxy.rules.ruleset import NOTHING, RuleSet

STATION = "TEST"
_BEGIN = Instant.parse("2026-11-21T09:00:00Z")


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed: what was expected, what came instead."""

    rule: str
    test: str
    what: str


def run(
    rules: Iterable[Rule], schemas: Schemas, documents: Mapping[str, Any] = NOTHING
) -> tuple[int, list[Failure]]:
    """How many tests were run, and those that failed. `documents`: the profiles that tests may ask for."""
    tests = [(rule, test) for rule in rules for test in rule.tests]
    return len(tests), [Failure(rule.id, test.name, what) for rule, test in tests
                        if (what := _failure(rule, test, schemas, documents)) is not None]


def records(test: RuleTest) -> Iterator[Record]:
    """The test's conversation as a capture would hold it."""
    return _Conversation(test).records()


class _Conversation:
    """Numbers connections and frames, and lets the time go by."""

    def __init__(self, test: RuleTest) -> None:
        self._test = test
        self._at_us = _BEGIN.utc_us
        self._newest = "c1"
        self._opened = 0
        self._seq: dict[str, int] = {}

    def records(self) -> Iterator[Record]:
        if self._test.opened is None:
            self._opened, self._seq["c1"] = 1, 1  # its beginning is not on record
        else:
            yield self._open(self._test.opened)
        for step in self._test.frames:
            self._at_us += round(step.after_s * 1e6)
            yield self._record(step)

    def _record(self, step: Step) -> Record:
        connection, at = step.connection or self._newest, Instant(self._at_us)
        if step.kind == "opened":
            return self._open(step.data, step.connection)
        if step.kind == "closed":
            return _parsed({"type": "closed", "by": "station", "code": 1000, **step.data}, connection, at)
        if step.kind == "nothing":
            return Entry(type="note", at=at, fields={"text": "time goes by"})
        if step.kind == "gap":
            first = self._next(connection)
            self._seq[connection] += step.data - 1
            return Gap(connection=connection, at=at, first_seq=first, lost=step.data, reason="test")
        if isinstance(step.data, Mapping) and "breach" in step.data:
            fields = {"sender": step.kind, "code": step.data.get("code", 1002), "reason": step.data["breach"]}
            return Entry(type="breach", connection=connection, at=at, fields=fields)
        return self._frame(step, connection, at)

    def _frame(self, step: Step, connection: str, at: Instant) -> FrameRecord:
        fields: dict[str, Any] = {"sender": step.kind, "opcode": "text", **step.fields}
        if step.kind in ("ping", "pong"):
            fields |= {"sender": step.data, "opcode": step.kind, "data": b""}
        else:
            binary = isinstance(step.data, Mapping) and "binary" in step.data
            fields |= {"opcode": "binary" if binary else "text", "data": _bytes(step.data)}
        if step.kind.startswith("to_"):
            fields |= {"sender": "proxy", "to": step.kind.removeprefix("to_"), "origin": "injected"}
        else:
            fields["to"] = OTHER_SIDE[fields["sender"]]
        return FrameRecord(connection=connection, seq=self._next(connection), at=at, **fields)

    def _open(self, fields: Mapping[str, Any], connection: str | None = None) -> Record:
        self._opened += 1
        self._newest = connection or f"c{self._opened}"
        subprotocol = next(name for name, version in SUBPROTOCOLS.items() if version == self._test.version)
        given = {"type": "opened", "station": STATION, "offered": [subprotocol], "subprotocol": subprotocol, **fields}
        return _parsed(given, self._newest, Instant(self._at_us))

    def _next(self, connection: str) -> int:
        self._seq[connection] = self._seq.get(connection, 0) + 1
        return self._seq[connection]


def _parsed(fields: Mapping[str, Any], connection: str, at: Instant) -> Record:
    """As a line of a capture, which these fields are."""
    record = decode(dumps({**fields, "connection": connection, "at": at.isoformat()}))
    assert not isinstance(record, CaptureHeader)
    return record


def _bytes(data: Any) -> bytes:
    if isinstance(data, Mapping):
        return bytes.fromhex(data["hex"]) if "hex" in data else str(data["binary"]).encode()
    return (data if isinstance(data, str) else dumps(data)).encode()


def _failure(rule: Rule, test: RuleTest, schemas: Schemas, documents: Mapping[str, Any]) -> str | None:
    profiles = (*rule.profiles, *test.profiles)
    pipeline = Pipeline(RuleSet([rule], profiles, documents=documents), schemas, site=test.site,
                        default_version=test.version)
    for record in records(test):
        pipeline.feed(record)
    pipeline.finish()
    return _difference(pipeline.findings(), test.findings)


def _difference(found: list[Finding], expected: tuple[Mapping[str, Any], ...]) -> str | None:
    if len(found) != len(expected):
        told = "; ".join(f"{finding.message} (frames {finding.frames})" for finding in found) or "nothing"
        return f"expected {len(expected)} findings, got {len(found)}: {told}"
    for number, (finding, wanted) in enumerate(zip(found, expected, strict=True), 1):
        for name, value in wanted.items():
            seen = getattr(finding, name)
            if name == "evidence":
                seen = [list(frame) for frame in seen]
            if seen != value:
                return f"finding {number}: {name} is {seen!r}, expected {value!r}"
    return None
