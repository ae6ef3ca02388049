"""Words to payloads: types from the schema, and mistakes that say what was meant."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.assignments import payload_of
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import schema_name
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.files.schemas import load_schema


def made(action: str, *words: str, version: Version = "1.6", lenient: bool = False) -> dict[str, Any]:
    schema = load_schema(version, schema_name(version, action, "request")) if action in ACTIONS[version] else None
    return payload_of(words, schema, lenient=lenient)


@pytest.mark.parametrize(("action", "words", "payload"), [
    ("TriggerMessage", ["requestedMessage=Heartbeat", "connectorId=1"],
     {"requestedMessage": "Heartbeat", "connectorId": 1}),
    ("ChangeConfiguration", ["key=HeartbeatInterval", "value=300"], {"key": "HeartbeatInterval", "value": "300"}),
    ("ChangeConfiguration", ["key=k", "value=a=b"], {"key": "k", "value": "a=b"}),
    ("ChangeConfiguration", ["key=k", "value="], {"key": "k", "value": ""}),
    ("GetConfiguration", ['key=["A","B"]'], {"key": ["A", "B"]}),
    ("GetConfiguration", ["key.0=A", "key.1=7"], {"key": ["A", "7"]}),
    ("RemoteStartTransaction", ["idTag=1234", "chargingProfile.chargingSchedule.chargingSchedulePeriod.0.limit=16.5",
                                "chargingProfile.chargingSchedule.chargingSchedulePeriod.0.startPeriod=0"],
     {"idTag": "1234", "chargingProfile": {"chargingSchedule": {
         "chargingSchedulePeriod": [{"limit": 16.5, "startPeriod": 0}]}}}),
    ("Reset", [], {}),
])  # fmt: skip
def test_values_are_read_as_the_schema_has_them(action: str, words: list[str], payload: dict[str, Any]) -> None:
    assert made(action, *words) == payload


def test_references_and_lists_of_2x_are_followed() -> None:
    assert made("SetVariables", "setVariableData.0.component.name=OCPPCommCtrlr",
                "setVariableData.0.attributeValue=300",
                "setVariableData.0.component.evse.id=1", "setVariableData.0.variable.name=HeartbeatInterval",
                "setVariableData.1.attributeType=Target", version="2.0.1") == {"setVariableData": [
                    {"component": {"name": "OCPPCommCtrlr", "evse": {"id": 1}}, "attributeValue": "300",
                     "variable": {"name": "HeartbeatInterval"}}, {"attributeType": "Target"}]}
    assert made("Heartbeat", "customData.vendorId=V", "customData.mine=5", version="2.1") == {
        "customData": {"vendorId": "V", "mine": 5}}


@pytest.mark.parametrize(("action", "words", "says"), [
    ("TriggerMessage", ["requestedMesage=Heartbeat"],
     "requestedMesage: the payload has no field requestedMesage (did you mean requestedMessage?); known: connectorId, "
     "requestedMessage"),
    ("TriggerMessage", ["requestedMessage=Hartbeat"],
     "requestedMessage: there is no 'Hartbeat' (did you mean Heartbeat?); allowed: BootNotification, Diagnostics"),
    ("TriggerMessage", ["connectorId=one"], "connectorId: expected an integer, not 'one'"),
    ("TriggerMessage", ["connectorId=1.5"], "connectorId: expected an integer"),
    ("GetConfiguration", ["key=A"], "key: expected a JSON list, or a dotted key into it (key.0=…), not 'A'"),
    ("GetConfiguration", ["key.1=A"], "key.1: item 1 follows none: the next one is 0"),
    ("GetConfiguration", ["key.x=A"], "key.x: a list is meant there"),
    ("GetConfiguration", ["key.0=A", "key.0=B"], "key.0: given twice"),
    ("Reset", ["type=Hard", "type=Soft"], "type: given twice"),
    ("Reset", ["type.kind=Hard"], "type.kind: string has no fields"),
    ("Reset", ["Hard"], "'Hard': expected key=value, or the payload as one JSON object"),
    ("Reset", ["=Hard"], "expected key=value"),
    ("RemoteStartTransaction", ["chargingProfile.stackLevle=1"],
     "chargingProfile.stackLevle: chargingProfile has no field stackLevle (did you mean stackLevel?)"),
    ("RemoteStartTransaction", ["chargingProfile=5"], "chargingProfile: expected a JSON object"),
    ("RemoteStartTransaction", ['chargingProfile={"stackLevel":1}', "chargingProfile.stackLevel=2"], "given twice"),
])
def test_mistakes_name_the_field_and_the_nearest_legal_word(action: str, words: list[str], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        made(action, *words)
    assert says in str(caught.value)


def test_booleans_are_true_or_false() -> None:
    words = ("monitoringBase=All", "requestId=1")
    assert made("GetReport", "requestId=1", version="2.0.1") == {"requestId": 1}
    assert made("SetMonitoringBase", words[0], version="2.0.1") == {"monitoringBase": "All"}
    known = ("report=true", "clear=false", "requestId=1")
    assert made("CustomerInformation", *known, version="2.0.1") == {"report": True, "clear": False, "requestId": 1}
    with pytest.raises(BadInput, match="report: expected true or false, not 'yes'"):
        made("CustomerInformation", "report=yes", version="2.0.1")


def test_without_a_schema_or_by_force_values_are_guessed() -> None:
    words = ("a=1", "b=one", "c.0.d=true", 'e={"f":null}', "g=NaN")
    guessed = {"a": 1, "b": "one", "c": [{"d": True}], "e": {"f": None}, "g": "NaN"}
    assert made("NoSuchAction", *words) == guessed
    assert made("Reset", *words, "type=Medium", lenient=True) == {**guessed, "type": "Medium"}
    assert made("TriggerMessage", "connectorId=one", lenient=True) == {"connectorId": "one"}


@given(st.lists(st.text()), st.sampled_from(["SetVariables", "NoSuchAction"]), st.booleans())
def test_whatever_is_typed_there_is_a_payload_or_a_sentence(words: list[str], action: str, lenient: bool) -> None:
    with suppress(BadInput):
        made(action, *words, version="2.0.1", lenient=lenient)
