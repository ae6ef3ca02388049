"""Which rules concern which frame.

Compiles the rules once into tables by version and by what they look at (defect, schema error, remark, or action and
caller), so that a frame meets the rules that are about it and no others, however many there are. Refuses to read
frames, to pair them and to count findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from ocpp_proxy.core.defects import DEFECTS
from ocpp_proxy.core.frame import Side, Version
from ocpp_proxy.rules.bound import BoundRule
from ocpp_proxy.rules.model import VERSIONS, Kind, Rule

ByCall: TypeAlias = dict[tuple[str, Side], tuple[BoundRule, ...]]  # by action and caller


class RuleIndex:
    """The rules of one version, by defect code, id of the schema error, remark, or action and caller."""

    __slots__ = ("calls", "defects", "exchanges", "remarks", "schema")

    def __init__(self, rules: Iterable[Rule], version: Version) -> None:
        self.defects: dict[str, BoundRule] = {}
        self.schema: dict[str, BoundRule] = {}
        self.remarks: dict[str, BoundRule] = {}
        self.calls: ByCall = {}
        self.exchanges: ByCall = {}
        for rule in rules:
            if version in rule.severities:
                _FILERS[rule.given.kind](self, BoundRule(rule, version))


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


_FILERS: Mapping[Kind, Callable[[RuleIndex, BoundRule], None]] = {
    "frame": _by_defect,
    "schema": _by_schema_error,
    "correlation": _by_remark,
    "call": lambda index, bound: _by_call(index.calls, bound),
    "exchange": lambda index, bound: _by_call(index.exchanges, bound),
}


class Engine:
    """The rules compiled for each version; `site`: what is known of the site, which silences some."""

    def __init__(self, rules: Iterable[Rule], site: frozenset[str] = frozenset()) -> None:
        in_force = [rule for rule in rules if site.isdisjoint(rule.unless_site)]
        self._indexes = {version: RuleIndex(in_force, version) for version in VERSIONS}

    def index(self, version: Version) -> RuleIndex:
        return self._indexes[version]
