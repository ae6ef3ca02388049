"""Payloads against schemas: every message of every version, every kind of error."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest
from core_instances import FOLDERS, example, messages, mutations
from core_texts import json_texts
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.schema import Part, SchemaError, Schemas
from ocpp_proxy.core.vocabulary import VERSIONS
from ocpp_proxy.files.schemas import load_schema

SCHEMAS = Schemas(load_schema)
MESSAGES = list(messages())


def check(version: Version, action: str, payload: Any, part: Part = "request") -> list[tuple[str, str, Any, Any]]:
    return [(error.rule, error.pointer, error.seen, error.expected)
            for error in SCHEMAS.check(version, action, part, payload)]  # fmt: skip


def boot(**fields: Any) -> dict[str, Any]:
    return {"chargePointVendor": "v", "chargePointModel": "m"} | fields


@pytest.mark.parametrize(("version", "count"), [("1.6", 78), ("2.0.1", 128), ("2.1", 181)])
def test_every_schema_file_is_reached(version: Version, count: int) -> None:
    folder = resources.files("ocpp") / FOLDERS[version] / "schemas"
    files = {file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json")}
    reached = {name for of, _, _, name in MESSAGES if of == version}
    assert reached == files
    assert len(files) == count
    assert all(SCHEMAS.check(of, action, part, "text") for of, action, part, _ in MESSAGES if of == version)


@pytest.mark.parametrize(("version", "action", "part", "name"), MESSAGES)
def test_every_message_accepts_what_is_right_and_tells_what_is_not(
    version: Version, action: str, part: Part, name: str
) -> None:
    schema = load_schema(version, name)
    assert schema is not None
    broken = 0
    for full in (False, True):
        payload = example(schema, full=full)
        assert SCHEMAS.check(version, action, part, payload) == ()
        for rule, pointer, mutant in mutations(schema, payload):
            broken += 1
            errors = SCHEMAS.check(version, action, part, mutant)
            assert (rule, pointer) in [(error.rule, error.pointer) for error in errors], (mutant, errors)
            assert all(error.message and error.expected is not None for error in errors)
    assert broken or name == "GetDiagnostics"
    assert [error.rule for error in SCHEMAS.check(version, action, part, [])] == ["schema-type"]


def test_all_errors_are_told_in_order_with_place_value_and_expectation() -> None:
    payload = {"chargePointVendor": "x" * 21, "chargepointmodel": "m", "iccid": 5}
    known = sorted(load_schema("1.6", "BootNotification")["properties"])  # type: ignore[index]
    assert check("1.6", "BootNotification", payload) == [
        ("schema-required", "/chargePointModel", None, "a string of at most 20 characters"),
        ("schema-max-length", "/chargePointVendor", "x" * 21, 20),
        ("schema-additional", "/chargepointmodel", "m", known),
        ("schema-type", "/iccid", 5, "string"),
    ]
    messages = [error.message for error in SCHEMAS.check("1.6", "BootNotification", "request", payload)]
    assert messages == [
        "chargePointModel is missing",
        "chargePointVendor has 21 characters, 20 are allowed",
        '"chargepointmodel" is not known here (did you mean chargePointModel?)',
        "iccid is 5, not a string of at most 20 characters",
    ]


def test_enumerations_name_what_is_allowed_and_what_was_meant() -> None:
    payload = {"connectorId": 1, "errorCode": "Error", "status": "available"}
    errors = SCHEMAS.check("1.6", "StatusNotification", "request", payload)
    assert [(error.rule, error.pointer, error.seen) for error in errors] == [
        ("schema-enum", "/errorCode", "Error"), ("schema-enum", "/status", "available"),
    ]  # fmt: skip
    assert "OtherError" in errors[0].expected
    assert "(did you mean OtherError?)" in errors[0].message
    assert "(did you mean Available?)" in errors[1].message


def test_places_deep_inside_2x_schemas_are_described() -> None:
    payload = {"setVariableData": [{"attributeValue": "v", "component": {"name": "n" * 51}, "variable": {}}], "a/b": 1}
    assert check("2.0.1", "SetVariables", payload) == [
        ("schema-additional", "/a~1b", 1, ["customData", "setVariableData"]),
        ("schema-max-length", "/setVariableData/0/component/name", "n" * 51, 50),
        ("schema-required", "/setVariableData/0/variable/name", None, "a string of at most 50 characters"),
    ]
    missing = SCHEMAS.check("2.0.1", "SetVariables", "request", {"setVariableData": [{}]})
    assert {error.pointer: error.expected for error in missing}["/setVariableData/0/component"] == "an object"


def test_other_keywords() -> None:
    assert check("2.0.1", "SetVariables", {"setVariableData": []}) == [("schema-other", "/setVariableData", [], 1)]
    assert check("2.1", "GetTariffs", {"evseId": -1}) == [("schema-other", "/evseId", -1, 0)]


def test_each_property_too_much_is_an_error_of_its_own() -> None:
    assert check("1.6", "Heartbeat", {"b": 1, "a": 2}) == [
        ("schema-additional", "/a", 2, []), ("schema-additional", "/b", 1, []),
    ]  # fmt: skip
    custom = {"vendorId": "v", "anything": [1]}
    assert check("2.1", "Heartbeat", {"customData": custom, "extra": 1}) == [
        ("schema-additional", "/extra", 1, ["customData"])
    ]
    assert check("2.1", "Heartbeat", {"customData": {"anything": 1}}) == [
        ("schema-required", "/customData/vendorId", None, "a string of at most 255 characters")
    ]


def test_an_object_where_a_word_belongs_is_of_the_wrong_type_and_nothing_else() -> None:
    answer = {"status": {"x": 1}}
    rules = [(rule, pointer) for rule, pointer, _, _ in check("1.6", "DataTransfer", answer, "response")]
    assert rules == [("schema-type", "/status")]


@pytest.mark.parametrize(
    ("text", "legal_16", "legal_2x"),
    [
        ("2026-11-21T09:00:00Z", True, True), ("2026-11-21T09:00:00.123Z", True, True),
        ("2026-11-21T09:00:00+01:00", True, True), ("2026-11-21T09:00:00.123456789+00:00", True, True),
        ("2024-02-29T00:00:00Z", True, True), ("2026-11-21T09:00:00", True, False),
        ("2026-11-21T09:00Z", True, False), ("2026-11-21T09:00", True, False),
        ("2026-11-21T09:00:00+0100", True, False),
        ("2026-11-21T09:00:00+01", True, False), ("2026-11-21T09:00:00,5Z", True, False),
        ("2026-11-21T24:00:00Z", True, False), ("20261121T090000Z", True, False), ("20261121T0900", True, False),
        ("2026-02-29T00:00:00Z", False, False), ("2026-13-01T00:00:00Z", False, False),
        ("2026-11-31T00:00:00Z", False, False), ("2026-11-21T25:00:00Z", False, False),
        ("2026-11-21T24:00:01Z", False, False), ("2022-07-10T3:11:55Z", False, False),
        ("2026-11-21 09:00:00Z", False, False), ("2026-11-21", False, False), ("0", False, False), ("", False, False),
        ("yesterday", False, False), ("2026-11-21T09:00:00Z\n", False, False), ("2026-11-21T09:00:00ZZ", False, False),
        ("2026-11-21T0.:00:00Z", False, False), (",026-11-21T09:00:00Z", False, False),
        ("2026-11-21T09:00:0-Z", False, False), ("2026-11-21T09:00:00+0/:00", False, False),
        ("2016-12-31T23:59:60Z", True, True), ("0000-02-29T00:00:00Z", True, True),
        ("0001-01-01T00:00:00Z", True, True), ("1900-02-29T00:00:00Z", False, False),
        ("２026-11-21T09:00:00Z", False, False), ("2026-11-21T09:00:00+25:00", False, False),
    ],
)  # fmt: skip
def test_each_version_has_its_own_date_and_time(text: str, legal_16: bool, legal_2x: bool) -> None:
    answer = {"currentTime": text}
    assert (check("1.6", "Heartbeat", answer, "response") == []) is legal_16
    for version in ("2.0.1", "2.1"):
        assert (check(version, "Heartbeat", answer, "response") == []) is legal_2x
    if not legal_16:
        error = SCHEMAS.check("1.6", "Heartbeat", "response", answer)[0]
        assert (error.rule, error.pointer, error.seen) == ("schema-format", "/currentTime", text)
        assert "ISO 8601" in error.expected
    if not legal_2x:
        assert "RFC 3339" in SCHEMAS.check("2.1", "Heartbeat", "response", answer)[0].message


@pytest.mark.parametrize(
    ("location", "legal"),
    [
        ("ftp://user:*****@host/path/", True), ("https://[2001:db8::1]:8443/fw.bin?x=1", True), ("C:", False),
        ("C:/fw.bin", False), ("/fw.bin", False), ("fw.bin", False), ("http://host/a b", False), ("", False),
    ],
)  # fmt: skip
def test_locations_are_uris(location: str, legal: bool) -> None:
    errors = check("1.6", "GetDiagnostics", {"location": location})
    assert errors == ([] if legal else [("schema-format", "/location", location, "a URI with its scheme")])


def profile(limit: str) -> Any:
    """A SetChargingProfile as it comes from the wire, with this spelling of a limit."""
    raw = (
        '[2,"1","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,'
        '"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":{'
        f'"chargingRateUnit":"A","chargingSchedulePeriod":[{{"startPeriod":0,"limit":{limit}}}]}}}}}}]'
    )
    return read(raw.encode()).payload  # type: ignore[attr-defined]


LIMIT = "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit"


@pytest.mark.parametrize("spelling", ["{0}.{1}", "{0}.{1}0", "{0}{1}e-1"])
def test_no_tenth_is_refused(spelling: str) -> None:
    for tenths in range(1000):
        limit = spelling.format(tenths // 10 or ("0" if "." in spelling else ""), tenths % 10)
        assert SCHEMAS.check("1.6", "SetChargingProfile", "request", profile(limit)) == (), limit


@pytest.mark.parametrize("limit", ["0.35", "16.01", "0.30000000000000004", "0.1000000000000000000000001", "1e-2"])
def test_more_than_a_tenth_is(limit: str) -> None:
    errors = SCHEMAS.check("1.6", "SetChargingProfile", "request", profile(limit))
    assert [(error.rule, error.pointer) for error in errors] == [("schema-multiple-of", LIMIT)]
    assert Decimal(str(errors[0].seen)) == Decimal(limit)


@pytest.mark.parametrize("limit", ["1e400", "100000000000000000000000000000000", "-0.0", "9" * 400])
def test_extreme_numbers_are_numbers(limit: str) -> None:
    assert SCHEMAS.check("1.6", "SetChargingProfile", "request", profile(limit)) == ()


@pytest.mark.parametrize(
    ("soc", "limit"),
    [
        ("0", None), ("100.000", None), ("99.99999999999999999999", None),
        ("100.00000000000000000001", 100), ("-1E-20", 0),
    ],
)  # fmt: skip
def test_limits_are_exact(soc: str, limit: int | None) -> None:
    battery = f'{{"evseId":1,"serialNumber":"s","soC":{soc},"soH":1}}'
    raw = f'{{"batteryData":[{battery}],"eventType":"BatteryIn","idToken":{{"idToken":"x","type":"X"}},"requestId":1}}'
    payload = read(f'[3,"1",{raw}]'.encode()).payload  # type: ignore[attr-defined]
    errors = SCHEMAS.check("2.1", "BatterySwap", "request", payload)
    assert [(error.pointer, error.expected) for error in errors] == (
        [] if limit is None else [("/batteryData/0/soC", limit)]
    )
    assert all(str(limit) in error.message.split() for error in errors)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("value", "legal"),
    [(1, True), (1.0, True), (Decimal("1.00"), True), (Decimal("1E+2"), True), (10**40, True), (1.5, False),
     (Decimal("1.000000000000000000001"), False), (True, False), ("1", False), (None, False)],
)  # fmt: skip
def test_what_counts_as_an_integer_is_the_same_in_all_versions(version: Version, value: Any, legal: bool) -> None:
    answer = {"currentTime": "2026-11-21T09:00:00Z", "interval": value, "status": "Accepted"}
    errors = check(version, "BootNotification", answer, "response")
    assert errors == ([] if legal else [("schema-type", "/interval", value, "integer")])


def test_what_json_cannot_say_does_not_raise() -> None:
    numbers = (math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"))
    for strange in (*numbers, {"\ud800": 1}, [["\ud800"]], b"x", object()):
        assert SCHEMAS.check("1.6", "BootNotification", "request", boot(iccid=strange))
        assert SCHEMAS.check("1.6", "BootNotification", "request", strange)
        SCHEMAS.check("1.6", "SetChargingProfile", "request", {"connectorId": strange})
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert SCHEMAS.check("2.0.1", "Heartbeat", "request", {"customData": {"vendorId": "v", "x": deep}}) == ()
    assert SCHEMAS.check("2.0.1", "Heartbeat", "request", {"customData": deep})
    assert SCHEMAS.check("2.0.1", "Heartbeat", "request", {"customData": {"vendorId": "\ud800", "x": deep}}) == ()
    assert SCHEMAS.check("1.6", "BootNotification", "request", boot(chargePointVendor="\ud800", x=deep))
    while deep:  # take it apart by hand: not every Python frees it without recursion
        deep = deep.pop()


def test_a_lone_surrogate_is_one_character() -> None:
    assert check("1.6", "BootNotification", boot(chargePointVendor="\ud800" * 20)) == []
    assert [rule for rule, *_ in check("1.6", "BootNotification", boot(chargePointVendor="\ud800" * 21))] == [
        "schema-max-length"
    ]
    assert check("1.6", "BootNotification", boot(chargePointVendor="😀" * 20)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_null_counts_as_empty(version: Version) -> None:
    assert check(version, "Heartbeat", None) == []
    assert [rule for rule, *_ in check(version, "BootNotification", None)] == ["schema-required"] * 2


@pytest.mark.parametrize(
    ("version", "action", "part"),
    [
        ("1.6", "../../v201/schemas/HeartbeatRequest", "request"), ("1.6", "HeartbeatResponse", "request"),
        ("1.6", "", "request"), ("1.6", "SetVariables", "request"), ("2.1", "NotifyPeriodicEventStream", "response"),
        ("2.0.1", "NotifyPeriodicEventStream", "request"), ("2.0.1", "BootNotification-Signed", "request"),
    ],
)  # fmt: skip
def test_where_there_is_no_schema_nothing_is_said(version: Version, action: str, part: Part) -> None:
    asked: list[str] = []

    def load(version: Version, name: str) -> dict[str, Any] | None:
        asked.append(name)
        return load_schema(version, name)

    schemas = Schemas(load)
    assert schemas.check(version, action, part, {"nonsense": 1}) == ()
    assert not [name for name in asked if name != "NotifyPeriodicEventStreamResponse"]


def test_a_schema_is_loaded_once_and_when_needed() -> None:
    asked: list[str] = []

    def load(version: Version, name: str) -> dict[str, Any] | None:
        asked.append(name)
        return load_schema(version, name)

    schemas = Schemas(load)
    assert asked == []
    for _ in range(3):
        schemas.check("1.6", "Heartbeat", "request", {"x": 1})
        schemas.check("2.1", "NotifyPeriodicEventStream", "request", {})
    assert asked == ["Heartbeat", "NotifyPeriodicEventStream"]


def test_a_send_has_a_schema_for_its_request() -> None:
    rules = {rule for rule, *_ in check("2.1", "NotifyPeriodicEventStream", {})}
    assert rules == {"schema-required"}


@given(st.sampled_from(MESSAGES), json_texts())
def test_no_payload_raises(message: tuple[Version, str, Part, str], text: str) -> None:
    version, action, part, name = message
    frame = read(f'[3,"1",{text}]'.encode())
    errors = SCHEMAS.check(version, action, part, frame.payload)  # type: ignore[attr-defined]
    assert all(isinstance(error, SchemaError) for error in errors)
    schema = load_schema(version, name)
    assert schema is not None
    payload = example(schema, full=True)
    for field in payload:
        for error in SCHEMAS.check(version, action, part, payload | {field: frame.payload}):  # type: ignore[attr-defined]
            json.dumps([error.rule, error.pointer, error.message, error.seen, error.expected], default=str)
