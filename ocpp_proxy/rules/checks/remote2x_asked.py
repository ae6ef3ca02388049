"""What a 2.x station sends when it is asked: by TriggerMessage, by GetTransactionStatus, and in 2.1 by a limit.

Source: OCPP 2.0.1 and 2.1 Part 2, E14.FR.01 to .08, F06.FR.06, F06.FR.07, F06.FR.10; OCPP 2.1 Part 2 E16.FR.02,
E16.FR.03, E16.FR.12, E16.FR.18.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.payload import flag, integer, kept, member, text
from ocpp_proxy.rules.checks.transactions2x_book import Story, fresh, has_meter, said, stories
from ocpp_proxy.rules.checks.transactions2x_values import measurands
from ocpp_proxy.rules.now import Deadline, FrameRef, Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, answer, call, check, learn

ALIGNED, UPDATED = "AlignedDataCtrlr.Measurands", "SampledDataCtrlr.TxUpdatedMeasurands"
LIMITS = "TxCtrlr.SupportedLimits"
NOT_SEEN = "{} was not seen"
METER, EVENT = "MeterValues", "TransactionEvent"
DRAINED_KEPT = 64
LIMITS_KEPT = 32
SHOWN = 5


# TriggerMessage


@dataclass(slots=True)
class Collected:
    """What has come since a trigger. `evse`: the one it was about, None for all; `found`: the measurands told."""

    evse: int | None
    found: set[str] = field(default_factory=set)
    came: bool = False


@dataclass(slots=True)
class Metered:
    """The last MeterValues, which may have come before the trigger was answered."""

    time: float = float("-inf")
    evse: int | None = None
    found: frozenset[str] = frozenset()


@learn(call(METER), versions=IN_2X)
def learn_meter(now: Now) -> None:
    book = now.session.book(Metered)
    book.time, book.evse, book.found = now.time, integer(now.request, "evseId"), frozenset(measurands(now.request))


@check("trigger201-meter", answer("TriggerMessage", by="csms"))
def triggered(now: Now) -> None:
    asked, evse = text(now.request, "requestedMessage"), integer(now.request, "evse", "id")
    if now.status != "Accepted" or asked not in (METER, EVENT):
        return
    if asked == METER:
        collected, before = Collected(evse), now.session.book(Metered)
        if before.time >= now.called_time and evse in (None, before.evse):
            collected.came, collected.found = True, set(before.found)
        now.later(now.bounds.trigger_s, meter_missing, key=METER, data=collected)
    elif _silent_since(now, [one for one in stories(now).running() if one.alive(now.session)], evse):
        now.later(now.bounds.trigger_s, event_missing, key=EVENT)


def _silent_since(now: Now, running: list[Story], evse: int | None) -> bool:
    """Whether there is a transaction to tell of, and none has been told of since it was asked for."""
    meant = any(evse in (None, one.evse) for one in running)
    return meant and all(one.last_time < now.called_time for one in running)


@check("trigger201-meter", call(METER))
def meter_came(now: Now) -> None:
    waits = now.expected(METER)
    if waits is not None and waits.data.evse in (None, integer(now.request, "evseId")):
        waits.data.came = True
        waits.data.found |= measurands(now.request)


def meter_missing(now: Now, deadline: Deadline) -> Iterator[Hit]:
    collected, wanted = deadline.data, now.session.settings.words(ALIGNED)
    if not collected.came:
        if wanted != []:
            yield now.hit("TriggerMessage for MeterValues was accepted, and none came within "
                          f"{now.bounds.trigger_s:g} s", expected=METER, place=deadline.place, by="station")
        return
    missing = [name for name in wanted or () if name not in collected.found]
    if missing:
        yield now.hit(f"The triggered MeterValues lack {', '.join(missing[:SHOWN])[:200]}, which "
                      "AlignedDataCtrlr.Measurands lists", expected=", ".join(wanted or ())[:200], place=deadline.place,
                      by="station")  # fmt: skip


@check("trigger201-meter", call(EVENT))
def event_came(now: Now) -> Iterator[Hit]:
    now.cancel(EVENT)
    one = fresh(now)
    if one is None or one.event.reason != "Trigger":
        return
    if one.event.state is None:
        yield now.hit("The triggered TransactionEvent has no chargingState", "/transactionInfo/chargingState",
                      expected="chargingState")
    if not has_meter(now) and _measures(now, one.story):
        yield now.hit("The triggered TransactionEvent has no meterValue", "/meterValue", expected="meterValue")


def _measures(now: Now, story: Story | None) -> bool:
    """Whether there are measurands to be told."""
    wanted = now.session.settings.words(UPDATED)
    return bool(wanted) if wanted is not None else story is not None and story.sampled


def event_missing(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if any(one.alive(now.session) for one in stories(now).running()):
        yield now.hit("TriggerMessage for TransactionEvent was accepted during a transaction, and none came within "
                      f"{now.bounds.trigger_s:g} s", expected="triggerReason Trigger", place=deadline.place,
                      by="station")


# GetTransactionStatus


@dataclass(slots=True)
class Drained:
    """By folded transaction id: the highest seqNo heard when the station said that nothing was queued, and where."""

    last: dict[str, tuple[int, FrameRef]] = field(default_factory=dict)


@learn(answer("GetTransactionStatus", by="csms"))
def learn_drained(now: Now) -> None:
    if flag(now.response, "messagesInQueue") is not False:
        return
    book, name = now.session.book(Drained).last, kept(now.request, "transactionId")
    for key, story in stories(now).by_id.items():
        if story.spans and (name is None or name.casefold() == key):
            book.pop(key, None)
            book[key] = (story.spans[-1][1], now.ref)
            if len(book) > DRAINED_KEPT:
                del book[next(iter(book))]


@check("txstatus201", answer("GetTransactionStatus", by="csms"))
def status_told(now: Now) -> Iterator[Hit]:
    if not isinstance(now.frame, CallResult):
        return
    name, ongoing = kept(now.request, "transactionId"), flag(now.response, "ongoingIndicator")
    pointer = "/ongoingIndicator"
    if name is None:
        if ongoing is not None:
            yield now.hit("ongoingIndicator is told, and no transactionId was asked for", pointer, seen=ongoing)
        return
    if ongoing is None:
        yield now.hit("A transactionId was asked for, and ongoingIndicator is not told", pointer,
                      expected="true or false")
        return
    book = stories(now)
    story = book.get(name)
    if story is None or not book.whole(story) or story.last_time > now.called_time:
        return
    if ongoing and story.ended is not None:
        yield now.hit("ongoingIndicator is true, and the transaction has ended", pointer, seen=True, expected=False,
                      also=[story.ended.ref])
    elif not ongoing and story.alive(now.session) and flag(now.response, "messagesInQueue") is False:
        yield now.hit("ongoingIndicator is false and nothing is queued, and the transaction has not ended", pointer,
                      seen=False, expected=True, also=[story.first])


@check("txstatus201", call(EVENT))
def queued_after_all(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.story is None or not stories(now).whole(one.story):
        return
    drained = now.session.book(Drained).last.get(one.event.tx)
    if drained is not None and one.event.seq < drained[0]:
        yield now.hit("messagesInQueue was false, and an older TransactionEvent came after it", "/messagesInQueue",
                      seen=False, expected=True, frame=drained[1])


# Limits of 2.1


@dataclass(slots=True)
class Limited:
    """The limit that the CSMS set last, by folded transaction id."""

    last: dict[str, str] = field(default_factory=dict)


def _limit(payload: object, *keys: str) -> dict[str, object]:
    found = member(payload, *keys)
    return {name[:40]: value for name, value in found.items() if name != "customData" and value is not None} \
        if isinstance(found, dict) else {}


@learn(answer(EVENT))
def learn_limit(now: Now) -> None:
    event, limit = said(now), _limit(now.response, "transactionLimit")
    if event is not None and limit:
        book = now.session.book(Limited).last
        book.pop(event.tx, None)
        book[event.tx] = _spelled(limit)
        if len(book) > LIMITS_KEPT:
            del book[next(iter(book))]


def _spelled(limit: dict[str, object]) -> str:
    return ", ".join(f"{name} {str(value)[:40]}" for name, value in sorted(limit.items()))[:200]


@check("tx21-limit", answer(EVENT))
def limited(now: Now) -> Iterator[Hit]:
    event, limit = said(now), _limit(now.response, "transactionLimit")
    if event is None or not limit:
        return
    supported = now.session.settings.words(LIMITS)
    if supported is None:
        yield from now.unknown(NOT_SEEN.format(LIMITS))
        return
    if foreign := sorted(limit.keys() - set(supported)):
        yield now.hit(f"The CSMS sets {', '.join(foreign)[:100]}, which TxCtrlr.SupportedLimits does not list",
                      "/transactionLimit", seen=", ".join(foreign)[:100], expected=", ".join(supported)[:100])
    repeated = now.session.book(Limited).last.get(event.tx) == _spelled(limit)
    if limit.keys() & set(supported) and not (repeated or event.offline or event.kind == "Ended"):
        now.later(now.bounds.start_s, not_confirmed, key=event.tx)


@check("tx21-limit", call(EVENT))
def confirmed(now: Now) -> None:
    event = said(now)
    if event is not None and (event.kind == "Ended" or _limit(now.request, "transactionInfo", "transactionLimit")):
        now.cancel(event.tx)


def not_confirmed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit("The CSMS has set a limit that the station supports, and no TransactionEvent has told it within "
                  f"{now.bounds.start_s:g} s", expected="triggerReason LimitSet", place=deadline.place, by="station")
