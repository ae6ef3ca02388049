"""JUnit XML: a rule is a case."""

from xml.etree import ElementTree

from ocpp_proxy.report.as_junit import document

HEAD = "testsuite/testcase[@name='%s']"


def cases(analysis, *failing):
    root = ElementTree.fromstring(document([analysis], failing))
    return root, {case.get("name").partition(":")[0]: case for case in root.iter("testcase")}


def test_a_rule_fails_is_skipped_or_passes(analysed):
    path, analysis = analysed()
    root, found = cases(analysis, "error")
    assert list(found) == ["boot-missing-iccid", "frame-json", "frame-overlap", "remotestop-outcome",
                           "schema-additional", "schema-enum"]
    assert {name: sorted(child.tag for child in case) for name, case in found.items()} == {
        "boot-missing-iccid": ["system-out"], "frame-json": [], "frame-overlap": [], "remotestop-outcome": ["skipped"],
        "schema-additional": ["failure"], "schema-enum": ["failure"]}
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("6", "2", "1")
    suite = root.find("testsuite")
    assert (suite.get("name"), suite.get("timestamp")) == (str(path), "2026-11-21T09:00:00")


def test_a_failure_tells_who_where_and_how_often(analysed):
    _, found = cases(analysed()[1], "error")
    failure = found["schema-additional"].find("failure")
    assert failure.get("type") == "error"
    assert '"x" is not known here' in failure.get("message")
    assert failure.text.startswith("error, at fault: station, CP001, c1 #3, #5:")
    assert failure.text.endswith("(2 times)")


def test_what_makes_a_case_fail_is_asked_for(analysed):
    analysis = analysed()[1]
    assert cases(analysis, "error", "warning")[0].get("failures") == "3"
    assert cases(analysis)[0].get("failures") == "0"


def test_what_xml_has_no_room_for_is_replaced(analysed):
    line = {"type": "frame", "connection": "c1", "seq": 1, "at": "2026-11-21T09:00:01Z", "sender": "station",
            "data": '[2,"1","Heartbeat",{"\\u0007]]>&":1}]'}
    opened = {"type": "opened", "connection": "c1", "station": "a\x1b<", "at": "2026-11-21T09:00:00Z",
              "subprotocol": "ocpp1.6"}
    _, found = cases(analysed([opened, line])[1], "error")
    text = found["schema-additional"].find("failure").text
    assert "a\ufffd<" in text
    assert "]]>&" in text


def test_several_captures_are_several_suites(analysed):
    one, other = analysed()[1], analysed(name="y.jsonl")[1]
    root = ElementTree.fromstring(document([one, other], ["error"]))
    assert len(root.findall("testsuite")) == 2
    assert root.get("failures") == "4"
