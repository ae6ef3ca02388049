"""The rules in force, and why the others are not.

Decides by profile, and by what was switched off, which of the rules that were read are judged by, and finds rules by
id. Refuses to know where they were read from.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.rules.checks import of_rule as heard_of
from ocpp_proxy.rules.engine import EVERYTHING
from ocpp_proxy.rules.model import DEFAULT_PROFILE, NO_PROFILE, Need, Rule
from ocpp_proxy.rules.occasions import ANY
from ocpp_proxy.rules.wishes import wishes_of

NOTHING: Mapping[str, Any] = MappingProxyType({})
NAMED = 3  # actions that a reason names


# Of the rules about frames and connections, those that know what a version's messages are.
_BY_VOCABULARY = frozenset((
    "frame-action-case", "frame-action-direction", "frame-action-unknown", "frame-error-code", "frame-error-masks-data",
    "frame-error-notimpl-swap", "frame-invalid-accepted", "frame-valid-rejected", "ws-version-content",
))  # fmt: skip


def holds_for_all_versions(rule: Rule) -> bool:
    """Whether it is about frames, connections or security, and not about what a version's messages say."""
    return rule.id.startswith(("frame-", "ws-", "sec-")) and rule.id not in _BY_VOCABULARY


class RuleSet:
    """`profiles`: those asked for; `default` is on besides, unless `none` is among them. `off`: the rules that are
    switched off, each with the reason; `documents`: the profiles' documents by name, for those that have one.

    Raises BadInput for a profile that no rule belongs to.
    """

    def __init__(
        self, rules: Iterable[Rule], profiles: Iterable[str] = (), *, off: Mapping[str, str] = NOTHING,
        documents: Mapping[str, Mapping[str, Any]] = NOTHING,
    ) -> None:  # fmt: skip
        self.all: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.id))
        self.off = off
        self.documents = documents
        self._by_id = {rule.id: rule for rule in self.all}
        self.profiles = self._chosen(frozenset(profiles))
        self.wishes = wishes_of((name, documents[name]) for name in sorted(self.profiles & documents.keys()))

    def _chosen(self, asked: frozenset[str]) -> frozenset[str]:
        known = {profile for rule in self.all for profile in rule.profiles} | {DEFAULT_PROFILE, NO_PROFILE}
        known |= self.documents.keys()
        for profile in sorted(asked - known):
            raise BadInput(f"there is no profile {profile!r}; known: {', '.join(sorted(known))}")
        return asked - {NO_PROFILE} if NO_PROFILE in asked else asked | {DEFAULT_PROFILE}

    def active(self) -> list[Rule]:
        """Those that belong to no profile, or to one that is on."""
        return [rule for rule in self.all if self.is_on(rule)]

    def is_on(self, rule: Rule) -> bool:
        return rule.id not in self.off and (not rule.profiles or not self.profiles.isdisjoint(rule.profiles))

    def changes(self) -> list[dict[str, str]]:
        """What a user's own folder made of other rules: {rule, what}, with the reason."""
        weighed = [{"rule": rule.id, "what": rule.changed} for rule in self.all if rule.changed]
        return weighed + [{"rule": rule_id, "what": f"off: {reason}"} for rule_id, reason in self.off.items()]

    def check_site(self, site: Iterable[str]) -> None:
        """Raises BadInput for a site key that no rule asks for."""
        known = {key for rule in self.all for key in rule.unless_site}
        for key in sorted(set(site) - known):
            raise BadInput(f"no rule asks for the site key {key!r}; known: {', '.join(sorted(known)) or 'none'}")

    def find(self, rule_id: str) -> Rule:
        """The rule of that id. Raises BadInput with the nearest ids."""
        if (rule := self._by_id.get(rule_id)) is not None:
            return rule
        near = get_close_matches(rule_id, self._by_id, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `ocpp-proxy rules list` names them all"
        raise BadInput(f"there is no rule {rule_id!r}{hint}")

    def why_silent(
        self, rule: Rule, site: frozenset[str], met: Container[str], unmet: Mapping[str, str] = NOTHING,
        has: frozenset[Need] = EVERYTHING,
    ) -> str | None:  # fmt: skip
        """Why nothing was judged by the rule, None if something was or could have been. `met`: the rules that had
        something to judge at least once; `unmet`: why others, which were asked, could not; `has`: what the records are
        good for."""
        if rule.id in self.off:
            return f"{_OFF}: {self.off[rule.id]}"
        if not self.is_on(rule):
            return f"{_NOT_IN_FORCE} without --profile {' or '.join(rule.profiles)}"
        if declared := sorted(site.intersection(rule.unless_site)):
            return f"{_DECLARED} {' and '.join(declared)}"
        if missing := [need for need in rule.needs if need not in has]:
            return _MISSING[missing[0]]
        if rule.given.kind not in _HEARD_OF or rule.id in met:
            return None
        return unmet.get(rule.id) or _HEARD_OF[rule.given.kind](rule)


_OFF, _NOT_IN_FORCE, _DECLARED = "switched off", "not in force", "the site is declared"


def was_chosen(reason: str) -> bool:
    """Whether a rule is silent because of what the user has asked for, or of the capture as a whole, and not just for
    want of something to judge."""
    return reason.startswith((_OFF, _NOT_IN_FORCE, _DECLARED)) or reason in _MISSING.values()


_MISSING: Mapping[Need, str] = {
    "clock": "the capture bears no times of its own",
    "wall-clock": "the capture's time is not that of the payloads",
}


def _not_seen(rule: Rule) -> str:
    answered = "answered " if rule.given.kind == "exchange" else ""
    return f"no {answered}{' or '.join(rule.given.actions)} seen"


def _not_begun(rule: Rule) -> str:
    sequence = rule.given.sequence
    assert sequence is not None
    return _nothing(sequence.after.kind, sequence.after.actions)


def _not_heard(rule: Rule) -> str:
    for one in heard_of(rule.id):
        actions = [when.word for when in one.occasions if when.word != ANY]
        return _nothing(one.occasions[0].kind, tuple(dict.fromkeys(actions)))
    return "nothing that it is about was seen"


_CONNECTION = {"opened": "no connection", "closed": "no end of a connection", "handshake": "no handshake"}


def _nothing(kind: str, actions: tuple[str, ...]) -> str:
    if kind in _CONNECTION:
        return f"{_CONNECTION[kind]} seen"
    answered = "answered " if kind == "answer" else ""
    named = list(actions[:NAMED])
    more = f" (or {len(actions) - NAMED} others)" if len(actions) > NAMED else ""
    return f"no {answered}{' or '.join(named) or 'message'}{more} seen that it is about"


_HEARD_OF: Mapping[str, Callable[[Rule], str]] = {
    "call": _not_seen, "exchange": _not_seen, "sequence": _not_begun, "python": _not_heard,
}  # fmt: skip
