"""ChangeAvailability in 1.6: how it is answered and what comes of it.

Source: OCPP 1.6 edition 2 sections 4.9 and 5.2; 1.6 errata 3.19.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.core.station.connectors import Wish
from ocpp_proxy.rules.checks.firmware16_book import Updates
from ocpp_proxy.rules.checks.remote16_state import (
    all_running,
    all_seen,
    blocked,
    fresh,
    heard_of,
    numbers,
    running,
    status_of,
    told_within_s,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

# What is asked for → the statuses that will change for it at once, and those that need no change. A connector with a
# cable in it, one that is reserved and one in session have to wait.
CHANGES: Mapping[str, frozenset[str]] = {
    "Inoperative": frozenset(("Available",)), "Operative": frozenset(("Unavailable",)),
}  # fmt: skip
FREE = frozenset(("Available", "Unavailable", "Faulted", "Reserved"))


# The answer


@check("avail-scheduled", answer("ChangeAvailability", by="csms"))
def availability_answered(now: Now) -> Iterator[Hit]:
    number, kind = integer(now.request, "connectorId"), text(now.request, "type") or ""
    if number is None or kind not in CHANGES:
        return
    if now.status == "Accepted" and kind == "Inoperative" and not _asked_already(now, number):
        charging = [one for one in all_running(now) if number in (0, one.place)]
        if charging:
            yield now.hit("ChangeAvailability to Inoperative was answered Accepted while a transaction runs", "/status",
                          seen="Accepted", expected="Scheduled", also=[one.start for one in charging],
                          transaction=charging[0].id)
    elif now.status == "Scheduled" and _idle(now, number, kind):
        yield now.hit(f"ChangeAvailability to {kind} was answered Scheduled although no transaction runs", "/status",
                      seen="Scheduled", expected="Accepted")


def _asked_already(now: Now, number: int) -> bool:
    known = now.session.connectors.get(number)
    return known is not None and known.wish is not None and known.wish.kind == "Inoperative"


def _idle(now: Now, number: int, kind: str) -> bool:
    """Whether each connector meant has said that it is free, and the others do not say otherwise."""
    meant = (number,) if number else numbers(now)
    if not meant or now.session.transactions.open:
        return False
    allowed = ("Available", "Unavailable") if kind == "Operative" else ("Available",)
    sure = [status_of(now, one) for one in meant]
    others = [now.session.connectors.status(one) for one in heard_of(now)]
    return (all(one is not None and one.name in allowed and one.time < now.called_time for one in sure)
            and all(name in FREE for name in others))


@check("avail-scheduled", call("StopTransaction"))
def stopped_by_it(now: Now) -> Iterator[Hit]:
    """A transaction that ends right after, for a reason that no other command and no user gives."""
    transaction = now.session.transactions.find(integer(now.request, "transactionId"))
    if transaction is None or not transaction.open or transaction.start is None:
        return
    if text(now.request, "reason") != "Other":
        return
    lately = list(now.session.commands.since(now.time - now.bounds.status_s, "ChangeAvailability", "Reset",
                                             "RemoteStopTransaction", "UnlockConnector"))
    if len(lately) != 1 or lately[0].action != "ChangeAvailability":
        return
    command = lately[0]
    if (command.status in ("Accepted", "Scheduled") and command.request.get("type") == "Inoperative"
            and command.request.get("connectorId") in (0, transaction.place)
            and transaction.start_time < command.called):
        yield now.hit("A transaction ended right after ChangeAvailability to Inoperative, for the reason Other",
                      "/reason", seen="Other", also=[command.call, command.answer], connector=transaction.place,
                      case="aborted")


# The effect


@dataclass(frozen=True, slots=True)
class _Change:
    """`places`: the connectors whose status has to change."""

    kind: str
    number: int
    places: tuple[int, ...]
    called: float
    time: float


@check("avail-effect", answer("ChangeAvailability", by="csms"))
def changed(now: Now) -> Iterator[Hit]:
    change = _change(now)
    if change is None:
        return
    now.cancel(change.number)
    if change.places:
        now.later(told_within_s(now), no_effect, key=change.number, data=change)
    elif status_of(now, change.number) is None:
        yield from now.unknown("no status of the connector was seen before its availability was changed")


@check("avail-zero-all", answer("ChangeAvailability", by="csms"))
def all_changed(now: Now) -> None:
    change = _change(now)
    if change is not None and change.number == 0:
        now.cancel()
        if len(change.places) > 1:
            now.later(told_within_s(now), not_all, data=change)


def _change(now: Now) -> _Change | None:
    """What an accepted change has to bring about."""
    number, kind = integer(now.request, "connectorId"), text(now.request, "type") or ""
    if number is None or kind not in CHANGES or now.status != "Accepted":
        return None
    meant: Iterable[int] = (number,)
    if kind == "Operative" and (_kept_out(now) or (number and _station_inoperative(now))):
        meant = ()
    elif number == 0:
        meant = (0, *heard_of(now))
    places = tuple(one for one in meant if _changes(now, one, kind))
    return _Change(kind, number, places, now.called_time, now.time)


def _changes(now: Now, number: int, kind: str) -> bool:
    status = status_of(now, number)
    return status is not None and status.name in CHANGES[kind] and running(now, number) is None


def _kept_out(now: Now) -> bool:
    """Whether the station may have a reason of its own to be Unavailable."""
    return now.session.registration.status not in (None, "Accepted") or now.session.book(Updates).busy


def _station_inoperative(now: Now) -> bool:
    station = now.session.connectors.get(0)
    return station is not None and station.wish is not None and station.wish.kind == "Inoperative"


def no_effect(now: Now, deadline: Deadline) -> Iterator[Hit]:
    change: _Change = deadline.data
    if _silent(now, change) == change.places:
        yield now.hit(f"ChangeAvailability to {change.kind} was accepted, and no StatusNotification has told of it "
                      f"within {told_within_s(now):g} s", place=deadline.place)


def not_all(now: Now, deadline: Deadline) -> Iterator[Hit]:
    change: _Change = deadline.data
    silent = _silent(now, change)
    if silent == change.places:
        return  # nothing at all came of it
    for number in silent:
        status = now.session.connectors.get(number)
        also = [status.status.ref] if status is not None and status.status is not None else []
        yield now.hit(f"ChangeAvailability to {change.kind} for connector 0 was accepted, and this connector has not "
                      f"told of it within {told_within_s(now):g} s", place=deadline.place, connector=number, also=also)


def _silent(now: Now, change: _Change) -> tuple[int, ...]:
    """The connectors that still say what they said before; () where that may have its reasons."""
    if blocked(now) or not all_seen(now, change.called):
        return ()
    connectors = now.session.connectors
    return tuple(one for one in change.places
                 if connectors.status(one) in CHANGES[change.kind] and not _anew(connectors.known[one, 0].wish, change))


def _anew(wish: Wish | None, change: _Change) -> bool:
    """Whether the CSMS has asked for something else meanwhile."""
    return wish is not None and wish.time > change.time


@check("avail-effect", call("StatusNotification"))
def freed(now: Now) -> None:
    """A connector that was to become Unavailable once its transaction has ended, and says that it is free."""
    if text(now.request, "status") != "Available":
        return
    number = integer(now.request, "connectorId")
    known = now.session.connectors.get(number)
    if not number or known is None or known.wish is None:
        return
    if known.wish.kind == "Inoperative" and known.wish.status == "Scheduled":
        now.later(told_within_s(now), still_free, key=("scheduled", number), data=(number, known.wish, now.time))


def still_free(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, wish, since = deadline.data
    known = now.session.connectors.get(number)
    if known is None or known.wish != wish or known.status is None or known.status.name != "Available":
        return
    if now.session.transactions.open or blocked(now) or not fresh(now, since):
        return
    yield now.hit("The connector is Available although its change to Inoperative was scheduled and no transaction runs",
                  "/status", place=deadline.place, seen="Available", expected="Unavailable", also=[wish.ref])
