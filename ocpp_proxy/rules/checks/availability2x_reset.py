"""How a 2.x station answers Reset, and what has to come of it.

Refuses to judge the reasons that transactions and boots give (`transactions2x_reasons`, `boot2x_reason`).

Source: OCPP 2.0.1 and 2.1 Part 2 B11.FR.03, B11.FR.04, B11.FR.09, B12.FR.01, B12.FR.02, B12.FR.04, B12.FR.05, B12.FR.08
and B12.FR.09; OCPP 2.0.1 errata 2.14 and 2.16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.core.station.connectors import STATION
from ocpp_proxy.rules.checks.availability2x import ACCEPTED, SCHEDULED, runs
from ocpp_proxy.rules.checks.boot2x_standing import BOOT, tells_of_boot
from ocpp_proxy.rules.checks.busy2x import waits
from ocpp_proxy.rules.checks.remote16_state import all_seen, boot_since
from ocpp_proxy.rules.checks.transactions2x_book import stories
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, answer, call, check, learn

RESET = "Reset"
KINDS = frozenset(("Immediate", "ImmediateAndResume", "OnIdle"))
BY_RESET = frozenset(("RemoteReset", "ScheduledReset"))  # boot reasons
IN_PROGRESS = "TxInProgress"


# The answer


@check("reset201-type", answer(RESET, by="csms"))
def reset_answered(now: Now) -> Iterator[Hit]:
    kind, evse, status = text(now.request, "type"), integer(now.request, "evseId"), now.status
    if kind not in KINDS or status is None:
        return
    if evse and status in (ACCEPTED, SCHEDULED) and now.session.settings.flag(f"EVSE#{evse}.AllowReset") is False:
        setting = now.session.settings.find(f"EVSE#{evse}.AllowReset")
        yield now.hit(f"Reset of an EVSE was answered {status}, and its AllowReset is false", "/status", seen=status,
                      expected="Rejected", also=[setting.source if setting is not None else None])
        return
    story = runs(now, (evse, 0) if evse else STATION)
    if story is None or kind == "ImmediateAndResume":
        return
    if (kind, status) == ("OnIdle", ACCEPTED):
        wrong, expected = "", SCHEDULED
    elif (kind, status) == ("Immediate", SCHEDULED):
        wrong, expected = "", ACCEPTED
    elif kind == "Immediate" and text(now.response, "statusInfo", "reasonCode") == IN_PROGRESS:
        wrong, expected = f" ({IN_PROGRESS})", ACCEPTED
    else:
        return
    yield now.hit(f"Reset {kind} during a transaction was answered {status}{wrong}", "/status", seen=status,
                  expected=expected, transaction=story.name, also=[story.first])


# What comes of it


class _Reset(NamedTuple):
    """An accepted one of the station."""

    time: float
    connection: str


@dataclass(slots=True)
class Resets:
    """`evse`: the last accepted Reset of an EVSE, `time`: its answer's, `station`: when one of the station was last
    accepted or scheduled."""

    evse: FrameRef | None = None
    time: float = 0.0
    station: float = -1.0


@learn(answer(RESET, by="csms"), versions=IN_2X)
def learn_reset(now: Now) -> None:
    if now.status not in (ACCEPTED, SCHEDULED):
        return
    book = now.session.book(Resets)
    if integer(now.request, "evseId"):
        book.evse, book.time = now.ref, now.time
    else:
        book.station = now.time


@check("reset201-flow", answer(RESET, by="csms"))
def reset_accepted(now: Now) -> None:
    kind, evse = text(now.request, "type"), integer(now.request, "evseId")
    if kind not in KINDS or now.status != ACCEPTED or boot_since(now.session, now.called_time) is not None:
        return
    reset = _Reset(now.time, now.connection)
    if not evse:
        now.later(now.bounds.boot_hard_s, not_back, key=BOOT, data=reset, across=True)
    if kind != "Immediate":
        return
    places = {(one.evse or 0, 0) for one in stories(now).running() if evse in (None, 0, one.evse)}
    for story in (story for place in places if (story := runs(now, place)) is not None):
        within_s = now.bounds.boot_warn_s if evse else now.bounds.boot_hard_s + now.bounds.start_s
        now.later(within_s, not_ended, key=story.name.casefold(), across=True, data=(reset, evse, story.name))


@check("reset201-flow", call(BOOT))
def boots(now: Now) -> Iterator[Hit]:
    waiting, book = now.expected(BOOT), now.session.book(Resets)
    now.cancel(BOOT)
    reason = text(now.request, "reason")
    recent = book.evse is not None and now.time - book.time <= now.bounds.boot_hard_s
    if recent and book.station < book.time and reason in BY_RESET and tells_of_boot(now):
        yield now.hit(f"A BootNotification ({reason}) follows the Reset of a single EVSE", "/reason", seen=reason,
                      expected="no BootNotification", also=[book.evse])
        book.evse = None
    if waiting is None:
        return
    reset: _Reset = waiting.data
    limit_s = now.bounds.boot_warn_s
    if now.time - reset.time > limit_s and all_seen(now, reset.time) and not _refused(now, reset.time):
        yield now.hit(f"BootNotification came more than {limit_s:g} s after the accepted Reset", case="slow",
                      also=waiting.place.evidence)


def _refused(now: Now, since: float) -> bool:
    """Whether the station tried to connect and was not let in."""
    return any(one.time >= since and one.status != 101 for one in now.session.links.handshakes)


def not_back(now: Now, deadline: Deadline) -> Iterator[Hit]:
    reset: _Reset = deadline.data
    link = now.link
    if _refused(now, reset.time) or not all_seen(now, reset.time) or (link is None and now.session.station is None):
        return
    if link is None:
        became = "the station has not come back"
    elif link.connection == reset.connection:
        became = "the connection was never closed"
    else:
        became = "the station only connected anew"
    yield now.hit(f"The accepted Reset was not followed by a BootNotification within {now.bounds.boot_hard_s:g} s; "
                  f"{became}", place=deadline.place)


def not_ended(now: Now, deadline: Deadline) -> Iterator[Hit]:
    reset, evse, name = deadline.data
    story, boot, link = stories(now).get(name), now.session.registration.last, now.link
    if story is None or story.ended is not None or link is None or not all_seen(now, reset.time):
        return
    if not evse and (boot is None or boot.time < reset.time or boot.status != ACCEPTED):
        return  # not back, or not let in
    since = max(link.opened_time, boot.time if boot is not None and not evse else 0.0)
    if now.time - since < now.bounds.start_s or waits(now):
        now.later(now.bounds.start_s, not_ended, key=name.casefold(), across=True, place=deadline.place,
                  data=deadline.data)
        return
    what = "its EVSE" if evse else "the station"
    yield now.hit(f"A transaction that ran at the accepted immediate Reset of {what} has got no TransactionEvent Ended",
                  place=deadline.place, transaction=name, connector=story.evse, also=[story.first],
                  expected="TransactionEvent Ended")
