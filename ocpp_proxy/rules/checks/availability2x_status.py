"""What the statuses of connectors of 2.x say, and whether they go with cables, reservations and what was scheduled.

A status is told by StatusNotification or by a NotifyEvent about the AvailabilityState of a Connector.

Keeps when up to CONNECTORS_KEPT connectors became Occupied.

Source: OCPP 2.0.1 and 2.1 Part 2 G01.FR.01, G01.FR.03 to .06, G01.FR.08, G01.FR.09, G03.FR.05; OCPP 2.0.1 errata 2.28
and 2.29.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.payload import folded, integer, objects, text
from ocpp_proxy.core.station.connectors import (
    CONNECTORS_KEPT,
    STATION,
    Place,
    Reservation,
    Status,
    availability_place,
)
from ocpp_proxy.rules.checks.availability2x import AVAILABLE, OCCUPIED, RESERVED, SCHEDULED, UNAVAILABLE, relied_on
from ocpp_proxy.rules.checks.boot2x_status import STATUSES, named
from ocpp_proxy.rules.checks.busy2x import waits
from ocpp_proxy.rules.checks.remote16_state import all_seen
from ocpp_proxy.rules.checks.transactions2x_book import CONNECTED, Event, Story, fresh, stories
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import call, check

KNOWN = frozenset((AVAILABLE, OCCUPIED, RESERVED, UNAVAILABLE, "Faulted"))
TOGETHER_S = 10.0


class Told(NamedTuple):
    """A connector's status as told."""

    place: Place
    name: str
    pointer: str


@dataclass(slots=True)
class Plugged:
    """When connectors became Occupied."""

    since: dict[Place, float] = field(default_factory=dict)


def told_in(now: Now) -> tuple[Told, ...]:
    return now.once(_told)


def _told(now: Now) -> tuple[Told, ...]:
    request = now.request
    if now.injected:
        return ()
    if now.action == "StatusNotification":
        name = text(request, "connectorStatus")
        evse, connector = integer(request, "evseId"), integer(request, "connectorId")
        if name is None or evse is None or connector is None:
            return ()
        return (Told((evse, connector), name, "/connectorStatus"),)
    return tuple(
        Told(place, name, f"/eventData/{number}/actualValue") for number, event in objects(request, "eventData")
        if (place := availability_place(event)) is not None and (name := text(event, "actualValue")) is not None
    )  # fmt: skip


def _before(now: Now, told: Told) -> Status | None:
    """The status that the connector has changed from, None where it has not or where this is not certain."""
    known = now.session.connectors.get(*told.place)
    last = known.status if known is not None else None
    return relied_on(now, told.place) if last is not None and last.name != told.name else None


@check("status201-enum", call("NotifyEvent"))
def unknown_status(now: Now) -> Iterator[Hit]:
    for told in told_in(now):
        if told.name not in KNOWN:
            yield now.hit(f"AvailabilityState of a Connector is {told.name[:40]}", told.pointer, seen=told.name[:40],
                          expected=sorted(KNOWN), connector=told.place[0])


@check("status201-other-connector", call(*STATUSES))
def other_connector(now: Now) -> Iterator[Hit]:
    plugged = now.session.book(Plugged).since
    for told in told_in(now):
        if told.name != OCCUPIED:
            plugged.pop(told.place, None)
        elif (before := _before(now, told)) is not None:
            evse = told.place[0]
            with_it = [place for place, time in plugged.items()
                       if place[0] == evse and place != told.place and now.time - time <= TOGETHER_S]
            if with_it:
                yield now.hit(f"At the same time {named([*with_it, told.place])} became Occupied", told.pointer,
                              seen=OCCUPIED, expected=before.name, connector=evse, also=[before.ref])
            if len(plugged) < CONNECTORS_KEPT:
                plugged[told.place] = now.time


# What a cable changes


@check("status201-transition", call("TransactionEvent"))
def cable(now: Now) -> None:
    one = fresh(now)
    if one is None or one.event.offline or one.event.kind == "Ended":
        return
    event, story = one.event, one.story
    if event.reason == "CablePluggedIn":
        places = _places(now, event, story)
        if places and all(_is(now, place, AVAILABLE) for place in places):
            now.later(now.bounds.status_s, not_occupied, key=("plug", places[0]), data=(places, now.time, event.tx))
    elif event.state == "Idle" and story is not None and story.state in CONNECTED and one.in_turn:
        places = _places(now, event, story)
        if any(_is(now, place, OCCUPIED) for place in places):
            now.later(now.bounds.status_s, not_free, key=("idle", places[0]), data=(places, now.time, event.tx))


def _places(now: Now, event: Event, story: Story | None) -> tuple[Place, ...]:
    """The connector, or those of the EVSE where it is not known; () where nothing has told of them."""
    evse, connector = event.evse, event.connector
    if evse is None and story is not None:
        evse, connector = story.evse, story.connector
    if evse is None:
        return ()
    told = tuple(one.place for one in now.session.connectors.of_evse(evse))
    return told if connector is None else ((evse, connector),) if (evse, connector) in told else ()


def _is(now: Now, place: Place, name: str) -> bool:
    status = relied_on(now, place)
    return status is not None and status.name == name


def not_occupied(now: Now, deadline: Deadline) -> Iterator[Hit]:
    places, since, name = deadline.data
    story = stories(now).by_id.get(name)
    if story is None or not story.open or waits(now) or not all_seen(now, since):
        return
    if all(_is(now, place, AVAILABLE) and not _was(now, place, OCCUPIED, since) for place in places):
        yield now.hit(f"A cable was plugged in, and no status Occupied came within {now.bounds.status_s:g} s",
                      place=deadline.place, expected=OCCUPIED, connector=places[0][0])


def _was(now: Now, place: Place, name: str, since: float) -> bool:
    known = now.session.connectors.get(*place)
    return known is not None and known.before is not None and known.before.name == name and known.before.time >= since


def not_free(now: Now, deadline: Deadline) -> Iterator[Hit]:
    places, since, name = deadline.data
    story = stories(now).by_id.get(name)
    if story is None or story.state != "Idle" or not story.open or waits(now) or not all_seen(now, since):
        return
    occupied = [place for place in places if _is(now, place, OCCUPIED)]
    if occupied == [place for place in places if relied_on(now, place) is not None]:
        yield now.hit("The car is gone by its chargingState, and the connector is Occupied still", place=deadline.place,
                      seen=OCCUPIED, expected=f"{AVAILABLE} or {UNAVAILABLE}", connector=places[0][0], case="idle")


@check("status201-transition", call(*STATUSES))
def changed(now: Now) -> None:
    for told in told_in(now):
        before = _before(now, told) if told.name in (AVAILABLE, OCCUPIED) else None
        if before is None:
            continue
        if told.name == AVAILABLE and before.name == OCCUPIED:
            known = now.session.connectors.get(*told.place)
            wish = known.wish if known is not None else None
            if wish is not None and (wish.kind, wish.status) == ("Inoperative", SCHEDULED):
                now.later(now.bounds.status_s, still_free, key=("scheduled", told.place),
                          data=(told.place, wish, now.time))
        elif told.name == OCCUPIED and before.name == RESERVED:
            held = _reservation(now, told.place)
            if held is not None:
                now.later(now.bounds.start_s, not_meant, key=("reserved", told.place),
                          data=(told.place, held, now.time, before.ref))


def still_free(now: Now, deadline: Deadline) -> Iterator[Hit]:
    place, wish, since = deadline.data
    known = now.session.connectors.get(*place)
    if known is None or known.wish != wish or not _is(now, place, AVAILABLE) or waits(now):
        return
    if not any(stories(now).running()) and all_seen(now, since):
        yield now.hit("The connector is Available although its change to Inoperative was scheduled and no transaction"
                      " runs", place=deadline.place, seen=AVAILABLE, expected=UNAVAILABLE, connector=place[0],
                      also=[wish.ref])


def _reservation(now: Now, place: Place) -> Reservation | None:
    book = now.session.connectors
    return book.reserved((place[0], 0)) or book.reserved(STATION)


def not_meant(now: Now, deadline: Deadline) -> Iterator[Hit]:
    place, held, since, before = deadline.data
    if now.session.connectors.reservations.get(held.number) != held or not _is(now, place, OCCUPIED) or waits(now):
        return
    over = held.expiry_us is not None and held.expiry_us <= now.at.utc_us
    if not over and all_seen(now, since) and not presented(now, held):
        yield now.hit("The connector was Reserved and became Occupied, and nobody presented the token that it is"
                      " reserved for", place=deadline.place, seen=OCCUPIED, expected=RESERVED, connector=place[0],
                      also=[held.ref, before])


def presented(now: Now, held: Reservation) -> bool:
    """Whether the token of the reservation, or one that may be of its group, was seen since it was made."""
    session = now.session
    if held.token is None:
        return True
    if any(token in (held.token, None) or held.group is not None
           for token in (folded(one.request, "idToken.idToken")
                         for one in session.commands.since(held.time, "RequestStartTransaction"))):
        return True
    lately = [token for token, known in session.tokens.known.items() if known.time >= held.time]
    begun = [one.token for one in stories(now).by_id.values() if one.last_time >= held.time]
    return held.token in lately or held.token in begun or (held.group is not None and bool(lately or begun))
