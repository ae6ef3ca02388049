from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_story import BOOT, CLOCK, reading

from ocpp_proxy.core.frame import Call, CallError, CallResult, Defect, Malformed, Send
from ocpp_proxy.live.safe import width_of
from ocpp_proxy.live.salient import REQUESTS, RESPONSES, brief

COMPONENT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
SAMPLE_2X = [{"timestamp": CLOCK, "sampledValue": [
    {"value": 1.234, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}},
    {"value": 35, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}}]}]


def of_call(action: str, payload: Any) -> str:
    return brief(Call(b"", (), "1", action, payload)).text


def of_answer(action: str | None, payload: Any) -> str:
    return brief(CallResult(b"", (), "1", payload), action).text


@pytest.mark.parametrize(("action", "payload", "text"), [
    ("BootNotification", BOOT, "Wall Box Chargers CPB1-S-2-4 fw 4.3.6"),
    ("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "ACME", "model": "S1",
     "firmwareVersion": "1.0", "serialNumber": "7"}}, "ACME S1 fw 1.0 (PowerUp) serial 7"),
    ("StatusNotification", {"connectorId": 1, "status": "Charging", "errorCode": "NoError"},
     "connector 1 Charging NoError"),
    ("StatusNotification", {"evseId": 2, "connectorId": 1, "connectorStatus": "Occupied", "timestamp": CLOCK},
     "evse 2 connector 1 Occupied"),
    ("MeterValues", {"connectorId": 1, "transactionId": 17, "meterValue": reading("1234")},
     "connector 1 tx 17: 1234 Wh, 7200 W, 31.3 A, 230 V L1-N"),
    ("MeterValues", {"connectorId": 1, "meterValue": reading("1") + reading("2")},
     "connector 1: 2 Wh, 7200 W, 31.3 A, 230 V L1-N (2 readings)"),
    ("MeterValues", {"evseId": 1, "meterValue": SAMPLE_2X}, "evse 1: 1.234 kWh, SoC 35 %"),
    ("Authorize", {"idTag": "04A2"}, "04A2"),
    ("Authorize", {"idToken": {"idToken": "04A2", "type": "ISO14443"}}, "04A2 (ISO14443)"),
    ("StartTransaction", {"connectorId": 1, "idTag": "04A2", "meterStart": 1000, "timestamp": CLOCK},
     "connector 1 04A2 meter 1000 Wh"),
    ("StopTransaction", {"transactionId": 17, "meterStop": 1500, "reason": "EVDisconnected"},
     "tx 17 meter 1500 Wh EVDisconnected"),
    ("GetConfiguration", {}, "all keys"),
    ("GetConfiguration", {"key": ["A", "B", "C", "D", "E"]}, "A, B, C and 2 more"),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}, "HeartbeatInterval = 60"),
    ("RemoteStartTransaction", {"idTag": "04A2", "connectorId": 1, "chargingProfile": {
        "chargingProfileId": 3, "chargingProfilePurpose": "TxProfile", "stackLevel": 0, "chargingSchedule": {
            "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]}}},
     "connector 1 04A2 limit 16.0 A TxProfile stack level 0 profile 3 1-period"),
    ("SetChargingProfile", {"evseId": 1, "chargingProfile": {"id": 4, "stackLevel": 1, "chargingSchedule": [
        {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"limit": 11000}, {"limit": 0}]}]}},
     "evse 1 limit 11000 W stack level 1 profile 4 2-period"),
    ("TransactionEvent", {"eventType": "Started", "seqNo": 0, "triggerReason": "CablePluggedIn", "offline": True,
     "evse": {"id": 1, "connectorId": 1}, "transactionInfo": {"transactionId": "8f6c"}, "meterValue": SAMPLE_2X},
     "Started seq 0 evse 1 connector 1 CablePluggedIn offline tx 8f6c: 1.234 kWh, SoC 35 %"),
    ("NotifyReport", {"requestId": 12, "seqNo": 3, "tbc": True, "reportData": [{}] * 8},
     "request 12 seq 3 8 items more to come"),
    ("SetVariables", {"setVariableData": [{**COMPONENT, "attributeValue": "60"}] * 2},
     "OCPPCommCtrlr.HeartbeatInterval=60, OCPPCommCtrlr.HeartbeatInterval=60"),
    ("GetVariables", {"getVariableData": [COMPONENT] * 5},
     ", ".join(["OCPPCommCtrlr.HeartbeatInterval"] * 3) + " and 2 more"),
    ("DataTransfer", {"vendorId": "acme", "messageId": "hello", "data": "xyz"}, "acme hello xyz"),
    ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1},
     "StatusNotification connector 1"),
    ("Heartbeat", {}, ""),
    ("SetFluxCapacitor", {"gigawatts": 1.21, "to": "1955", "list": [1, 2], "customData": {}},
     "gigawatts 1.21, to 1955, list [2]"),
])
def test_a_request_in_brief(action: str, payload: Any, text: str) -> None:
    assert of_call(action, payload) == text


@pytest.mark.parametrize(("action", "payload", "text"), [
    ("BootNotification", {"status": "Accepted", "interval": 300, "currentTime": CLOCK},
     f"Accepted, interval 300 s, clock {CLOCK}"),
    ("Heartbeat", {"currentTime": CLOCK}, f"clock {CLOCK}"),
    ("GetConfiguration", {"configurationKey": [{"key": "a"}] * 38, "unknownKey": ["B"]}, "38 keys, B unknown"),
    ("GetConfiguration", {"configurationKey": [{"key": "HeartbeatInterval", "value": "60", "readonly": False}]},
     "HeartbeatInterval = 60"),
    ("StartTransaction", {"transactionId": 17, "idTagInfo": {"status": "Accepted"}}, "tx 17, Accepted"),
    ("SetVariables", {"setVariableResult": [{**COMPONENT, "attributeStatus": "Rejected"}]},
     "OCPPCommCtrlr.HeartbeatInterval Rejected"),
    ("GetVariables", {"getVariableResult": [{**COMPONENT, "attributeStatus": "Accepted", "attributeValue": "60"}]},
     "OCPPCommCtrlr.HeartbeatInterval=60 Accepted"),
    ("GetDiagnostics", {}, "no file"),
    ("Reset", {"status": "Rejected", "statusInfo": {"reasonCode": "InTx"}}, "Rejected, InTx"),
    ("SetFluxCapacitor", {"status": "Accepted"}, "Accepted"),
    (None, {"answer": 42}, "answer 42"),
    ("MeterValues", {}, ""),
])
def test_a_response_in_brief(action: str | None, payload: Any, text: str) -> None:
    assert of_answer(action, payload) == text


@pytest.mark.parametrize(("payload", "notable"), [
    ({"status": "Accepted"}, False), ({"status": "NotImplemented"}, True), ({}, False), ({"status": 3}, True),
    ({"idTagInfo": {"status": "Blocked"}}, True), ({"idTokenInfo": {"status": "Accepted"}}, False), ([], True),
    ({"setVariableResult": [{"attributeStatus": "Accepted"}, {"attributeStatus": "Rejected"}]}, True),
    ({"setVariableResult": [{"attributeStatus": "Accepted"}]}, False),
])
def test_an_answer_that_is_no_plain_yes_is_notable(payload: Any, notable: bool) -> None:
    assert brief(CallResult(b"", (), "1", payload), "Any").notable is notable


@pytest.mark.parametrize(("action", "payload", "notable"), [
    ("StatusNotification", {"status": "Faulted", "errorCode": "GroundFailure"}, True),
    ("StatusNotification", {"status": "Available", "errorCode": "HighTemperature"}, True),
    ("StatusNotification", {"status": "Available", "errorCode": "NoError"}, False),
    ("StatusNotification", {"connectorStatus": "Faulted"}, True),
    ("FirmwareStatusNotification", {"status": "DownloadFailed"}, True),
    ("FirmwareStatusNotification", {"status": "Downloaded"}, False),
    ("SecurityEventNotification", {"type": "TamperDetectionActivated"}, True),
])
def test_trouble_that_a_station_reports_is_notable(action: str, payload: Any, notable: bool) -> None:
    assert brief(Call(b"", (), "1", action, payload)).notable is notable


def test_other_frames_in_brief() -> None:
    assert brief(CallError(b"", (), "1", "NotSupported", "no \x1b[31mreset", {})).text == "no \\x1b[31mreset"
    assert brief(CallError(b"", (), "1", "NotSupported", None, None)).text == ""
    assert brief(Send(b"", (), "1", "NotifyPeriodicEventStream", {"id": 1, "data": [1, 2], "pending": 0})).text == \
        "stream 1 2 values 0 pending"
    defect = Defect("not-json", "not JSON at byte 3")
    assert brief(Malformed(b'[2,\xff\x1b"', (defect,))).text == 'not JSON at byte 3: [2,\ufffd\\x1b"'
    assert brief(None).text == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3), max_leaves=8)
KEYS = ["connectorId", "evse", "idTag", "idToken", "meterValue", "sampledValue", "status", "statusInfo", "tbc", "key",
        "configurationKey", "unknownKey", "chargingStation", "transactionInfo", "setVariableData", "eventData", "value",
        "getVariableResult", "setVariableResult", "idTagInfo", "chargingProfile", "unitOfMeasure", "multiplier", "unit",
        "chargingSchedule", "chargingSchedulePeriod", "component", "variable", "measurand", "phase", "id", "name"]
odd_payloads = st.recursive(
    json_values, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner | st.lists(inner, max_size=2)),
    max_leaves=12)


@given(st.sampled_from(sorted(REQUESTS)) | st.text(), odd_payloads, st.integers(0, 120))
def test_no_request_makes_it_raise_or_outgrow_its_place(action: str, payload: Any, cells: int) -> None:
    said = brief(Call(b"", (), "1", action, payload))
    assert said.text.isprintable()
    assert width_of(said.within(cells)) <= cells


@given(st.sampled_from(sorted(RESPONSES)) | st.none(), odd_payloads, st.integers(0, 120))
def test_no_response_makes_it_raise_or_outgrow_its_place(action: str | None, payload: Any, cells: int) -> None:
    said = brief(CallResult(b"", (), "1", payload), action)
    assert said.text.isprintable()
    assert width_of(said.within(cells)) <= cells


def test_every_row_is_an_action_of_the_vocabulary() -> None:
    from ocpp_proxy.core.vocabulary import ACTIONS
    known = {action for actions in ACTIONS.values() for action in actions}
    assert set(REQUESTS) <= known
    assert set(RESPONSES) <= known
