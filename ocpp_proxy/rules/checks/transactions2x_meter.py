"""Meter values inside TransactionEvents of 2.x: at the beginning, at the end, and how often in between.

Source: OCPP 2.0.1 and 2.1 Part 2, block J chapter 2, E01.FR.09, E06.FR.11, J02.FR.10, J02.FR.11, and the variables of
SampledDataCtrlr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.payload import moment_us, objects, text
from ocpp_proxy.rules.checks.transactions2x_book import fresh, in_order, stories
from ocpp_proxy.rules.checks.transactions2x_values import contexts
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import call, check, learn

ENABLED = "SampledDataCtrlr.Enabled"
UPDATED, MEASURANDS = "SampledDataCtrlr.TxUpdatedInterval", "SampledDataCtrlr.TxUpdatedMeasurands"
EDGES = {
    "Started": ("SampledDataCtrlr.TxStartedMeasurands", "Transaction.Begin"),
    "Ended": ("SampledDataCtrlr.TxEndedMeasurands", "Transaction.End"),
}
NOT_SEEN = "{} was not seen"
RESOLUTION_US = 1_000_000
PERIODS_KEPT = 64
PERIODS = 2


@check("te-meter-begin-end", call("TransactionEvent"))
def begin_end(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.kind not in EDGES or now.session.settings.flag(ENABLED) is False:
        return
    name, context = EDGES[one.event.kind]
    evse = one.event.evse if one.event.evse is not None or one.story is None else one.story.evse
    wanted = now.session.settings.words(name)
    if wanted is None:
        yield from now.unknown(NOT_SEEN.format(name))
    elif wanted and evse is not None and context not in contexts(now.request):
        yield now.hit(f"{one.event.kind} has no value of context {context}, and {name} is not empty", "/meterValue",
                      expected=", ".join(wanted)[:80], connector=None, transaction=None)


@check("te-meter-window", call("TransactionEvent"))
def window(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.kind == "Ended" or one.event.at_us is None:
        return
    values = list(objects(now.request, "meterValue"))
    if len(values) < 2:  # J02.FR.10 is about several
        return
    interval_s, at_us = now.session.settings.integer(UPDATED), one.event.at_us
    for number, value in values:
        time_us = moment_us(value, "timestamp")
        if time_us is None:
            continue
        pointer = f"/meterValue/{number}/timestamp"
        if time_us > at_us + RESOLUTION_US:
            yield now.hit("A meter value is of a later time than the event that it is in", pointer)
            return
        old = interval_s is not None and interval_s > 0 and time_us <= at_us - interval_s * 1_000_000 - RESOLUTION_US
        if old and not _aligned(value):
            yield now.hit("A meter value is older than the event that it is in by the TxUpdatedInterval of "
                          f"{interval_s} s or more", pointer)
            return


def _aligned(value: object) -> bool:
    return any(text(sample, "context") == "Sample.Clock" for _, sample in objects(value, "sampledValue"))


# How often


@dataclass(slots=True)
class Period:
    """The last periodic event of a transaction: its own time, when it came, and how long after the one before."""

    at_us: int
    time: float
    every_s: float | None = None


@dataclass(slots=True)
class Periods:
    """By folded transaction id, PERIODS_KEPT at most."""

    last: dict[str, Period] = field(default_factory=dict)


@learn(call("TransactionEvent"))
def learn_period(now: Now) -> None:
    one = fresh(now)
    if one is None or one.event.reason != "MeterValuePeriodic" or one.event.at_us is None:
        return
    book = now.session.book(Periods).last
    before = book.pop(one.event.tx, None)
    if before is not None and before.at_us > one.event.at_us:
        book[one.event.tx] = before
        return
    every_s = (one.event.at_us - before.at_us) / 1e6 if before is not None and one.in_turn else None
    book[one.event.tx] = Period(one.event.at_us, now.time, every_s)
    if len(book) > PERIODS_KEPT:
        del book[next(iter(book))]


def every_s(now: Now, tx: str) -> float | None:
    """How often periodic events of the transaction are to come: as set, or else as they have come."""
    limit_s = now.session.settings.integer(UPDATED)
    if limit_s is not None:
        return float(limit_s)
    last = now.session.book(Periods).last.get(tx)
    return last.every_s if last is not None else None


@check("te-meter-interval", call("TransactionEvent"))
def interval(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None:
        return
    event, setting = one.event, now.session.settings.find(UPDATED)
    limit_s = now.session.settings.integer(UPDATED)
    if event.kind == "Ended":
        now.cancel(event.tx)
    if event.reason != "MeterValuePeriodic":
        return
    if setting is None or limit_s is None:
        yield from now.unknown(NOT_SEEN.format(UPDATED))
        return
    if limit_s <= 0:
        return
    before = now.session.book(Periods).last.get(event.tx)
    if before is not None and before.time > setting.time and in_order(one) and event.at_us is not None:
        passed_s, tolerance_s = (event.at_us - before.at_us) / 1e6, now.bounds.tolerance_s(limit_s)
        if 1 <= passed_s < limit_s - tolerance_s:
            yield _cadence(now, "sooner", limit_s)
        elif passed_s > PERIODS * limit_s + tolerance_s:
            yield _cadence(now, "later", limit_s)
    if event.kind == "Updated" and not event.offline:
        now.later(PERIODS * limit_s + now.bounds.tolerance_s(limit_s) + 1, missing, key=event.tx, data=limit_s)


def _cadence(now: Now, how: str, limit_s: int) -> Hit:
    return now.hit(f"A periodic meter value comes {how} than the TxUpdatedInterval of {limit_s} s has it", "/timestamp",
                   expected=f"every {limit_s} s", connector=None)


def missing(now: Now, deadline: Deadline) -> Iterator[Hit]:
    story = stories(now).by_id.get(str(deadline.place.transaction or "").casefold())
    wanted = now.session.settings.words(MEASURANDS)
    if story is None or not story.open or wanted == [] or now.session.settings.integer(UPDATED) != deadline.data:
        return
    yield now.hit(f"No periodic meter value has come for twice the TxUpdatedInterval of {deadline.data} s",
                  "/triggerReason", expected="MeterValuePeriodic", place=deadline.place, connector=None)
