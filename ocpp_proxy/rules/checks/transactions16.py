"""How transactions of 1.6 begin.

Decides whether a StartTransaction may come where it comes, and what the CSMS has to answer. Refuses to know whether
energy flows.

Source: OCPP 1.6 edition 2 sections 3.5.4, 3.7.1, 4.8, 5.13, 6.45, 6.46 and 7.7; 1.6 errata 3.17 and 3.54.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import Call, CallError
from ocpp_proxy.core.payload import integer, member, number, text
from ocpp_proxy.core.station.connectors import Reservation
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.transactions16_past import (
    IN_TIME_S,
    certainly_open,
    known_start,
    stamped_us,
    time_of,
    token_of,
    told_before,
    whole_since,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

DOWN = ("Unavailable", "Faulted")
CONNECTORS_KEPT = 256
LONGEST_CODE = 40

# The answer


@check("start-no-conf", call("StartTransaction", retries=True))
def to_be_answered(now: Now) -> None:
    exchange = now.exchange
    if exchange is not None and isinstance(now.frame, Call) and not (exchange.withheld or now.injected):
        held_s = now.called_time - now.time
        now.later(now.bounds.answer_fail_s + held_s, not_answered, key=(now.connection, exchange.message_id),
                  data=now.time)


def not_answered(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if whole_since(now, deadline.data):
        yield now.hit(f"StartTransaction has no answer within {now.bounds.answer_fail_s:g} s", place=deadline.place,
                      by="csms")


@check("start-no-conf", answer("StartTransaction"))
def no_conf(now: Now) -> Iterator[Hit]:
    exchange = now.exchange
    if exchange is None or now.injected:
        return
    now.cancel((now.connection, exchange.message_id))
    if isinstance(now.frame, CallError):
        if not _rightly_refused(now, now.frame.code):
            yield now.hit(f"StartTransaction was answered with CALLERROR {now.frame.code[:LONGEST_CODE]}",
                          expected="a CALLRESULT with transactionId and idTagInfo")
        return
    for name in ("transactionId", "idTagInfo"):
        if member(now.response, name) is None:
            yield now.hit(f"The answer to StartTransaction has no {name}", f"/{name}")


def _rightly_refused(now: Now, code: str) -> bool:
    """Whether the CSMS may refuse it: the station is not accepted yet, or the message itself is wrong."""
    accepted = now.session.registration.status in (None, "Accepted")
    return not accepted or code == "SecurityError" or (now.exchange is not None and bool(now.exchange.faults))


@check("start-txid-unique", answer("StartTransaction"))
def txid_unique(now: Now) -> Iterator[Hit]:
    number_, own = integer(now.response, "transactionId"), now.once(known_start)
    if number_ is None or own is None:
        return
    if number_ <= 0:
        status = text(now.response, "idTagInfo", "status")
        why = "" if status in (None, "Accepted") else ", for one that is refused; the number says nothing of that"
        yield now.hit(f"transactionId {number_}{why}", "/transactionId", seen=number_, expected="a positive number",
                      case="not-positive", transaction=number_)
        return
    other = now.session.transactions.find(number_)
    if other is None or other is own or other.start is None or _told_anew(other, own):
        return
    state = "has not ended yet" if other.open else "has ended"
    yield now.hit(f"transactionId {number_} is that of another transaction, which {state}", "/transactionId",
                  seen=number_, transaction=number_, also=[other.start, other.confirmed])


def _told_anew(one: Transaction, again: Transaction) -> bool:
    """Whether the station seems to have sent the same start with another time."""
    return one.open and (one.place, one.token, one.meter_start) == (again.place, again.token, again.meter_start)


# Where it comes


@check("start-duplicate", call("StartTransaction"))
def duplicate(now: Now) -> Iterator[Hit]:
    """Sending it again is right where the answer was late, or may have been lost with the connection."""
    one = now.once(known_start)
    if one is None or one.confirmed is None or one.id is None or one.confirmed.connection != now.connection:
        return
    if one.confirmed_time - one.start_time <= IN_TIME_S:
        yield now.hit("StartTransaction sent again with another message id although it was answered",
                      transaction=one.id, also=[one.start, one.confirmed])


@check("start-while-open", call("StartTransaction"))
def while_open(now: Now) -> Iterator[Hit]:
    place, began_us = integer(now.request, "connectorId"), stamped_us(now)
    one = now.session.transactions.on(place)
    if one is None or not place or now.once(known_start) is not None:
        return
    if one.started_us is not None and began_us is not None and began_us < one.started_us:
        return  # out of order, which is another matter
    if certainly_open(now, one):
        yield now.hit(f"StartTransaction while transaction {one.id} of the same connector has no StopTransaction",
                      transaction=one.id, also=[one.start, one.confirmed])


@check("start-unavailable", call("StartTransaction"))
def unavailable(now: Now) -> Iterator[Hit]:
    place, began_us = integer(now.request, "connectorId"), stamped_us(now)
    connector = now.session.connectors.get(place)
    status = connector.status if connector is not None else None
    if connector is None or status is None or status.name not in DOWN or now.once(known_start) is not None:
        return
    told = time_of(now, status.at_us)
    if told_before(now, began_us, told if told is not None else status.time, 0):
        return
    if now.session.links.offline_between(status.time, now.time):
        return
    if not whole_since(now, status.time):
        yield from now.unknown("frames are missing since the connector's last status")
        return
    wish = connector.wish
    if wish is not None and wish.kind == "Operative" and wish.time > status.time:
        return
    if wish is not None and wish.kind == "Inoperative" and status.name == "Unavailable":
        yield now.hit("StartTransaction on a connector that the CSMS has set Inoperative", also=[wish.ref, status.ref])
    else:  # its next status may be on its way
        now.later(now.bounds.status_s, still_down, key=place, data=status)


def still_down(now: Now, deadline: Deadline) -> Iterator[Hit]:
    name = now.session.connectors.status(deadline.place.connector)
    if name in DOWN and whole_since(now, deadline.data.time):
        yield now.hit(f"StartTransaction on a connector whose status is {name}", place=deadline.place,
                      also=[deadline.data.ref])


# Reservations


@dataclass(slots=True)
class Downs:
    """When each connector was last told to be Unavailable or Faulted, which ends its reservations. CONNECTORS_KEPT."""

    last: dict[int, float] = field(default_factory=dict)


@learn(call("StatusNotification"), versions=IN_16)
def went_down(now: Now) -> None:
    place = integer(now.request, "connectorId") if text(now.request, "status") in DOWN else None
    book = now.session.book(Downs).last
    if place is not None and (place in book or len(book) < CONNECTORS_KEPT):
        book[place] = now.time


@check("start-reservation-id", call("StartTransaction"))
def reservation_id(now: Now) -> Iterator[Hit]:
    place, token = integer(now.request, "connectorId"), token_of(now)
    if place is None or token is None or number(now.request, "reservationId") is not None:
        return
    if now.once(known_start) is not None:
        return
    newest = {one.place: one for one in now.session.connectors.reservations.values() if one.place[0] in (place, 0)}
    for one in newest.values():
        if _is_meant(now, one, token) and _stands(now, one, place):
            if whole_since(now, one.time):
                yield now.hit(f"StartTransaction without reservationId, though reservation {one.number} is for its "
                              "idTag", "/reservationId", expected=one.number, also=[one.ref])
            else:
                yield from now.unknown("frames are missing since the reservation was made")
            return


def _is_meant(now: Now, reservation: Reservation, token: str) -> bool:
    if reservation.token == token:
        return True
    known = now.session.tokens.get(token)
    return reservation.group is not None and known is not None and known.group == reservation.group


def _stands(now: Now, reservation: Reservation, place: int) -> bool:
    """Whether the reservation was in force when the transaction began, as far as can be seen."""
    session, began_us, expiry_us = now.session, stamped_us(now), reservation.expiry_us
    if began_us is None or expiry_us is None or began_us >= expiry_us:
        return False
    if told_before(now, began_us, reservation.time) or (session.registration.since or -1) > reservation.time:
        return False
    downs = session.book(Downs).last
    if any(downs.get(one, -1.0) > reservation.time for one in {0, reservation.place[0]}):
        return False
    connector = session.connectors.get(place)
    status = connector.status if connector is not None else None
    freed = status is not None and status.name == "Available" and status.time > reservation.time
    return not freed or reservation.place[0] == 0
