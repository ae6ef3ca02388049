"""Which rules are in force, and why others are not."""

import pytest

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.rules.ruleset import RuleSet

CALL = {"given": {"kind": "call", "action": ["Heartbeat", "Authorize"]}}
EXCHANGE = {"given": {"kind": "exchange", "action": "Reset"}}


@pytest.fixture
def rules(make_rule):
    return [
        make_rule("always", given={"kind": "frame"}),
        make_rule("usual", **CALL, profiles=["default"], unless={"site": ["no-sim", "indoors"]}),
        make_rule("wished", **EXCHANGE, profiles=["greenflux", "octopus"]),
    ]


@pytest.mark.parametrize(
    ("profiles", "active"),
    [
        ([], ["always", "usual"]),
        (["default"], ["always", "usual"]),
        (["none"], ["always"]),
        (["greenflux"], ["always", "usual", "wished"]),
        (["greenflux", "none"], ["always", "wished"]),
    ],
)
def test_the_profile_default_is_on_unless_none_is_asked_for(rules, profiles, active):
    assert [rule.id for rule in RuleSet(rules, profiles).active()] == active


def test_an_unknown_profile_is_bad_input_that_names_the_known(rules):
    with pytest.raises(BadInput, match="no profile 'greenfluks'; known: default, greenflux, none, octopus"):
        RuleSet(rules, ["greenfluks"])


def test_an_unknown_site_key_is_bad_input_that_names_the_known(rules):
    RuleSet(rules).check_site(["no-sim"])
    with pytest.raises(BadInput, match="site key 'nosim'; known: indoors, no-sim"):
        RuleSet(rules).check_site(["nosim"])


def test_a_misspelt_id_is_bad_input_with_the_nearest(rules):
    assert RuleSet(rules).find("wished").id == "wished"
    with pytest.raises(BadInput, match="no rule 'wishd'; did you mean wished"):
        RuleSet(rules).find("wishd")
    with pytest.raises(BadInput, match="rules list"):
        RuleSet(rules).find("zzzzzz")


def test_a_silent_rule_says_why(rules):
    ruleset = RuleSet(rules)
    reasons = {rule.id: ruleset.why_silent(rule, frozenset({"no-sim"}), set()) for rule in rules}
    assert reasons == {"always": None, "usual": "the site is declared no-sim",
                       "wished": "not in force without --profile greenflux or octopus"}
    ruleset = RuleSet(rules, ["greenflux"])
    reasons = {rule.id: ruleset.why_silent(rule, frozenset(), {"usual"}) for rule in rules}
    assert reasons == {"always": None, "usual": None, "wished": "no answered Reset seen"}
