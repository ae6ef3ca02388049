"""What is known of connectors, of what was asked of them, and of reservations."""

from core_station import Taught

from ocpp_proxy.core.station.connectors import CONNECTORS_KEPT, RESERVATIONS_KEPT


def status(taught, connector, name, **more):
    taught.call("StatusNotification", {"connectorId": connector, "status": name, "errorCode": "NoError"} | more)


def test_a_status_is_kept_with_the_one_before_that_was_another():
    taught = Taught()
    for name in ("Available", "Preparing", "Preparing"):
        status(taught, 1, name, timestamp="1970-01-01T00:00:05Z")
    connector = taught.session.connectors.get(1)
    assert (connector.status.name, connector.before.name, connector.status.number) == ("Preparing", "Available", 3)
    assert (connector.status.ref, connector.status.at_us, connector.status.error) == (("c1", 3), 5_000_000, "NoError")
    assert taught.session.connectors.status(2) is None


def test_a_connector_of_2x_has_two_numbers_and_may_be_told_by_an_event():
    taught = Taught("2.1")
    taught.call("StatusNotification", {"evseId": 1, "connectorId": 2, "connectorStatus": "Occupied"})
    event = {"timestamp": "1970-01-01T00:00:05Z", "actualValue": "Faulted", "variable": {"name": "AvailabilityState"},
             "component": {"name": "Connector", "evse": {"id": 3, "connectorId": 1}}}
    taught.call("NotifyEvent", {"eventData": [event, event | {"variable": {"name": "Other"}}, 3]})
    connectors = taught.session.connectors
    assert (connectors.status(1, 2), connectors.status(3, 1), connectors.status(1)) == ("Occupied", "Faulted", None)
    assert [one.place for one in connectors.of_evse(1)] == [(1, 2)]


def test_an_accepted_availability_reaches_every_part():
    taught = Taught()
    status(taught, 1, "Available")
    taught.asked("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}, {"status": "Accepted"})
    status(taught, 2, "Unavailable")
    connectors = taught.session.connectors
    assert [connectors.get(number).wish.kind for number in (0, 1, 2)] == ["Inoperative"] * 3
    taught.asked("ChangeAvailability", {"connectorId": 1, "type": "Operative"}, {"status": "Rejected"})
    assert connectors.get(1).wish.kind == "Inoperative"
    taught.asked("ChangeAvailability", {"connectorId": 1, "type": "Operative"}, {"status": "Scheduled"})
    assert (connectors.get(1).wish.kind, connectors.get(2).wish.kind) == ("Operative", "Inoperative")


def test_an_availability_of_an_evse_is_that_of_its_connectors():
    taught = Taught("2.0.1")
    for evse in (1, 2):
        taught.call("StatusNotification", {"evseId": evse, "connectorId": 1, "connectorStatus": "Available"})
    taught.asked("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}}, {"status": "Accepted"})
    connectors = taught.session.connectors
    assert connectors.get(1, 1).wish.kind == "Inoperative"
    assert connectors.get(2, 1).wish is None


def test_a_reservation_lasts_until_it_is_cancelled_or_used():
    taught = Taught()
    reserve = {"connectorId": 1, "idTag": "Mine", "parentIdTag": "P", "expiryDate": "1970-01-01T01:00:00Z"}
    for number, answer in ((7, "Accepted"), (8, "Occupied"), (9, "Accepted"), (10, "Accepted")):
        taught.asked("ReserveNow", reserve | {"reservationId": number}, {"status": answer})
    book = taught.session.connectors
    assert list(book.reservations) == [7, 9, 10]
    held = book.reserved((1, 0))
    assert (held.number, held.token, held.group, held.expiry_us) == (7, "mine", "p", 3_600_000_000)
    taught.asked("CancelReservation", {"reservationId": 7}, {"status": "Accepted"})
    taught.asked("CancelReservation", {"reservationId": 9}, {"status": "Rejected"})
    taught.call("StartTransaction", {"connectorId": 1, "idTag": "mine", "reservationId": 10})
    assert list(book.reservations) == [9]


def test_no_more_is_kept_than_so_many():
    taught = Taught()
    for number in range(CONNECTORS_KEPT + 10):
        status(taught, number, "Available")
    for number in range(RESERVATIONS_KEPT + 10):
        taught.asked("ReserveNow", {"connectorId": 1, "reservationId": number}, {"status": "Accepted"})
    book = taught.session.connectors
    assert (len(book.known), len(book.reservations)) == (CONNECTORS_KEPT, RESERVATIONS_KEPT)
    assert 0 not in book.reservations
