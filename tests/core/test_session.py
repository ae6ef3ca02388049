"""What is remembered of a station, and how much of it."""

import pytest

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import Call, CallError, CallResult
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.session import LONGEST_TEXT, STATIONS_KEPT, Session, Sessions


def learnt(action, request, response, session=None, error=False):
    call = Call(b"", (), "1", action, request)
    answer = CallError(b"", (), "1", "InternalError", "", response) if error else CallResult(b"", (), "1", response)
    session = session or Session("S")
    session.learn(Exchange("c1", "station", "1", call, 1, Instant(0), answer=answer))
    return session


def configuration(*entries):
    return {"configurationKey": [{"key": key, "readonly": True, "value": value} for key, value in entries]}


def test_a_boot_tells_make_model_firmware_and_registration():
    request = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.2"}
    session = learnt("BootNotification", request, {"status": "Pending"})
    assert (session.vendor, session.model, session.firmware, session.registration) == ("V", "M", "1.2", "Pending")


def test_a_boot_of_a_newer_version_tells_the_same():
    request = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
    session = learnt("BootNotification", request, {"status": "Accepted"})
    assert (session.vendor, session.model, session.firmware, session.registration) == ("V", "M", None, "Accepted")


@pytest.mark.parametrize(
    ("entries", "profiles"),
    [
        ([("SupportedFeatureProfiles", "Core, RemoteTrigger,,Reservation ")], {"core", "remotetrigger", "reservation"}),
        ([("Other", "RemoteTrigger"), ("supportedFEATUREprofiles", "Core")], {"core"}),
        ([("SupportedFeatureProfiles", "")], set()),
        ([("Other", "RemoteTrigger")], None),
        ([], None),
    ],
)
def test_the_configuration_tells_the_feature_profiles(entries, profiles):
    claimed = learnt("GetConfiguration", {}, configuration(*entries)).feature_profiles
    assert claimed == (frozenset(profiles) if profiles is not None else None)


def test_an_error_or_an_answer_without_the_key_leaves_what_was_known():
    session = learnt("GetConfiguration", {}, configuration(("SupportedFeatureProfiles", "Core")))
    learnt("GetConfiguration", {}, configuration(("SupportedFeatureProfiles", "X")), session, error=True)
    learnt("GetConfiguration", {}, configuration(("HeartbeatInterval", "60")), session)
    assert session.feature_profiles == {"core"}


@pytest.mark.parametrize("payload", [None, [], "x", 3, {"configurationKey": 3}, {"configurationKey": [3, {"key": 1}]},
                                     {"configurationKey": [{"key": "SupportedFeatureProfiles", "value": 3}]},
                                     {"chargingStation": [1]}, {"chargePointVendor": 3, "status": []}])
def test_any_payload_is_borne(payload):
    learnt("GetConfiguration", payload, payload)
    learnt("BootNotification", payload, payload)


def test_a_long_text_is_cut():
    assert len(learnt("BootNotification", {"chargePointVendor": "V" * 10**6}, {}).vendor) == LONGEST_TEXT


def test_a_station_has_one_session_and_a_nameless_connection_its_own():
    sessions = Sessions()
    assert sessions.of("A") is sessions.of("A")
    assert sessions.of("A") is not sessions.of("B")
    assert sessions.of(None) is not sessions.of(None)
    assert sessions.known("A") is sessions.of("A")
    assert sessions.known("C") is None
    assert sessions.known(None) is None


def test_the_stations_heard_of_last_are_kept():
    sessions = Sessions()
    first = sessions.of("0")
    for number in range(1, STATIONS_KEPT):
        sessions.of(str(number))
    assert sessions.of("0") is first
    sessions.of("one more")
    assert sessions.known("0") is first
    assert sessions.known("1") is None
