"""Rules are compiled into tables, so that a frame meets only those about it."""

from ocpp_proxy.rules.engine import Engine

CHECK = {"in": "request", "field": "/a", "expect": "present"}


def test_a_call_rule_stands_under_its_actions_and_callers(make_rule):
    rules = [
        make_rule("both", given={"kind": "call", "action": "DataTransfer"}, checks=[CHECK]),
        make_rule("csms", given={"kind": "call", "action": ["Reset", "DataTransfer"], "caller": "csms"},
                  checks=[CHECK]),
    ]
    calls = Engine(rules).index("1.6").calls
    assert {key: [bound.rule.id for bound in found] for key, found in calls.items()} == {
        ("DataTransfer", "station"): ["both"],
        ("DataTransfer", "csms"): ["both", "csms"],
        ("Reset", "csms"): ["csms"],
    }
    assert Engine(rules).index("1.6").exchanges == {}


def test_a_frame_meets_no_more_rules_however_many_there_are(make_rule):
    rules = [make_rule(f"r{n}", given={"kind": "call", "action": f"Action{n}"}, checks=[CHECK]) for n in range(400)]
    assert len(Engine(rules).index("2.1").calls["Action17", "csms"]) == 1


def test_a_rule_stands_in_its_versions_only(make_rule):
    rule = make_rule("new", versions=["2.1"], given={"kind": "exchange", "action": "Reset"}, checks=[CHECK])
    engine = Engine([rule])
    assert [len(engine.index(version).exchanges) for version in ("1.6", "2.0.1", "2.1")] == [0, 0, 2]


def test_a_check_may_be_about_some_of_the_versions(make_rule):
    rule = make_rule("split", given={"kind": "call", "action": "Reset"}, checks=[CHECK | {"versions": ["2.1"]}, CHECK])
    engine = Engine([rule])
    assert [len(engine.index(version).calls["Reset", "csms"][0].checks) for version in ("1.6", "2.1")] == [1, 2]


def test_the_site_silences_rules(make_rule):
    rule = make_rule("sim", given={"kind": "call", "action": "Reset"}, checks=[CHECK], unless={"site": ["no-sim"]})
    assert Engine([rule]).index("1.6").calls
    assert not Engine([rule], frozenset({"no-sim"})).index("1.6").calls


def test_a_frame_rule_stands_under_all_defects_that_lead_to_its_id(make_rule):
    index = Engine([make_rule("frame-id-length", given={"kind": "frame"})]).index("1.6")
    assert set(index.defects) == {"id-empty", "id-too-long"}


def test_a_payload_that_is_no_object_belongs_to_the_schema_rule(make_rule):
    index = Engine([make_rule("schema-type", given={"kind": "schema"})]).index("1.6")
    assert (set(index.schema), set(index.defects)) == ({"schema-type"}, {"payload-not-object"})


def test_a_correlation_rule_stands_under_its_remark(make_rule):
    index = Engine([make_rule("r", given={"kind": "correlation", "remark": "orphan"})]).index("1.6")
    assert set(index.remarks) == {"orphan"}
