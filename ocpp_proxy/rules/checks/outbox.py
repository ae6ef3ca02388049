"""The station's queue of messages about transactions in 1.6, as far as it can be seen from outside.

Decides whether a message that did not come may still be waiting in the queue: behind one that the CSMS has not answered
or has answered with CALLERROR, or behind older ones that are on their way after a time offline. Keeps the open Calls of
the open connections, WAITING_KEPT at most.

Source: OCPP 1.6 edition 2 sections 3.7 and 3.7.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.payload import moment_us
from ocpp_proxy.rules.checks.meter_samples import readings
from ocpp_proxy.rules.checks.status16 import is_old
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import CLOSED, IN_16, answer, call, learn

QUEUED = ("StartTransaction", "StopTransaction", "MeterValues")
WAITING_KEPT = 32


@dataclass(slots=True)
class Outbox:
    """`waiting`: open Calls, and when they were made; `refused`: the last one was answered with CALLERROR and may be
    sent again; `past`: when a message told last of a time before the connection."""

    waiting: dict[tuple[str, str], float] = field(default_factory=dict)
    refused: bool = False
    past: float | None = None


@learn(call(*QUEUED), versions=IN_16)
def sent(now: Now) -> None:
    exchange, book = now.exchange, now.session.book(Outbox)
    if exchange is None or exchange.injected:
        return
    book.waiting[now.connection, exchange.message_id] = now.called_time
    if len(book.waiting) > WAITING_KEPT:
        del book.waiting[next(iter(book.waiting))]
    if is_old(now, _first_time(now)):
        book.past = now.time


@learn(answer(*QUEUED), versions=IN_16)
def answered(now: Now) -> None:
    exchange, book = now.exchange, now.session.book(Outbox)
    if exchange is None:
        return
    began = book.waiting.pop((now.connection, exchange.message_id), None)
    book.refused = not isinstance(now.frame, CallResult)
    if began is not None and not book.refused:  # what was open before has been given up
        for key in [key for key, time in book.waiting.items() if time < began]:
            del book.waiting[key]


@learn(CLOSED, versions=IN_16)
def closed(now: Now) -> None:
    waiting = now.session.book(Outbox).waiting
    for key in [key for key in waiting if key[0] == now.connection]:
        del waiting[key]


def _first_time(now: Now) -> int | None:
    """When the event of a message was; of MeterValues the first sample."""
    at_us = moment_us(now.request, "timestamp")
    if at_us is not None or now.action != "MeterValues":
        return at_us
    values = readings(now)
    return values[0].at_us if values else None


def unsettled(now: Now) -> bool:
    """Whether messages about transactions may be waiting to be sent."""
    book = now.session.book(Outbox)
    if book.refused or now.session.registration.status not in (None, "Accepted"):
        return True
    if book.past is not None and now.time - book.past < now.bounds.stop_s:  # others may follow
        return True
    slow_s = now.bounds.answer_warn_s
    return any(now.time - since >= slow_s for since in book.waiting.values())

