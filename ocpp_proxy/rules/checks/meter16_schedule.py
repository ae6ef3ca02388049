"""When meter values of 1.6 are taken, and which: as the configuration says.

Decides it by the samples' own times, so that a queue does no harm. Values that may be the answer to a trigger break the
rhythm, since they may or may not be of it.

Source: OCPP 1.6 edition 2 sections 3.16.1, 3.16.2, 9.1.5, 9.1.15, 9.1.17 and 9.1.19; 1.6 errata 3.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf

from ocpp_proxy.core.payload import integer, moment_us
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.meter16_rhythm import (
    ALIGNED,
    CLOCK_SLACK_S,
    INTERVAL,
    MEASURANDS,
    PERIODIC,
    RHYTHMS_KEPT,
    Rhythm,
    Rhythms,
    Watch,
    changed_since,
    compared,
    doubtful,
    off_clock_s,
    periodic,
    same_us,
    sample_interval_s,
)
from ocpp_proxy.rules.checks.meter_registers import PLACE, TRANSACTION, Owner, owner_in, transaction_in
from ocpp_proxy.rules.checks.meter_samples import Reading, contexts, readings
from ocpp_proxy.rules.checks.status16 import is_old, unseen_since
from ocpp_proxy.rules.checks.transactions16_past import whole_since
from ocpp_proxy.rules.checks.transactions16_queue import held_up
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check
from ocpp_proxy.rules.place import connector_in

CLOCK = "Sample.Clock"
SETTLED_S = 60.0  # so long after a change of configuration, values may be of the time before


# How often


def _running(now: Now, owner: Owner, connector: int | None) -> Transaction | None:
    """The open transaction on which values of this owner are taken."""
    book = now.session.transactions
    found = book.find(owner[1]) if owner[0] == TRANSACTION else book.on(connector)
    return found if found is not None and found.open else None


@check("mv-interval", call("MeterValues"))
def interval(now: Now) -> Iterable[Hit] | None:
    found = now.once(periodic)
    if not found:
        return None
    interval_s = now.once(sample_interval_s)
    if interval_s is None:
        return now.unknown(f"{INTERVAL} was not seen")
    owner, transaction = now.once(owner_in), now.once(transaction_in)
    if owner[0] == PLACE:
        transaction = now.session.transactions.on(integer(now.request, "connectorId"))
    if transaction is None or not transaction.open:
        return None
    sure = not now.once(doubtful)
    if interval_s <= 0:
        return _not_asked_for(now, found) if sure else None
    hit = _gap(now, owner, found, interval_s) if sure else None
    _await_more(now, owner, interval_s)
    return None if hit is None else (hit,)


def _not_asked_for(now: Now, found: tuple[Reading, ...]) -> Iterator[Hit]:
    setting, recently = now.session.settings.find(INTERVAL), changed_since(now, INTERVAL, now.time - SETTLED_S)
    said = any(fields.get("context") == PERIODIC for one in found for _, fields in one.told)
    if said and not recently and not any(is_old(now, one.at_us) for one in found):
        yield now.hit(f"Periodic meter values, although {INTERVAL} is 0", f"{found[0].pointer}/sampledValue",
                      expected="none", also=[setting.source if setting is not None else None], transaction=None)


def _gap(now: Now, owner: Owner, found: tuple[Reading, ...], interval_s: int) -> Hit | None:
    """The first of these values that come too soon or too late."""
    last = now.session.book(Rhythms).known.get(owner)
    if last is None or not last.steady:
        return None
    before_us, tolerance_s = last.at_us, now.bounds.tolerance_s(interval_s)
    for reading in found:
        at_us = reading.at_us or 0
        gap_s = (at_us - before_us) / 1e6
        if abs(gap_s - interval_s) > tolerance_s and not _explained(now, owner, before_us, at_us, interval_s):
            if changed_since(now, INTERVAL, last.time) or unseen_since(now, last.time):
                return None
            return now.hit(f"Periodic meter values come after about {gap_s / interval_s:.1f} times {INTERVAL} "
                           f"({interval_s} s)", f"{reading.pointer}/timestamp", expected=f"{interval_s} s",
                           also=[last.ref])  # fmt: skip
        before_us = max(before_us, at_us)
    return None


def _explained(now: Now, owner: Owner, before_us: int, at_us: int, interval_s: int) -> bool:
    """Whether values of these two times belong together, or were taken offline, or their gap has been told when it was
    too long already."""
    gap_us, offline_at = at_us - before_us, now.session.links.offline_at
    if gap_us <= same_us(now) or offline_at(at_us) is not None or offline_at(before_us) is not None:
        return True
    return gap_us / 1e6 > _patience_s(now, interval_s) and now.expected(owner) is None


def _patience_s(now: Now, interval_s: int) -> float:
    return 2 * interval_s + now.bounds.tolerance_s(interval_s)


def _await_more(now: Now, owner: Owner, interval_s: int) -> None:
    """The deadline is put off by each values that come, but not set anew."""
    book = now.session.book(Rhythms).watched
    watch = book.get(owner)
    if watch is None or watch.ref.connection != now.connection or watch.interval_s != interval_s:
        patience_s = _patience_s(now, interval_s)
        now.later(patience_s, nothing_more, key=owner, data=owner, until=_next_due)
        watch = book[owner] = Watch(now.ref, interval_s, patience_s)
        if len(book) > RHYTHMS_KEPT:
            del book[next(iter(book))]
    watch.ref, watch.time, watch.held_s = now.ref, now.time, now.session.held_s
    watch.connector = connector_in(now.request)


@check("mv-interval", call("StopTransaction"))
def ended(now: Now) -> None:
    number, watched = integer(now.request, "transactionId"), now.session.book(Rhythms).watched
    transaction = now.session.transactions.find(number)
    for owner in ((TRANSACTION, number), (PLACE, transaction.place if transaction is not None else None)):
        watched.pop(owner, None)
        now.cancel(owner)


def _next_due(session: Session, deadline: Deadline) -> float:
    watch = session.book(Rhythms).watched.get(deadline.data)
    return watch.time + watch.patience_s + session.held_s - watch.held_s if watch is not None else 0.0


def nothing_more(now: Now, deadline: Deadline) -> Iterator[Hit]:
    owner: Owner = deadline.data
    watch = now.session.book(Rhythms).watched.pop(owner, None)
    if watch is None:
        return
    transaction = _running(now, owner, watch.connector)
    if transaction is None or _excused(now, watch.time):
        return
    place = replace(deadline.place, frame=watch.ref, evidence=(watch.ref,), connector=watch.connector)
    yield now.hit(f"No more periodic meter values for over twice {INTERVAL} ({watch.interval_s} s)",
                  expected=f"every {watch.interval_s} s", by="station", place=place, transaction=transaction.id)


@check("mv-interval", answer("StartTransaction"))
def begun(now: Now) -> None:
    interval_s = now.session.settings.integer(INTERVAL)
    number = integer(now.response, "transactionId")
    if interval_s is None or interval_s <= 0 or number is None or number <= 0:
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
    return (nothing_wanted or not whole_since(now, since) or held_up(now)
            or changed_since(now, INTERVAL, since) or now.session.links.offline_between(since, now.time))


# On the clock


@check("mv-clock", call("MeterValues", "StopTransaction"))
def aligned(now: Now) -> Iterator[Hit] | None:
    return _aligned(now) if CLOCK in now.once(contexts) else None


def _aligned(now: Now) -> Iterator[Hit]:
    found = [one for one in now.once(readings) if CLOCK in one.layout.contexts]
    interval_s = now.session.settings.integer(ALIGNED)
    setting, changed = now.session.settings.find(ALIGNED), ALIGNED.casefold() in now.session.book(Rhythms).changed
    if interval_s is None:
        yield from now.unknown(f"{ALIGNED} was not seen")
        return
    if changed and (now.action == "StopTransaction" or any(is_old(now, one.at_us) for one in found)):
        return  # they may be of the time before
    source = setting.source if setting is not None else None
    if interval_s <= 0:
        if not changed_since(now, ALIGNED, now.time - SETTLED_S):
            yield now.hit(f"Values of {CLOCK}, although {ALIGNED} is 0", f"{found[0].pointer}/sampledValue",
                          expected="none", also=[source], transaction=None)
        return
    for one in found:
        if one.at_us is not None and off_clock_s(one.at_us, interval_s) > CLOCK_SLACK_S:
            yield now.hit(f"Values of {CLOCK} are not taken at multiples of {interval_s} s from midnight",
                          f"{one.pointer}/timestamp", expected=f"a multiple of {interval_s} s", also=[source],
                          transaction=None)
            return


# What


@check("mv-measurand-set", call("MeterValues"))
def measurand_set(now: Now) -> Iterator[Hit] | None:
    found = now.once(periodic)
    if not found:
        return None
    asked = now.session.settings.value(MEASURANDS)
    if asked is None:
        return now.unknown(f"{MEASURANDS} was not seen")
    last = now.session.book(Rhythms).known.get(now.once(owner_in))
    if last is None or not last.steady:
        return None
    missing, unasked = compared(asked, last.measurands)
    missing &= last.lacking
    return _other_than_asked(now, found[0], last, missing, unasked) if missing or unasked else None


def _other_than_asked(
    now: Now, first: Reading, last: Rhythm, missing: frozenset[str], unasked: frozenset[str]
) -> Iterator[Hit]:
    if now.once(doubtful) or (first.at_us or 0) - last.at_us <= same_us(now):
        return  # there may be more of it
    if changed_since(now, MEASURANDS, last.time - SETTLED_S):
        return
    for names, what in ((missing, "lack"), (unasked, "hold, unasked,")):
        if names:
            yield now.hit(f"Periodic meter values {what} {', '.join(sorted(names))}", frame=last.ref,
                          expected=now.session.settings.value(MEASURANDS), transaction=None)
