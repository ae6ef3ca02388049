"""A rule made ready for one OCPP version.

Decides how the checks of a rule run over the payloads of an exchange and how what they find becomes a finding.
Refuses to know which rule concerns which frame (`engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ocpp_proxy.core.finding import Axis, Finding, Severity
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import SchemaError
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules import now as told
from ocpp_proxy.rules.expect import (
    ABSENT,
    OPERATORS,
    WILDCARD,
    comparison,
    condition,
    in_words,
    lookup,
    lookup_all,
    state_of,
    tokens_of,
)
from ocpp_proxy.rules.model import PARTS, Check, Kind, Part, Reference, Rule
from ocpp_proxy.rules.place import SHOWN as SHOWN
from ocpp_proxy.rules.place import Place as Place

Parts: TypeAlias = tuple[Any, Any, Any]  # request, response and error; ABSENT for what there is not

LONGEST_SEEN = 80

# What a rule may make depend on what is known of the station. Not known is not met.
CONDITIONS: Mapping[str, Callable[[Session, Any], bool]] = {
    "claims_profile": lambda session, profile: profile.lower() in (session.feature_profiles or ()),
}

# The words that a message may use, {so}, by the kind of its rule.
WORDS: Mapping[Kind, frozenset[str]] = {
    "frame": frozenset({"sender", "detail"}),
    "schema": frozenset({"sender", "detail", "action", "part"}),
    "correlation": frozenset({"sender", "action"}),
    "call": frozenset({"sender", "action", "field", "seen", "state"}),
    "exchange": frozenset({"sender", "action", "field", "seen", "state"}),
    "sequence": frozenset({"sender", "action", "within_s"}),
    "python": frozenset({"detail"}),
}


class Hit(NamedTuple):
    """What a check found: in which part of the exchange, where in it, and with which message and words."""

    part: Part
    pointer: str
    seen: Any
    expected: str
    message: str
    state: str
    case: str | None = None


class CompiledCheck:
    """One check, ready to run on the parts of an exchange."""

    __slots__ = (
        "_case", "_expected", "_index", "_message", "_other", "_part", "_pointer", "_several", "_test", "_tokens",
        "_when",
    )  # fmt: skip

    def __init__(self, check: Check, message: str) -> None:
        expectation = check.expectation
        self._part = expectation.part
        self._index = PARTS.index(expectation.part)
        self._pointer = expectation.field
        self._tokens = tokens_of(expectation.field)
        self._several = WILDCARD in self._tokens
        self._other = comparison(expectation.operator, expectation.argument)
        self._test = OPERATORS[expectation.operator][0](expectation.argument)
        self._expected = in_words(expectation.operator, expectation.argument)
        self._when = tuple(condition(one, demanding=True) for one in check.when)
        self._message = check.message or message
        self._case = check.case

    def run(self, parts: Parts) -> Sequence[Hit]:
        """A breach for each place that the field's pointer leads to, which is several where it has a `*`; none where
        the part is missing, a precondition does not hold, or all is well."""
        part = parts[self._index]
        if part is ABSENT:
            return ()
        if not self._several:
            value = lookup(part, self._tokens)
            return (self._hit(self._pointer, value),) if self._wrong(value, parts) else ()
        return [self._hit(pointer, value) for pointer, value in lookup_all(part, self._tokens)
                if self._wrong(value, parts)]

    def _wrong(self, value: Any, parts: Parts) -> bool:
        wrong = not (self._test(value) if self._other is None else self._other(value, parts))
        for holds in self._when:
            wrong = wrong and holds(parts)
        return wrong

    def _hit(self, pointer: str, value: Any) -> Hit:
        seen = None if value is ABSENT else value
        return Hit(self._part, pointer, seen, self._expected, self._message, state_of(value), self._case)


class BoundRule:
    """A rule for one version: its severity and references there, its checks compiled. `met`: it has had something to
    judge."""

    __slots__ = ("_references", "_severity", "_version", "checks", "met", "rule")

    def __init__(self, rule: Rule, version: Version) -> None:
        self.rule = rule
        self.met = False
        self._severity = rule.severities[version]
        self._version = version
        self._references = _cited(rule.references, version)
        self.checks = tuple(CompiledCheck(check, rule.message) for check in rule.checks if version in check.versions)

    def found(self, place: Place, hit: Hit) -> Finding:
        """The finding of one of this rule's checks."""
        words = {"field": hit.pointer, "seen": str(hit.seen)[:LONGEST_SEEN], "state": hit.state}
        return self._finding(place, hit.message, words, hit.pointer, hit.seen, hit.expected, hit.case)

    def noted(self, place: Place, detail: str, pointer: str | None = None, seen: Any = None) -> Finding:
        """The finding of a defect or a remark, which `detail` describes."""
        sentence = detail[:1].upper() + detail[1:]
        message = "{detail}" if self.rule.given.kind == "schema" else self.rule.message
        return self._finding(place, message, {"detail": sentence}, pointer, seen, None)

    def broken(self, place: Place, part: Part, error: SchemaError) -> Finding:
        """The finding of a schema error."""
        words = {"detail": error.message, "part": part}
        return self._finding(place, self.rule.message, words, error.pointer, error.seen, error.expected)

    def told(self, hit: told.Hit) -> Finding:
        """The finding of a rule written in Python, or of a sequence."""
        words = {"detail": hit.message}
        return self._finding(hit.place, "{detail}", words, hit.pointer, hit.seen, hit.expected, hit.case)

    def _finding(
        self, place: Place, message: str, words: dict[str, str], pointer: str | None, seen: Any, expected: Any,
        case: str | None = None,
    ) -> Finding:  # fmt: skip
        rule = self.rule
        severity, axis, references = self._judged(place, case)
        return Finding(
            rule=rule.id, severity=severity, axis=axis, at_fault=place.sender, station=place.session.station,
            connection=place.connection, frames=[] if place.frame is None else [place.frame.seq],
            message=message.format_map({"sender": SHOWN[place.sender], "action": place.action, **words}),
            evidence=list(place.evidence), pointer=pointer, connector=place.connector,
            transaction=place.transaction, seen=seen, expected=expected, references=references,
            cause=rule.cause, fix=rule.fix,
        )  # fmt: skip

    def _judged(self, place: Place, case: str | None) -> tuple[Severity, Axis, tuple[str, ...]]:
        rule = self.rule
        if case is not None and (found := rule.cases.get(case)) is not None:
            return found.severity, found.axis or rule.axis, self._references
        for one in rule.escalations:
            if one.action in (None, place.action) and CONDITIONS[one.condition](place.session, one.argument):
                return one.severity, one.axis, _cited(one.references, self._version) + self._references
        return self._severity, rule.axis, self._references


def _cited(references: Iterable[Reference], version: Version) -> tuple[str, ...]:
    return tuple(str(reference) for reference in references if version in reference.versions)
