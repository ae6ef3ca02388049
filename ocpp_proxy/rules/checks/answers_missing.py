"""Calls that nobody answers.

Keeps the Calls of each side of a connection that have no answer, CALLS_KEPT of them, with one deadline for all: of
nearly every Call the answer comes at once, and then nothing else is done about it. Their times are on the capture's
clock less what this program has held up by then, which counts against nobody.

Source: OCPP-J 1.6 section 4.1; OCPP 2.0.1 and 2.1 Part 4 chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import OTHER_SIDE, Call, Side
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, answer, call, check
from ocpp_proxy.rules.place import SHOWN, Place, connector_in, evidence_of, transaction_in

CALLS_KEPT = 64
NEVER = float("-inf")
ROUNDING_S = 1e-6  # sums of times are a little off; a deadline that has come is not to be missed

Key: TypeAlias = "tuple[str, Side]"
# A Call without an answer, by when it should have one, and the frame that repeats it.
Waiting: TypeAlias = "tuple[Exchange, float, FrameRef | None]"


@dataclass(slots=True)
class Open:
    """What one side of a connection has called, by message id. `due`: when the deadline runs out, which has the key and
    the place of the two, as it is about no single Call."""

    key: Key
    place: Place
    calls: dict[str, Waiting] = field(default_factory=dict)
    due: float = NEVER


@dataclass(slots=True)
class OpenCalls:
    """Of the open connections, by connection and caller."""

    by_side: dict[Key, Open] = field(default_factory=dict)


@check("frame-no-answer", call(retries=True), call(by="csms", retries=True))
def called(now: Now) -> None:
    exchange = now.exchange
    if exchange is None or exchange.withheld or not isinstance(now.frame, Call):
        return
    key = (now.connection, exchange.caller)
    by_side = now.session.book(OpenCalls).by_side
    mine = by_side.get(key)
    if mine is None:
        mine = by_side[key] = Open(key, Place(now.connection, now.session, None, exchange.caller, ()))
    elif len(mine.calls) >= CALLS_KEPT:
        return
    held_s = now.session.held_s
    due = exchange.called_time + now.bounds.answer_fail_s - held_s
    calls = mine.calls
    calls[exchange.message_id] = exchange, due, now.ref if now.retry else None
    if not now.time - held_s <= mine.due <= due:
        _set(now, mine, due if len(calls) == 1 else _first(calls))


@check("frame-no-answer", answer(), answer(by="csms"))
def answered(now: Now) -> None:
    exchange = now.exchange
    if exchange is None:
        return
    key = (now.connection, exchange.caller)
    mine = now.session.book(OpenCalls).by_side.get(key)
    if mine is not None and mine.calls.pop(exchange.message_id, None) is not None and not mine.calls:
        mine.due = NEVER
        now.cancel(key)


@check("frame-no-answer", CLOSED)
def closed(now: Now) -> None:
    by_side = now.session.book(OpenCalls).by_side
    for side in OTHER_SIDE:
        by_side.pop((now.connection, side), None)


def _first(calls: dict[str, Waiting]) -> float:
    """When the first of them is due."""
    return min(due for _, due, _ in calls.values())


def _set(now: Now, mine: Open, due: float) -> None:
    mine.due = due
    left_s = due + now.session.held_s - now.time - ROUNDING_S
    now.later(left_s, not_answered, key=mine.key, data=mine, place=mine.place)


def not_answered(now: Now, deadline: Deadline) -> Iterator[Hit]:
    mine: Open = deadline.data
    latest = now.time - now.session.held_s + 2 * ROUNDING_S
    late = sorted((one for one in mine.calls.values() if one[1] <= latest), key=itemgetter(1))
    mine.due = NEVER
    for exchange, _, _ in late:
        del mine.calls[exchange.message_id]
    if mine.calls:
        _set(now, mine, _first(mine.calls))
    side = OTHER_SIDE[mine.key[1]]
    for exchange, _, ref in late:
        yield now.hit(f"The {SHOWN[side]} has not answered {exchange.action} within {now.bounds.answer_fail_s:g} s",
                      place=_place(now, exchange, ref or FrameRef(exchange.connection, exchange.call_seq)), by=side)


def _place(now: Now, exchange: Exchange, ref: FrameRef) -> Place:
    request = exchange.request
    evidence = evidence_of(ref.connection, ref.seq, exchange, None)
    return Place(ref.connection, now.session, ref, exchange.caller, evidence, exchange.action, connector_in(request),
                 transaction_in(request))
