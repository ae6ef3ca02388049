"""Charging transactions: the open ones, and the last that have ended.

Keeps up to OPEN_KEPT open and CLOSED_KEPT ended transactions of a station; the oldest are forgotten first. In 1.6 a
transaction begins with its StartTransaction and has no id until that is answered; what is sent again (same connector,
idTag, meter and time) is the same transaction. In 2.x it has its id from the first TransactionEvent on, and events may
come out of order.

Source: OCPP 1.6 edition 2 sections 3.7, 4.7, 4.8 and 4.10; OCPP 2.0.1 Part 2 block E.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import Number, folded, integer, kept, member, moment_us, number, text
from ocpp_proxy.core.station.tokens import token_in

OPEN_KEPT = 64
CLOSED_KEPT = 64
ALIASES_KEPT = 4
UNKNOWN = -1  # the transactionId of a station that was never told one (1.6 errata 3.18)

TransactionId: TypeAlias = "int | str"


@dataclass(slots=True)
class Transaction:
    """`place`: the connector of 1.6 or EVSE of 2.x, None if not told; `connector`: of 2.x. `token`: folded; `start`:
    the StartTransaction, or first TransactionEvent seen, with its time and the payload's own (`started_us`); None where
    it began before the capture did. `confirmed`: the answer to it, with the `status` of its token. `stop` likewise;
    `stop_confirmed`: the CALLRESULT to it. `meter_start`, `meter_stop`: Wh, of 1.6. `aliases`: the ids that a CSMS of
    1.6 gave to the same start when it was sent again, if it gave others. `mixed`: several without an id, or with the
    same, were open when one of them ended, so that its end may be noted of another.
    """

    id: TransactionId | None
    place: int | None = None
    connector: int | None = None
    token: str | None = None
    start: FrameRef | None = None
    start_time: float = 0.0
    started_us: int | None = None
    meter_start: Number | None = None
    reservation: int | None = None
    remote_start: int | None = None
    confirmed: FrameRef | None = None
    confirmed_time: float = 0.0
    status: str | None = None
    stop: FrameRef | None = None
    stop_time: float = 0.0
    stop_confirmed: FrameRef | None = None
    stop_confirmed_time: float = 0.0
    stopped_us: int | None = None
    meter_stop: Number | None = None
    reason: str | None = None
    state: str | None = None
    last: FrameRef | None = None
    last_time: float = 0.0
    last_us: int | None = None
    aliases: tuple[int, ...] = ()
    mixed: bool = False

    @property
    def open(self) -> bool:
        return self.stop is None

    def is_called(self, number: TransactionId) -> bool:
        return self.id == number or number in self.aliases


@dataclass(slots=True)
class Transactions:
    """`open`: those without an end, oldest first; `closed`: by id."""

    open: list[Transaction] = field(default_factory=list)
    closed: dict[TransactionId, Transaction] = field(default_factory=dict)

    def on(self, place: int | None) -> Transaction | None:
        """The open one on this connector or EVSE, the newest if there are several."""
        if place is not None:
            for one in reversed(self.open):
                if one.place == place:
                    return one
        return None

    def find(self, number: TransactionId | None) -> Transaction | None:
        """The open one of this id, else the ended one."""
        if number is None:
            return None
        for one in self.open:
            if one.is_called(number):
                return one
        found = self.closed.get(number)
        return found or next((one for one in self.closed.values() if one.is_called(number)), None)

    def begun_by(self, request: Any) -> Transaction | None:
        """The one that this StartTransaction has told of, or tells of again."""
        told = _start_in(request)
        for one in self.all():
            if one.start is not None and (one.place, one.token, one.started_us, one.meter_start) == told:
                return one
        return None

    def all(self) -> Iterator[Transaction]:
        yield from self.open
        yield from self.closed.values()

    def begin(self, transaction: Transaction) -> Transaction:
        self.open.append(transaction)
        if len(self.open) > OPEN_KEPT:
            del self.open[0]
        return transaction

    def end(self, transaction: Transaction) -> None:
        if transaction in self.open:
            self.open.remove(transaction)
        key = transaction.id if transaction.id is not None else UNKNOWN
        self.closed.pop(key, None)
        self.closed[key] = transaction
        if len(self.closed) > CLOSED_KEPT:
            del self.closed[next(iter(self.closed))]


def _start_in(request: Any) -> tuple[int | None, str | None, int | None, Number | None]:
    """What a StartTransaction says of its transaction, which is the same when it is sent again."""
    return (integer(request, "connectorId"), folded(request, "idTag"), moment_us(request, "timestamp"),
            number(request, "meterStart"))  # fmt: skip


# OCPP 1.6


def started(now: Occasion) -> None:
    book, request = now.session.transactions, now.request
    if book.begun_by(request) is not None:
        return
    book.begin(Transaction(
        None, integer(request, "connectorId"), token=folded(request, "idTag"), start=now.ref, start_time=now.time,
        started_us=moment_us(request, "timestamp"), meter_start=number(request, "meterStart"),
        reservation=integer(request, "reservationId"), last=now.ref, last_time=now.time,
        last_us=moment_us(request, "timestamp"),
    ))  # fmt: skip


def start_confirmed(now: Occasion) -> None:
    if not isinstance(now.frame, CallResult):
        return
    transaction = now.session.transactions.begun_by(now.request)
    number = integer(now.response, "transactionId")
    if transaction is None:
        return
    if transaction.id is None:
        transaction.id = number
        transaction.confirmed, transaction.confirmed_time = now.ref, now.time
        transaction.status = kept(now.response, "idTagInfo", "status")
    elif number is not None and not transaction.is_called(number):
        transaction.aliases = (*transaction.aliases, number)[-ALIASES_KEPT:]


def metered(now: Occasion) -> None:
    """MeterValues of 1.6 may be the first that is seen of a transaction."""
    transaction = _of_16(now, integer(now.request, "connectorId"))
    if transaction is not None:
        _go_on(transaction, now, None)


def stopped(now: Occasion) -> None:
    request = now.request
    transaction = _of_16(now, None)
    if transaction is None or transaction.stop is not None:
        return
    transaction.stop, transaction.stop_time = now.ref, now.time
    transaction.stopped_us, transaction.meter_stop = moment_us(request, "timestamp"), number(request, "meterStop")
    transaction.reason = kept(request, "reason")
    _go_on(transaction, now, transaction.stopped_us)
    now.session.transactions.end(transaction)


def stop_confirmed(now: Occasion) -> None:
    if not isinstance(now.frame, CallResult):
        return
    at_us, meter = moment_us(now.request, "timestamp"), number(now.request, "meterStop")
    transaction = next((one for one in now.session.transactions.closed.values()
                        if one.stop_confirmed is None and (one.stopped_us, one.meter_stop) == (at_us, meter)), None)
    if transaction is not None:
        transaction.stop_confirmed, transaction.stop_confirmed_time = now.ref, now.time


def _of_16(now: Occasion, place: int | None) -> Transaction | None:
    """The transaction that the request names by id; made where it is not known, since it may be older than the
    capture."""
    known = integer(now.request, "transactionId")
    if known is None:
        return None
    book = now.session.transactions
    transaction = _meant(book, known, place, now.request) or book.closed.get(known)
    if transaction is not None and known <= 0 and place not in (None, transaction.place):
        transaction = None  # another that shares the id
    if transaction is None and known > 0:
        transaction = book.find(known)
    if transaction is None and known != UNKNOWN:
        transaction = book.begin(Transaction(known, place))
    if transaction is not None and transaction.place is None:
        transaction.place = place
    return transaction


def _meant(book: Transactions, known: int, place: int | None, request: Any) -> Transaction | None:
    """The open transaction of that id, on that connector if one is named. A station that was told no id says -1, and a
    CSMS may give 0 to several: of those it is the one whose meter fits best, else the newest."""
    if known > 0 and len(book.open) == 1:
        only = book.open[0]
        return only if only.is_called(known) else None
    found = [one for one in book.open if one.is_called(known) or (known == UNKNOWN and one.id is None)]
    found = [one for one in found if place in (None, one.place)] or (found if known > 0 else [])
    if len(found) < 2:
        return found[0] if found else None
    for one in found:
        one.mixed = True
    meter = number(request, "meterStop")
    fitting = [(one.meter_start, at, one) for at, one in enumerate(found)
               if one.meter_start is not None and meter is not None and one.meter_start <= meter]
    return max(fitting)[2] if fitting else found[-1]


# OCPP 2.x


def event_told(now: Occasion) -> None:
    request = now.request
    number = kept(request, "transactionInfo", "transactionId")
    if number is None:
        return
    book = now.session.transactions
    transaction = book.find(number) or book.begin(Transaction(number))
    at_us, kind = moment_us(request, "timestamp"), text(request, "eventType")
    if transaction.start is None and kind == "Started":
        transaction.start, transaction.start_time, transaction.started_us = now.ref, now.time, at_us
    evse = member(request, "evse")
    if evse is not None and transaction.place is None:
        transaction.place, transaction.connector = integer(evse, "id"), integer(evse, "connectorId")
    elif transaction.connector is None:
        transaction.connector = integer(evse, "connectorId")
    transaction.token = transaction.token or token_in(request)
    if (reservation := integer(request, "reservationId")) is not None:
        transaction.reservation = reservation
    if (remote := integer(request, "transactionInfo", "remoteStartId")) is not None:
        transaction.remote_start = remote
    newest = transaction.last_us is None or at_us is None or at_us >= transaction.last_us
    if newest and (state := kept(request, "transactionInfo", "chargingState")) is not None:
        transaction.state = state
    _go_on(transaction, now, at_us)
    if kind == "Ended" and transaction.stop is None:
        transaction.stop, transaction.stop_time, transaction.stopped_us = now.ref, now.time, at_us
        transaction.reason = kept(request, "transactionInfo", "stoppedReason")
        book.end(transaction)


def event_confirmed(now: Occasion) -> None:
    transaction = now.session.transactions.find(kept(now.request, "transactionInfo", "transactionId"))
    status = kept(now.response, "idTokenInfo", "status")
    if transaction is not None and status is not None:
        transaction.status = status
        transaction.confirmed, transaction.confirmed_time = now.ref, now.time


def _go_on(transaction: Transaction, now: Occasion, at_us: int | None) -> None:
    transaction.last, transaction.last_time = now.ref, now.time
    if at_us is not None and (transaction.last_us is None or at_us > transaction.last_us):
        transaction.last_us = at_us
