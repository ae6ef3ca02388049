"""Why a transaction of 1.6 ends, and what pulling the plug out of the car does to it.

Decides whether the reason in a StopTransaction fits what had happened just before: what the CSMS asked for, a refusal,
a plug that was pulled, a restart. Refuses to judge reasons that nothing on the wire speaks against.

Source: OCPP 1.6 edition 2 sections 3.5.4, 4.9, 4.10, 5.12, 5.14, 5.18, 6.49, 7.36 and 9.1.23.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, kept, text
from ocpp_proxy.core.station.links import Window
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.transactions16_past import (
    FRESH_S,
    certainly_open,
    named,
    stamped_us,
    time_of,
    told_before,
    was_before,
    whole_since,
)
from ocpp_proxy.rules.checks.transactions16_queue import unsettled
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

PLACES_KEPT = 64
REFUSAL_S = 60.0
AFTER_BOOT_S = 60.0   # in which the station sends what a restart has ended
UNPLUGGED_INFO = "ev side disconnected"
EVSIDE_KEY = "StopTransactionOnEVSideDisconnect"
RESETS = {"Soft": "SoftReset", "Hard": "HardReset"}
RESTARTS = frozenset(("PowerLoss", "Reboot", "SoftReset", "HardReset", "EmergencyStop", "Other"))
BY_ITSELF = frozenset(("DeAuthorized", "EVDisconnected", "UnlockCommand", "SoftReset", "HardReset"))  # without a driver
SUDDEN = frozenset(("PowerLoss", "Reboot", "EmergencyStop"))  # may happen whatever else does


class Event(NamedTuple):
    """Something that may end a transaction. `kind`: of a Reset."""

    ref: FrameRef
    time: float
    kind: str = ""


class Trigger(NamedTuple):
    """Why a transaction seems to have ended: what happened, in words, the reasons that are let pass, and those that
    are meant."""

    event: Event
    what: str
    reasons: frozenset[str]
    meant: tuple[str, ...]


@dataclass(slots=True)
class Events:
    """The last of each kind: RemoteStopTransaction by transaction, UnlockConnector and a pulled plug by connector,
    PLACES_KEPT each. What the station has not accepted is taken out again."""

    remote: dict[int, Event] = field(default_factory=dict)
    unlock: dict[int, Event] = field(default_factory=dict)
    unplugged: dict[int, Event] = field(default_factory=dict)
    reset: Event | None = None


def _note(book: dict[int, Event], key: int | None, event: Event) -> None:
    if key is not None:
        book.pop(key, None)
        book[key] = event
        if len(book) > PLACES_KEPT:
            del book[next(iter(book))]


@learn(call("RemoteStopTransaction", "UnlockConnector", "Reset", by="csms"), versions=IN_16)
def asked(now: Now) -> None:
    book, event = now.session.book(Events), Event(now.ref, now.time, kept(now.request, "type") or "")
    if now.action == "RemoteStopTransaction":
        _note(book.remote, integer(now.request, "transactionId"), event)
    elif now.action == "UnlockConnector":
        _note(book.unlock, integer(now.request, "connectorId"), event)
    else:
        book.reset = event


@learn(answer("RemoteStopTransaction", "UnlockConnector", "Reset", by="csms"), versions=IN_16)
def answered(now: Now) -> None:
    if now.status in ("Accepted", "Unlocked"):
        return
    book = now.session.book(Events)
    if now.action == "RemoteStopTransaction":
        book.remote.pop(integer(now.request, "transactionId") or 0, None)
    elif now.action == "UnlockConnector":
        book.unlock.pop(integer(now.request, "connectorId") or 0, None)
    else:
        book.reset = None


@learn(call("StatusNotification"), versions=IN_16)
def told_status(now: Now) -> None:
    if _is_pulled(now):
        _note(now.session.book(Events).unplugged, integer(now.request, "connectorId"), Event(now.ref, now.time))


def _is_pulled(now: Now) -> bool:
    """Whether the station says that the car was unplugged."""
    info = folded(now.request, "info")
    return info is not None and UNPLUGGED_INFO in info


# Reasons


@check("stop-reason", call("StopTransaction"))
def stop_reason(now: Now) -> Iterator[Hit]:
    one = now.once(named)
    if one is None or not one.open:
        return
    told = text(now.request, "reason")
    reason = told or "Local"
    triggers = [trigger for trigger in _triggers(now, one) if whole_since(now, trigger.event.time)
                and not told_before(now, stamped_us(now), trigger.event.time, 5.0)]
    if not triggers or reason in SUDDEN or any(reason in trigger.reasons for trigger in triggers):
        return
    latest = max(triggers, key=lambda trigger: trigger.event.time)
    shown = reason if told is not None else "Local, as none is given,"
    yield now.hit(f"Reason {shown} although {latest.what}", "/reason", seen=told, expected=list(latest.meant),
                  connector=one.place, also=[latest.event.ref])


def _triggers(now: Now, one: Transaction) -> Iterator[Trigger]:
    book, stop_s = now.session.book(Events), now.bounds.stop_s
    by_number = (book.remote[number] for number in (one.id, *one.aliases) if number in book.remote)
    for event, reason, what in (
        (next(by_number, None), "Remote", "the CSMS had sent RemoteStopTransaction"),
        (book.unlock.get(one.place or 0), "UnlockCommand", "the CSMS had sent UnlockConnector"),
        (book.unplugged.get(one.place or 0), "EVDisconnected", "the plug had been pulled out of the car"),
    ):
        if event is not None and now.time - event.time <= stop_s and event.time > one.start_time:
            yield Trigger(event, what, frozenset((reason,)), (reason,))
    asked_to_restart = tuple(_reset(now, one, book.reset))
    yield from asked_to_restart or _restart(now, one)
    yield from _refusal(now, one)


def _reset(now: Now, one: Transaction, event: Event | None) -> Iterator[Trigger]:
    """Before the station restarts, or as soon as it is back."""
    if event is None or event.kind not in RESETS or event.time <= one.start_time:
        return
    what = f"the CSMS had sent Reset {event.kind}"
    back = now.session.registration.since
    if back is None or back < event.time:
        if now.time - event.time <= now.bounds.stop_s:
            yield Trigger(event, what, frozenset((RESETS[event.kind],)), (RESETS[event.kind],))
    elif now.time - back <= AFTER_BOOT_S and back - event.time <= now.bounds.boot_hard_s and one.last_time < back:
        yield Trigger(event, what, RESTARTS - {"Other"}, (RESETS[event.kind],))


def _refusal(now: Now, one: Transaction) -> Iterator[Trigger]:
    if one.confirmed is None or one.status in (None, "Accepted") or now.time - one.confirmed_time > REFUSAL_S:
        return
    online = not now.session.links.offline_between(one.confirmed_time - REFUSAL_S, now.time)
    if not online or told_before(now, one.started_us, one.start_time, FRESH_S):
        return  # it waited in the queue, and may have been over
    if now.session.settings.flag("StopTransactionOnInvalidId") is not False:
        yield Trigger(Event(one.confirmed, one.confirmed_time), f"StartTransaction had been answered {one.status}",
                      BY_ITSELF, ("DeAuthorized",))


def _restart(now: Now, one: Transaction) -> Iterator[Trigger]:
    """A short time offline in which the transaction ended, and then a boot: the power was off. Not of a station that
    boots after every time offline, which it may do without restarting."""
    last, windows, ended = now.session.registration.last, now.session.links.windows, time_of(now, stamped_us(now))
    if last is None or ended is None or not windows or one.start is None or one.last_time >= last.time:
        return
    window = windows[-1]
    if not one.start_time < window.from_time <= window.to_time <= last.time or now.time - last.time > AFTER_BOOT_S:
        return
    if len(windows) > 1 and all(_booted(now, each) for each in windows):
        return
    if window.length_s <= now.bounds.boot_warn_s and window.from_time <= ended <= window.to_time:
        yield Trigger(Event(last.call, window.from_time), "the station had just restarted", RESTARTS,
                      ("PowerLoss", "Reboot"))


def _booted(now: Now, window: Window) -> bool:
    return any(0 <= boot.time - window.to_time <= AFTER_BOOT_S for boot in now.session.registration.boots)


# The plug at the car


@check("stop-evside", call("StatusNotification"))
def unplugged(now: Now) -> Iterator[Hit] | None:
    if text(now.request, "status") != "Available" and not _is_pulled(now):
        return None
    one = now.session.transactions.on(integer(now.request, "connectorId"))
    if one is None or not certainly_open(now, one) or was_before(stamped_us(now), one.started_us, 0):
        return None
    stops = now.session.settings.flag(EVSIDE_KEY)
    if stops is None:
        return now.unknown(f"{EVSIDE_KEY} was not seen")
    if stops:
        now.later(now.bounds.stop_s, goes_on, key=one.start, data=one)
    return None


def goes_on(now: Now, deadline: Deadline) -> Iterator[Hit]:
    one = deadline.data
    if one.open and not unsettled(now) and certainly_open(now, one):
        yield now.hit(f"The car was unplugged and transaction {one.id} has not ended within {now.bounds.stop_s:g} s, "
                      f"though {EVSIDE_KEY} is true", place=deadline.place, also=[one.start], transaction=one.id)


@check("stop-evside", call("StopTransaction"))
def stopped(now: Now) -> Iterator[Hit]:
    if text(now.request, "reason") == "EVDisconnected" and now.session.settings.flag(EVSIDE_KEY) is False:
        one = now.once(named)
        if one is not None and one.open:
            yield now.hit(f"Ended because the car was unplugged, though {EVSIDE_KEY} is false", "/reason",
                          seen="EVDisconnected", connector=one.place, also=[one.start])
