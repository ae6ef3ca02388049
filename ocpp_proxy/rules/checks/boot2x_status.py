"""What a 2.x station has to tell of its connectors after a boot, and after a time offline.

Decides which connectors there are from what the station has told so far: their statuses, and the Connectors of its
device model. Refuses to know of others.

Source: OCPP 2.0.1 and 2.1 Part 2 B01.FR.05, B01.FR.07, B01.FR.13, B04, B11.FR.02, B11.FR.05, G01.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, moment_us, objects, text
from ocpp_proxy.core.station.connectors import CONNECTORS_KEPT, STATION, Place, Reservation, availability_place
from ocpp_proxy.rules.checks.boot2x_standing import BOOT, UNACCEPTED, Standing, settled, tells_of_boot
from ocpp_proxy.rules.checks.busy2x import busy
from ocpp_proxy.rules.now import Deadline, Hit, Now, Overdue
from ocpp_proxy.rules.occasions import IN_2X, OPENED, answer, call, check, learn

STATUSES = ("StatusNotification", "NotifyEvent")
THRESHOLD = "OCPPCommCtrlr.OfflineThreshold"
THRESHOLD_SHARE = 0.1  # so near to it, either side may see it otherwise
ROUNDS = 12            # so often a busy station is given more time
_IN_MODEL = re.compile(r"connector(?:\[[^\]]*\])?#(\d{1,6})/(\d{1,6})\.")


@dataclass(slots=True)
class Told:
    """The connectors whose status was told since the last BootNotification or the start of the newest connection, with
    the status and the frame. `kept`: those whose status a boot must not change, and the frames that say why."""

    statuses: dict[Place, tuple[str, FrameRef]] = field(default_factory=dict)
    kept: dict[Place, tuple[str, tuple[FrameRef, ...]]] = field(default_factory=dict)


class Wait(NamedTuple):
    """What a deadline waits for. `seconds`: how long at first; `before`: the statuses before a short time offline, None
    where all have to be told."""

    places: frozenset[Place]
    seconds: float
    rounds: int
    before: dict[Place, str] | None = None


def told(now: Now) -> Iterator[tuple[Place, str, int | None]]:
    """The statuses of connectors in a StatusNotification or NotifyEvent, each with the payload's own time."""
    request = now.request
    if now.action == "StatusNotification":
        evse, connector = integer(request, "evseId"), integer(request, "connectorId")
        name = text(request, "connectorStatus")
        if evse is not None and connector is not None and name is not None:
            yield (evse, connector), name, moment_us(request, "timestamp")
        return
    for _, event in objects(request, "eventData"):
        place, name = availability_place(event), text(event, "actualValue")
        if place is not None and name is not None:
            yield place, name, moment_us(event, "timestamp")


def connectors(now: Now) -> frozenset[Place]:
    """The connectors of the station, as far as it has told of them."""
    known = now.session.connectors.known
    heard = {place for place, one in known.items() if one.status is not None and place[0] > 0 and place[1] > 0}
    model = {(int(match[1]), int(match[2])) for name in now.session.settings.known if (match := _IN_MODEL.match(name))}
    return frozenset(heard | {place for place in model if place[0] and place[1]})


def named(places: Collection[Place]) -> str:
    shown = [f"{connector} of EVSE {evse}" for evse, connector in sorted(places)[:8]]
    more = f" and {len(places) - 8} more" if len(places) > 8 else ""
    return f"connector {', '.join(shown)}{more}"


def _evse(places: Collection[Place]) -> int | None:
    """The EVSE, where there is but one."""
    evses = {place[0] for place in places}
    return evses.pop() if len(evses) == 1 else None


@learn(OPENED, call(BOOT), versions=IN_2X)
def began(now: Now) -> None:
    now.session.book(Told).statuses.clear()


@learn(call(*STATUSES), versions=IN_2X)
def heard(now: Now) -> None:
    book = now.session.book(Told)
    for place, name, _ in told(now):
        book.kept.pop(place, None)
        if place in book.statuses or len(book.statuses) < CONNECTORS_KEPT:
            book.statuses[place] = name[:40], now.ref


# After a boot


@check("boot201-status-report", answer(BOOT))
def accepted(now: Now) -> None:
    if now.status == "Accepted" and (tells_of_boot(now) or now.session.registration.status != "Accepted"):
        places = connectors(now)
        wait = Wait(places, now.bounds.status_s * (len(places) + 1), ROUNDS)
        now.later(wait.seconds, unreported, data=wait)


@check("boot201-status-report", call(BOOT))
def boots_again(now: Now) -> None:
    now.cancel()


def unreported(now: Now, deadline: Deadline) -> Iterator[Hit]:
    wait, statuses = deadline.data, now.session.book(Told).statuses
    missing = wait.places - statuses.keys()
    if (missing or not statuses) and not _given_time(now, deadline, unreported):
        which = f"No status of {named(missing)}" if missing else "No status of any connector"
        yield now.hit(f"{which} has come within {wait.seconds:g} s after the station was accepted",
                      place=deadline.place, by="station", connector=_evse(missing))


def _given_time(now: Now, deadline: Deadline, then: Overdue) -> bool:
    """More time for a station that has other things to send first."""
    wait = deadline.data
    if wait.rounds == 0 or not busy(now, now.bounds.status_s):
        return False
    now.later(now.bounds.status_s, then, data=wait._replace(rounds=wait.rounds - 1), place=deadline.place)
    return True


# After a time offline


@check("off201-status-report", OPENED)
def back_online(now: Now) -> Iterator[Hit]:
    links, threshold = now.session.links, now.session.settings.integer(THRESHOLD)
    if links.offline_since is None or now.session.registration.status in UNACCEPTED:
        return
    places = connectors(now)
    if threshold is None or not places:
        yield from now.unknown("OfflineThreshold was not seen" if threshold is None else "no connector was seen")
        return
    offline_s = now.time - links.offline_since[0]
    slack_s = max(now.bounds.answer_warn_s, THRESHOLD_SHARE * threshold)
    wait = Wait(places, now.bounds.status_s * (len(places) + 1), ROUNDS)
    if offline_s > threshold + slack_s:
        now.later(wait.seconds, offline_unreported, data=wait)
    elif offline_s < threshold - slack_s:
        known = now.session.connectors
        before = {place: status for place in places if (status := known.status(*place)) is not None}
        now.later(wait.seconds, all_reported, data=wait._replace(before=before))


@check("off201-status-report", call(BOOT))
def boots_instead(now: Now) -> None:
    now.cancel()


@check("off201-status-report", call("TriggerMessage", by="csms"))
def asked_for(now: Now) -> None:
    """Who was asked for its statuses tells them in any case."""
    deadline = now.expected()
    if deadline is not None and deadline.data.before is not None:
        now.cancel()


def offline_unreported(now: Now, deadline: Deadline) -> Iterator[Hit]:
    wait, statuses = deadline.data, now.session.book(Told).statuses
    missing = wait.places - statuses.keys()
    if missing and not _given_time(now, deadline, offline_unreported):
        known = now.session.connectors.known
        last = [one.status.ref for place in sorted(missing) if (one := known.get(place)) and one.status]
        yield now.hit(f"No status of {named(missing)} has come within {wait.seconds:g} s after a time offline longer"
                      " than OfflineThreshold", place=deadline.place, by="station", also=last[:8],
                      connector=_evse(missing))


def all_reported(now: Now, deadline: Deadline) -> Iterator[Hit]:
    before, statuses = deadline.data.before, now.session.book(Told).statuses
    if before and all(place in statuses and statuses[place][0] == name for place, name in before.items()):
        refs = [ref for _, ref in statuses.values()]
        yield now.hit("The status of each connector is told again unchanged after a time offline shorter than"
                      " OfflineThreshold", place=deadline.place, by="station", case="unchanged", frame=refs[0],
                      also=refs[1:9])


# What a boot must not change


@learn(call(BOOT), versions=IN_2X)
def rebooted(now: Now) -> None:
    if not tells_of_boot(now):
        return
    book, known = now.session.book(Told), now.session.connectors
    book.kept.clear()
    if not now.session.book(Standing).sure:
        return
    for place, connector in known.known.items():
        status, wish = connector.status, connector.wish
        if status is None:
            continue
        reservation = _reservation(now, place)
        if status.name == "Unavailable" and wish is not None and wish.kind == "Inoperative":
            book.kept[place] = "Unavailable", (wish.ref, status.ref)
        elif status.name == "Reserved" and reservation is not None:
            book.kept[place] = "Reserved", (reservation.ref, status.ref)


@check("boot201-unavailable-persist", call(*STATUSES))
def changed_by_boot(now: Now) -> Iterator[Hit] | None:
    kept = now.session.book(Told).kept
    if not kept or settled(now) is None:
        return now.unknown("no connector was unavailable or reserved at a boot")
    return _changed_by_boot(now, kept)


def _changed_by_boot(now: Now, kept: dict[Place, tuple[str, tuple[FrameRef, ...]]]) -> Iterator[Hit]:
    for place, name, at_us in told(now):
        if place not in kept:
            continue
        before, refs = kept[place]
        if before == "Unavailable":
            wish = now.session.connectors.of(place).wish
            lost = name in ("Available", "Occupied", "Reserved") and wish is not None and wish.kind == "Inoperative"
        else:
            lost = name == "Available" and _runs_on(_reservation(now, place), at_us)
        if lost:
            yield now.hit(f"The status of {named([place])} is {name} after a boot, and was {before} before",
                          seen=name, expected=before, connector=place[0], also=refs)


def _reservation(now: Now, place: Place) -> Reservation | None:
    book = now.session.connectors
    return book.reserved(place) or book.reserved((place[0], 0)) or book.reserved(STATION)


def _runs_on(reservation: Reservation | None, at_us: int | None) -> bool:
    return (reservation is not None and reservation.expiry_us is not None and at_us is not None
            and at_us < reservation.expiry_us)
