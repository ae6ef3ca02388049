"""Reservations of 1.6: how they are answered, shown, kept and ended.

What a station answers is held against what it has told of its connectors. Both may cross, so that a contradiction
stands only once the time for a StatusNotification has gone by without one that explains it.

Source: OCPP 1.6 edition 2 sections 4.9, 5.1, 5.13, 7.5, 7.40 and 9.3.1; 1.6 errata 3.19.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, moment_us
from ocpp_proxy.core.station.connectors import STATION, Reservation, Status
from ocpp_proxy.rules.checks.remote16_state import (
    IN_SESSION,
    all_seen,
    blocked,
    fresh,
    numbers,
    status_of,
    told_within_s,
)
from ocpp_proxy.rules.checks.transactions16_past import may_have_waited, stamped_us, was_before
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

RESERVE, CANCEL = "ReserveNow", "CancelReservation"
ZERO = "ReserveConnectorZeroSupported"
ACCEPTED, AVAILABLE, RESERVED = "Accepted", "Available", "Reserved"
BUSY = frozenset((*IN_SESSION, "Preparing", "Finishing"))
# A connector's status → how a reservation of it has to be answered; Rejected is always possible.
ANSWERS: Mapping[str, str] = {
    AVAILABLE: ACCEPTED, RESERVED: "Occupied", "Faulted": "Faulted", "Unavailable": "Unavailable",
    **dict.fromkeys(BUSY, "Occupied"),
}  # fmt: skip
ENDED_KEPT = 64


def zero_supported(now: Now) -> bool | None:
    """Whether connector 0 can be reserved: a key that a whole list lacks says no."""
    settings = now.session.settings
    known = settings.flag(ZERO)
    return False if known is None and settings.find(ZERO) is None and settings.listed is not None else known


# The answer


@dataclass(frozen=True, slots=True)
class _Answer:
    """A ReserveNow that was not answered as the statuses of `places` would have it; `called`: when it was made."""

    status: str
    places: tuple[int, ...]
    shown: str
    expected: str
    called: float
    refs: tuple[FrameRef, ...]


@check("res-status", answer(RESERVE, by="csms"))
def reserve_answered(now: Now) -> Iterator[Hit]:
    number, status = integer(now.request, "connectorId"), now.status
    if number is None or status is None or status not in ANSWERS.values():
        return
    if number == 0:
        yield from _any_connector(now, status)
        return
    told = _told_before(now, number)
    if told is None:
        yield from now.unknown("no status of the connector was seen before it was reserved")
    elif told.name in ANSWERS and status not in _allowed(now, number, told.name):
        wait = _Answer(status, (0, number), f"the connector is {told.name}", ANSWERS[told.name], now.called_time,
                       (told.ref,))
        now.later(told_within_s(now), contradicts, key=number, data=wait)


def _any_connector(now: Now, status: str) -> Iterator[Hit]:
    supported, places = zero_supported(now), numbers(now)
    if supported is None:
        yield from now.unknown(f"{ZERO} was not seen")
    elif not supported:
        key = now.session.settings.find(ZERO)
        yield now.hit(f"ReserveNow for connector 0 was answered {status}, though {ZERO} is not true", "/status",
                      seen=status, expected="Rejected", also=[key.source if key is not None else None])
    elif status == ACCEPTED and integer(now.request, "reservationId") not in now.session.connectors.reservations:
        told = [one for place in places if (one := _told_before(now, place)) is not None and one.name != AVAILABLE]
        if told and len(told) == len(places):
            shown = f"no connector is Available but {' and '.join(sorted({one.name for one in told}))}"
            wait = _Answer(status, places, shown, "Occupied, Faulted or Unavailable", now.called_time,
                           tuple(one.ref for one in told))
            now.later(told_within_s(now), contradicts, key=0, data=wait)


def _told_before(now: Now, number: int) -> Status | None:
    status = status_of(now, number)
    return status if status is not None and status.time < now.called_time else None


def _allowed(now: Now, number: int, name: str) -> set[str]:
    """The answers that fit a connector of that status, all that is known considered."""
    book, station = now.session.connectors, status_of(now, 0)
    allowed = {ANSWERS[name]}
    if station is not None and station.name in ("Faulted", "Unavailable"):
        allowed.add(station.name)
    if name == RESERVED:
        held = book.reserved((number, 0))
        if held is None or integer(now.request, "reservationId") in book.reservations:
            allowed.add(ACCEPTED)  # it takes the place of the one there
    elif name == AVAILABLE:
        known = book.get(number)
        if known is not None and known.wish is not None and known.wish.kind == "Inoperative":
            allowed.add("Unavailable")
        if zero_supported(now) is not False or now.session.transactions.on(number) or book.reserved((number, 0)):
            allowed.add("Occupied")
    return allowed


def contradicts(now: Now, deadline: Deadline) -> Iterator[Hit]:
    wait: _Answer = deadline.data
    if blocked(now) or not all_seen(now, wait.called) or _explained(now, wait):
        return
    yield now.hit(f"ReserveNow was answered {wait.status}, and {wait.shown}", "/status", seen=wait.status,
                  expected=wait.expected, place=deadline.place, also=wait.refs)


def _explained(now: Now, wait: _Answer) -> bool:
    """Whether a connector told meanwhile that it was, or became, what the answer says."""
    names = set(_told_since(now, wait.places, wait.called))
    hidden = wait.status == ACCEPTED and RESERVED in names and now.session.settings.integer("MinimumStatusDuration")
    return bool(hidden) or any(ANSWERS.get(name) == wait.status for name in names)


def _told_since(now: Now, places: Iterable[int], time: float) -> Iterator[str]:
    for place in places:
        known = now.session.connectors.get(place)
        for status in (known.status, known.before) if known is not None else ():
            if status is not None and status.time >= time:
                yield status.name


# The effect


@check("res-effect", answer(RESERVE, by="csms"))
def reserved(now: Now) -> Iterator[Hit]:
    number, reservation = integer(now.request, "connectorId"), integer(now.request, "reservationId")
    if not number or now.status != ACCEPTED:
        return
    told, expiry_us, limit_s = status_of(now, number), moment_us(now.request, "expiryDate"), told_within_s(now)
    if told is None:
        yield from now.unknown("no status of the connector was seen before it was reserved")
    elif told.name == AVAILABLE and (expiry_us is None or expiry_us > now.at.utc_us + limit_s * 1e6):
        now.later(limit_s, not_shown, key=number, data=(number, reservation, now.called_time))


def not_shown(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, reservation, called = deadline.data
    connectors = now.session.connectors
    if connectors.status(number) != AVAILABLE or reservation not in connectors.reservations:
        return
    if RESERVED in _told_since(now, (number,), called) or blocked(now) or not all_seen(now, called):
        return
    yield now.hit(f"ReserveNow was accepted, and no StatusNotification Reserved came within {told_within_s(now):g} s",
                  place=deadline.place)


# The end


@check("res-expire", answer(RESERVE, by="csms"))
def expires(now: Now) -> None:
    number, expiry_us = integer(now.request, "connectorId"), moment_us(now.request, "expiryDate")
    if number and now.status == ACCEPTED and expiry_us is not None and now.session.connectors.get(number) is not None:
        left_s = max(expiry_us - now.at.utc_us, 0) / 1e6
        now.later(left_s + told_within_s(now) + now.bounds.time_warn_s, still_reserved, key=number, across=True,
                  data=(number, integer(now.request, "reservationId")))


def still_reserved(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, reservation = deadline.data
    connectors, link = now.session.connectors, now.link
    known, held = connectors.get(number), connectors.reservations.get(reservation)
    if known is None or known.status is None or known.status.name != RESERVED or held is None or link is None:
        return
    others = [one for one in connectors.reservations.values()
              if one.number != reservation and one.place in ((number, 0), STATION)]
    if any(one.expiry_us is None or one.expiry_us > now.at.utc_us for one in others):
        return
    if not blocked(now) and fresh(now, known.status.time):
        yield now.hit("The reservation has expired, and the connector still tells Reserved", place=deadline.place,
                      expected=AVAILABLE, also=[known.status.ref])


# Who may use it


@check("res-other-tag", call("StartTransaction"))
def other_tag(now: Now) -> Iterator[Hit]:
    number, tag, at_us = integer(now.request, "connectorId"), folded(now.request, "idTag"), stamped_us(now)
    held = now.session.connectors.reserved((number, 0)) if number else None
    if held is None or tag is None or at_us is None or _may_use(now, held, tag):
        return
    shown = _shown(now, number, held)
    if shown is None or was_before(at_us, shown.at_us) or may_have_waited(now, at_us):
        return
    if held.expiry_us is None or at_us < held.expiry_us:
        yield now.hit("A transaction has started for another idTag than the connector is reserved for", "/idTag",
                      also=[held.ref, shown.ref])


def _may_use(now: Now, held: Reservation, tag: str) -> bool:
    """Whether the idTag is that of the reservation, or one of its group, or may be."""
    token = now.session.tokens.get(tag)
    group = token.group if token is not None else None
    if held.token is None or tag == held.token or integer(now.request, "reservationId") == held.number:
        return True
    return held.group is not None if group is None else group in (held.token, held.group)


def _shown(now: Now, number: int | None, held: Reservation) -> Status | None:
    """The status Reserved that goes with the reservation, if nothing came after it but the beginning of a session."""
    known = now.session.connectors.get(number)
    if known is None or known.status is None:
        return None
    status = known.status
    if status.name in IN_SESSION or status.name == "Preparing":
        status = known.before or status
    since = held.time - now.bounds.status_s
    return status if status.name == RESERVED and status.time >= since and fresh(now, status.time) else None


# Its cancellation


@dataclass(slots=True)
class Ended:
    """Reservations that are over, by number: how, where that is on record, and when. The ENDED_KEPT last."""

    known: dict[int, tuple[str, FrameRef, float]] = field(default_factory=dict)


@learn(call("StartTransaction"), answer(CANCEL, by="csms"))
def ended(now: Now) -> None:
    number = integer(now.request, "reservationId")
    if number is None or (now.action == CANCEL and now.status != ACCEPTED):
        return
    book = now.session.book(Ended).known
    book.pop(number, None)
    book[number] = "was cancelled before" if now.action == CANCEL else "was used by a transaction", now.ref, now.time
    if len(book) > ENDED_KEPT:
        del book[next(iter(book))]


@learn(answer(RESERVE, by="csms"))
def begun(now: Now) -> None:
    number = integer(now.request, "reservationId")
    if number is not None and now.status == ACCEPTED:
        now.session.book(Ended).known.pop(number, None)


@check("res-cancel", answer(CANCEL, by="csms"))
def cancelled(now: Now) -> Iterator[Hit]:
    number = integer(now.request, "reservationId")
    held = now.session.connectors.reservations.get(number) if number is not None else None
    if number is None:
        return
    if now.status == "Rejected" and held is not None and _stands(now, held):
        now.later(told_within_s(now), stands_still, key=number, data=(held, now.called_time))
    elif now.status == ACCEPTED and held is None:
        how = now.session.book(Ended).known.get(number)
        if how is not None and all_seen(now, how[2]):
            yield now.hit(f"CancelReservation was accepted, and the reservation {how[0]}", "/status", seen=ACCEPTED,
                          expected="Rejected", also=[how[1]])
        elif how is None and _nothing_reserved(now):
            yield now.hit("CancelReservation was accepted, and no connector is reserved", "/status", seen=ACCEPTED,
                          expected="Rejected", case="nothing-reserved")


def _stands(now: Now, held: Reservation) -> bool:
    """Whether the connector itself says that it is reserved, and by this reservation alone."""
    told = _told_before(now, held.place[0])
    alone = [one for one in now.session.connectors.reservations.values() if one.place == held.place] == [held]
    over = held.expiry_us is not None and held.expiry_us <= now.at.utc_us
    return told is not None and told.name == RESERVED and alone and not over


def _nothing_reserved(now: Now) -> bool:
    places = numbers(now)
    told = [status_of(now, place) for place in places]
    free = bool(places) and all(one is not None and one.name != RESERVED for one in told)
    return free and zero_supported(now) is False and now.session.connectors.reserved(STATION) is None


def stands_still(now: Now, deadline: Deadline) -> Iterator[Hit]:
    held, called = deadline.data
    connectors = now.session.connectors
    if connectors.reservations.get(held.number) != held or connectors.status(held.place[0]) != RESERVED:
        return
    if not blocked(now) and all_seen(now, called):
        yield now.hit("CancelReservation was rejected, and the connector goes on telling Reserved", "/status",
                      seen="Rejected", expected=ACCEPTED, place=deadline.place, connector=held.place[0],
                      also=[held.ref])
