"""Reservations of 2.x: how they are answered, shown on all connectors of the EVSE, and ended.

The EVSE's state is taken from its connectors' statuses. Messages cross, so that an answer contradicts them only once
the time for a status has gone by without one that explains it.

Source: OCPP 2.0.1 and 2.1 Part 2 H01.FR.02, H01.FR.11 to .14, H01.FR.16, H01.FR.17, H01.FR.19, H01.FR.23, H03.FR.09,
H04.FR.01 to .03.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, moment_us, text
from ocpp_proxy.core.station.connectors import STATION, Place, Reservation
from ocpp_proxy.rules.checks.availability2x import AVAILABLE, OCCUPIED, RESERVED, UNAVAILABLE, relied_on
from ocpp_proxy.rules.checks.availability2x_status import presented, told_in
from ocpp_proxy.rules.checks.boot2x_status import STATUSES, named
from ocpp_proxy.rules.checks.busy2x import busy, waits
from ocpp_proxy.rules.checks.remote16_state import all_seen
from ocpp_proxy.rules.checks.transactions2x_book import stories
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

RESERVE, UPDATE = "ReserveNow", "ReservationStatusUpdate"
ACCEPTED, FAULTED = "Accepted", "Faulted"
ANY_EVSE = "ReservationCtrlr.NonEvseSpecific"
OUT_OF_ORDER = frozenset((FAULTED, UNAVAILABLE))
# The state of an EVSE → how its reservation has to be answered; Rejected is always possible.
ANSWERS: Mapping[str, str] = {
    AVAILABLE: ACCEPTED, OCCUPIED: OCCUPIED, RESERVED: OCCUPIED, FAULTED: FAULTED, UNAVAILABLE: UNAVAILABLE,
}  # fmt: skip
ROUNDS = 6  # so often a busy station is given more time


def places_of(now: Now, evse: int) -> list[Place]:
    return sorted(one.place for one in now.session.connectors.of_evse(evse))


def state_of(names: set[str]) -> str | None:
    """The state of an EVSE whose connectors have these statuses, None where they do not tell."""
    if names & {OCCUPIED, RESERVED}:
        return OCCUPIED if OCCUPIED in names else RESERVED
    if AVAILABLE in names:
        return AVAILABLE
    return next(iter(names)) if len(names) == 1 and names <= OUT_OF_ORDER else None


# The answer


class _Answer(NamedTuple):
    """A ReserveNow that was not answered as the EVSE's state would have it; `called`: when it was made."""

    status: str
    state: str
    places: list[Place]
    called: float
    refs: list[FrameRef]


@check("res201", answer(RESERVE, by="csms"))
def reserve_answered(now: Now) -> Iterator[Hit]:
    evse, status = integer(now.request, "evseId"), now.status
    if status is None or status not in ANSWERS.values():
        return
    if not evse:
        if now.session.settings.flag(ANY_EVSE) is False:
            setting = now.session.settings.find(ANY_EVSE)
            yield now.hit(f"ReserveNow without an EVSE was answered {status}, though NonEvseSpecific is false",
                          "/status", seen=status, expected="Rejected", also=[setting.source if setting else None])
        return
    places = places_of(now, evse)
    told = [one for place in places if (one := relied_on(now, place)) is not None and one.time < now.called_time]
    state = state_of({one.name for one in told}) if told and len(told) == len(places) else None
    if state is None:
        yield from now.unknown("the state of the EVSE was not seen before it was reserved")
    elif status not in _allowed(now, evse, state):
        now.later(now.bounds.status_s, contradicts, key=("answer", evse),
                  data=_Answer(status, state, places, now.called_time, [one.ref for one in told]))


def _allowed(now: Now, evse: int, state: str) -> set[str]:
    """The answers that fit an EVSE of that state, all that is known considered."""
    book, number = now.session.connectors, integer(now.request, "id")
    held = book.reserved((evse, 0))
    allowed = {ANSWERS[state]}
    if state == RESERVED and (held is None or number in book.reservations):
        allowed.add(ACCEPTED)  # it takes the place of the one there
    if state == AVAILABLE:
        wishes = [known.wish for place in ((evse, 0), STATION) if (known := book.get(*place)) is not None]
        if any(wish is not None and wish.kind == "Inoperative" for wish in wishes):
            allowed.add(UNAVAILABLE)
        if (now.session.settings.flag(ANY_EVSE) is not False or held is not None
                or stories(now).open_on(evse) is not None):
            allowed.add(OCCUPIED)
    return allowed


def contradicts(now: Now, deadline: Deadline) -> Iterator[Hit]:
    wait: _Answer = deadline.data
    if waits(now) or not all_seen(now, wait.called):
        return
    if not any(ANSWERS.get(name) == wait.status for name in _told_since(now, wait.places, wait.called)):
        yield now.hit(f"ReserveNow was answered {wait.status}, and the EVSE is {wait.state}", "/status",
                      seen=wait.status, expected=ANSWERS[wait.state], place=deadline.place, also=wait.refs)


def _told_since(now: Now, places: list[Place], time: float) -> Iterator[str]:
    for place in places:
        known = now.session.connectors.get(*place)
        for status in (known.status, known.before) if known is not None else ():
            if status is not None and status.time >= time:
                yield status.name


# What has to be told of it


class _Wait(NamedTuple):
    """`places`: the connectors that have to tell, of a reservation (its number) that was made by a Call at `called`."""

    places: list[Place]
    number: int
    called: float
    rounds: int = ROUNDS


@check("res201", answer(RESERVE, by="csms"))
def reserved(now: Now) -> None:
    evse, number = integer(now.request, "evseId"), integer(now.request, "id")
    expiry_us = moment_us(now.request, "expiryDateTime")
    if now.status != ACCEPTED or number is None or (evse and not places_of(now, evse)):
        return
    if expiry_us is not None and expiry_us > now.at.utc_us:
        left_s = (expiry_us - now.at.utc_us) / 1e6
        now.later(left_s + now.bounds.status_s + now.bounds.time_warn_s, not_expired, key=("expiry", evse or 0),
                  data=(number, evse or 0), across=True)
        places = [place for place in places_of(now, evse or 0)
                  if (status := relied_on(now, place)) is not None and status.name == AVAILABLE]
        within_s = now.bounds.status_s * (len(places) + 1)
        if places and left_s > within_s:
            now.later(within_s, not_shown, key=("effect", evse), data=_Wait(places, number, now.called_time))


def not_shown(now: Now, deadline: Deadline) -> Iterator[Hit]:
    wait: _Wait = deadline.data
    held = now.session.connectors.reservations.get(wait.number)
    if held is None or not all_seen(now, wait.called) or presented(now, held):
        return
    silent = [place for place in wait.places if now.session.connectors.status(*place) == AVAILABLE
              and RESERVED not in _told_since(now, [place], wait.called)]
    if silent and not _given_time(now, deadline, wait, ("effect", held.place[0])):
        yield now.hit(f"ReserveNow was accepted, and {named(silent)} has not told Reserved within "
                      f"{now.bounds.status_s * (len(wait.places) + 1):g} s", place=deadline.place, expected=RESERVED,
                      connector=held.place[0])


def _given_time(now: Now, deadline: Deadline, wait: _Wait, key: tuple[str, int]) -> bool:
    """More time for a station that has other things to send first; in the end nothing is said of one that has."""
    if not busy(now, now.bounds.status_s):
        return False
    if wait.rounds:
        now.later(now.bounds.status_s, not_shown, key=key, data=wait._replace(rounds=wait.rounds - 1),
                  place=deadline.place)
    return True


# The end


def not_expired(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, evse = deadline.data
    held, link = now.session.connectors.reservations.get(number), now.link
    slack_s = now.bounds.status_s + now.bounds.time_warn_s
    if held is None or link is None or held.expiry_us is None or held.expiry_us > now.at.utc_us or waits(now):
        return
    if now.session.links.offline_between(now.time - slack_s, now.time) or not all_seen(now, held.time):
        return
    if not _out_of_order(now, evse) and not presented(now, held):
        yield now.hit("The reservation has expired, and no ReservationStatusUpdate has told of it",
                      place=deadline.place, expected="ReservationStatusUpdate Expired", connector=evse or None)


def _out_of_order(now: Now, evse: int) -> bool:
    names = {now.session.connectors.status(*place) for place in places_of(now, evse)}
    return bool(names) and names <= OUT_OF_ORDER


@check("res201", call(UPDATE))
def ended(now: Now) -> None:
    number = integer(now.request, "reservationId")
    held = now.session.connectors.reservations.get(number) if number is not None else None
    if held is None or not held.place[0] or text(now.request, "reservationUpdateStatus") != "Expired":
        return
    places = [place for place in places_of(now, held.place[0])
              if (status := relied_on(now, place)) is not None and status.name == RESERVED]
    if places:
        now.later(now.bounds.status_s * (len(places) + 1), still_reserved, key=("free", held.place[0]),
                  data=(places, now.time))


def still_reserved(now: Now, deadline: Deadline) -> Iterator[Hit]:
    places, since = deadline.data
    connectors, evse = now.session.connectors, places[0][0]
    if connectors.reserved((evse, 0)) or connectors.reserved(STATION) or busy(now, now.bounds.status_s):
        return
    silent = [place for place in places if connectors.status(*place) == RESERVED]
    if silent and all_seen(now, since):
        yield now.hit(f"The reservation has expired, and {named(silent)} still tells Reserved", place=deadline.place,
                      seen=RESERVED, expected=AVAILABLE, connector=evse)


@check("res201", call(*STATUSES))
def out_of_order(now: Now) -> None:
    book = now.session.connectors
    if not book.reservations:
        return
    for told in told_in(now):
        evse = told.place[0]
        held = book.reserved((evse, 0)) if told.name in OUT_OF_ORDER else None
        if held is None or book.status(*told.place) in OUT_OF_ORDER:
            continue
        if all(book.status(*place) in OUT_OF_ORDER for place in places_of(now, evse) if place != told.place):
            now.later(now.bounds.status_s, not_removed, key=("removed", evse), data=(held, told.name, now.time))


def not_removed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    held, name, since = deadline.data
    known: Reservation | None = now.session.connectors.reservations.get(held.number)
    if known != held or not _out_of_order(now, held.place[0]) or waits(now) or not all_seen(now, since):
        return
    if held.expiry_us is None or held.expiry_us > now.at.utc_us:
        yield now.hit(f"A reserved EVSE has become {name}, and no ReservationStatusUpdate has told that the reservation"
                      " is gone", place=deadline.place, expected="ReservationStatusUpdate Removed",
                      connector=held.place[0], also=[held.ref])
