"""Meter values of 2.x on the clock's round times, and whether values are signed.

Source: OCPP 2.0.1 and 2.1 Part 2, J01.FR.14, J01.FR.19 to .22, E02.FR.14, J02.FR.21, and the variables of
AlignedDataCtrlr and SampledDataCtrlr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.payload import integer, moment_us, objects
from ocpp_proxy.rules.checks.transactions2x_book import Story, fresh, said, stories
from ocpp_proxy.rules.checks.transactions2x_values import contexts, measurands, signed
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, call, check, learn

INTERVAL, ENABLED = "AlignedDataCtrlr.Interval", "AlignedDataCtrlr.Enabled"
MEASURANDS, IDLE = "AlignedDataCtrlr.Measurands", "AlignedDataCtrlr.SendDuringIdle"
ALIGNED_SIGNED, SAMPLED_SIGNED = "AlignedDataCtrlr.SignReadings", "SampledDataCtrlr.SignReadings"
NOT_SEEN = "{} was not seen"
CLOCK = "Sample.Clock"
EDGES = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
PERIODS = 2
EVSES_KEPT = 64
RESOLUTION_US = 1_000_000


@dataclass(slots=True)
class Clock:
    """When clock-aligned values of an EVSE came last, and since when they have come at this interval."""

    interval_s: int = 0
    since: float = 0.0
    last: dict[int, float] = field(default_factory=dict)


@learn(call("MeterValues", "TransactionEvent"), versions=IN_2X)
def learn_clock(now: Now) -> None:
    if CLOCK not in contexts(now.request):
        return
    book, interval_s, evse = now.session.book(Clock), now.session.settings.integer(INTERVAL) or 0, _evse(now)
    if book.interval_s != interval_s:
        book.interval_s, book.since = interval_s, now.time
        book.last.clear()
    if evse is not None and (evse in book.last or len(book.last) < EVSES_KEPT):
        book.last[evse] = now.time


def _evse(now: Now) -> int | None:
    if now.action == "MeterValues":
        return integer(now.request, "evseId")
    event = said(now)
    story = stories(now).by_id.get(event.tx) if event is not None else None
    return story.evse if story is not None else None


@check("mv201-idle", call("MeterValues", "TransactionEvent", "Heartbeat", "StatusNotification", "NotifyEvent"))
def idle(now: Now) -> Iterator[Hit]:
    settings = now.session.settings
    interval_s = settings.integer(INTERVAL)
    if interval_s is None:
        yield from now.unknown(NOT_SEEN.format(INTERVAL))
        return
    if interval_s <= 0 or settings.flag(ENABLED) is False or settings.words(MEASURANDS) == []:
        now.cancel()
        return
    came = now.action in ("MeterValues", "TransactionEvent") and CLOCK in contexts(now.request)
    limit_s = PERIODS * interval_s + now.bounds.tolerance_s(interval_s) + now.bounds.status_s
    if came or now.expected() is None:
        now.later(limit_s, none_came, data=interval_s)
    if came:
        yield from _not_now(now)
        yield from _left_out(now, interval_s, limit_s)


def _left_out(now: Now, interval_s: int, limit_s: float) -> Iterator[Hit]:
    """The EVSEs that have been idle for long, and of which no values come while others' do."""
    book, running = now.session.book(Clock), list(stories(now).running())
    if book.interval_s != interval_s or now.time - book.since < limit_s or any(one.evse is None for one in running):
        return
    if running and now.session.settings.flag(IDLE) is not False:
        return
    evses = {place[0] for place, one in now.session.connectors.known.items() if place[0] and one.status is not None}
    for evse in sorted(evses - {one.evse for one in running} - {_evse(now)}):
        ended = max((one.ended_time for one in stories(now).by_id.values() if one.evse == evse), default=0.0)
        if now.time - max(ended, book.since, book.last.get(evse, 0.0)) > limit_s:
            yield now.hit("No clock-aligned meter values come of an idle EVSE, while others have them", "/evseId",
                          expected=f"MeterValues every {interval_s} s", connector=evse, transaction=None)


def none_came(now: Now, deadline: Deadline) -> Iterator[Hit]:
    settings = now.session.settings
    if settings.integer(INTERVAL) != deadline.data or now.session.registration.status not in (None, "Accepted"):
        return
    if settings.flag(IDLE) is not False and any(stories(now).running()):
        return  # none are to be sent during a transaction, or it is not known whether they are
    yield now.hit(f"No clock-aligned meter values for twice the AlignedDataCtrlr.Interval of {deadline.data} s",
                  expected="MeterValues", by="station", place=deadline.place, connector=None, transaction=None)


def _not_now(now: Now) -> Iterator[Hit]:
    """During a transaction there are to be none, where SendDuringIdle says so."""
    for story, name in _silenced(now):
        if _within(now.request, story):
            yield now.hit(f"Clock-aligned meter values come during a transaction, and {name} is true", "/meterValue",
                          expected="none", connector=story.evse, transaction=None, case="during")
            return


def _silenced(now: Now) -> Iterator[tuple[Story, str]]:
    settings, book = now.session.settings, stories(now)
    if settings.flag(IDLE):
        yield from ((story, IDLE) for story in book.running() if story.alive(now.session))
        return
    event = said(now) if now.action == "TransactionEvent" else None
    evse = integer(now.request, "evseId") if event is None else None
    story = book.by_id.get(event.tx) if event is not None else book.open_on(evse)
    if story is not None and story.evse is not None and story.alive(now.session):
        name = f"AlignedDataCtrlr#{story.evse}.SendDuringIdle"
        if settings.flag(name):
            yield story, name


def _within(request: Any, story: Story) -> bool:
    """Whether the values were taken after the transaction had begun, by the station's own clock."""
    times = [at_us for _, value in objects(request, "meterValue") if (at_us := moment_us(value, "timestamp"))]
    begun = story.begun.at_us if story.begun is not None else None
    return begun is not None and bool(times) and min(times) > begun + RESOLUTION_US


# Signatures


@check("mv201-signed", call("TransactionEvent"))
def sampled_signed(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.kind not in EDGES or EDGES[one.event.kind] not in contexts(now.request):
        return
    wanted = now.session.settings.flag(SAMPLED_SIGNED)
    if wanted is None:
        yield from now.unknown(NOT_SEEN.format(SAMPLED_SIGNED))
    elif wanted and _energy(now.request) and not signed(now.request):
        yield now.hit(f"{one.event.kind} has no signedMeterValue, and {SAMPLED_SIGNED} is true", "/meterValue",
                      expected="signedMeterValue", connector=None, transaction=None)


@check("mv201-signed", call("MeterValues"))
def aligned_signed(now: Now) -> Iterator[Hit]:
    evse = integer(now.request, "evseId")
    if not evse or CLOCK not in contexts(now.request):
        return
    wanted = now.session.settings.flag(ALIGNED_SIGNED)
    if wanted is None:
        yield from now.unknown(NOT_SEEN.format(ALIGNED_SIGNED))
    elif wanted and _energy(now.request) and not signed(now.request):
        yield now.hit(f"Clock-aligned MeterValues have no signedMeterValue, and {ALIGNED_SIGNED} is true",
                      "/meterValue", expected="signedMeterValue", connector=None)


def _energy(request: Any) -> bool:
    """Meters sign what they count."""
    return any(name.startswith("Energy.") for name in measurands(request))
