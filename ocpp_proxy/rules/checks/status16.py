"""The statuses of connectors in 1.6: what may follow what, how often, and which connectors there are.

What was told of a connector is kept in the order of the events themselves. A status that tells of the past is no
transition: `status16_offline` judges it.

Source: OCPP 1.6 edition 2 sections 3.8 and 4.9; 1.6 errata 3.19 and 3.20.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, kept, moment_us, text
from ocpp_proxy.rules.checks.content import connectors_told
from ocpp_proxy.rules.checks.transactions16_past import LONGEST_US, whole_since, within
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

# From a status, those that may come next (section 4.9; Preparing to Finishing: errata 3.20). A repeat is no transition.
TRANSITIONS: Mapping[str, frozenset[str]] = {before: frozenset(after.split()) for before, after in {
    "Available": "Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted",
    "Preparing": "Available Charging SuspendedEV SuspendedEVSE Finishing Faulted",
    "Charging": "Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEV": "Available Charging SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEVSE": "Available Charging SuspendedEV Finishing Unavailable Faulted",
    "Finishing": "Available Preparing Unavailable Faulted",
    "Reserved": "Available Preparing Unavailable Faulted",
    "Unavailable": "Available Preparing Charging SuspendedEV SuspendedEVSE Faulted",
    "Faulted": "Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable",
}.items()}  # fmt: skip
IN_SESSION = frozenset(("Charging", "SuspendedEV", "SuspendedEVSE"))  # those of a running transaction
HIDDEN_MOST = 2  # statuses that were too short to be told
LINES_KEPT = 256
CLOCK_STEP_US = 2_000_000  # so far a clock may be put back between two events
FLAP_CHANGES = 10
FLAP_S = 300.0
CAUSES = ("CancelReservation", "ChangeAvailability", "ClearChargingProfile", "RemoteStartTransaction",
          "RemoteStopTransaction", "ReserveNow", "Reset", "SetChargingProfile", "UnlockConnector")  # fmt: skip


class Told(NamedTuple):
    """A status as told. `at_us`: when it began by the station's clock, or None; `sent_us`: when it passed the proxy;
    `old`: it began before the connection did, so that the station may have told it to nobody but now."""

    name: str
    error: str | None
    ref: FrameRef
    time: float
    at_us: int | None
    sent_us: int
    old: bool


@dataclass(slots=True)
class Line:
    """What a connector told. `last`: the latest event; `late`: the last one that was told after a later event;
    `fault_from`: the status that it was in when it became Faulted; `changes`: when it changed of itself lately."""

    last: Told | None = None
    late: Told | None = None
    fault_from: Told | None = None
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=FLAP_CHANGES))


@dataclass(slots=True)
class Lines:
    """By connector; up to LINES_KEPT of them."""

    known: dict[int, Line] = field(default_factory=dict)

    def last(self, connector: int | None) -> Told | None:
        line = self.known.get(connector) if connector is not None else None
        return line.last if line is not None else None


class Change(NamedTuple):
    """A connector's number and line, the status before and the new one, which are known to follow each other."""

    number: int
    line: Line
    last: Told
    one: Told


def lines(now: Now) -> Lines:
    return now.session.book(Lines)


# Both to be asked by `now.once`.


def told_in(now: Now) -> tuple[int, Told] | None:
    """The connector and its status in a StatusNotification that can be read; None also where it was injected."""
    number, name = integer(now.request, "connectorId"), text(now.request, "status")
    if number is None or name is None or now.injected:
        return None
    at_us = moment_us(now.request, "timestamp")
    return number, Told(name[:40], kept(now.request, "errorCode"), now.ref, now.time, at_us, now.at.utc_us,
                        is_old(now, at_us))  # fmt: skip


def change(now: Now) -> Change | None:
    """The change of status that a StatusNotification tells of, where there is one and it is certain."""
    read = now.once(told_in)
    if read is None:
        return None
    number, one = read
    line = lines(now).known.get(number)
    last = line.last if line is not None else None
    if line is None or last is None or last.name == one.name or one.old or last.old or is_behind(one, last):
        return None
    return None if unseen_since(now, last.time) else Change(number, line, last, one)


def is_old(now: Now, at_us: int | None) -> bool:
    """Whether what has come now was at a time before the connection, as far as the clocks agree."""
    if at_us is None:
        return False
    opened = now.link.opened if now.link is not None else None
    if opened is not None and within(opened.at.utc_us - at_us, LONGEST_US):
        return True
    return now.session.links.offline_at(at_us) is not None


def booted_since(now: Now, time: float) -> bool:
    return now.session.registration.pending_time > time


def unseen_since(now: Now, time: float) -> bool:
    """Whether the station may have been through states since then that nobody here could see: it was offline, or
    frames are missing, or it booted."""
    offline = now.session.links.offline_between(time, now.time)
    return offline or booted_since(now, time) or not whole_since(now, time)


def is_behind(one: Told, last: Told) -> bool:
    """Whether this was before the last event, by the station's clock; another telling of the last event is not."""
    if one.at_us is None or last.at_us is None or one.at_us >= last.at_us - CLOCK_STEP_US:
        return False
    return (one.name, one.error) != (last.name, last.error)


def turned_back(line: Line, one: Told) -> bool:
    """Whether the station's clock was put back: the last one came late already, and this one goes on from there."""
    return line.late is not None and not is_behind(one, line.late)


def minimum_s(now: Now) -> int | None:
    """How long a status has to last before it is told; None where nobody has said."""
    settings = now.session.settings
    if settings.find("MinimumStatusDuration") is None and settings.listed is not None:
        return 0
    return settings.integer("MinimumStatusDuration")


@learn(call("StatusNotification"), versions=IN_16)
def remember(now: Now) -> None:
    read = now.once(told_in)
    if read is None:
        return
    book, (number, one) = lines(now), read
    line = book.known.get(number)
    if line is None:
        line = book.known[number] = Line()
        if len(book.known) > LINES_KEPT:
            del book.known[next(iter(book.known))]
    last = line.last
    if last is not None and is_behind(one, last) and not turned_back(line, one):
        line.late = one
        return
    line.late = None
    if last is not None and last.name != one.name:
        _changed(line, last, one)
    line.last = one


def _changed(line: Line, last: Told, one: Told) -> None:
    if one.name == "Faulted":
        line.fault_from = last
    elif last.name == "Faulted":
        line.fault_from = None
    if not one.old:
        if flaps(line, one.time):
            line.changes.clear()  # that much has been said
        line.changes.append(one.time)


# What may follow what


def ways(before: str, after: str, most: int = HIDDEN_MOST) -> tuple[str, ...] | None:
    """The shortest legal way between two statuses, without them: () where one may follow the other, None where no way
    leads there over so few."""
    if after in TRANSITIONS.get(before, ()):
        return ()
    if most == 0:
        return None
    found = [(step, *rest) for step in sorted(TRANSITIONS.get(before, ()))
             if (rest := ways(step, after, most - 1)) is not None]
    return min(found, key=len, default=None)


@check("status-transition", call("StatusNotification"))
def transition(now: Now) -> Iterator[Hit] | None:
    changed = now.once(change)
    if changed is None or changed.number == 0:
        return None
    before, after = changed.last.name, changed.one.name
    if before not in TRANSITIONS or after not in TRANSITIONS or after in TRANSITIONS[before]:
        return None
    return _no_transition(now, changed.last, changed.one)


def _no_transition(now: Now, last: Told, one: Told) -> Iterator[Hit]:
    way = ways(last.name, one.name)
    hidden = f"; legal by way of {' and '.join(way)}, if that was too short to be told" if way else ""
    yield now.hit(f"{last.name} is followed by {one.name}{hidden}", "/status", seen=one.name,
                  expected=sorted(TRANSITIONS[last.name]), case=None if way else "no-way", also=[last.ref])


@check("status-flap", call("StatusNotification"))
def flap(now: Now) -> tuple[Hit, ...] | None:
    changed = now.once(change)
    if changed is None or not flaps(changed.line, now.time):
        return None
    return (now.hit(f"More than {FLAP_CHANGES} changes of status within {FLAP_S / 60:g} minutes", "/status",
                    expected=f"at most {FLAP_CHANGES}"),)  # fmt: skip


def flaps(line: Line, time: float) -> bool:
    """Whether a change now is one too many."""
    return len(line.changes) == FLAP_CHANGES and time - line.changes[0] <= FLAP_S


@learn(call("StartTransaction", "StopTransaction"), answer(*CAUSES, by="csms"), versions=IN_16)
def caused(now: Now) -> None:
    """What changes from here on has its reason, and does not go on with the changes before."""
    known = now.session.book(Lines).known
    line = known.get(integer(now.request, "connectorId") or 0)
    for each in (line,) if line is not None and now.action == "StartTransaction" else known.values():
        each.changes.clear()


# Which connectors there are


@check("status-connector-range", call("StatusNotification", "StartTransaction", "MeterValues"))
def beyond(now: Now) -> Iterator[Hit] | None:
    number, most = integer(now.request, "connectorId"), now.once(connectors_told)
    if number is None:
        return None
    if most is None:
        return now.unknown("NumberOfConnectors was not seen")
    return _beyond(now, number, most) if number > most > 0 else None


def _beyond(now: Now, number: int, most: int) -> Iterator[Hit]:
    setting = now.session.settings.find("NumberOfConnectors")
    yield now.hit(f"There is no connector {number}: NumberOfConnectors is {most}", "/connectorId", seen=number,
                  expected=f"at most {most}", also=[setting.source if setting is not None else None])


@check("status-connector-range", answer("BootNotification"))
def reporting(now: Now) -> None:
    if now.status == "Accepted" and now.link is not None and now.link.whole:
        now.later(now.bounds.report_s, reported, data=now.called_time)


def reported(now: Now, deadline: Deadline) -> Iterator[Hit]:
    """All connectors have told their status since the boot, or else a number may have been skipped."""
    since: float = deadline.data
    told = {number: line.last.ref for number, line in lines(now).known.items()
            if number > 0 and line.last is not None and line.last.time >= since}
    if not told or now.link is None or not now.link.whole:
        return
    highest = max(told)
    missing = sorted(set(range(1, min(highest, LINES_KEPT))) - set(told))
    if missing:
        names = ", ".join(map(str, missing[:5]))
        yield now.hit(
            f"Connector {highest} has told its status since the boot, and connector {names} has not", "/connectorId",
            seen=sorted(told)[:20], expected="all from 1 on, none left out", case="skipped", frame=told[highest],
            place=deadline.place, by="station", connector=highest,
        )  # fmt: skip
