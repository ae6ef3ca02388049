"""What a rule is, once its file has been read.

Decides which facts a rule has and how the document of a rule file becomes them. Refuses to know how files are read
and checked (`ocpp_proxy.files.rules`), and how a rule is applied (`engine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ocpp_proxy.core.finding import SEVERITIES, Axis, Severity
from ocpp_proxy.core.frame import Side, Version

Kind: TypeAlias = Literal["frame", "schema", "correlation", "call", "exchange"]
Part: TypeAlias = Literal["request", "response", "error"]

VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")
DEFAULT_PROFILE = "default"
NO_PROFILE = "none"
STEP_S = 0.001  # between two frames of a test that says nothing else


@dataclass(frozen=True, slots=True)
class Reference:
    """A clause. `strength`: shall, should, may; wish (of a CSMS or site); practice (engineering judgement)."""

    document: str
    section: str
    strength: str
    versions: tuple[Version, ...]

    def __str__(self) -> str:
        place = f"{self.document}, {self.section}" if self.section else self.document
        return f"{place} ({self.strength})"


@dataclass(frozen=True, slots=True)
class Expectation:
    """`field` of `part` is to satisfy `operator` (a name in `expect.OPERATORS`) with `argument`."""

    part: Part
    field: str
    operator: str
    argument: Any = None


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation; judged only where all of `when` hold. `message` None: the rule's own."""

    expectation: Expectation
    when: tuple[Expectation, ...]
    versions: tuple[Version, ...]
    message: str | None


@dataclass(frozen=True, slots=True)
class Escalation:
    """`condition` (a name in `bound.CONDITIONS`) with `argument`; what the finding becomes where it holds, and the
    clauses that it breaks besides."""

    condition: str
    argument: Any
    severity: Severity
    axis: Axis
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What a rule looks at: `actions` and `callers` for call and exchange, `remarks` of the correlator for correlation.
    A frame or schema rule is looked up by its own id, which `reader.DEFECTS` or the schema check names."""

    kind: Kind
    actions: tuple[str, ...] = ()
    callers: tuple[Side, ...] = ("station", "csms")
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """`data`: raw text, a JSON array, {"binary": text}, {"hex": digits}, or {"breach": reason, "code": number} for what
    makes the relay end the connection; `after_s`: seconds since the last one."""

    sender: Side
    data: Any
    after_s: float


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A conversation and what the rule has to say about it. `findings`: for each finding the fields it has to have."""

    name: str
    version: Version
    frames: tuple[Sent, ...]
    findings: tuple[Mapping[str, Any], ...]
    site: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `severities` has an entry for each version it applies to; `profiles` empty: always on; `unless_site`:
    site keys that silence it; `source`: "bundled", or the path of a user's own file."""

    id: str
    title: str
    severities: Mapping[Version, Severity]
    axis: Axis
    what: str
    why: str
    cause: str
    fix: str
    known_problems: tuple[str, ...]
    references: tuple[Reference, ...]
    profiles: tuple[str, ...]
    unless_site: tuple[str, ...]
    given: Given
    checks: tuple[Check, ...]
    escalations: tuple[Escalation, ...]
    message: str
    tests: tuple[RuleTest, ...]
    source: str

    @property
    def versions(self) -> tuple[Version, ...]:
        return tuple(self.severities)

    @property
    def severity(self) -> Severity:
        """The gravest of all versions."""
        return min(self.severities.values(), key=SEVERITIES.index)


def rule_from(rule_id: str, document: Mapping[str, Any], source: str) -> Rule:
    """The rule in `document`, which `rules/rule.schema.json` has found valid."""
    versions: tuple[Version, ...] = tuple(document.get("versions", VERSIONS))
    return Rule(
        id=rule_id,
        title=document["title"],
        severities=_severities(document["severity"], versions),
        axis=document["axis"],
        what=document["what"].strip(),
        why=document["why"].strip(),
        cause=document.get("cause", "").strip(),
        fix=document["fix"].strip(),
        known_problems=tuple(document.get("known_problems", ())),
        references=_references(document["references"], versions),
        profiles=tuple(document.get("profiles", ())),
        unless_site=tuple(document.get("unless", {}).get("site", ())),
        given=_given(document["given"]),
        checks=tuple(_check(entry, versions) for entry in document.get("checks", ())),
        escalations=tuple(_escalation(entry, document, versions) for entry in document.get("escalate", ())),
        message=document.get("message", "{detail}"),
        tests=tuple(_test(entry, versions) for entry in document.get("tests", ())),
        source=source,
    )


def _severities(entry: Any, versions: tuple[Version, ...]) -> Mapping[Version, Severity]:
    return {version: entry[version] if isinstance(entry, Mapping) else entry for version in versions}


def _references(entries: Iterable[Mapping[str, Any]], versions: tuple[Version, ...]) -> tuple[Reference, ...]:
    return tuple(
        Reference(entry["document"], entry.get("section", ""), entry["strength"],
                  tuple(entry.get("versions", versions)))
        for entry in entries
    )


def _given(entry: Mapping[str, Any]) -> Given:
    caller = entry.get("caller")
    return Given(
        kind=entry["kind"],
        actions=_several(entry.get("action", ())),
        callers=("station", "csms") if caller is None else (caller,),
        remarks=_several(entry.get("remark", ())),
    )


def _several(entry: Any) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _check(entry: Mapping[str, Any], versions: tuple[Version, ...]) -> Check:
    return Check(
        _expectation(entry),
        tuple(_expectation(condition) for condition in entry.get("when", ())),
        tuple(entry.get("versions", versions)),
        entry.get("message"),
    )


def _expectation(entry: Mapping[str, Any]) -> Expectation:
    expect = entry["expect"]
    if isinstance(expect, str):
        return Expectation(entry["in"], entry["field"], expect)
    ((operator, argument),) = expect.items()
    return Expectation(entry["in"], entry["field"], operator, argument)


def _escalation(
    entry: Mapping[str, Any], document: Mapping[str, Any], versions: tuple[Version, ...]
) -> Escalation:
    ((condition, argument),) = entry["when"].items()
    return Escalation(condition, argument, entry["severity"], entry.get("axis", document["axis"]),
                      _references(entry.get("references", ()), versions))


def _test(entry: Mapping[str, Any], versions: tuple[Version, ...]) -> RuleTest:
    return RuleTest(
        entry["name"],
        entry.get("version", versions[0]),
        tuple(_frame(frame) for frame in entry["frames"]),
        tuple(entry["findings"]),
        frozenset(entry.get("site", ())),
    )


def _frame(entry: Mapping[str, Any]) -> Sent:
    sender: Side = "station" if "station" in entry else "csms"
    return Sent(sender, entry[sender], entry.get("after_s", STEP_S))
