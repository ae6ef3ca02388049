"""Which rules concern what has happened.

Compiles the rules once into tables by version and by what they look at (defect, schema error, remark, or action and
caller, or another occasion), so that a frame meets the rules that are about it and no others, however many there are.
Refuses to read frames, to pair them and to count findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from ocpp_proxy.core.defects import DEFECTS
from ocpp_proxy.core.frame import Side, Version
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.rules import checks
from ocpp_proxy.rules.bound import BoundRule
from ocpp_proxy.rules.model import VERSIONS, Kind, Need, Rule
from ocpp_proxy.rules.now import Check
from ocpp_proxy.rules.occasions import ANY, Registered
from ocpp_proxy.rules.sequence import Follow

ByCall: TypeAlias = dict[tuple[str, Side], tuple[BoundRule, ...]]  # by action and caller
EVERYTHING: frozenset[Need] = frozenset(("clock", "wall-clock"))


class Listener(NamedTuple):
    """A function that wants to hear of an occasion. `bound` None: it only keeps a book; `counts`: see `Registered`."""

    function: Check
    bound: BoundRule | None
    retries: bool
    counts: bool


class Audience:
    """Those who want to hear of an occasion: rules first, those of this very action or word and side before those of
    any, then those who keep books.

    `counting`: the rules that have had something to judge once they have heard of it, until that has been noted;
    `again`: those of them who want to hear of a Call that is sent again.
    """

    __slots__ = ("again", "counting", "keepers", "rules")

    def __init__(self, listeners: Iterable[Listener]) -> None:
        listeners = list(listeners)
        self.rules = tuple((one.function, one.bound) for one in listeners if one.bound is not None)
        self.keepers = tuple(one.function for one in listeners if one.bound is None)
        self.counting = tuple(one.bound for one in listeners if one.bound is not None and one.counts)
        again = [one for one in listeners if one.retries]
        self.again = self if len(again) == len(listeners) else Audience(again)

    def __bool__(self) -> bool:
        return bool(self.rules or self.keepers)


class RuleIndex:
    """The rules of one version, by defect code, id of the schema error, remark, or action and caller; and the functions
    of those written in Python and of sequences, by occasion."""

    __slots__ = ("_listeners", "_resolved", "_words", "bound", "calls", "defects", "exchanges", "remarks", "schema")

    def __init__(self, rules: Iterable[Rule], version: Version) -> None:
        self.defects: dict[str, BoundRule] = {}
        self.schema: dict[str, BoundRule] = {}
        self.remarks: dict[str, BoundRule] = {}
        self.calls: ByCall = {}
        self.exchanges: ByCall = {}
        self._listeners: dict[tuple[str, str, Side | None], list[Listener]] = {}
        self._resolved: dict[tuple[str | Side | None, ...], Audience] = {}
        self._words = frozenset((ANY, "ping", "pong", *ACTIONS[version]))
        self.bound = [BoundRule(rule, version) for rule in rules if version in rule.severities]
        for bound in self.bound:
            _FILERS[bound.rule.given.kind](self, bound)
        self.add(checks.keepers(version), None)

    def add(self, registered: Iterable[Registered], bound: BoundRule | None) -> None:
        for one in registered:
            for when in one.occasions:
                listener = Listener(one.function, bound, when.retries, one.counts)
                self._listeners.setdefault((when.kind, when.word, when.side), []).append(listener)

    def listeners(self, kind: str, word: str = ANY, side: Side | None = None) -> Audience:
        """Those who want to hear of it."""
        known = self._resolved.get((kind, word, side))
        return known if known is not None else self._resolve((kind, word, side), self._all(kind, word, side))

    def passing(self, kind: str, action: str, caller: Side, speaker: Side) -> Audience:
        """Those who want to hear of a Call, or an answer, as that or as any message."""
        key = (kind, action, caller, speaker)
        known = self._resolved.get(key)
        if known is not None:
            return known
        return self._resolve(key, [*self._all(kind, action, caller), *self._all("message", ANY, speaker)])

    def _all(self, kind: str, word: str, side: Side | None) -> list[Listener]:
        keys = dict.fromkeys(((kind, word, side), (kind, ANY, side), (kind, word, None), (kind, ANY, None)))
        return [listener for one in keys for listener in self._listeners.get(one, ())]

    def _resolve(self, key: tuple[str | Side | None, ...], found: list[Listener]) -> Audience:
        resolved = Audience(found)
        if key[1] in self._words:  # others are not kept: peers choose them
            self._resolved[key] = resolved
        return resolved


def _by_defect(index: RuleIndex, bound: BoundRule) -> None:
    index.defects.update((code, bound) for code, rule_id in DEFECTS.items() if rule_id == bound.rule.id)
    _by_remark(index, bound)


def _by_remark(index: RuleIndex, bound: BoundRule) -> None:
    index.remarks.update((remark, bound) for remark in bound.rule.given.remarks)


def _by_schema_error(index: RuleIndex, bound: BoundRule) -> None:
    index.schema[bound.rule.id] = bound
    _by_defect(index, bound)  # a payload that is no object is a schema error which the reader sees


def _by_call(table: ByCall, bound: BoundRule) -> None:
    given = bound.rule.given
    for key in ((action, caller) for action in given.actions for caller in given.callers):
        table[key] = (*table.get(key, ()), bound)


def _by_sequence(index: RuleIndex, bound: BoundRule) -> None:
    sequence = bound.rule.given.sequence
    assert sequence is not None
    index.add(Follow(bound.rule, sequence).registrations(), bound)


_FILERS: Mapping[Kind, Callable[[RuleIndex, BoundRule], None]] = {
    "frame": _by_defect,
    "schema": _by_schema_error,
    "correlation": _by_remark,
    "call": lambda index, bound: _by_call(index.calls, bound),
    "exchange": lambda index, bound: _by_call(index.exchanges, bound),
    "sequence": _by_sequence,
    "python": lambda index, bound: index.add(checks.of_rule(bound.rule.id), bound),
}


class Engine:
    """The rules compiled for each version; `site`: what is known of the site, which silences some; `has`: what the
    records are good for, without which some cannot judge."""

    def __init__(
        self, rules: Iterable[Rule], site: frozenset[str] = frozenset(), has: frozenset[Need] = EVERYTHING
    ) -> None:
        in_force = [rule for rule in rules if site.isdisjoint(rule.unless_site) and has.issuperset(rule.needs)]
        self._indexes = {version: RuleIndex(in_force, version) for version in VERSIONS}

    def index(self, version: Version) -> RuleIndex:
        return self._indexes[version]

