"""Which frame of an exchange is at fault."""

import pytest

from ocpp_proxy.core.exchange import Correlator
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules.engine import Engine
from ocpp_proxy.rules.judge import Judge, Seen
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.timers import Timers
from ocpp_proxy.rules.wishes import NO_WISHES

CALL = b'[2,"1","Reset",{"type":"Cold","connectorId":3}]'
ANSWER = b'[3,"1",{"status":"Maybe"}]'


@pytest.fixture
def judged(make_rule):
    """What an exchange rule with a check of each part says of a Reset, sent by `sender_of_call`, and its answer."""

    def judge(sender_of_call, **given):
        checks = [{"in": "request", "field": "/type", "expect": {"one_of": ["Hard"]}},
                  {"in": "response", "field": "/status", "expect": {"one_of": ["Accepted"]}}]
        rule = make_rule("r", given={"kind": "exchange", "action": "Reset"} | given, checks=checks)
        at_work = Judge("1.6", Engine([rule]).index("1.6"), Schemas(lambda *_: None), Timers(), NO_WISHES)
        correlator, session = Correlator("c1"), Session("S")
        found = []
        for seq, sender, data in [(1, sender_of_call, CALL), (2, "station", ANSWER)]:
            record = FrameRecord(connection="c1", seq=seq, at=Instant(seq), sender=sender, opcode="text", data=data,
                                 to="csms" if sender == "station" else "station")
            frame = read(data)
            correlation = correlator.receive(frame, seq, sender, record.at, "csms" if sender == "proxy" else None)
            side = "station" if sender == "station" else "csms"
            now = Now(session, "1.6", "c1", 0.0, record.at, record=record, frame=frame, side=side,
                      exchange=correlation.exchange)
            found += at_work.judge(Seen(now, record, frame, side, correlation, correlation.remarks))
        return [entry.finding for entry in found], at_work.met

    return judge


def test_each_part_is_the_fault_of_who_sent_it(judged):
    findings, met = judged("csms")
    assert [(one.pointer, one.at_fault, one.frames) for one in findings] == [
        ("/type", "csms", [1]), ("/status", "station", [2])
    ]  # fmt: skip
    assert all(one.evidence == [("c1", 1), ("c1", 2)] and one.connector == 3 for one in findings)
    assert met == {"r"}


def test_a_request_that_the_proxy_injected_is_the_proxys_fault(judged):
    findings, _ = judged("proxy")
    assert [(one.pointer, one.at_fault) for one in findings] == [("/type", "proxy"), ("/status", "station")]


def test_a_rule_about_another_caller_or_action_has_nothing_to_judge(judged):
    assert judged("csms", caller="station") == ([], set())
    assert judged("csms", action="ClearCache") == ([], set())
