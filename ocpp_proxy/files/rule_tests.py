"""Runs the tests inside rule files.

Decides whether a rule says of its own examples what it promises to say, no more and no less: each conversation goes
through a pipeline in which that rule alone is in force. Refuses to know how rules are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, FrameRecord, Opened, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import SUBPROTOCOLS
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.rules.model import Rule, RuleTest
from ocpp_proxy.rules.ruleset import RuleSet

STATION = "TEST"
_BEGIN = Instant.parse("2026-11-21T09:00:00Z")


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed: what was expected, what came instead."""

    rule: str
    test: str
    what: str


def run(rules: Iterable[Rule], schemas: Schemas) -> tuple[int, list[Failure]]:
    """How many tests were run, and those that failed."""
    tests = [(rule, test) for rule in rules for test in rule.tests]
    return len(tests), [
        Failure(rule.id, test.name, what) for rule, test in tests if (what := _failure(rule, test, schemas)) is not None
    ]


def records(test: RuleTest) -> Iterator[Record]:
    """The test's conversation as a capture would hold it, on one connection."""
    subprotocol = next(name for name, version in SUBPROTOCOLS.items() if version == test.version)
    yield Opened(connection="c1", at=_BEGIN, station=STATION, offered=(subprotocol,), subprotocol=subprotocol)
    at_us = _BEGIN.utc_us
    for seq, frame in enumerate(test.frames, 1):
        at_us += round(frame.after_s * 1e6)
        if isinstance(frame.data, Mapping) and "breach" in frame.data:
            fields = {"sender": frame.sender, "code": frame.data.get("code", 1002), "reason": frame.data["breach"]}
            yield Entry(type="breach", connection="c1", at=Instant(at_us), fields=fields)
            continue
        binary = isinstance(frame.data, Mapping) and "binary" in frame.data
        yield FrameRecord(
            connection="c1", seq=seq, at=Instant(at_us), sender=frame.sender, to=OTHER_SIDE[frame.sender],
            opcode="binary" if binary else "text", data=_bytes(frame.data),
        )


def _bytes(data: Any) -> bytes:
    if isinstance(data, Mapping):
        return bytes.fromhex(data["hex"]) if "hex" in data else str(data["binary"]).encode()
    return (data if isinstance(data, str) else dumps(data)).encode()


def _failure(rule: Rule, test: RuleTest, schemas: Schemas) -> str | None:
    pipeline = Pipeline(RuleSet([rule], rule.profiles), schemas, site=test.site)
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
            if (seen := getattr(finding, name)) != value:
                return f"finding {number}: {name} is {seen!r}, expected {value!r}"
    return None
