"""What is remembered of a station, and how much of it."""

import pytest
from core_station import Taught

from ocpp_proxy.core.payload import LONGEST_KEPT
from ocpp_proxy.core.session import STATIONS_KEPT, Session, Sessions
from ocpp_proxy.core.station.registration import BOOTS_KEPT


def configuration(*entries):
    return {"configurationKey": [{"key": key, "readonly": True, "value": value} for key, value in entries]}


def boot(request, response, version="1.6", session=None):
    taught = Taught(version, session)
    taught.exchange("BootNotification", request, response)
    return taught.session.registration


def test_a_boot_tells_make_model_firmware_and_registration():
    request = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.2"}
    registration = boot(request, {"status": "Pending", "interval": 7})
    device = registration.last.device
    assert (device.vendor, device.model, device.firmware, device.serial) == ("V", "M", "1.2", None)
    assert (registration.status, registration.interval_s, registration.since) == ("Pending", 7, 2.0)
    assert (registration.last.call, registration.last.answer) == (("c1", 1), ("c1", 2))


def test_a_boot_of_a_newer_version_tells_the_same():
    request = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M", "serialNumber": "7"}}
    registration = boot(request, {"status": "Accepted"}, "2.0.1")
    device = registration.last.device
    assert (device.vendor, device.model, device.firmware, device.serial) == ("V", "M", None, "7")
    assert (registration.status, registration.last.reason) == ("Accepted", "PowerUp")


def test_a_boot_without_an_answer_or_with_an_error_changes_no_registration():
    taught = Taught()
    taught.exchange("BootNotification", {}, {"status": "Accepted"})
    taught.exchange("BootNotification", {}, error="InternalError")
    assert taught.session.registration.status == "Accepted"
    assert taught.session.registration.pending_call is None
    taught.call("BootNotification", {})
    assert taught.session.registration.pending_call == ("c1", 5)


def test_the_last_boots_are_kept():
    session = Session("S")
    for _ in range(BOOTS_KEPT + 5):
        registration = boot({}, {"status": "Accepted"}, session=session)
    assert len(registration.boots) == BOOTS_KEPT


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
    taught = Taught()
    taught.asked("GetConfiguration", {}, configuration(*entries))
    assert taught.session.feature_profiles == (frozenset(profiles) if profiles is not None else None)


def test_an_error_or_an_answer_without_the_key_leaves_what_was_known():
    taught = Taught()
    taught.asked("GetConfiguration", {}, configuration(("SupportedFeatureProfiles", "Core")))
    taught.asked("GetConfiguration", {}, error="InternalError")
    taught.asked("GetConfiguration", {"key": ["HeartbeatInterval"]}, configuration(("HeartbeatInterval", "60")))
    assert taught.session.feature_profiles == {"core"}


@pytest.mark.parametrize("payload", [None, [], "x", 3, {"configurationKey": 3}, {"configurationKey": [3, {"key": 1}]},
                                     {"configurationKey": [{"key": "SupportedFeatureProfiles", "value": 3}]},
                                     {"chargingStation": [1]}, {"chargePointVendor": 3, "status": []},
                                     {"connectorId": "1", "status": 4, "transactionInfo": 3, "idToken": [], "evse": 1},
                                     {"eventData": [1, {"component": 3}], "reportData": {}, "evse": {"id": True}}])
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_any_payload_is_borne(payload, version):
    taught = Taught(version)
    for action in ("BootNotification", "StatusNotification", "NotifyEvent", "NotifyReport", "StartTransaction",
                   "StopTransaction", "MeterValues", "TransactionEvent", "Authorize", "ReservationStatusUpdate"):
        taught.exchange(action, payload, payload)
    for action in ("GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables", "ChangeAvailability",
                   "ReserveNow", "CancelReservation", "SendLocalList", "GetLocalListVersion"):
        taught.asked(action, payload, payload)


def test_a_long_text_is_cut():
    assert len(boot({"chargePointVendor": "V" * 10**6}, {}).last.device.vendor) == LONGEST_KEPT


def test_a_book_is_made_when_it_is_asked_for():
    session = Session("S")
    with pytest.raises(AttributeError):
        object.__getattribute__(session, "settings")
    assert session.settings is session.settings
    assert object.__getattribute__(session, "settings") is session.settings
    assert session.book(dict) is session.book(dict), "a rule may keep one of its own"


def test_a_session_has_no_other_books():
    with pytest.raises(AttributeError, match="setings"):
        getattr(Session("S"), "setings")  # noqa: B009


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
