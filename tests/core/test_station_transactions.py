"""Charging transactions, who may charge, and what was asked of the station."""

from core_station import Taught

from ocpp_proxy.core.station.commands import COMMANDS_KEPT
from ocpp_proxy.core.station.tokens import LIST_KEPT, TOKENS_KEPT
from ocpp_proxy.core.station.transactions import CLOSED_KEPT, OPEN_KEPT

START = {"connectorId": 1, "idTag": "Tag", "meterStart": 5, "timestamp": "1970-01-01T00:00:05Z"}


def started(taught, number, **more):
    taught.exchange("StartTransaction", START | more, {"transactionId": number, "idTagInfo": {"status": "Accepted"}})


def test_a_transaction_has_its_number_from_the_answer_on():
    taught = Taught()
    call = taught.call("StartTransaction", START)
    book = taught.session.transactions
    assert [(one.id, one.place, one.token, one.meter_start, one.started_us) for one in book.open] == [
        (None, 1, "tag", 5, 5_000_000)]
    taught.answer(call, {"transactionId": 7, "idTagInfo": {"status": "Blocked"}})
    assert (book.on(1).id, book.on(1).status, book.on(1).confirmed) == (7, "Blocked", ("c1", 2))
    assert book.on(2) is None
    taught.call("StopTransaction", {"transactionId": 7, "meterStop": 9, "reason": "Local",
                                    "timestamp": "1970-01-01T00:00:09Z"})
    ended = book.find(7)
    assert (ended.open, ended.meter_stop, ended.reason, ended.stopped_us) == (False, 9, "Local", 9_000_000)
    assert (book.open, book.on(1)) == ([], None)


def test_what_is_sent_again_is_the_same_transaction():
    taught = Taught()
    taught.call("StartTransaction", START)
    started(taught, 7)
    assert [one.id for one in taught.session.transactions.open] == [7]
    started(taught, 8, timestamp="1970-01-01T00:10:00Z")
    assert [one.id for one in taught.session.transactions.open] == [7, 8]


def test_one_that_began_before_the_capture_is_known_by_what_it_says():
    taught = Taught()
    taught.call("MeterValues", {"connectorId": 2, "transactionId": 9})
    one = taught.session.transactions.find(9)
    assert (one.place, one.start, one.open) == (2, None, True)
    taught.call("StopTransaction", {"transactionId": 9})
    taught.call("StopTransaction", {"transactionId": 10})
    assert [taught.session.transactions.find(number).open for number in (9, 10)] == [False, False]


def test_a_station_without_an_answer_says_minus_one():
    taught = Taught()
    taught.call("StartTransaction", START)
    taught.call("StopTransaction", {"transactionId": -1, "meterStop": 6})
    assert taught.session.transactions.open == []
    assert taught.session.transactions.find(-1).meter_start == 5


def test_a_late_answer_names_a_transaction_that_has_ended():
    taught = Taught()
    call = taught.call("StartTransaction", START)
    taught.call("StopTransaction", {"transactionId": -1, "meterStop": 6})
    taught.answer(call, {"transactionId": 7})
    assert taught.session.transactions.find(7).meter_stop == 6


def test_a_station_on_two_connectors_says_which():
    taught = Taught()
    taught.call("StartTransaction", START)
    taught.call("StartTransaction", START | {"connectorId": 2})
    taught.call("MeterValues", {"connectorId": 1, "transactionId": -1})
    assert [(one.place, one.last) for one in taught.session.transactions.open] == [(1, ("c1", 3)), (2, ("c1", 2))]
    taught.call("StopTransaction", {"transactionId": -1})
    assert [one.place for one in taught.session.transactions.open] == [1]


def test_transactions_that_share_a_number_are_told_apart_by_their_meters():
    taught = Taught()
    started(taught, 0, meterStart=700)
    started(taught, 0, connectorId=2, meterStart=5000)
    taught.call("StopTransaction", {"transactionId": 0, "meterStop": 900})
    book = taught.session.transactions
    assert [(one.place, one.mixed) for one in book.open] == [(2, True)]
    assert (book.closed[0].place, book.closed[0].mixed) == (1, True)
    taught.call("MeterValues", {"connectorId": 1, "transactionId": 0})
    assert [one.place for one in book.open] == [2]
    taught.call("MeterValues", {"connectorId": 3, "transactionId": 0})
    assert [one.place for one in book.open] == [2, 3]


def test_a_start_may_be_given_several_numbers():
    taught = Taught()
    started(taught, 7)
    started(taught, 8)
    started(taught, 8)
    one = taught.session.transactions.find(8)
    assert (one.id, one.aliases) == (7, (8,))
    taught.exchange("StopTransaction", {"transactionId": 8, "meterStop": 9}, {})
    assert taught.session.transactions.find(7) is taught.session.transactions.find(8)
    assert taught.session.transactions.find(7).stop_confirmed == ("c1", 8)


def test_events_of_2x_may_come_in_any_order():
    taught = Taught("2.0.1")

    def event(kind, at, **info):
        request = {"eventType": kind, "timestamp": f"1970-01-01T00:00:{at:02}Z", "evse": {"id": 1, "connectorId": 2},
                   "transactionInfo": {"transactionId": "T"} | info}
        taught.exchange("TransactionEvent", request, {"idTokenInfo": {"status": "Accepted"}})

    event("Updated", 20, chargingState="Charging")
    event("Started", 10, chargingState="EVConnected", remoteStartId=4)
    one = taught.session.transactions.on(1)
    assert (one.id, one.connector, one.started_us, one.state, one.remote_start) == ("T", 2, 10_000_000, "Charging", 4)
    assert (one.last_us, one.status) == (20_000_000, "Accepted")
    event("Ended", 30, stoppedReason="Local")
    assert taught.session.transactions.find("T").reason == "Local"


def test_so_many_transactions_are_kept():
    taught = Taught()
    for number in range(OPEN_KEPT + 20):
        started(taught, number, timestamp=f"1970-01-01T01:{number // 60:02}:{number % 60:02}Z")
    assert len(taught.session.transactions.open) == OPEN_KEPT
    for number in range(20, OPEN_KEPT + 20):
        taught.call("StopTransaction", {"transactionId": number})
    for number in range(200, 300):
        taught.call("StopTransaction", {"transactionId": number})
    assert len(taught.session.transactions.closed) == CLOSED_KEPT


def test_the_last_word_on_a_token_counts():
    taught = Taught()
    call = taught.call("Authorize", {"idTag": "Tag"})
    assert "tag" in taught.session.tokens.asked
    taught.answer(call, {"idTagInfo": {"status": "Accepted", "parentIdTag": "P", "expiryDate": "1970-01-01T00:01:00Z"}})
    token = taught.session.tokens.get("tag")
    assert (token.status, token.by, token.group, token.expiry_us) == ("Accepted", "Authorize", "p", 60_000_000)
    assert "tag" not in taught.session.tokens.asked
    taught.exchange("Authorize", {"idTag": "TAG"}, {"idTagInfo": {"status": "Blocked"}})
    assert taught.session.tokens.get("tag").status == "Blocked"
    for number in range(TOKENS_KEPT + 5):
        taught.exchange("Authorize", {"idToken": {"idToken": f"t{number}"}}, {"idTokenInfo": {"status": "Accepted"}})
    assert len(taught.session.tokens.known) == TOKENS_KEPT
    assert taught.session.tokens.get("tag") is None


def test_the_local_list_is_what_was_accepted():
    taught = Taught()

    def send(version, kind, entries, status="Accepted"):
        taught.asked("SendLocalList", {"listVersion": version, "updateType": kind, "localAuthorizationList": entries},
                     {"status": status})

    book = taught.session.tokens
    send(3, "Differential", [{"idTag": "A", "idTagInfo": {"status": "Accepted"}}])
    assert (book.list_version, book.listed, book.list_whole) == (3, {"a": "Accepted"}, False)
    send(4, "Full", [{"idTag": "B", "idTagInfo": {"status": "Blocked"}}])
    send(5, "Differential", [{"idTag": "C"}], "VersionMismatch")
    assert (book.list_version, book.listed, book.list_whole) == (4, {"b": "Blocked"}, True)
    send(5, "Differential", [{"idTag": "b"}])
    assert (book.list_version, book.listed) == (5, {})
    taught.asked("GetLocalListVersion", {}, {"listVersion": 0})
    assert book.list_version == 0
    send(6, "Full", [{"idTag": str(number), "idTagInfo": {}} for number in range(LIST_KEPT + 1)])
    assert (len(book.listed), book.list_whole) == (LIST_KEPT, False)


def test_what_the_csms_asked_is_kept_with_its_answer():
    taught = Taught()
    taught.asked("Reset", {"type": "Hard", "long": {"x": 1}}, {"status": "Accepted"})
    taught.asked("UnlockConnector", {"connectorId": 2}, error="NotSupported")
    taught.exchange("Heartbeat", {}, {})
    commands = taught.session.commands
    assert [(one.action, one.request, one.status, one.error) for one in commands.recent] == [
        ("Reset", {"type": "Hard"}, "Accepted", None),
        ("UnlockConnector", {"connectorId": 2}, "CALLERROR", "NotSupported")]
    assert commands.latest("Reset").called == 1.0
    assert [one.action for one in commands.since(3.5)] == ["UnlockConnector"]
    assert commands.latest("ClearCache") is None
    for _ in range(COMMANDS_KEPT):
        taught.asked("ClearCache", {}, {"status": "Accepted"})
    assert commands.latest("Reset") is None
