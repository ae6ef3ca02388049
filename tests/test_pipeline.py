"""Records go in, events come out: what is found, who is at fault, what is counted."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.event import ConnectionClosed, ConnectionOpened, FindingRaised, FrameSeen, GapSeen
from ocpp_proxy.core.frame import OTHER_SIDE, Call, Malformed
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Gap, Opened
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import GUESS_FROM, Pipeline
from ocpp_proxy.rules import engine
from ocpp_proxy.rules.occasions import Registered, call
from ocpp_proxy.rules.ruleset import RuleSet


def _by_single_frames(*profiles):
    """The rules that look at no more than a frame or an exchange: what others make of these little conversations, with
    a clock that begins in 1970, is none of this module's business."""
    rules = load_rules(profiles=profiles)
    return RuleSet([rule for rule in rules.all if rule.given.kind in ("frame", "schema", "correlation")
                    or rule.id in ("boot-missing-iccid", "trigger-message-not-implemented")], profiles)


RULES = _by_single_frames()
BARE = _by_single_frames("none")
SCHEMAS = Schemas(load_schema)
BOOT = {"chargePointVendor": "V", "chargePointModel": "M", "iccid": "89310410106543789301"}
BOOTED = {"status": "Accepted", "currentTime": "2026-11-21T09:00:00Z", "interval": 300}
BEAT = {"currentTime": "2026-11-21T09:00:00Z"}
SECOND = 1_000_000


class Wire:
    """Feeds a pipeline with a conversation; `seq` and time go on by themselves, a second a record."""

    def __init__(self, pipeline=None, **options):
        self.pipeline = pipeline or Pipeline(RULES, SCHEMAS, **options)
        self.at_us = 0
        self.seq = {}
        self.events = []

    def feed(self, record, frame=None):
        events = self.pipeline.feed(record, frame)
        self.events += events
        return events

    def now(self):
        self.at_us += SECOND
        return Instant(self.at_us)

    def open(self, connection="c1", station="S", subprotocol="ocpp1.6", **fields):
        return self.feed(Opened(connection=connection, at=self.now(), station=station, subprotocol=subprotocol,
                                **fields))

    def close(self, connection="c1"):
        return self.feed(Closed(connection=connection, at=self.now(), by="station", code=1000))

    def gap(self, lost, connection="c1"):
        first = self.seq.get(connection, 0) + 1
        self.seq[connection] = first + lost - 1
        return self.feed(Gap(connection=connection, at=self.now(), first_seq=first, lost=lost, reason="disk full"))

    def say(self, sender, message, connection="c1", to=None, opcode="text", skip=0, **fields):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.seq[connection] = self.seq.get(connection, 0) + 1 + skip
        return self.feed(FrameRecord(connection=connection, seq=self.seq[connection], at=self.now(), sender=sender,
                                     to=to or OTHER_SIDE[sender], opcode=opcode, data=data, **fields))

    def station(self, *message, **fields):
        return self.say("station", list(message), **fields)

    def csms(self, *message, **fields):
        return self.say("csms", list(message), **fields)

    def found(self):
        self.events += self.pipeline.finish()
        return [(finding.rule, finding.at_fault, finding.frames) for finding in self.pipeline.findings()]

    def counts(self, *names):
        return tuple(self.pipeline.counts[name] for name in names)


@pytest.fixture
def wire():
    wire = Wire()
    wire.open()
    return wire


# Events


def test_a_frame_is_seen_before_what_is_found_in_it(wire):
    events = wire.station(2, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    seen, raised = events
    assert isinstance(seen, FrameSeen)
    assert (seen.station, seen.frame.action, seen.exchange.action) == ("S", "BootNotification", "BootNotification")
    assert isinstance(raised, FindingRaised)
    assert (raised.finding.rule, raised.finding.station, raised.first) == ("boot-missing-iccid", "S", True)


def test_a_repetition_is_raised_again_as_known(wire):
    bare = {"chargePointVendor": "V", "chargePointModel": "M"}
    wire.station(2, "1", "BootNotification", bare)
    wire.csms(3, "1", BOOTED)
    _, raised = wire.station(2, "2", "BootNotification", bare)
    assert (raised.first, raised.finding.count) == (False, 2)


def test_an_answer_brings_its_exchange(wire):
    wire.station(2, "1", "Heartbeat", {})
    (seen,) = wire.csms(3, "1", BEAT)
    assert (seen.exchange.call_seq, seen.exchange.answer_seq, seen.exchange.latency_ms) == (1, 2, 1000.0)


def test_a_frame_that_was_read_already_is_not_read_again():
    wire = Wire()
    wire.open()
    frame = read(b'[2,"1","Heartbeat",{}]')
    record = FrameRecord(connection="c1", seq=1, at=Instant(0), sender="station", to="csms", opcode="text",
                         data=b"not looked at")
    (seen,) = wire.feed(record, frame)
    assert seen.frame is frame


def test_opening_and_closing_are_told():
    wire = Wire()
    (opened,) = wire.open()
    assert isinstance(opened, ConnectionOpened)
    (closed,) = wire.close()
    assert isinstance(closed, ConnectionClosed)
    assert closed.station == "S"
    (unknown,) = wire.close("c9")
    assert unknown.station is None


def test_a_handshake_that_failed_leaves_no_connection():
    wire = Wire()
    wire.open(status=401, refused_by="csms", subprotocol=None)
    assert isinstance(wire.close()[0], ConnectionClosed)
    assert wire.pipeline.session("S").links.open == {}
    assert [one.status for one in wire.pipeline.session("S").links.handshakes] == [401]


def test_other_lines_of_a_capture_say_nothing(wire):
    assert wire.feed(Entry(type="note", connection="c1", fields={"text": "hello"})) == []


def test_control_frames_are_counted_and_not_read(wire):
    (seen,) = wire.say("station", b"[2,", opcode="ping")
    assert (seen.frame, seen.exchange) == (None, None)
    wire.say("csms", b"[2,", opcode="pong")
    assert wire.counts("frames", "control", "malformed") == (0, 2, 0)
    assert wire.found() == []


def test_a_message_that_is_not_complete_yet_waits_for_its_whole_form(wire):
    part = FrameRecord(connection="c1", seq=1, at=wire.now(), sender="station", to="csms", opcode="text",
                       data=b'[2,"1","Hear', incomplete=True)
    assert wire.feed(part) == []
    wire.station(2, "1", "Heartbeat", {})
    assert wire.counts("frames", "malformed") == (1, 0)
    assert wire.found() == []
    assert wire.pipeline.notes == []


# Who is at fault


def test_the_sender_of_the_offending_frame_is_at_fault(wire):
    wire.station(2, "1", "Heartbeat", {"x": 1})
    wire.csms(3, "1", {})
    wire.csms(2, "1", "Reset", {"type": "Cold"})
    wire.station(3, "1", {"status": "Maybe"})
    assert wire.found() == [
        ("schema-additional", "station", [1]), ("schema-required", "csms", [2]), ("schema-enum", "csms", [3]),
        ("schema-enum", "station", [4]),
    ]  # fmt: skip


def test_the_same_id_in_both_directions_keeps_two_exchanges_apart(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.csms(2, "1", "TriggerMessage", {"requestedMessage": "Heartbeat"})
    wire.station(3, "1", {"status": "NotImplemented"})
    wire.csms(3, "1", BEAT)
    assert wire.found() == [("trigger-message-not-implemented", "station", [3])]
    (finding,) = wire.pipeline.findings()
    assert finding.evidence == [("c1", 2), ("c1", 3)]


def test_the_proxy_is_at_fault_for_what_it_sends_itself(wire):
    wire.say("proxy", [2, "p1", "Reset", {"type": "Cold"}], to="station", origin="injected")
    wire.station(3, "p1", {"status": "Accepted"}, origin="withheld")
    wire.station(2, "1", "Heartbeat", {"x": 1}, origin="modified", original=b"[]")
    assert wire.found() == [("schema-enum", "proxy", [1]), ("schema-additional", "proxy", [3])]


def test_what_a_station_answers_to_an_injected_call_is_judged_like_any_other(wire):
    wire.say("proxy", [2, "p1", "TriggerMessage", {"requestedMessage": "Heartbeat"}], to="station", origin="injected")
    wire.station(4, "p1", "NotImplemented", "", {}, origin="withheld")
    assert wire.found() == [("trigger-message-not-implemented", "station", [2])]


def test_connector_and_transaction_are_named(wire):
    wire.station(2, "1", "MeterValues", {"connectorId": 2, "transactionId": 17, "meterValue": 3})
    (finding,) = wire.pipeline.findings()
    assert (finding.rule, finding.connector, finding.transaction) == ("schema-type", 2, 17)


def test_evse_and_transaction_of_a_newer_version_are_named():
    wire = Wire()
    wire.open(subprotocol="ocpp2.0.1")
    wire.station(2, "1", "TransactionEvent", {"evse": {"id": 3}, "transactionInfo": {"transactionId": "T"}})
    findings = wire.pipeline.findings()
    assert findings
    assert {(finding.connector, finding.transaction) for finding in findings} == {(3, "T")}


def test_a_pointer_into_the_frame_is_told_relative_to_the_payload(wire):
    wire.say("station", b'[2,"1","Authorize",{"idTag":"A","idTag":"B"}]')
    (finding,) = wire.pipeline.findings()
    assert (finding.rule, finding.pointer) == ("schema-duplicate-key", "/idTag")


def test_different_wrong_actions_are_different_findings(wire):
    for message_id, action in enumerate(["Foo", "Bar", "Foo"]):
        wire.station(2, str(message_id), action, {})
        wire.csms(4, str(message_id), "NotImplemented", "", {})
    assert wire.found() == [("frame-action-unknown", "station", [1, 5]), ("frame-action-unknown", "station", [3])]


# Named rules over connections


PROFILES = {"configurationKey": [{"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core,RemoteTrigger"}]}


def claim(wire, connection="c1", message_id="g"):
    wire.csms(2, message_id, "GetConfiguration", {}, connection=connection)
    wire.station(3, message_id, PROFILES, connection=connection)


def refuse_trigger(wire, connection="c1", message_id="t"):
    wire.csms(2, message_id, "TriggerMessage", {"requestedMessage": "Heartbeat"}, connection=connection)
    wire.station(3, message_id, {"status": "NotImplemented"}, connection=connection)


def severities(wire):
    return [(finding.connection, finding.severity, finding.axis, finding.count) for finding in wire.pipeline.findings()]


def test_what_a_station_claims_holds_over_its_connections():
    wire = Wire()
    wire.open("c1", "A")
    claim(wire, "c1")
    wire.close("c1")
    wire.open("c2", "A")
    refuse_trigger(wire, "c2")
    wire.open("c3", "B")
    refuse_trigger(wire, "c3")
    assert severities(wire) == [("c2", "error", "conformance", 1), ("c3", "warning", "compatibility", 1)]


def test_a_finding_is_judged_by_what_is_known_at_that_moment_and_again_when_it_repeats(wire):
    refuse_trigger(wire)
    claim(wire)
    assert severities(wire) == [("c1", "warning", "compatibility", 1)]
    refuse_trigger(wire, message_id="t2")
    assert severities(wire) == [("c1", "error", "conformance", 2)]


def test_profile_and_site_silence_the_named_rules_and_no_others():
    for options, wanted in [
        ({}, ["boot-missing-iccid", "trigger-message-not-implemented", "schema-additional"]),
        ({"site": frozenset({"no-sim"})}, ["trigger-message-not-implemented", "schema-additional"]),
        ({"rules": BARE}, ["schema-additional"]),
    ]:
        wire = Wire(Pipeline(options.pop("rules", RULES), SCHEMAS, **options))
        wire.open()
        wire.station(2, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        wire.csms(3, "1", BOOTED)
        refuse_trigger(wire)
        wire.station(2, "2", "Heartbeat", {"x": 1})
        assert [rule for rule, _, _ in wire.found()] == wanted


def test_an_unknown_site_key_is_bad_input():
    with pytest.raises(BadInput, match="no-sim"):
        Pipeline(RULES, SCHEMAS, site=frozenset({"nosim"}))


# Rules that had nothing to judge


def test_a_rule_that_saw_nothing_to_judge_says_so(wire):
    assert wire.pipeline.skipped() == [
        {"rule": "boot-missing-iccid", "reason": "no BootNotification seen"},
        {"rule": "trigger-message-not-implemented",
         "reason": "no answered TriggerMessage or ExtendedTriggerMessage seen"},
    ]
    wire.station(2, "1", "BootNotification", BOOT)
    assert [entry["rule"] for entry in wire.pipeline.skipped()] == ["trigger-message-not-implemented"]
    refuse_trigger(wire)
    assert wire.pipeline.skipped() == []


def test_a_rule_that_is_off_says_why():
    pipeline = Pipeline(BARE, SCHEMAS)
    assert pipeline.skipped()[0] == {
        "rule": "boot-missing-iccid", "reason": "not in force without --profile default or greenflux"}
    pipeline = Pipeline(RULES, SCHEMAS, site=frozenset({"no-sim"}))
    assert pipeline.skipped()[0] == {"rule": "boot-missing-iccid", "reason": "the site is declared no-sim"}


# Counts


def test_everything_is_counted(wire):
    wire.station(2, "1", "BootNotification", BOOT)
    wire.csms(3, "1", BOOTED)
    wire.say("station", b"garbage")
    wire.say("station", b'[2,"2","Heartbeat",{}]', opcode="binary")
    wire.say("csms", b"", opcode="ping")
    assert wire.pipeline.counts == {
        "frames": 4, "control": 1, "malformed": 1, "exchanges": 2, "unanswered": 0, "pending": 1,
        "error": 2, "warning": 0, "info": 0,
    }  # fmt: skip
    assert wire.found() == [("frame-json", "station", [3]), ("frame-binary", "station", [4])]


def test_a_call_that_is_not_answered_yet_is_pending(wire):
    wire.station(2, "1", "Heartbeat", {})
    assert wire.counts("exchanges", "unanswered", "pending") == (1, 0, 1)
    wire.pipeline.finish()
    assert wire.counts("exchanges", "unanswered", "pending") == (1, 0, 1)
    wire.csms(3, "1", BEAT)
    assert wire.counts("exchanges", "unanswered", "pending") == (1, 0, 0)


def test_a_call_whose_connection_closes_is_unanswered(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.close()
    assert wire.counts("exchanges", "unanswered", "pending") == (1, 1, 0)


def test_a_call_whose_timeout_passes_is_unanswered_until_it_is_answered_after_all(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.pipeline.tick(Instant(wire.at_us + 29 * SECOND))
    assert wire.counts("unanswered", "pending") == (0, 1)
    wire.pipeline.tick(Instant(wire.at_us + 31 * SECOND))
    assert wire.counts("unanswered", "pending") == (1, 0)
    wire.at_us += 60 * SECOND
    wire.csms(3, "1", BEAT)
    assert wire.counts("exchanges", "unanswered", "pending") == (1, 0, 0)
    assert wire.found() == [("frame-late-result", "csms", [2])]


def test_a_call_that_was_held_counts_from_when_it_went_on(wire):
    for _ in range(20):  # meanwhile, of other connections
        wire.open("other", "T")
    held = FrameRecord(connection="c1", seq=1, at=Instant(wire.at_us - 19 * SECOND), sender="csms", to="station",
                       opcode="text", data=b'[2,"1","ClearCache",{}]', held_ms=18000.0)
    wire.feed(held)
    answer = FrameRecord(connection="c1", seq=2, at=wire.now(), sender="station", to="csms", opcode="text",
                         data=b'[3,"1",{"status":"Accepted"}]')
    (seen, *_) = wire.feed(answer)
    assert seen.exchange.latency_ms == 2000
    assert wire.pipeline.session("S").held_s == 18
    assert seen.exchange.called_time == pytest.approx(19)  # of 21 seconds that the pipeline has seen


def test_a_retry_is_no_new_exchange(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.station(2, "1", "Heartbeat", {})
    wire.csms(3, "1", BEAT)
    assert wire.counts("frames", "exchanges", "unanswered", "pending") == (3, 1, 0, 0)


def test_a_send_is_no_exchange_that_waits():
    wire = Wire()
    wire.open(subprotocol="ocpp2.1")
    stream = {"id": 1, "pending": 0, "basetime": "2026-11-21T09:00:00Z", "data": [{"t": 0, "v": "1"}]}
    wire.station(6, "1", "NotifyPeriodicEventStream", stream)
    wire.close()
    assert wire.counts("exchanges", "unanswered", "pending") == (0, 0, 0)
    assert wire.found() == []


# What is missing


def test_a_gap_is_told_and_its_answers_are_let_pass(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.csms(3, "1", BEAT)
    (event,) = wire.gap(2)
    assert isinstance(event, GapSeen)
    wire.csms(3, "lost-1", {})
    wire.csms(3, "lost-2", {})
    assert wire.found() == []
    wire.csms(3, "never", {})
    assert wire.found() == [("frame-orphan-result", "csms", [7])]
    assert [note.message for note in wire.pipeline.notes] == ["frames 3 to 4 are missing: disk full"]


def test_a_hole_in_the_numbers_counts_as_a_gap(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.csms(3, "x", {}, skip=1)
    assert wire.found() == []
    assert [note.message for note in wire.pipeline.notes] == ["frame 2 is missing: not in the capture"]


def test_a_call_whose_answer_may_be_lost_makes_no_overlap(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.gap(1)
    wire.station(2, "2", "Heartbeat", {})
    assert wire.found() == []
    wire.station(2, "3", "Heartbeat", {})
    assert wire.found() == [("frame-overlap", "station", [4])]


def test_a_capture_that_begins_in_the_middle_takes_the_first_answers_as_given():
    wire = Wire(default_version="1.6")
    wire.csms(3, "before", BEAT)
    assert wire.found() == []
    wire.station(2, "1", "Heartbeat", {})
    wire.csms(3, "1", BEAT)
    wire.csms(3, "never", BEAT)
    assert wire.found() == [("frame-orphan-result", "csms", [4])]


def test_the_answer_to_an_unreadable_message_is_no_orphan_where_the_version_says_so():
    for subprotocol, wanted in [("ocpp2.0.1", []), ("ocpp1.6", [("frame-orphan-result", "csms", [2])])]:
        wire = Wire()
        wire.open(subprotocol=subprotocol)
        wire.station(2)
        wire.csms(4, "-1", "FormatViolation", "", {})
        assert [one for one in wire.found() if one[0] != "frame-arity"] == wanted


def test_a_frame_that_was_not_recorded_is_missing_and_no_frame_of_the_peer(wire):
    wire.station(2, "1", "Heartbeat", {})
    extra = {"not_recorded": {"length": 20, "sha256": "00", "reason": "KeyError('x')"}}
    (event,) = wire.say("csms", b"20 bytes, SHA-256 00", extra=extra)
    assert isinstance(event, GapSeen)
    assert (event.record.first_seq, event.record.lost) == (2, 1)
    wire.station(2, "2", "Heartbeat", {})
    wire.csms(3, "may-be-lost", BEAT)
    assert wire.found() == []
    assert wire.counts("frames", "malformed", "exchanges") == (3, 0, 2)
    (note,) = wire.pipeline.notes
    assert note.message.startswith("frame 2 is missing: it could not be read (KeyError('x'))")


@pytest.mark.parametrize("told", [None, "x", {"reason": 5}, []])
def test_whatever_is_said_of_a_frame_that_was_not_recorded_is_borne(wire, told):
    (event,) = wire.say("station", b"?", extra={"not_recorded": told})
    assert isinstance(event, GapSeen)
    assert wire.found() == []


@pytest.mark.parametrize("end", [Wire.close, Wire.found])
def test_a_message_that_broke_off_is_told_and_not_counted(wire, end):
    wire.station(2, "1", "Heartbeat", {})
    wire.say("csms", b'[3,"1",{"curr', incomplete=True, fragments=(5, 8))
    wire.say("station", b"[2,", incomplete=True)
    assert wire.pipeline.notes == []
    end(wire)
    assert [note.message for note in wire.pipeline.notes] == [
        "message 2 of the CSMS broke off after 13 bytes", "message 3 of the station broke off after 3 bytes"]
    assert wire.counts("frames", "malformed") == (1, 0)
    assert wire.found() == []
    assert len(wire.pipeline.notes) == 2


def test_a_message_that_became_whole_did_not_break_off_whoever_else_spoke_meanwhile(wire):
    wire.say("station", b'[2,"1",', incomplete=True)
    wire.say("csms", b"", opcode="ping")
    wire.seq["c1"] = 0
    wire.station(2, "1", "Heartbeat", {})
    wire.close()
    assert wire.pipeline.notes == []


# Breaches of the WebSocket protocol


def breach(wire, connection="c1", **fields):
    told = {"sender": "csms", "code": 1002, "reason": "reserved opcode 0x3", "head": "8300"} | fields
    return wire.feed(Entry(type="breach", connection=connection, at=wire.now(), fields=told))


@pytest.mark.parametrize("sender", ["station", "csms"])
def test_who_breaks_the_websocket_protocol_is_at_fault(wire, sender):
    wire.station(2, "1", "Heartbeat", {})
    (raised,) = breach(wire, sender=sender)
    finding = raised.finding
    assert raised.first
    assert (finding.rule, finding.severity, finding.axis) == ("ws-breach", "error", "conformance")
    assert (finding.at_fault, finding.station, finding.connection) == (sender, "S", "c1")
    assert (finding.frames, finding.evidence, finding.seen) == ([], [("c1", 1)], "8300")
    assert finding.message.startswith("Reserved opcode 0x3")
    assert wire.counts("frames", "error") == (1, 1)
    json.dumps(finding.as_dict())


def test_what_is_too_big_for_the_proxy_is_no_fault_of_its_sender(wire):
    breach(wire, sender="station", code=1009, reason="frame with 1001 bytes")
    (finding,) = wire.pipeline.findings()
    assert (finding.rule, finding.severity, finding.at_fault) == ("ws-message-too-big", "warning", "proxy")
    assert (finding.frames, finding.evidence) == ([], [])
    assert "sent by the station" in finding.message


def test_a_breach_stands_behind_what_was_found_before_it(wire):
    wire.station(2, "1", "Nonsense", {})
    wire.csms(2, "2")
    breach(wire)
    assert [rule for rule, _, _ in wire.found()] == ["frame-action-unknown", "frame-arity", "ws-breach"]


def test_a_breach_ends_the_wait_for_a_version():
    wire = Wire()
    wire.open(subprotocol=None)
    wire.station(2, "1", "Nonsense", {})
    assert [event.finding.rule for event in breach(wire)] == ["frame-action-unknown", "ws-breach"]


def test_a_breach_needs_neither_a_message_nor_a_beginning():
    wire = Wire()
    wire.open(subprotocol=None)
    breach(wire)
    breach(wire, connection="c2")
    assert [(finding.rule, finding.connection, finding.station) for finding in wire.pipeline.findings()] == [
        ("ws-breach", "c1", "S"), ("ws-breach", "c2", None)]
    assert wire.pipeline.notes == []


@pytest.mark.parametrize("fields", [
    {"sender": None}, {"sender": []}, {"sender": "proxy"}, {"reason": None}, {"reason": 1}
])  # fmt: skip
def test_a_breach_that_does_not_say_whose_or_what_is_passed_over(wire, fields):
    assert breach(wire, **fields) == []


@pytest.mark.parametrize("fields", [{"code": []}, {"head": {}}, {"head": None}, {"reason": "{sender} {x"}])
def test_odd_details_of_a_breach_are_borne(wire, fields):
    (raised,) = breach(wire, **fields)
    assert raised.finding.rule == "ws-breach"


# Versions


SENT_201 = [2, "1", "BootNotification", {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}]


def test_the_subprotocol_decides_the_version():
    for subprotocol, wanted in [("ocpp2.0.1", 0), ("ocpp2.1", 0), ("ocpp1.6", 1)]:
        wire = Wire(default_version="1.6")
        wire.open(subprotocol=subprotocol)
        wire.say("station", SENT_201)
        assert bool(wire.pipeline.findings()) == wanted
        assert wire.pipeline.notes == []


def test_without_a_subprotocol_the_default_version_counts():
    wire = Wire(default_version="2.0.1")
    wire.open(subprotocol=None)
    wire.say("station", SENT_201)
    assert wire.pipeline.findings() == []
    assert wire.pipeline.notes == []


def test_without_both_the_version_is_guessed_and_that_is_said():
    wire = Wire()
    wire.open(subprotocol=None)
    wire.station(2, "0", "Heartbeat", {"x": 1})
    wire.csms(3, "0", BEAT)
    wire.say("station", SENT_201)
    assert wire.pipeline.findings() == []
    assert wire.found() == [("schema-additional", "station", [1])]
    assert [(note.connection, note.message) for note in wire.pipeline.notes] == [
        ("c1", "OCPP 2.0.1 was guessed from the frames")
    ]


def test_the_guess_does_not_wait_for_ever():
    wire = Wire()
    wire.station(2, "0", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    for number in range(GUESS_FROM):
        wire.csms(3, str(number), BOOTED if not number else BEAT)
        wire.station(2, str(number + 1), "Heartbeat", {})
    assert [finding.rule for finding in wire.pipeline.findings()] == ["boot-missing-iccid"]


def test_where_nothing_tells_the_version_that_is_said():
    wire = Wire()
    wire.say("station", b"[")
    assert wire.found() == [("frame-json", "station", [1])]
    assert "assumed" in wire.pipeline.notes[0].message


def test_what_waits_is_judged_when_the_connection_ends():
    wire = Wire()
    wire.open(subprotocol=None)
    wire.station(2, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    *raised, closed = wire.close()
    assert [event.finding.rule for event in raised] == ["boot-missing-iccid"]
    assert isinstance(closed, ConnectionClosed)


# Memory


def test_a_closed_connection_is_forgotten_with_its_findings_where_asked():
    for forget, left in [(False, 1), (True, 0)]:
        wire = Wire(forget_closed=forget)
        wire.open()
        wire.station(2, "1", "Heartbeat", {"x": 1})
        wire.close()
        assert len(wire.pipeline.findings()) == left


def test_a_connection_opened_again_under_its_name_begins_anew(wire):
    wire.station(2, "1", "Heartbeat", {})
    wire.open()
    wire.csms(3, "1", BEAT)
    assert wire.counts("unanswered", "pending") == (1, 0)


# Incremental and deterministic


IDS = st.sampled_from(["1", "2", "-1", ""])
PAYLOADS = st.sampled_from([{}, BOOT, BOOTED, BEAT, PROFILES, {"status": "NotImplemented"}, None, [], {"x": 1},
                            {"requestedMessage": "Heartbeat"}])
ACTIONS = st.sampled_from(["BootNotification", "Heartbeat", "TriggerMessage", "GetConfiguration", "heartbeat", "Foo"])
MESSAGES = st.one_of(
    st.builds(lambda i, a, p: json.dumps([2, i, a, p]).encode(), IDS, ACTIONS, PAYLOADS),
    st.builds(lambda i, p: json.dumps([3, i, p]).encode(), IDS, PAYLOADS),
    st.builds(lambda i, c: json.dumps([4, i, c, "", {}]).encode(), IDS, st.sampled_from(["NotImplemented", "Foo"])),
    st.binary(max_size=8),
)
STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(["station", "csms"]), MESSAGES, st.sampled_from(["c1", "c2"])),
    st.tuples(st.just("open"), st.sampled_from(["c1", "c2"]), st.sampled_from(["A", "B", None]),
              st.sampled_from(["ocpp1.6", "ocpp2.0.1", None])),
    st.tuples(st.just("close"), st.sampled_from(["c1", "c2"])),
    st.tuples(st.just("gap"), st.integers(1, 3), st.sampled_from(["c1", "c2"])),
)  # fmt: skip


def played(steps, pipeline, wire=None):
    wire = wire or Wire(pipeline)
    for name, *arguments in steps:
        getattr(wire, name)(*arguments)
    return wire


def outcome(pipeline):
    return (pipeline.counts, [finding.as_dict() for finding in pipeline.findings()], pipeline.skipped(), pipeline.notes)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40), st.integers(0, 40))
def test_a_stream_cut_anywhere_and_resumed_gives_the_same(steps, cut):
    """In between, everything may be asked for, and the clock may tick."""
    whole = Pipeline(RULES, SCHEMAS)
    played(steps, whole).found()
    halves = Pipeline(RULES, SCHEMAS)
    wire = played(steps[:cut], halves)
    outcome(halves)
    halves.tick(Instant(wire.at_us))
    played(steps[cut:], halves, wire).found()
    assert outcome(halves) == outcome(whole)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_events_tell_what_the_findings_say(steps):
    pipeline = Pipeline(RULES, SCHEMAS)
    wire = played(steps, pipeline)
    findings = wire.found() and pipeline.findings()
    raised = [event for event in wire.events if isinstance(event, FindingRaised)]
    assert sum(event.first for event in raised) == len(findings)
    assert len(raised) == sum(finding.count for finding in findings)
    counts = pipeline.counts
    seen = [event for event in wire.events if isinstance(event, FrameSeen)]
    assert counts["frames"] == len(seen)
    assert counts["malformed"] == sum(isinstance(event.frame, Malformed) for event in seen)
    assert 0 <= counts["unanswered"] + counts["pending"] <= counts["exchanges"]
    assert counts["exchanges"] <= sum(isinstance(event.frame, Call) for event in seen)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(
    st.sampled_from(["station", "csms"]), st.binary(max_size=60), st.sampled_from(["text", "binary"]),
)))  # fmt: skip
def test_any_bytes_from_anyone_are_borne(messages):
    wire = Wire()
    wire.open()
    for sender, data, opcode in messages:
        wire.say(sender, data, opcode=opcode)
    assert wire.counts("frames") == (len(messages),)


def test_an_answer_to_what_could_not_be_read_is_no_orphan_under_its_own_id_either():
    wire = Wire()
    wire.open(subprotocol="ocpp2.0.1")
    wire.station(9, "x1", "Future", {})
    wire.csms(4, "x1", "MessageTypeNotSupported", "", {})
    wire.csms(4, "x2", "MessageTypeNotSupported", "", {})
    assert [rule for rule, _, _ in wire.found()] == ["frame-type-unknown", "frame-orphan-result"]


def test_how_much_of_a_station_is_on_record_is_known(wire):
    links = wire.pipeline.session("S").links
    begun = links.since
    assert links.whole_since(begun)
    assert not links.whole_since(begun - 1)
    wire.station(2, "1", "Heartbeat", {}, skip=2)
    assert not links.whole_since(begun)
    wire.station(2, "2", "Heartbeat", {})
    second = links.hole_time
    assert links.whole_since(second)
    wire.say("station", b"garbage")
    assert not links.whole_since(second)


# Time and deadlines


def answering_rule():
    """The bundled rule about Calls that are never answered, alone."""
    return RuleSet([rule for rule in load_rules().all if rule.id == "frame-no-answer"])


@pytest.fixture
def strict():
    wire = Wire(Pipeline(answering_rule(), SCHEMAS))
    wire.open()
    return wire


def failing(now):
    raise KeyError(now.action)


def failing_later(now):
    now.later(5, lambda now, deadline: failing(now))


@pytest.fixture(params=[failing, failing_later])
def mistaken(request, monkeypatch):
    """The rules that need history, of which one fails, at once or at its deadline."""
    own = Registered("boot-first", call("Heartbeat"), request.param)
    others = engine.checks.of_rule
    monkeypatch.setattr(engine.checks, "of_rule", lambda rule: (own,) if rule == own.rule_id else others(rule))
    return lambda **options: Wire(Pipeline(load_rules(), SCHEMAS, **options))


def test_a_rule_that_fails_is_told_of_once_and_takes_nothing_with_it(mistaken):
    told = []
    wire = mistaken(on_mistake=told.append)
    wire.open()
    for number in range(3):
        wire.station(2, f"h{number}", "Heartbeat", {"extra": 1})
        wire.csms(3, f"h{number}", BEAT)
        wire.at_us += 10 * SECOND
    assert len(told) == 1
    assert "the rule boot-first failed on frame" in told[0]
    assert {"schema-additional"} <= {finding.rule for finding in wire.pipeline.findings()}


def test_a_rule_that_fails_is_a_mistake_where_nobody_is_to_hear_of_it(mistaken):
    wire = mistaken()
    wire.open()
    with pytest.raises(KeyError):
        _beat_twice(wire)


def _beat_twice(wire):
    for number in range(2):
        wire.station(2, f"h{number}", "Heartbeat", {})
        wire.at_us += 10 * SECOND


def raised(events):
    return [event.finding.rule for event in events if isinstance(event, FindingRaised)]


def test_of_a_version_without_rules_only_the_framing_is_judged():
    wire = Wire(Pipeline(load_rules(), SCHEMAS))
    wire.open(subprotocol="ocpp1.5")
    wire.station(2, "1", "MeterValues", {"connectorId": 1, "values": []})
    wire.csms(3, "1", {"unheard": "of"})
    wire.station(2, "1" * 99, "Unheard", {})
    assert [finding.rule for finding in wire.pipeline.findings()] == ["frame-id-length"]
    assert [note.message for note in wire.pipeline.notes] == [
        "ocpp1.5 has no schemas and rules here: only frames and the connection were judged, unless --ocpp-version says "
        "what else to judge by"]
    skipped = {one["rule"] for one in wire.pipeline.skipped()}
    assert "frame-id-length" not in skipped


def test_a_version_without_rules_is_judged_by_another_where_that_is_wanted():
    wire = Wire(Pipeline(RULES, SCHEMAS, default_version="1.6"))
    wire.open(subprotocol="ocpp1.5")
    wire.station(2, "1", "MeterValues", {"connectorId": 1, "values": []})
    assert {"schema-additional", "schema-required"} <= {finding.rule for finding in wire.pipeline.findings()}
    assert wire.pipeline.notes == []


def test_a_deadline_runs_out_before_the_record_that_comes_after_it(strict):
    strict.station(2, "1", "Heartbeat", {})
    strict.at_us += 40 * SECOND
    events = strict.csms(3, "1", BEAT)
    assert [type(event) for event in events] == [FindingRaised, FrameSeen]


def test_a_deadline_runs_out_by_itself(strict):
    strict.station(2, "1", "Heartbeat", {})
    at = strict.at_us
    assert raised(strict.pipeline.tick(Instant(at + 29 * SECOND))) == []
    assert raised(strict.pipeline.tick(Instant(at + 31 * SECOND))) == ["frame-no-answer"]
    assert raised(strict.pipeline.tick(Instant(at + 99 * SECOND))) == []


def test_at_the_end_of_a_capture_nothing_is_overdue_yet(strict):
    strict.station(2, "1", "Heartbeat", {})
    assert strict.pipeline.finish() == []


def test_ticks_change_nothing_of_what_is_found():
    def findings(ticking):
        wire = Wire(Pipeline(answering_rule(), SCHEMAS))
        wire.open()
        for number in range(40):
            wire.station(2, str(number), "Heartbeat", {})
            wire.at_us += number * SECOND
            if ticking:
                wire.pipeline.tick(Instant(wire.at_us))
            if number % 3:
                wire.csms(3, str(number), BEAT)
        wire.close()
        return [finding.as_dict() for finding in wire.pipeline.findings()]

    assert findings(ticking=True) == findings(ticking=False)
    assert findings(ticking=False)


def test_a_clock_that_goes_back_a_little_stands_still_and_one_of_another_machine_goes_on(strict):
    strict.station(2, "1", "Heartbeat", {})
    begun = strict.at_us
    strict.at_us = begun - 10 * SECOND
    assert raised(strict.pipeline.tick(Instant(strict.at_us))) == []
    assert raised(strict.pipeline.tick(Instant(begun + 20 * SECOND))) == []
    assert raised(strict.pipeline.tick(Instant(begun - 5000 * SECOND))) == []  # set back by more than an hour
    assert raised(strict.pipeline.tick(Instant(begun - 4995 * SECOND))) == []
    assert raised(strict.pipeline.tick(Instant(begun - 4985 * SECOND))) == ["frame-no-answer"]


def test_where_the_payloads_time_runs_faster_deadlines_do_too():
    wire = Wire(Pipeline(answering_rule(), SCHEMAS, time_scale=60))
    wire.open()
    wire.station(2, "1", "Heartbeat", {})
    at = wire.at_us
    assert raised(wire.pipeline.tick(Instant(at + 29 * SECOND))) == []  # answers are awaited in true time
    assert raised(wire.pipeline.tick(Instant(at + 31 * SECOND))) == ["frame-no-answer"]


def test_without_times_there_are_no_rules_over_them():
    wire = Wire(Pipeline(answering_rule(), SCHEMAS, has=frozenset()))
    wire.open()
    wire.station(2, "1", "Heartbeat", {})
    assert raised(wire.pipeline.tick(Instant(wire.at_us + 99 * SECOND))) == []
    assert wire.pipeline.skipped() == [
        {"rule": "frame-no-answer", "reason": "the capture bears no times of its own"}]


def test_what_is_found_after_the_end_of_a_connection_is_not_kept_where_nothing_is():
    rule = next(rule for rule in load_rules().all if rule.id == "remotestop-outcome")
    across = replace(rule, given=replace(rule.given, sequence=replace(rule.given.sequence, across=True)))
    wire = Wire(Pipeline(RuleSet([across]), SCHEMAS, forget_closed=True))
    wire.open()
    wire.csms(2, "1", "RemoteStopTransaction", {"transactionId": 7})
    wire.station(3, "1", {"status": "Accepted"})
    wire.close()
    assert raised(wire.pipeline.tick(Instant(wire.at_us + 60 * SECOND))) == ["remotestop-outcome"]
    assert wire.pipeline.findings() == []


def test_the_books_stand_as_before_while_a_frame_is_judged_and_are_taught_then(strict):
    session = strict.pipeline.session("S")
    strict.station(2, "1", "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
    assert session.connectors.status(1) == "Available"
    strict.csms(2, "2", "GetConfiguration", {})
    strict.station(3, "2", {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]})
    assert session.settings.integer("HeartbeatInterval") == 60
    assert session.links.open["c1"].last_seq == 3
    strict.say("station", b"", opcode="ping")
    assert set(session.links.open["c1"].pinged) == {"station"}
    strict.close()
    assert session.links.open == {}
    strict.open(connection="c2")
    assert session.links.windows[0].length_s == 1.0


def test_a_connection_that_waits_for_its_version_teaches_in_its_order():
    wire = Wire(Pipeline(RULES, SCHEMAS))
    wire.open(subprotocol=None)
    wire.station(2, "1", "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
    assert wire.pipeline.session("S").connectors.status(1) is None
    wire.pipeline.finish()
    assert wire.pipeline.session("S").connectors.status(1) == "Available"
