"""The words of each version, held against the schema files of the ocpp package."""

from __future__ import annotations

from importlib import resources

import pytest

from ocpp_proxy.core.frame import Frame, Version
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.vocabulary import (
    ACTIONS,
    ERROR_CODES,
    FEATURE_PROFILES,
    SUBPROTOCOLS,
    VERSIONS,
    find_action,
    guess_version,
    version_of_subprotocol,
)

FOLDERS: dict[Version, str] = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_actions_are_those_that_have_schemas(version: Version) -> None:
    folder = resources.files("ocpp") / FOLDERS[version] / "schemas"
    names = {file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json")}
    actions = {name.removesuffix("Response").removesuffix("Request") for name in names}
    assert set(ACTIONS[version]) == actions
    sent = {action.name for action in ACTIONS[version].values() if action.kind == "send"}
    assert sent == {name for name in actions if f"{name}Response" not in names}


@pytest.mark.parametrize(("version", "calls"), [("1.6", 39), ("2.0.1", 64), ("2.1", 91)])
def test_how_many_there_are(version: Version, calls: int) -> None:
    assert len(ACTIONS[version]) == calls
    assert all(name == action.name and action.callers for name, action in ACTIONS[version].items())


@pytest.mark.parametrize(
    ("version", "action", "callers"),
    [
        ("1.6", "BootNotification", {"station"}), ("1.6", "Reset", {"csms"}),
        ("1.6", "DataTransfer", {"station", "csms"}),
        ("1.6", "SignCertificate", {"station"}), ("1.6", "CertificateSigned", {"csms"}),
        ("2.0.1", "TransactionEvent", {"station"}), ("2.0.1", "SetVariables", {"csms"}),
        ("2.1", "NotifyPeriodicEventStream", {"station"}), ("2.1", "NotifyWebPaymentStarted", {"csms"}),
        ("2.1", "ClosePeriodicEventStream", {"station"}), ("2.1", "PullDynamicScheduleUpdate", {"station"}),
    ],
)  # fmt: skip
def test_who_may_call(version: Version, action: str, callers: set[str]) -> None:
    assert ACTIONS[version][action].callers == callers


def test_feature_profiles_of_16() -> None:
    profiles = {action.profile for action in ACTIONS["1.6"].values()}
    assert profiles == {*FEATURE_PROFILES, "Security"}
    assert ACTIONS["1.6"]["TriggerMessage"].profile == "RemoteTrigger"
    assert ACTIONS["1.6"]["GetDiagnostics"].profile == "FirmwareManagement"
    assert {action.profile for action in ACTIONS["2.1"].values()} == {None}


@pytest.mark.parametrize("version", VERSIONS)
def test_both_spellings_of_error_codes_are_legal(version: Version) -> None:
    assert {
        "FormationViolation", "FormatViolation", "OccurenceConstraintViolation", "OccurrenceConstraintViolation",
    } <= ERROR_CODES[version]  # fmt: skip
    assert ("RpcFrameworkError" in ERROR_CODES[version]) is (version != "1.6")


def test_subprotocols() -> None:
    assert {name: version_of_subprotocol(name) for name in SUBPROTOCOLS} == SUBPROTOCOLS
    assert version_of_subprotocol(None) is None
    assert version_of_subprotocol("OCPP1.6") is None


def test_a_signed_action_is_the_one_it_signs() -> None:
    assert find_action("2.0.1", "BootNotification-Signed") is ACTIONS["2.0.1"]["BootNotification"]
    assert find_action("1.6", "BootNotification-Signed") is None
    assert find_action("2.1", "Nonsense-Signed") is None


@pytest.mark.parametrize(
    ("frames", "version"),
    [
        ([], None),
        ([b'[3,"1",{}]', b"rubbish"], None),
        ([b'[2,"1","VendorAction",{}]'], None),
        ([b'[2,"1","StartTransaction",{}]'], "1.6"),
        ([b'[2,"1","SetVariables",{}]'], "2.0.1"),
        ([b'[2,"1","AFRRSignal",{}]'], "2.1"),
        ([b'[6,"1","NotifyPeriodicEventStream",{}]'], "2.1"),
        ([b'[5,"1","FormatViolation","",{}]'], "2.1"),
        ([b'[2,"1","Heartbeat",{}]'], "1.6"),
        ([b'[2,"1","BootNotification",{"chargePointVendor":"v","chargePointModel":"m"}]'], "1.6"),
        ([b'[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":{}}]'], "2.0.1"),
        ([b'[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'], "1.6"),
        ([b'[2,"1","StatusNotification",{"evseId":1,"connectorId":1,"connectorStatus":"Available"}]'], "2.0.1"),
        ([b'[2,"1","Heartbeat",null]', b'[2,"2","TransactionEvent",{}]'], "2.0.1"),
        ([b'[2,"1","TransactionEvent",{}]', b'[2,"2","GetTariffs",{}]'], "2.1"),
    ],
)
def test_the_version_is_guessed_from_what_is_said(frames: list[bytes], version: Version | None) -> None:
    said: list[Frame] = [read(raw) for raw in frames]
    assert guess_version(said) == version
