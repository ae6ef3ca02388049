"""Why meter values of 1.6 were taken, by their context.

Keeps of TRANSACTIONS_KEPT transactions when their first and last values were taken.

Source: OCPP 1.6 edition 2 sections 5.17 and 7.35; 1.6 errata 4.25.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.rules.checks.meter16_rhythm import was_due
from ocpp_proxy.rules.checks.meter_registers import TRANSACTION, owner_in
from ocpp_proxy.rules.checks.meter_samples import Reading, contexts, readings, samples
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

TRANSACTIONS_KEPT = 64
SLACK_US = 2_000_000
BEGIN, END = "Transaction.Begin", "Transaction.End"
SOON_S = 2.0  # an answer to a trigger that comes so soon is one, and no message that was due anyway


@dataclass(slots=True)
class Mark:
    """When values of a transaction were taken: the first of any, the latest of any, and the last of those told to be
    its end; with the frames."""

    first_us: int
    first: FrameRef
    latest_us: int
    latest: FrameRef
    end_us: int | None = None
    end: FrameRef | None = None


@dataclass(slots=True)
class Marks:
    """`known`: by transaction; `triggered`: whether the station was ever asked for values."""

    known: dict[int, Mark] = field(default_factory=dict)
    triggered: bool = False


def _marked(mark: Mark | None, reading: Reading, ref: FrameRef) -> Mark | None:
    """The mark with this reading."""
    at_us = reading.at_us
    if at_us is None or not reading.told:
        return mark
    if mark is None:
        mark = Mark(at_us, ref, at_us, ref)
    if at_us < mark.first_us:
        mark.first_us, mark.first = at_us, ref
    if at_us > mark.latest_us:
        mark.latest_us, mark.latest = at_us, ref
    if END in reading.layout.contexts and at_us >= (mark.end_us or at_us):
        mark.end_us, mark.end = at_us, ref
    return mark


@learn(call("MeterValues"), versions=IN_16)
def mark(now: Now) -> None:
    number = _number(now) if not now.injected else None
    if number is None:
        return
    known, ref = now.session.book(Marks).known, now.ref
    found = known.pop(number, None)
    for reading in now.once(readings):
        found = _marked(found, reading, ref)
    if found is not None:
        known[number] = found
        if len(known) > TRANSACTIONS_KEPT:
            del known[next(iter(known))]


def _number(now: Now) -> int | None:
    """The id of the transaction whose values they are."""
    kind, number = now.once(owner_in)
    return number if kind == TRANSACTION and isinstance(number, int) else None


@learn(answer("StartTransaction"), versions=IN_16)
def fresh(now: Now) -> None:
    """A CSMS may give the same id to one transaction after the other."""
    number = integer(now.response, "transactionId")
    if number is not None:
        now.session.book(Marks).known.pop(number, None)


@check("mv-context", call("MeterValues", "StopTransaction"))
def context(now: Now) -> Iterator[Hit] | None:
    number = _number(now) if now.action == "MeterValues" else None
    known = now.session.book(Marks).known.get(number) if number is not None else None
    told = now.once(contexts)
    suspect = BEGIN in told or END in told or (known is not None and known.end_us is not None)
    return _contexts(now, known) if suspect else None


def _contexts(now: Now, known: Mark | None) -> Iterator[Hit]:
    said: set[str] = set()
    for reading in sorted(now.once(readings), key=lambda one: one.at_us or 0):
        for message, pointer, other in _misplaced(reading, known):
            if message not in said:
                said.add(message)
                yield now.hit(message, pointer, also=[other])
    if now.action == "StopTransaction":
        yield from _end_in_data(now)


def _misplaced(reading: Reading, known: Mark | None) -> Iterator[tuple[str, str, FrameRef | None]]:
    """What is wrong about the contexts of one moment's values: a message, a pointer, and the frame to look at."""
    others = {one.series for one in reading.layout.forms if one.context != BEGIN}
    at_us = reading.at_us
    for sample in reading.samples:
        pointer, why = f"{sample.pointer}/context", sample.form.context
        if why == BEGIN and sample.form.series in others:
            yield f"A {BEGIN} of {sample.form.measurand} stands beside another value of the same time", pointer, None
        elif known is None or at_us is None:
            continue
        elif why == BEGIN and at_us > known.first_us + SLACK_US:
            yield f"A value of {BEGIN} was taken after others of the transaction", pointer, known.first
        elif why != END and known.end_us is not None and at_us > known.end_us + SLACK_US:
            yield f"A value of {why} was taken after {END}", pointer, known.end
        elif why == END and at_us < known.latest_us - SLACK_US:
            yield f"A value of {END} was taken before others of the transaction", pointer, known.latest


def _end_in_data(now: Now) -> Iterator[Hit]:
    """transactionData by itself: the beginning first and the end last, by their times."""
    timed = [one for one in now.once(readings) if one.at_us is not None]
    ends = [one.at_us for one in timed if END in one.layout.contexts]
    begins = [one.at_us for one in timed if BEGIN in one.layout.contexts]
    for reading in timed:
        assert reading.at_us is not None
        if ends and reading.at_us > max(filter(None, ends)) + SLACK_US:
            yield now.hit(f"transactionData has a value taken after {END}", f"{reading.pointer}/timestamp")
            return
        if begins and reading.at_us < min(filter(None, begins)) - SLACK_US:
            yield now.hit(f"transactionData has a value taken before {BEGIN}", f"{reading.pointer}/timestamp")
            return


# Triggered values


@dataclass(slots=True)
class _Trigger:
    """A TriggerMessage for meter values that was accepted: the first frame of values that came since, with how soon,
    and whether any will do: those with the right context, and those that were due anyway."""

    connector: int | None
    since: float
    first: FrameRef | None = None
    pointer: str = ""
    after_s: float = 0.0
    context: str = ""
    right: bool = False


@check("mv-context", answer("TriggerMessage", by="csms"))
def triggered(now: Now) -> None:
    if now.status == "Accepted" and text(now.request, "requestedMessage") == "MeterValues":
        connector = integer(now.request, "connectorId")
        now.session.book(Marks).triggered = True
        now.later(now.bounds.trigger_s, judge_trigger, key=connector, data=_Trigger(connector, now.time))


@check("mv-context", call("MeterValues"))
def values_of_trigger(now: Now) -> None:
    if not now.session.book(Marks).triggered:
        return
    connector = integer(now.request, "connectorId")
    for key in (connector, None):
        deadline = now.expected(key)
        if deadline is None or now.injected:
            continue
        trigger: _Trigger = deadline.data
        first = next(samples(now), None)
        trigger.right = trigger.right or "Trigger" in now.once(contexts) or was_due(now)
        if trigger.first is None and first is not None:
            trigger.first, trigger.pointer, trigger.context = now.ref, f"{first.pointer}/context", first.form.context
            trigger.after_s = now.time - trigger.since


def judge_trigger(now: Now, deadline: Deadline) -> Iterator[Hit]:
    trigger: _Trigger = deadline.data
    if trigger.first is None or trigger.right or trigger.after_s > SOON_S:
        return  # none at all is for another rule, and a later one may have been due anyway
    yield now.hit(f"The meter values that were triggered have context {trigger.context} instead of Trigger",
                  trigger.pointer, seen=trigger.context, expected="Trigger", frame=trigger.first, by="station",
                  place=deadline.place, connector=trigger.connector)
