"""What has to come after something, and what must not come before."""

import pytest

from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rule_tests import run
from ocpp_proxy.rules.sequence import WAITS_KEPT

ACCEPTED = [{"in": "response", "field": "/status", "expect": {"equals": "Accepted"}}]
STOP = {"after": {"answer": "RemoteStopTransaction", "caller": "csms", "where": ACCEPTED},
        "expect": {"call": "StopTransaction", "caller": "station"}, "within_s": 30,
        "same": [{"after": "request/transactionId", "then": "request/transactionId"}]}
TRIGGER = {"after": {"call": "TriggerMessage", "caller": "csms"}, "until": {"answer": "TriggerMessage"},
           "forbid": {"call": "Heartbeat", "caller": "station"}}


@pytest.fixture
def says(make_rule):
    """What the sequence says of a conversation, each finding as (frames, at fault, message)."""

    def judge(given, *frames, findings, version="1.6", **test):
        case = {"name": "t", "version": version, "frames": list(frames), "findings": findings, **test}
        rule = make_rule("r", given={"kind": "sequence", **given}, tests=[case],
                         message="{sender} {action} {within_s}")
        assert run([rule], Schemas(lambda *_: None)) == (1, [])

    return judge


def asks(message_id, transaction=7, **more):
    return {"csms": [2, message_id, "RemoteStopTransaction", {"transactionId": transaction}], **more}


def agrees(message_id, status="Accepted", **more):
    return {"station": [3, message_id, {"status": status}], **more}


def stops(message_id, transaction=7, **more):
    return {"station": [2, message_id, "StopTransaction", {"transactionId": transaction}], **more}


def test_what_does_not_come_in_time_is_found_where_it_was_promised(says):
    found = {"frames": [2], "at_fault": "station", "message": "station RemoteStopTransaction 30", "transaction": 7,
             "evidence": [["c1", 1], ["c1", 2]]}
    says(STOP, asks("1"), agrees("1"), {"after_s": 31}, findings=[found])
    says(STOP, asks("1"), agrees("1"), stops("2", after_s=31), findings=[found])
    says(STOP, asks("1"), agrees("1"), stops("2", after_s=29), {"after_s": 60}, findings=[])
    says(STOP, asks("1"), agrees("1"), {"after_s": 29}, findings=[])


def test_what_does_not_begin_is_not_awaited(says):
    says(STOP, asks("1"), agrees("1", "Rejected"), {"after_s": 60}, findings=[])
    says(STOP, asks("1"), {"station": [4, "1", "NotSupported", "", {}]}, {"after_s": 60}, findings=[])
    says(STOP, asks("1"), {"station": [3, "1", {}]}, {"after_s": 60}, findings=[])


def test_several_run_side_by_side(says):
    both = [asks("1", 7), agrees("1"), asks("2", 8), agrees("2")]
    says(STOP, *both, stops("3", 8), {"after_s": 60}, findings=[{"transaction": 7, "frames": [2]}])
    says(STOP, *both, stops("3", 8), stops("4", 7), {"after_s": 60}, findings=[])
    says(STOP, *both, {"after_s": 60}, findings=[{"transaction": 7}, {"transaction": 8}])


def test_the_same_promise_again_is_awaited_once(says):
    twice = [asks("1"), agrees("1"), asks("2", after_s=20), agrees("2")]
    says(STOP, *twice, {"after_s": 60}, findings=[{"frames": [4]}])


def test_the_end_of_the_connection_ends_it_but_across(says):
    lost = [asks("1"), agrees("1"), {"closed": {"by": "station", "code": 1006}}]
    says(STOP, *lost, {"after_s": 60}, findings=[])
    says(STOP | {"across": True}, *lost, {"after_s": 60}, findings=[{"frames": [2]}])
    says(STOP | {"across": True}, *lost, {"opened": {}}, stops("9"), {"after_s": 60}, findings=[])


def test_what_came_shortly_before_may_count(says):
    given = STOP | {"already_s": 2}
    says(given, asks("1"), stops("2"), {"csms": [3, "2", {}]}, agrees("1"), {"after_s": 60}, findings=[])
    says(given, asks("1"), stops("2", 8), agrees("1"), {"after_s": 60}, findings=[{"transaction": 7}])
    says(given, asks("1"), stops("2"), agrees("1", after_s=3), {"after_s": 60}, findings=[{"transaction": 7}])
    says(STOP, asks("1"), stops("2"), agrees("1"), {"after_s": 60}, findings=[{"transaction": 7}])


def test_what_is_forbidden_is_found_where_it_comes(says):
    trigger = {"csms": [2, "1", "TriggerMessage", {"requestedMessage": "Heartbeat"}]}
    beat = {"station": [2, "2", "Heartbeat", {}]}
    found = {"frames": [2], "at_fault": "station", "message": "station TriggerMessage "}
    says(TRIGGER, trigger, beat, findings=[found])
    says(TRIGGER, trigger, {"station": [3, "1", {"status": "Accepted"}]}, beat, findings=[])
    says(TRIGGER, beat, trigger, findings=[])
    says(TRIGGER, trigger, {"csms": [2, "2", "Heartbeat", {}]}, findings=[])


def test_an_excuse_ends_it(says):
    given = STOP | {"unless": {"call": "StatusNotification", "caller": "station", "where": [
        {"in": "request", "field": "/status", "expect": {"equals": "Faulted"}}]}}
    fault = {"station": [2, "5", "StatusNotification", {"connectorId": 1, "status": "Faulted", "errorCode": "NoError"}]}
    says({key: value for key, value in given.items() if key != "same"}, asks("1"), agrees("1"), fault, {"after_s": 60},
         findings=[])


def test_a_connection_may_begin_and_end_one(says):
    given = {"after": {"opened": True}, "expect": {"call": "BootNotification", "caller": "station"}, "within_s": 10}
    says(given, {"after_s": 11}, findings=[{"frames": []}])
    says(given, {"station": [2, "1", "BootNotification", {}]}, {"after_s": 11}, findings=[])
    given = {"after": {"answer": "Reset", "caller": "csms", "where": ACCEPTED}, "expect": {"closed": True},
             "within_s": 10, "at_fault": "station", "across": True}
    reset = [{"csms": [2, "1", "Reset", {"type": "Soft"}]}, agrees("1")]
    says(given, *reset, {"after_s": 11}, findings=[{"at_fault": "station", "frames": [2]}])
    says(given, *reset, {"closed": {}}, {"after_s": 11}, findings=[])


def test_a_bound_may_be_named(says):
    says(STOP | {"within_s": "stop_s"}, asks("1"), agrees("1"), {"after_s": 31},
         findings=[{"message": "station RemoteStopTransaction 30"}])


def test_no_more_run_at_once_than_so_many(says):
    begun = [frame for number in range(WAITS_KEPT + 3) for frame in (asks(f"a{number}", number), agrees(f"a{number}"))]
    says(STOP, *begun, {"after_s": 60}, findings=[{"transaction": number} for number in range(3, WAITS_KEPT + 3)])


def test_a_call_that_is_sent_again_begins_nothing(says):
    given = {"after": {"call": "Authorize", "caller": "station"}, "expect": {"call": "StartTransaction"},
             "within_s": 10}
    call = {"station": [2, "1", "Authorize", {"idTag": "A"}]}
    says(given, call, {"station": [2, "2", "StartTransaction", {}]}, call, {"after_s": 20}, findings=[])
