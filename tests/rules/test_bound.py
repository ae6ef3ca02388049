"""How the checks of a rule run over an exchange, and how what they find is said."""

import pytest

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.settings import Setting
from ocpp_proxy.rules.bound import BoundRule, Place
from ocpp_proxy.rules.expect import ABSENT
from ocpp_proxy.rules.now import Hit


def place(session=None, **fields):
    given = {"connection": "c1", "session": session or Session("S"), "frame": FrameRef("c1", 5), "sender": "station",
             "evidence": (FrameRef("c1", 4), FrameRef("c1", 5)), "action": "Reset"}
    return Place(**(given | fields))


def hits(bound, request=ABSENT, response=ABSENT, error=ABSENT):
    return [hit for check in bound.checks for hit in check.run((request, response, error))]


def exchange_rule(make_rule, check, **keys):
    rule = make_rule("r", given={"kind": "exchange", "action": "Reset"}, checks=[check], **keys)
    return BoundRule(rule, "1.6")


def test_a_check_is_about_the_part_it_names(make_rule):
    bound = exchange_rule(make_rule, {"in": "response", "field": "/status", "expect": {"one_of": ["Accepted"]}})
    assert hits(bound, request={"status": "X"}, error={"status": "X"}) == []
    assert hits(bound, response={"status": "Accepted"}) == []
    (hit,) = hits(bound, request={}, response={"status": "Rejected"})
    assert (hit.part, hit.pointer, hit.seen, hit.expected) == ("response", "/status", "Rejected", "one of Accepted")


def test_a_check_is_judged_only_where_its_preconditions_hold(make_rule):
    check = {"in": "response", "field": "/status", "expect": {"equals": "Accepted"},
             "when": [{"in": "request", "field": "/type", "expect": {"equals": "Soft"}},
                      {"in": "request", "field": "/type", "expect": "present"}]}
    bound = exchange_rule(make_rule, check)
    assert len(hits(bound, {"type": "Soft"}, {"status": "Rejected"})) == 1
    assert hits(bound, {"type": "Hard"}, {"status": "Rejected"}) == []
    assert hits(bound, {}, {"status": "Rejected"}) == []
    assert hits(bound, ABSENT, {"status": "Rejected"}) == []


@pytest.mark.parametrize("payload", [None, [], "text", 3, {"status": {"a": [1]}}, {"status": None}])
def test_a_check_bears_any_payload(make_rule, payload):
    for expect in ("present", "absent", "not_blank", {"one_of": ["A"]}, {"none_of": ["A"]}, {"matches": "A"}):
        hits(exchange_rule(make_rule, {"in": "request", "field": "/status/a", "expect": expect}), request=payload)


def test_a_finding_says_who_where_what_and_what_to_do(make_rule):
    check = {"in": "response", "field": "/status", "expect": "present", "message": "{action} of the {sender}: {state}"}
    bound = exchange_rule(make_rule, check, cause="C")
    (hit,) = hits(bound, response={})
    finding = bound.found(place(sender="csms", connector=2, transaction=7), hit)
    assert finding.as_dict() == {
        "rule": "r", "severity": "warning", "axis": "conformance", "at_fault": "csms",
        "station": "S", "connection": "c1", "frames": [5], "frames_omitted": 0,
        "evidence": [["c1", 4], ["c1", 5]], "pointer": "/status", "connector": 2,
        "transaction": 7, "message": "Reset of the CSMS: absent", "seen": None, "expected": "a value", "count": 1,
        "references": ["D, 1 (shall)"],
    }  # fmt: skip
    assert (finding.cause, finding.fix) == ("C", "F")


def test_what_a_peer_sent_is_not_taken_for_a_template(make_rule):
    bound = exchange_rule(make_rule, {"in": "request", "field": "/a", "expect": "absent", "message": "{seen}"})
    (hit,) = hits(bound, request={"a": "{sender} {nothing} {0}" + "x" * 500})
    message = bound.found(place(), hit).message
    assert message.startswith("{sender} {nothing} {0}xxx")
    assert len(message) < 100


def test_a_finding_cites_the_clauses_of_its_version(make_rule):
    references = [{"document": "Old", "section": "1", "strength": "should", "versions": ["1.6"]},
                  {"document": "New", "strength": "shall", "versions": ["2.1"]}]
    rule = make_rule("r", given={"kind": "frame"}, references=references, message="{detail}")
    assert BoundRule(rule, "1.6").noted(place(), "d").references == ("Old, 1 (should)",)
    assert BoundRule(rule, "2.1").noted(place(), "d").references == ("New (shall)",)


def test_the_severity_is_that_of_the_version(make_rule):
    severity = {"1.6": "info", "2.0.1": "error", "2.1": "warning"}
    rule = make_rule("r", given={"kind": "frame"}, severity=severity, message="m")
    severities = [BoundRule(rule, version).noted(place(), "d").severity for version in ("1.6", "2.0.1", "2.1")]
    assert severities == ["info", "error", "warning"]
    assert rule.severity == "error"


def test_a_rule_escalates_by_what_is_known_of_the_station(make_rule):
    clause = {"document": "D", "section": "3.3", "strength": "shall"}
    escalate = [{"when": {"claims_profile": "RemoteTrigger"}, "severity": "error", "axis": "conformance",
                 "references": [clause]}]
    rule = make_rule("r", given={"kind": "frame"}, axis="compatibility", escalate=escalate, message="m")
    for claimed, judged in [
        (None, ("warning", "compatibility")),
        ("", ("warning", "compatibility")),
        ("Core", ("warning", "compatibility")),
        ("Core,RemoteTrigger", ("error", "conformance")),
    ]:
        session = Session("S")
        if claimed is not None:
            source = FrameRef("c1", 1)
            session.settings.put(Setting("SupportedFeatureProfiles", claimed, source, 0.0, "GetConfiguration"))
        finding = BoundRule(rule, "1.6").noted(place(session), "d")
        assert (finding.severity, finding.axis) == judged
        assert ("D, 3.3 (shall)" in finding.references) == (judged[0] == "error")


def test_a_case_has_its_own_severity_and_axis(make_rule):
    check = {"in": "response", "field": "/status", "expect": "present", "case": "grave"}
    cases = {"grave": {"severity": "error", "what": "it is grave"},
             "wish": {"severity": "info", "axis": "compatibility", "what": "it is wished"}}
    bound = exchange_rule(make_rule, check, cases=cases)
    (hit,) = hits(bound, response={})
    assert (bound.found(place(), hit).severity, bound.found(place(), hit).axis) == ("error", "conformance")
    for case, judged in ((None, ("warning", "conformance")), ("grave", ("error", "conformance")),
                         ("wish", ("info", "compatibility"))):
        finding = bound.told(Hit(place(), "seen {so}", "/a", seen=1, expected=2, case=case))
        assert (finding.severity, finding.axis, finding.message, finding.seen) == (*judged, "seen {so}", 1)


def test_a_field_with_a_wildcard_is_each_item(make_rule):
    check = {"in": "request", "field": "/list/*/name", "expect": "present"}
    bound = exchange_rule(make_rule, check)
    assert hits(bound, request={"list": []}) == hits(bound, request={}) == hits(bound, request={"list": 3}) == []
    found = hits(bound, request={"list": [{"name": 1}, {}, 3]})
    assert [hit.pointer for hit in found] == ["/list/1/name", "/list/2/name"]
