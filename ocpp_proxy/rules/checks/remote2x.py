"""What a 2.x station makes of RequestStartTransaction, RequestStopTransaction and UnlockConnector.

Whether a start has to follow depends on TxStartPoint and on the car; a transaction that may have ended unseen, or whose
authorization is not known, is not held against the station.

Source: OCPP 2.0.1 and 2.1 Part 2, F01.FR.03, F01.FR.13, F01.FR.19, F01.FR.21 to .25, F02.FR.01, F02.FR.21, F02.FR.23 to
.26, F03.FR.02, F03.FR.03, F03.FR.07, F03.FR.08, F05.FR.02, F05.FR.03.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.payload import folded, integer, kept, text
from ocpp_proxy.core.station.tokens import info_in, token_in
from ocpp_proxy.rules.checks.transactions2x_book import Story, said, stories
from ocpp_proxy.rules.checks.transactions2x_points import START, TIMEOUT, points
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

STARTS_KEPT = 16
OUT_OF_ORDER = frozenset(("Unavailable", "Faulted"))
WITH_CAR = frozenset(("Authorized", "EVConnected", "ParkingBayOccupancy", "PowerPathClosed"))  # car and token will do
BOOTED_S = 30.0    # after which every connector should have told its status
ACCEPTED = "Accepted"


@dataclass(frozen=True, slots=True)
class Start:
    """An accepted RequestStartTransaction. `token`: folded; `late`: its second deadline, after EVConnectionTimeOut."""

    number: int
    evse: int | None
    token: str | None
    late: bool = False


@dataclass(slots=True)
class Starts:
    """Those that no TransactionEvent has told of, by remoteStartId."""

    open: dict[int, Start] = field(default_factory=dict)


# The start follows


@learn(answer("RequestStartTransaction", by="csms"))
def learn_start(now: Now) -> None:
    if now.status == ACCEPTED and (start := _start(now)) is not None:
        book = now.session.book(Starts).open
        book.pop(start.number, None)
        book[start.number] = start
        if len(book) > STARTS_KEPT:
            del book[next(iter(book))]


def _start(now: Now) -> Start | None:
    number = integer(now.request, "remoteStartId")
    return Start(number, integer(now.request, "evseId"), token_in(now.request)) if number is not None else None


@check("remote201-start", answer("RequestStartTransaction", by="csms"))
def start_accepted(now: Now) -> None:
    start = _start(now)
    if start is None or now.status != ACCEPTED:
        return
    if not any(_crossed(now, one, start) for one in stories(now).by_id.values()):
        now.later(now.bounds.start_s, not_started, key=start.number, data=start)


def _crossed(now: Now, story: Story, start: Start) -> bool:
    """Whether the start was told before it was accepted."""
    if story.last_time < now.called_time or story.last is None:
        return False
    nameless = story.remote_id is None and story.last.reason == "RemoteStart" and story.evse == start.evse
    return story.remote_id == start.number or nameless


@check("remote201-start", call("TransactionEvent"))
def start_told(now: Now) -> None:
    event = said(now)
    if event is None:
        return
    for start in _meant(now, event.remote_id, event.evse, event.token, remote=event.reason == "RemoteStart"):
        now.cancel(start.number)


@check("remote201-start", answer("Authorize"))
def start_refused(now: Now) -> None:
    """A token that is not accepted starts nothing."""
    status = text(info_in(now.response), "status")
    if status is None or status == ACCEPTED:
        return
    token = token_in(now.request)
    for start in now.session.book(Starts).open.values():
        if start.token == token:
            now.cancel(start.number)


def _meant(
    now: Now, number: int | None, evse: int | None, token: str | None, *, remote: bool
) -> Iterator[Start]:
    """The remote starts that an event tells of; that it has to name the number is another rule's."""
    for start in now.session.book(Starts).open.values():
        alike = (token is not None and start.token == token) or (evse is not None and start.evse == evse)
        if start.number == number or (number is None and remote and alike):
            yield start


@learn(call("TransactionEvent"))
def forget_start(now: Now) -> None:
    event = said(now)
    if event is not None and event.remote_id is not None:
        now.session.book(Starts).open.pop(event.remote_id, None)


def not_started(now: Now, deadline: Deadline) -> Iterator[Hit]:
    start: Start = deadline.data
    allowed, running = points(now, START), stories(now).open_on(start.evse)
    if running is not None and running.alive(now.session):
        yield _no_start(now, deadline, "for an EVSE with a transaction")
    elif allowed is not None and "Authorized" in allowed:
        yield _no_start(now, deadline, "with Authorized in TxStartPoint")
    elif _plugged(now, start.evse) and (allowed is None or not WITH_CAR.isdisjoint(allowed)):
        yield _no_start(now, deadline, "for an EVSE with a car", "point" if allowed is None else None)
    elif not start.late:
        limit_s = now.session.settings.integer(TIMEOUT) or 0
        more_s = limit_s + now.bounds.status_s - now.bounds.start_s
        if more_s > 0:
            now.later(more_s, not_started, key=start.number, place=deadline.place,
                      data=Start(start.number, start.evse, start.token, True))  # fmt: skip


def _no_start(now: Now, deadline: Deadline, where: str, case: str | None = None) -> Hit:
    return now.hit(f"RequestStartTransaction was accepted {where}, and no TransactionEvent told of it in time",
                   expected="triggerReason RemoteStart and remoteStartId", case=case, place=deadline.place,
                   by="station")  # fmt: skip


def _plugged(now: Now, evse: int | None) -> bool:
    """Whether a car has been at the EVSE for a while, by the statuses of its connectors."""
    if evse is None:
        return False
    statuses = [one.status for one in now.session.connectors.of_evse(evse) if one.status is not None]
    return any(one.name == "Occupied" and now.time - one.time >= now.bounds.status_s for one in statuses)


# What must not be accepted


@check("remote201-start-reject", answer("RequestStartTransaction", by="csms"))
def start_wrongly(now: Now) -> Iterator[Hit]:
    evse = integer(now.request, "evseId")
    if evse is None or now.status != ACCEPTED:
        return
    why = _out_of_order(now, evse) or _taken(now, evse) or _reserved(now, evse)
    if why is not None:
        yield now.hit(f"RequestStartTransaction is accepted for an EVSE that {why}", "/status", seen=ACCEPTED,
                      expected="Rejected")


def _out_of_order(now: Now, evse: int) -> str | None:
    """Its connectors' last statuses, if all of them say so and nothing can have changed unseen."""
    statuses = [one.status for one in now.session.connectors.of_evse(evse) if one.status is not None]
    names = {one.name for one in statuses}
    oldest = min((one.time for one in statuses), default=0.0)
    recent = all(one.time <= now.called_time for one in statuses)
    if not names or not names <= OUT_OF_ORDER or not recent or now.session.links.offline_between(oldest, now.time):
        return None
    return f"is {' and '.join(sorted(names))}"


def _taken(now: Now, evse: int) -> str | None:
    story = stories(now).open_on(evse)
    known = story is not None and story.authorized and story.last_time <= now.called_time
    return "has an authorized transaction" if known and story is not None and story.alive(now.session) else None


def _reserved(now: Now, evse: int) -> str | None:
    token, group = token_in(now.request), folded(now.request, "groupIdToken", "idToken")
    held = now.session.connectors.reserved((evse, 0))
    shown = any(one.status is not None and one.status.name == "Reserved"
                for one in now.session.connectors.of_evse(evse))
    if held is None or not shown or held.token is None or held.token == token:
        return None
    return None if held.group is not None and held.group == group else "is reserved for another token"


@check("remote201-txid", answer("RequestStartTransaction", by="csms"))
def start_without_id(now: Now) -> Iterator[Hit]:
    story = stories(now).open_on(integer(now.request, "evseId"))
    if story is None or now.status != ACCEPTED or story.authorized is not False or story.begun is None:
        return
    if not story.alive(now.session) or story.last_time > now.called_time or story.reasons & {"StopAuthorized"}:
        return
    told = kept(now.response, "transactionId")
    if told is None or told.casefold() != story.name.casefold():
        what = "has no transactionId" if told is None else "has another transactionId"
        yield now.hit(f"The transaction on the EVSE waits for authorization, and the response {what}",
                      "/transactionId", seen=told, expected=story.name, transaction=story.name, also=[story.first])


# The stop


@check("remote201-stop", answer("RequestStopTransaction", by="csms"))
def stop_answered(now: Now) -> Iterator[Hit]:
    name, book = kept(now.request, "transactionId"), stories(now)
    if name is None or now.status not in (ACCEPTED, "Rejected"):
        return
    story = book.get(name)
    if now.status == "Rejected":
        if story is not None and story.alive(now.session) and story.last_time <= now.called_time and book.whole(story):
            now.later(now.bounds.stop_s, still_open, key=("rejected", name.casefold()), data=name)
    elif story is not None and story.ended is not None:
        if story.ended_time < now.called_time:
            yield now.hit("RequestStopTransaction is accepted for a transaction that had ended", "/status",
                          seen=ACCEPTED, expected="Rejected", also=[story.ended.ref])
    elif story is None or "RemoteStop" not in story.reasons or story.last_time < now.called_time:
        now.later(now.bounds.stop_s, not_stopped, key=name.casefold())


@check("remote201-stop", call("TransactionEvent"))
def stop_told(now: Now) -> None:
    event = said(now)
    if event is not None and (event.reason == "RemoteStop" or event.kind == "Ended"):
        now.cancel(event.tx)


def not_stopped(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"RequestStopTransaction was accepted, and no TransactionEvent RemoteStop came within "
                  f"{now.bounds.stop_s:g} s", expected="triggerReason RemoteStop", place=deadline.place, by="station")


def still_open(now: Now, deadline: Deadline) -> Iterator[Hit]:
    book = stories(now)
    story = book.get(deadline.data)
    if story is not None and story.alive(now.session) and book.whole(story):
        yield now.hit("RequestStopTransaction is rejected for a transaction that is running", "/status",
                      seen="Rejected", expected=ACCEPTED, place=deadline.place, by="station", connector=story.evse,
                      also=[story.first])  # fmt: skip


# The lock


@check("unlock201", answer("UnlockConnector", by="csms"))
def unlock(now: Now) -> Iterator[Hit]:
    evse, connector, status = integer(now.request, "evseId"), integer(now.request, "connectorId"), now.status
    if evse is None or connector is None or status is None:
        return
    story = stories(now).open_on(evse)
    if story is not None and _locked(now, story, connector):
        if status != "OngoingAuthorizedTransaction":
            yield now.hit(f"UnlockConnector is answered with {status[:40]} during an authorized transaction", "/status",
                          seen=status[:40], expected="OngoingAuthorizedTransaction", transaction=story.name,
                          also=[story.first])  # fmt: skip
    elif status != "UnknownConnector" and _unheard_of(now, evse):
        yield now.hit(f"UnlockConnector is answered with {status[:40]} for an EVSE that the station has never told of",
                      "/status", seen=status[:40], expected="UnknownConnector", case="unreported")


def _locked(now: Now, story: Story, connector: int) -> bool:
    """Whether the connector certainly has an authorized transaction."""
    return bool(story.authorized) and story.connector in (None, connector) and story.alive(now.session) \
        and story.last_time <= now.called_time


def _unheard_of(now: Now, evse: int) -> bool:
    """Whether the EVSE's number is beyond those of which statuses were told since a boot, or variables were."""
    last, link = now.session.registration.last, now.link
    if last is None or last.status != ACCEPTED or now.time - last.time < BOOTED_S or link is None or not link.whole:
        return False
    told = [place[0] for place, one in now.session.connectors.known.items() if one.status is not None]
    named = any(f"#{evse}." in name or f"#{evse}/" in name for name in now.session.settings.known)
    return bool(told) and evse > max(told) and not named
