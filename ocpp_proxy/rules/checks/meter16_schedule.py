"""When meter values of 1.6 are taken, and which: as the configuration says.

Decides it by the samples' own times, so that a queue does no harm. Values that may be the answer to a trigger break the
rhythm, since they may or may not be of it. Keeps RHYTHMS_KEPT transactions and LINES_KEPT connectors, those heard of
last.

Source: OCPP 1.6 edition 2 sections 3.16.1, 3.16.2, 9.1.5, 9.1.15, 9.1.17 and 9.1.19; 1.6 errata 3.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import gcd, inf

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, moment_us
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.meter_registers import PLACE, TRANSACTION, Owner, owner_in
from ocpp_proxy.rules.checks.meter_samples import Reading, readings
from ocpp_proxy.rules.checks.outbox import unsettled
from ocpp_proxy.rules.checks.status16 import LINES_KEPT, V16, is_old, unseen_since
from ocpp_proxy.rules.checks.transactions16_past import whole_since
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

RHYTHMS_KEPT = 64
INTERVAL, ALIGNED = "MeterValueSampleInterval", "ClockAlignedDataInterval"
MEASURANDS = "MeterValuesSampledData"
PERIODIC, CLOCK = "Sample.Periodic", "Sample.Clock"
SAME_S = 5.0          # samples so close belong together, if that is not half the interval
CLOCK_SLACK_S = 2
SETTLED_S = 60.0      # so long after a change of configuration, values may be of the time before
ZONE_S = 900          # midnight is at a multiple of this, wherever the station stands
MAY_LACK = ("SoC",)  # not every car tells it
PHASES = frozenset(("l1", "l2", "l3", "n", "l1-n", "l2-n", "l3-n", "l1-l2", "l2-l3", "l3-l1"))


@dataclass(slots=True)
class Rhythm:
    """The last periodic values of a transaction. `steady`: the next ones may be compared with them; `measurands`: of
    all values of that moment; `lacking`: what was left out the time before."""

    at_us: int
    time: float
    ref: FrameRef
    steady: bool
    measurands: frozenset[str]
    lacking: frozenset[str] = frozenset()


@dataclass(slots=True)
class Rhythms:
    """`heard`: when a connector's last meter values came; `changed`: when a configuration key was last changed."""

    known: dict[Owner, Rhythm] = field(default_factory=dict)
    heard: dict[int, float] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)


def periodic(now: Now) -> tuple[Reading, ...]:
    """The message's readings that count as periodic samples of a connector, in the order of their times. Those that may
    as well be aligned with the clock are among them."""
    if now.version != V16 or not integer(now.request, "connectorId") or now.injected:
        return ()
    found = [one for one in readings(now) if one.at_us is not None
             and any(sample.context == PERIODIC for sample in one.samples)]
    return tuple(sorted(found, key=lambda one: one.at_us or 0))


def doubtful(now: Now, found: Iterable[Reading]) -> bool:
    """Whether these may be no periodic samples, but an answer to a trigger, or aligned with the clock."""
    aligned_s = now.session.settings.integer(ALIGNED) or 0
    return any(_may_be_aligned(one, aligned_s) for one in found) or _may_be_triggered(now)


def _may_be_aligned(reading: Reading, aligned_s: int) -> bool:
    """Whether it says nothing of its context and is on the clock's time."""
    if aligned_s <= 0 or reading.at_us is None or any("context" in sample.fields for sample in reading.samples):
        return False
    return _off_clock_s(reading.at_us, aligned_s) <= CLOCK_SLACK_S


def _may_be_triggered(now: Now) -> bool:
    since = now.time - now.bounds.trigger_s
    return any(command.status == "Accepted" and command.request.get("requestedMessage") == "MeterValues"
               for command in now.session.commands.since(since, "TriggerMessage"))


def _off_clock_s(at_us: int, interval_s: int) -> float:
    """How far from a multiple of the interval since midnight, wherever that is, at least."""
    step_us = gcd(interval_s, ZONE_S) * 1_000_000
    off_us = at_us % step_us
    return min(off_us, step_us - off_us) / 1e6


def _same_us(now: Now) -> int:
    """So close in time are messages that one moment's values were split into."""
    interval_s = now.session.settings.integer(INTERVAL)
    return round(min(SAME_S, interval_s / 2 if interval_s else 1.0) * 1e6)


def _changed_since(now: Now, key: str, time: float) -> bool:
    return now.session.book(Rhythms).changed.get(key.casefold(), -inf) >= time


@learn(answer("ChangeConfiguration", by="csms"))
def configured(now: Now) -> None:
    key = folded(now.request, "key")
    if key in (INTERVAL.casefold(), ALIGNED.casefold(), MEASURANDS.casefold()) and now.status != "Rejected":
        now.session.book(Rhythms).changed[key] = now.time


@learn(call("MeterValues"))
def heard(now: Now) -> None:
    book, connector = now.session.book(Rhythms), integer(now.request, "connectorId")
    if now.version != V16 or connector is None:
        return
    book.heard.pop(connector, None)
    book.heard[connector] = now.time
    if len(book.heard) > LINES_KEPT:
        del book.heard[next(iter(book.heard))]
    found = periodic(now)
    steady = not doubtful(now, found)
    for reading in found:
        _go_on(book, owner_in(now), reading, now, steady)


def _go_on(book: Rhythms, owner: Owner, reading: Reading, now: Now, steady: bool) -> None:
    last, at_us, same_us = book.known.get(owner), reading.at_us or 0, _same_us(now)
    if last is not None and at_us < last.at_us - same_us:
        return
    names = frozenset(one.measurand for one in reading.samples if one.context == PERIODIC)
    lacking: frozenset[str] = frozenset()
    if last is not None and at_us - last.at_us <= same_us:
        at_us, names, lacking = last.at_us, names | last.measurands, last.lacking
        steady = steady and last.steady
    elif last is not None:
        lacking = _lacking(_wanted(now) or (), last.measurands)
    book.known.pop(owner, None)
    book.known[owner] = Rhythm(at_us, now.time, now.ref, steady, names, lacking)
    if len(book.known) > RHYTHMS_KEPT:
        del book.known[next(iter(book.known))]


@learn(call("StartTransaction", "StopTransaction"), answer("StartTransaction"))
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
    last = now.session.book(Rhythms).known.get(owner_in(now))
    interval_s = now.session.settings.integer(INTERVAL) or 0
    if last is None or interval_s <= 0:
        return False
    return any(abs(((one.at_us or 0) - last.at_us) / 1e6 - interval_s) <= now.bounds.tolerance_s(interval_s)
               for one in periodic(now))


# How often


def _running(now: Now, owner: Owner, connector: int | None) -> Transaction | None:
    """The open transaction that the values are of."""
    book = now.session.transactions
    found = book.find(owner[1]) if owner[0] == TRANSACTION else book.on(connector)
    return found if found is not None and found.open else None


@check("mv-interval", call("MeterValues"))
def interval(now: Now) -> Iterator[Hit]:
    found = periodic(now)
    if not found:
        return
    interval_s = now.session.settings.integer(INTERVAL)
    if interval_s is None:
        yield from now.unknown(f"{INTERVAL} was not seen")
        return
    if _running(now, owner_in(now), integer(now.request, "connectorId")) is None:
        return
    sure = not doubtful(now, found)
    if interval_s > 0:
        if sure:
            yield from _gaps(now, found, interval_s)
        now.later(2 * interval_s + now.bounds.tolerance_s(interval_s), nothing_more, key=owner_in(now),
                  data=(owner_in(now), interval_s, now.time))
    elif sure:
        yield from _not_asked_for(now, found)


def _not_asked_for(now: Now, found: tuple[Reading, ...]) -> Iterator[Hit]:
    setting, recently = now.session.settings.find(INTERVAL), _changed_since(now, INTERVAL, now.time - SETTLED_S)
    said = any(sample.fields.get("context") == PERIODIC for one in found for sample in one.samples)
    if said and not recently and not any(is_old(now, one.at_us) for one in found):
        yield now.hit(f"Periodic meter values, although {INTERVAL} is 0", f"{found[0].pointer}/sampledValue",
                      expected="none", also=[setting.source if setting is not None else None], transaction=None)


def _gaps(now: Now, found: tuple[Reading, ...], interval_s: int) -> Iterator[Hit]:
    owner = owner_in(now)
    last = now.session.book(Rhythms).known.get(owner)
    if last is None or not last.steady or _changed_since(now, INTERVAL, last.time) or unseen_since(now, last.time):
        return
    offline_at = now.session.links.offline_at
    before_us = last.at_us
    for reading in found:
        at_us = reading.at_us or 0
        gap_s = (at_us - before_us) / 1e6
        silent = gap_s * 1e6 <= _same_us(now) or offline_at(at_us) is not None or offline_at(before_us) is not None
        tolerance_s = now.bounds.tolerance_s(interval_s)
        if gap_s > 2 * interval_s + tolerance_s and now.expected(owner) is None:
            silent = True  # it has been said when the time was over
        if not silent and abs(gap_s - interval_s) > tolerance_s:
            yield now.hit(f"Periodic meter values come after about {gap_s / interval_s:.1f} times {INTERVAL} "
                          f"({interval_s} s)", f"{reading.pointer}/timestamp", expected=f"{interval_s} s",
                          also=[last.ref])  # fmt: skip
            return
        before_us = max(before_us, at_us)


@check("mv-interval", call("StopTransaction"))
def ended(now: Now) -> None:
    number = integer(now.request, "transactionId")
    transaction = now.session.transactions.find(number)
    now.cancel((TRANSACTION, number))
    now.cancel((PLACE, transaction.place if transaction is not None else None))


def nothing_more(now: Now, deadline: Deadline) -> Iterator[Hit]:
    owner, interval_s, since = deadline.data
    transaction = _running(now, owner, deadline.place.connector)
    if transaction is None or _excused(now, since):
        return
    yield now.hit(f"No more periodic meter values for over twice {INTERVAL} ({interval_s} s)",
                  expected=f"every {interval_s} s", place=deadline.place, transaction=transaction.id)


@check("mv-interval", answer("StartTransaction"))
def begun(now: Now) -> None:
    interval_s = now.session.settings.integer(INTERVAL)
    number = integer(now.response, "transactionId")
    if interval_s is None or interval_s <= 0 or now.version != V16 or number is None or number <= 0:
        return
    if not is_old(now, moment_us(now.request, "timestamp")) and not now.injected:
        wait_s = 2 * interval_s + now.bounds.tolerance_s(interval_s)
        now.later(wait_s, never_any, key=("first", number), data=(number, interval_s, now.time))


def never_any(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, interval_s, since = deadline.data
    transaction, connector = now.session.transactions.find(number), deadline.place.connector
    book = now.session.book(Rhythms)
    if transaction is None or not transaction.open or _excused(now, since):
        return
    if (TRANSACTION, number) in book.known or (PLACE, connector) in book.known:
        return
    other = connector is not None and book.heard.get(connector, -inf) >= since
    what = "No periodic meter values" if other else "No meter values at all"
    yield now.hit(f"{what} of the transaction in over twice {INTERVAL} ({interval_s} s)", by="station",
                  expected=f"every {interval_s} s", case=None if other else "none", place=deadline.place,
                  transaction=number)


def _excused(now: Now, since: float) -> bool:
    """Whether there may be reasons why no values came since."""
    nothing_wanted = now.session.settings.value(MEASURANDS) == ""
    return (nothing_wanted or not whole_since(now, since) or unsettled(now)
            or _changed_since(now, INTERVAL, since) or now.session.links.offline_between(since, now.time))


# On the clock


@check("mv-clock", call("MeterValues", "StopTransaction"))
def aligned(now: Now) -> Iterator[Hit]:
    if now.version != V16:
        return
    found = [one for one in readings(now) if any(sample.context == CLOCK for sample in one.samples)]
    if not found:
        return
    interval_s = now.session.settings.integer(ALIGNED)
    setting, changed = now.session.settings.find(ALIGNED), ALIGNED.casefold() in now.session.book(Rhythms).changed
    if interval_s is None:
        yield from now.unknown(f"{ALIGNED} was not seen")
        return
    if changed and (now.action == "StopTransaction" or any(is_old(now, one.at_us) for one in found)):
        return  # they may be of the time before
    source = setting.source if setting is not None else None
    if interval_s <= 0:
        if not _changed_since(now, ALIGNED, now.time - SETTLED_S):
            yield now.hit(f"Values of {CLOCK}, although {ALIGNED} is 0", f"{found[0].pointer}/sampledValue",
                          expected="none", also=[source], transaction=None)
        return
    for one in found:
        if one.at_us is not None and _off_clock_s(one.at_us, interval_s) > CLOCK_SLACK_S:
            yield now.hit(f"Values of {CLOCK} are not taken at multiples of {interval_s} s from midnight",
                          f"{one.pointer}/timestamp", expected=f"a multiple of {interval_s} s", also=[source],
                          transaction=None)
            return


# What


def _wanted(now: Now) -> list[str] | None:
    """The measurands asked for, without phases."""
    words = now.session.settings.words(MEASURANDS)
    return None if words is None else [_without_phase(word) for word in words]


def _without_phase(word: str) -> str:
    head, _, tail = word.rpartition(".")
    return head if head and tail.casefold() in PHASES else word


def _lacking(wanted: Iterable[str], there: Iterable[str]) -> frozenset[str]:
    """Those of the one that the other has not, whatever the letter case."""
    folded_there = {name.casefold() for name in there}
    return frozenset(name for name in wanted if name.casefold() not in folded_there)


@check("mv-measurand-set", call("MeterValues"))
def measurand_set(now: Now) -> Iterator[Hit]:
    found = periodic(now)
    if not found:
        return
    wanted = _wanted(now)
    if wanted is None:
        yield from now.unknown(f"{MEASURANDS} was not seen")
        return
    last = now.session.book(Rhythms).known.get(owner_in(now))
    if last is None or not last.steady or doubtful(now, found) or (found[0].at_us or 0) - last.at_us <= _same_us(now):
        return  # there is none before, or there may be more of it
    if _changed_since(now, MEASURANDS, last.time - SETTLED_S):
        return
    missing = _lacking(_lacking(wanted, last.measurands) & last.lacking, MAY_LACK)
    for names, what in ((missing, "lack"), (_lacking(last.measurands, wanted), "hold, unasked,")):
        if names:
            yield now.hit(f"Periodic meter values {what} {', '.join(sorted(names))}", frame=last.ref,
                          expected=now.session.settings.value(MEASURANDS), transaction=None)
