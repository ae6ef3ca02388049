"""The rules in force, and why the others are not.

Decides by profile which of the rules that were read are judged by, and finds rules by id. Refuses to know where they
were read from.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from difflib import get_close_matches

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.rules.model import DEFAULT_PROFILE, NO_PROFILE, Rule


class RuleSet:
    """`profiles`: those asked for; `default` is on besides, unless `none` is among them.

    Raises BadInput for a profile that no rule belongs to.
    """

    def __init__(self, rules: Iterable[Rule], profiles: Iterable[str] = ()) -> None:
        self.all: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.id))
        self._by_id = {rule.id: rule for rule in self.all}
        self.profiles = self._chosen(frozenset(profiles))

    def _chosen(self, asked: frozenset[str]) -> frozenset[str]:
        known = {profile for rule in self.all for profile in rule.profiles} | {DEFAULT_PROFILE, NO_PROFILE}
        for profile in sorted(asked - known):
            raise BadInput(f"there is no profile {profile!r}; known: {', '.join(sorted(known))}")
        return asked - {NO_PROFILE} if NO_PROFILE in asked else asked | {DEFAULT_PROFILE}

    def active(self) -> list[Rule]:
        """Those that belong to no profile, or to one that is on."""
        return [rule for rule in self.all if self.is_on(rule)]

    def is_on(self, rule: Rule) -> bool:
        return not rule.profiles or not self.profiles.isdisjoint(rule.profiles)

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

    def why_silent(self, rule: Rule, site: frozenset[str], met: Container[str]) -> str | None:
        """Why nothing was judged by the rule, None if something was or could have been. `met`: the rules that were
        asked at least once."""
        if not self.is_on(rule):
            return f"not in force without --profile {' or '.join(rule.profiles)}"
        if declared := sorted(site.intersection(rule.unless_site)):
            return f"the site is declared {' and '.join(declared)}"
        if rule.given.kind not in ("call", "exchange") or rule.id in met:
            return None
        answered = "answered " if rule.given.kind == "exchange" else ""
        return f"no {answered}{' or '.join(rule.given.actions)} seen"
