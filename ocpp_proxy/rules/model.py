"""What a rule is, once its file has been read.

Decides which facts a rule has and how the document of a rule file becomes them. Refuses to know how files are read
and checked (`ocpp_proxy.files.rules`), and how a rule is applied (`engine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ocpp_proxy.core.finding import SEVERITIES, Axis, Severity
from ocpp_proxy.core.frame import Side, Version

Kind: TypeAlias = Literal["frame", "schema", "correlation", "call", "exchange", "sequence", "python"]
Need: TypeAlias = Literal["clock", "wall-clock"]
PatternKind: TypeAlias = Literal["call", "answer", "opened", "closed"]
Part: TypeAlias = Literal["request", "response", "error"]

VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")
PARTS: tuple[Part, ...] = ("request", "response", "error")
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
    """One expectation; judged only where all of `when` hold. `message` None: the rule's own; `case`: one of the
    rule's."""

    expectation: Expectation
    when: tuple[Expectation, ...]
    versions: tuple[Version, ...]
    message: str | None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule finds may be graver, or lighter, in some cases. `what`: completes the sentence "<severity> where …";
    `axis` None: the rule's own."""

    severity: Severity
    what: str
    axis: Axis | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """Something that may happen. `kind` opened or closed: a connection; then there are no actions. `callers`: of a Call
    or of what is answered. `where`: all of these hold, and the part they are about is there."""

    kind: PatternKind
    actions: tuple[str, ...] = ()
    callers: tuple[Side, ...] = ("station", "csms")
    where: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """A field of what comes after has to hold the same as one of what it comes after: (part, pointer) each."""

    after: tuple[Part, str]
    then: tuple[Part, str]


@dataclass(frozen=True, slots=True)
class Sequence:
    """After `after`, one of `expect` within `within` (seconds, or the name of a bound), and none of `forbid`, until
    one of `until` ends it; `unless`: what excuses it. `already_s`: what came so long before `after` counts as well.
    `across`: the end of the connection ends it not. `at_fault`: whose fault it is."""

    after: Pattern
    expect: tuple[Pattern, ...]
    forbid: tuple[Pattern, ...]
    until: tuple[Pattern, ...]
    unless: tuple[Pattern, ...]
    within: float | str | None
    already_s: float
    same: tuple[Agreement, ...]
    across: bool
    at_fault: Side


@dataclass(frozen=True, slots=True)
class Escalation:
    """`condition` (a name in `bound.CONDITIONS`) with `argument`, and the action that it is about, None for any; what
    the finding becomes where they hold, and the clauses that it breaks besides. What is one of the rule's cases keeps
    its own weight."""

    condition: str
    argument: Any
    action: str | None
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
    sequence: Sequence | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens in a test, `after_s` seconds after the last. `kind`, with what `data` then is:

    - station, csms: a message of that side: raw text, a JSON array, {"binary": text}, {"hex": digits}, or {"breach":
      reason, "code": number} for what makes the relay end the connection;
    - to_station, to_csms: one that the proxy injects, the same;
    - ping, pong: by the side that `data` names;
    - opened: a new connection, with the given fields of its Opened line; from here on it is the one spoken on;
    - closed: the end of the connection spoken on, with the given fields of its Closed line;
    - gap: so many frames are missing;
    - nothing: time goes by.

    `connection`: spoken on, None for the newest; `fields`: further keys of the frame's line.
    """

    kind: str
    data: Any
    after_s: float
    connection: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A conversation and what the rule has to say about it. `case`: violating, sound, or alike (looks like a breach and
    is legal), None where it does not say; `findings`: for each finding the fields it has to have. `opened`: fields of
    the first connection's Opened line, None where the capture begins in its midst."""

    name: str
    case: str | None
    version: Version
    frames: tuple[Step, ...]
    findings: tuple[Mapping[str, Any], ...]
    site: frozenset[str]
    profiles: tuple[str, ...]
    opened: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `severities` has an entry for each version it applies to; `profiles` empty: always on; `unless_site`:
    site keys that silence it; `needs`: clock (times between records mean something), wall-clock (and so do the
    payloads' times beside them); `catalogue`: rows of the catalogue that it answers for besides the one of its own
    name; `source`: "bundled", or the path of a user's own file; `changed`: what a user's overrides changed, and why."""

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
    cases: Mapping[str, Case]
    needs: tuple[Need, ...]
    catalogue: tuple[str, ...]
    message: str
    tests: tuple[RuleTest, ...]
    source: str
    changed: str = ""

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
        cases={name: Case(entry["severity"], entry["what"], entry.get("axis"))
               for name, entry in document.get("cases", {}).items()},
        needs=_needs(document),
        catalogue=tuple(document.get("catalogue", ())),
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
        sequence=_sequence(entry) if entry["kind"] == "sequence" else None,
    )


def _needs(document: Mapping[str, Any]) -> tuple[Need, ...]:
    needs: tuple[Need, ...] = tuple(document.get("needs", ()))
    given = document["given"]
    timed = given["kind"] == "sequence" and ("within_s" in given or "already_s" in given)
    return ("clock", *needs) if timed and "clock" not in needs else needs


def _sequence(entry: Mapping[str, Any]) -> Sequence:
    expect, forbid = _patterns(entry.get("expect")), _patterns(entry.get("forbid"))
    return Sequence(
        after=_pattern(entry["after"]),
        expect=expect,
        forbid=forbid,
        until=_patterns(entry.get("until")),
        unless=_patterns(entry.get("unless")),
        within=entry.get("within_s"),
        already_s=entry.get("already_s", 0.0),
        same=tuple(Agreement(_place(one["after"]), _place(one["then"])) for one in entry.get("same", ())),
        across=entry.get("across", False),
        at_fault=entry.get("at_fault") or _speaker((*expect, *forbid)[0]),
    )


def _patterns(entry: Any) -> tuple[Pattern, ...]:
    if entry is None:
        return ()
    return tuple(_pattern(one) for one in (entry if isinstance(entry, list) else [entry]))


def _pattern(entry: Mapping[str, Any]) -> Pattern:
    kind: PatternKind = next(one for one in ("call", "answer", "opened", "closed") if one in entry)
    caller = entry.get("caller")
    return Pattern(
        kind,
        _several(entry[kind]) if kind in ("call", "answer") else (),
        ("station", "csms") if caller is None else (caller,),
        tuple(_expectation(one) for one in entry.get("where", ())),
    )


def _speaker(pattern: Pattern) -> Side:
    """Who sends what the pattern is about."""
    caller = pattern.callers[0]
    return caller if pattern.kind != "answer" else "csms" if caller == "station" else "station"


def _place(text: str) -> tuple[Part, str]:
    """ "request/status" as part and pointer."""
    part, _, pointer = text.partition("/")
    return part, f"/{pointer}"  # type: ignore[return-value]  # the schema allows the parts' names alone


def _several(entry: Any) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _check(entry: Mapping[str, Any], versions: tuple[Version, ...]) -> Check:
    return Check(
        _expectation(entry),
        tuple(_expectation(condition) for condition in entry.get("when", ())),
        tuple(entry.get("versions", versions)),
        entry.get("message"),
        entry.get("case"),
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
    when = dict(entry["when"])
    action = when.pop("action", None)
    ((condition, argument),) = when.items()
    return Escalation(condition, argument, action, entry["severity"], entry.get("axis", document["axis"]),
                      _references(entry.get("references", ()), versions))


def _test(entry: Mapping[str, Any], versions: tuple[Version, ...]) -> RuleTest:
    return RuleTest(
        entry["name"],
        entry.get("case"),
        entry.get("version", versions[0]),
        tuple(_step(frame) for frame in entry["frames"]),
        tuple(entry["findings"]),
        frozenset(entry.get("site", ())),
        tuple(entry.get("profiles", ())),
        None if entry.get("joins_late") else entry.get("opened", {}),
    )


STEP_KINDS = ("station", "csms", "to_station", "to_csms", "ping", "pong", "opened", "closed", "gap")


def _step(entry: Mapping[str, Any]) -> Step:
    kind = next((one for one in STEP_KINDS if one in entry), "nothing")
    fields = {key: value for key, value in entry.items() if key not in (kind, "after_s", "connection")}
    return Step(kind, entry.get(kind), entry.get("after_s", STEP_S), entry.get("connection"), fields)
