"""The rhythm of periodic meter values of 1.6: when each transaction's last ones were taken, and which they were.

Decides which values count as periodic, by the samples' own times, so that a queue does no harm; and when one cannot
tell, since they may be the answer to a trigger. Refuses to judge. Keeps the RHYTHMS_KEPT transactions begun last,
and LINES_KEPT connectors.

Source: OCPP 1.6 edition 2 sections 3.16.1, 9.1.17 and 9.1.19; 1.6 errata 3.15.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import gcd, inf

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer
from ocpp_proxy.rules.checks.meter_registers import PLACE, TRANSACTION, Owner, owner_in
from ocpp_proxy.rules.checks.meter_samples import LAYOUTS_KEPT, Layout, Reading, readings
from ocpp_proxy.rules.checks.status16 import LINES_KEPT
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, learn

RHYTHMS_KEPT = 64
INTERVAL, ALIGNED = "MeterValueSampleInterval", "ClockAlignedDataInterval"
MEASURANDS = "MeterValuesSampledData"
PERIODIC = "Sample.Periodic"
SAME_S = 5.0         # samples so close belong together, if that is not half the interval
CLOCK_SLACK_S = 2
ZONE_S = 900         # midnight is at a multiple of this, wherever the station stands
MAY_LACK = ("SoC",)  # not every car tells it
PHASES = frozenset(("l1", "l2", "l3", "n", "l1-n", "l2-n", "l3-n", "l1-l2", "l2-l3", "l3-l1"))
NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class Rhythm:
    """The last periodic values of a transaction. `steady`: the next ones may be compared with them; `measurands`: of
    all values of that moment; `lacking`: what was left out the time before."""

    at_us: int
    time: float
    ref: FrameRef
    steady: bool
    measurands: frozenset[str]
    lacking: frozenset[str] = NONE


@dataclass(slots=True)
class Watch:
    """Where and when the last periodic values were, after which the next are awaited for so long. `held_s`: how long
    this program had kept the station's frames waiting."""

    ref: FrameRef
    interval_s: int
    patience_s: float
    connector: int | None = None
    time: float = 0.0
    held_s: float = 0.0


@dataclass(slots=True)
class Rhythms:
    """`watched`: of which transactions more is awaited; `heard`: when a connector's last meter values came; `changed`:
    when a configuration key was last changed."""

    known: dict[Owner, Rhythm] = field(default_factory=dict)
    watched: dict[Owner, Watch] = field(default_factory=dict)
    heard: dict[int, float] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)


# What a message holds, each to be asked by `now.once`.


def periodic(now: Now) -> tuple[Reading, ...]:
    """The message's readings that count as periodic samples of a connector, in the order of their times. Those that may
    as well be aligned with the clock are among them."""
    if now.injected or not integer(now.request, "connectorId"):
        return ()
    found = [one for one in now.once(readings) if one.at_us is not None and PERIODIC in one.layout.contexts]
    return tuple(sorted(found, key=lambda one: one.at_us or 0)) if len(found) > 1 else tuple(found)


def doubtful(now: Now) -> bool:
    """Whether these may be no periodic samples, but an answer to a trigger, or aligned with the clock."""
    aligned_s = now.session.settings.integer(ALIGNED) or 0
    may_be_aligned = aligned_s > 0 and any(_may_be_aligned(one, aligned_s) for one in now.once(periodic))
    return may_be_aligned or _may_be_triggered(now)


def sample_interval_s(now: Now) -> int | None:
    return now.session.settings.integer(INTERVAL)


def _may_be_aligned(reading: Reading, aligned_s: int) -> bool:
    """Whether it says nothing of its context and is on the clock's time."""
    if reading.at_us is None or any("context" in fields for _, fields in reading.told):
        return False
    return off_clock_s(reading.at_us, aligned_s) <= CLOCK_SLACK_S


def _may_be_triggered(now: Now) -> bool:
    commands, since = now.session.commands, now.time - now.bounds.trigger_s
    if not commands.recent or commands.recent[-1].time < since:
        return False
    return any(command.status == "Accepted" and command.request.get("requestedMessage") == "MeterValues"
               for command in commands.since(since, "TriggerMessage"))


def off_clock_s(at_us: int, interval_s: int) -> float:
    """How far from a multiple of the interval since midnight, wherever that is, at least."""
    step_us = gcd(interval_s, ZONE_S) * 1_000_000
    off_us = at_us % step_us
    return min(off_us, step_us - off_us) / 1e6


def same_us(now: Now) -> int:
    """So close in time are messages that one moment's values were split into."""
    interval_s = now.once(sample_interval_s)
    return round(min(SAME_S, interval_s / 2 if interval_s else 1.0) * 1e6)


def changed_since(now: Now, key: str, time: float) -> bool:
    return now.session.book(Rhythms).changed.get(key.casefold(), -inf) >= time


@lru_cache(maxsize=LAYOUTS_KEPT)
def compared(asked: str, there: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Of measurands that are there, by MeterValuesSampledData: what is lacking, and what is there unasked."""
    wanted = [_without_phase(word.strip()) for word in asked.split(",") if word.strip()]
    return _lacking(_lacking(wanted, there), MAY_LACK), _lacking(there, wanted)


def _without_phase(word: str) -> str:
    head, _, tail = word.rpartition(".")
    return head if head and tail.casefold() in PHASES else word


def _lacking(wanted: Iterable[str], there: Iterable[str]) -> frozenset[str]:
    """Those of the one that the other has not, whatever the letter case."""
    folded_there = {name.casefold() for name in there}
    return frozenset(name for name in wanted if name.casefold() not in folded_there)


@learn(answer("ChangeConfiguration", by="csms"), versions=IN_16)
def configured(now: Now) -> None:
    key = folded(now.request, "key")
    if key in (INTERVAL.casefold(), ALIGNED.casefold(), MEASURANDS.casefold()) and now.status != "Rejected":
        now.session.book(Rhythms).changed[key] = now.time


@learn(call("MeterValues"), versions=IN_16)
def heard(now: Now) -> None:
    connector = integer(now.request, "connectorId")
    if connector is None:
        return
    book = now.session.book(Rhythms)
    if connector in book.heard or len(book.heard) < LINES_KEPT:
        book.heard[connector] = now.time
    for reading in now.once(periodic):
        _go_on(book, now.once(owner_in), reading, now)


def _go_on(book: Rhythms, owner: Owner, reading: Reading, now: Now) -> None:
    last, at_us, near_us = book.known.get(owner), reading.at_us or 0, same_us(now)
    if last is not None and at_us < last.at_us - near_us:
        return
    steady, names, lacking = not now.once(doubtful), _periodic_names(reading.layout), NONE
    if last is not None and at_us - last.at_us <= near_us:
        at_us, names, lacking = last.at_us, names | last.measurands, last.lacking
        steady = steady and last.steady
    elif last is not None and (asked := now.session.settings.value(MEASURANDS)) is not None:
        lacking = compared(asked, last.measurands)[0]
    if last is None:
        book.known[owner] = Rhythm(at_us, now.time, now.ref, steady, names, lacking)
        if len(book.known) > RHYTHMS_KEPT:
            del book.known[next(iter(book.known))]
    else:
        last.at_us, last.time, last.ref = at_us, now.time, now.ref
        last.steady, last.measurands, last.lacking = steady, names, lacking


@lru_cache(maxsize=LAYOUTS_KEPT)
def _periodic_names(layout: Layout) -> frozenset[str]:
    return frozenset(form.measurand for form in layout.forms if form.context == PERIODIC)


@learn(call("StartTransaction", "StopTransaction"), answer("StartTransaction"), versions=IN_16)
def over(now: Now) -> None:
    """A rhythm ends with its transaction; a CSMS may give the same id again."""
    known = now.session.book(Rhythms).known
    if now.action == "StopTransaction":
        number = integer(now.request, "transactionId")
        transaction = now.session.transactions.find(number)
        known.pop((TRANSACTION, number), None)
        known.pop((PLACE, transaction.place if transaction is not None else None), None)
    elif isinstance(now.frame, CallResult):
        known.pop((TRANSACTION, integer(now.response, "transactionId")), None)
    else:
        known.pop((PLACE, integer(now.request, "connectorId")), None)


def was_due(now: Now) -> bool:
    """Whether the message holds the periodic samples that come next, by the last ones and the interval."""
    last = now.session.book(Rhythms).known.get(now.once(owner_in))
    interval_s = now.once(sample_interval_s) or 0
    if last is None or interval_s <= 0:
        return False
    return any(abs(((one.at_us or 0) - last.at_us) / 1e6 - interval_s) <= now.bounds.tolerance_s(interval_s)
               for one in now.once(periodic))
