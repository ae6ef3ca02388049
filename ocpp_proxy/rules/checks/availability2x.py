"""What becomes of ChangeAvailability in 2.x.

Station, EVSE and connector have an availability each, and what was asked of each is kept apart: an EVSE that was made
Inoperative stays so when the station is made Operative again.

Keeps what was asked of up to CONNECTORS_KEPT places.

Source: OCPP 2.0.1 and 2.1 Part 2 G03.FR.03 to .07 with note 1, G04.FR.01, G04.FR.04 to .08.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.payload import text
from ocpp_proxy.core.station.connectors import CONNECTORS_KEPT, STATION, Place, Status, asked_place
from ocpp_proxy.rules.checks.boot2x_status import named
from ocpp_proxy.rules.checks.busy2x import busy
from ocpp_proxy.rules.checks.remote16_state import all_seen, fresh
from ocpp_proxy.rules.checks.transactions2x_book import Story, stories
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, check, learn

AVAILABLE, OCCUPIED, RESERVED, UNAVAILABLE = "Available", "Occupied", "Reserved", "Unavailable"
CHANGE = "ChangeAvailability"
ACCEPTED, SCHEDULED = "Accepted", "Scheduled"
# What is asked for → the status that changes for it, and those that it may find there already.
CHANGES: Mapping[str, str] = {"Inoperative": AVAILABLE, "Operative": UNAVAILABLE}
ALREADY: Mapping[str, frozenset[str]] = {
    "Inoperative": frozenset((UNAVAILABLE,)), "Operative": frozenset((AVAILABLE, OCCUPIED, RESERVED)),
}  # fmt: skip
FREE = frozenset((AVAILABLE, UNAVAILABLE, "Faulted"))
ROUNDS = 6  # so often a busy station is given more time


def relied_on(now: Now, place: Place) -> Status | None:
    """The last status of a connector, if nothing can have changed it unseen."""
    known = now.session.connectors.get(*place)
    return known.status if known is not None and known.status is not None and fresh(now, known.status.time) else None


@dataclass(slots=True)
class Asked:
    """The availability that was asked for last, and not refused, of a station, an EVSE or a connector as such."""

    kinds: dict[Place, tuple[str, float]] = field(default_factory=dict)

    def inoperative(self, place: Place) -> bool:
        return self.kinds.get(place, ("", 0.0))[0] == "Inoperative"


@learn(answer(CHANGE, by="csms"))
def learn_asked(now: Now) -> None:
    place, kind = asked_place(now), text(now.request, "operationalStatus") or ""
    if now.version == "1.6" or place is None or kind not in CHANGES or now.status not in (ACCEPTED, SCHEDULED):
        return
    book = now.session.book(Asked).kinds
    book.pop(place, None)
    book[place] = kind, now.time
    if len(book) > CONNECTORS_KEPT:
        del book[next(iter(book))]


class _Wait(NamedTuple):
    """`places`: the connectors whose status has to change from `name`; `kind`: what was asked of `asked`."""

    places: tuple[Place, ...]
    name: str
    kind: str
    asked: Place
    time: float
    called: float
    rounds: int


def under(now: Now, place: Place) -> list[Place]:
    """The connectors that have told a status, of what a request is about."""
    return sorted(
        key for key, one in now.session.connectors.known.items()
        if one.status is not None and key[0] and key[1] and place in (STATION, (key[0], 0), key)
    )  # fmt: skip


def runs(now: Now, place: Place = STATION) -> Story | None:
    """A transaction of what the request is about that certainly was under way when it came."""
    for story in stories(now).running():
        if place == STATION or (story.evse == place[0] and (not place[1] or story.connector in (None, place[1]))):
            offline = now.session.links.offline_between(story.last_time, now.time)
            heard = story.last_time <= now.called_time and all_seen(now, story.last_time)
            if story.alive(now.session) and heard and not offline:
                return story
    return None


@check("avail201", answer(CHANGE, by="csms"))
def availability_answered(now: Now) -> Iterator[Hit]:
    place, kind = asked_place(now), text(now.request, "operationalStatus") or ""
    if place is None or kind not in CHANGES or now.status is None:
        return
    places = under(now, place)
    if not places:
        yield from now.unknown("no status of the connectors was seen before their availability was changed")
        return
    if _already(now, place, kind, places):
        if now.status != ACCEPTED:
            yield _wrong(now, f"for what is {kind} already", ACCEPTED)
        return
    story = runs(now, place)
    if kind == "Inoperative" and story is not None and now.status == ACCEPTED:
        yield _wrong(now, "while a transaction runs", SCHEDULED, story)
    elif now.status == SCHEDULED and _idle(now, places):
        yield _wrong(now, "although no transaction runs", ACCEPTED)
    elif now.status == ACCEPTED and (changing := _changing(now, place, kind, places)):
        wait = _Wait(changing, CHANGES[kind], kind, place, now.time, now.called_time, ROUNDS)
        now.later(now.bounds.status_s * (len(changing) + 1), no_effect, key=place, data=wait)


def _wrong(now: Now, why: str, expected: str, story: Story | None = None) -> Hit:
    kind, status = text(now.request, "operationalStatus"), (now.status or "")[:40]
    return now.hit(f"ChangeAvailability to {kind} was answered {status} {why}", "/status", seen=status,
                   expected=expected, transaction=story.name if story is not None else None,
                   also=[story.first] if story is not None else [])


def _already(now: Now, place: Place, kind: str, places: list[Place]) -> bool:
    """Whether all of it certainly is in the state asked for."""
    asked = now.session.book(Asked)
    inoperative = [one for one in (place, *places) if asked.inoperative(one)]
    if (kind == "Inoperative") != asked.inoperative(place) or (kind == "Operative" and inoperative):
        return False
    told = [relied_on(now, one) for one in places]
    return all(one is not None and one.name in ALREADY[kind] and one.time < now.called_time for one in told)


def _idle(now: Now, places: list[Place]) -> bool:
    told = [relied_on(now, one) for one in places]
    free = all(one is not None and one.name in FREE and one.time < now.called_time for one in told)
    return free and not any(stories(now).running()) and not now.session.transactions.open


def _changing(now: Now, place: Place, kind: str, places: list[Place]) -> tuple[Place, ...]:
    """The connectors whose status has to change now; not those that have another reason to be Unavailable."""
    asked = now.session.book(Asked)
    if kind == "Operative" and (not asked.inoperative(place) or _reset_pending(now)):
        return ()
    told = [(one, relied_on(now, one)) for one in places]
    return tuple(
        one for one, status in told if status is not None and status.name == CHANGES[kind]
        and (kind == "Inoperative" or not any(map(asked.inoperative, {STATION, (one[0], 0), one} - {place})))
    )  # fmt: skip


def _reset_pending(now: Now) -> bool:
    """A station that waits to reset itself keeps its free connectors Unavailable."""
    reset, booted = now.session.commands.latest("Reset"), now.session.registration.since
    return reset is not None and reset.status == SCHEDULED and (booted is None or booted < reset.time)


def no_effect(now: Now, deadline: Deadline) -> Iterator[Hit]:
    wait: _Wait = deadline.data
    if not all_seen(now, wait.called):
        return
    anew = any(time > wait.time for _, time in now.session.book(Asked).kinds.values())
    silent = [one for one in wait.places if now.session.connectors.status(*one) == wait.name]
    if not silent or anew:
        return
    if busy(now, now.bounds.status_s):
        if wait.rounds:
            now.later(now.bounds.status_s, no_effect, key=wait.asked, data=wait._replace(rounds=wait.rounds - 1),
                      place=deadline.place)
        return
    yield now.hit(f"ChangeAvailability to {wait.kind} was accepted, and {named(silent)} has not told of it within "
                  f"{now.bounds.status_s * (len(wait.places) + 1):g} s", place=deadline.place,
                  expected=UNAVAILABLE if wait.kind == "Inoperative" else AVAILABLE)
