"""Dates and times as they are written, and their order.

Refuses to hold them against a clock (`clock_skew`).

Source: OCPP 1.6 edition 2 sections 3.7, 3.14 and 3.15; OCPP 2.0.1 and 2.1 Part 2 section 3.1.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.formats import is_iso_8601
from ocpp_proxy.core.frame import Call, CallResult, Frame, Send
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, items, moment_us
from ocpp_proxy.core.station.transactions import UNKNOWN
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check, message

# Fields of type dateTime, in the schemas of all versions; none of these names is that of another text.
DATE_TIMES = frozenset((
    "basetime", "cacheExpiryDateTime", "currentTime", "departureTime", "dynUpdateTime", "endDateTime", "expiryDate",
    "expiryDateTime", "generatedAt", "installDateTime", "latestTimestamp", "nextUpdate", "oldestTimestamp",
    "productionDate", "retrieveDate", "retrieveDateTime", "scheduleStart", "settlementTime", "startDateTime",
    "startPeriod", "startSchedule", "startTime", "stopTime", "timeAnchor", "timeBase", "timestamp", "validFrom",
    "validTo",
))  # fmt: skip
CUSTOM = "customData"
DEEPEST = 16
DECIMALS_MOST = 3
STEP_BACK_S = 10.0  # samples of two kinds may cross, and a clock may be set by a little
TRANSACTIONS_KEPT = 64
TIMES_KEPT = 8

# A frame that holds no time without a zone and none with more than three decimals needs no closer look. Patterns that
# begin with one character are the fast ones.
_ODD = rb'(?:[0-9:.,]++"|[0-9]{2}:[0-9]{2}:[0-9]{2}[.,][0-9]{4})'
_UP_ODD, _LOW_ODD = re.compile(b"T" + _ODD), re.compile(b"t" + _ODD)
_FRACTION = re.compile(r"[.,]([0-9]+)")
_DIGIT = re.compile(r"[0-9]")


def has_odd_time(now: Now) -> bool:
    """Whether it is worth looking closer. (To be asked by `now.once`.)"""
    raw = now.frame.raw if now.frame is not None else b""
    return _UP_ODD.search(raw) is not None or _LOW_ODD.search(raw) is not None


def payload_of(frame: Frame | None) -> Any:
    return frame.payload if isinstance(frame, (Call, CallResult, Send)) else None


def date_times(payload: Any, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Each field of type dateTime, as pointer, name and text, whatever the text is."""
    if depth > DEEPEST:
        return
    if isinstance(payload, list):
        for place, item in enumerate(payload):
            if isinstance(item, (dict, list)):
                yield from date_times(item, f"{pointer}/{place}", depth + 1)
    elif isinstance(payload, dict):
        for key, value in payload.items():
            if isinstance(value, str) and key in DATE_TIMES:
                yield f"{pointer}/{key}", key, value
            elif isinstance(value, (dict, list)) and key != CUSTOM:
                yield from date_times(value, f"{pointer}/{key}", depth + 1)


def has_zone(text: str) -> bool:
    """Whether a date and time says where it is."""
    clock = text.upper().partition("T")[2]
    return clock.endswith("Z") or "+" in clock or "-" in clock


def _shape(text: str) -> str:
    """How it is written, without the digits."""
    return _DIGIT.sub("0", text[:40])


def _each_name(payload: Any) -> Iterator[tuple[str, str, str]]:
    """The same once for each name, so that a list of a thousand samples says it once."""
    names: set[str] = set()
    for pointer, name, text in date_times(payload):
        if name not in names:
            names.add(name)
            yield pointer, name, text


@check("time-no-zone", message())
def no_zone(now: Now) -> Iterator[Hit] | None:
    return _without_zone(now) if now.once(has_odd_time) else None


def _without_zone(now: Now) -> Iterator[Hit]:
    for pointer, name, text in _each_name(payload_of(now.frame)):
        if is_iso_8601(text) and not has_zone(text):
            yield now.hit(f"{name} has no time zone", pointer, seen=_shape(text), expected="Z or an offset",
                          connector=None, transaction=None)


@check("time-fraction", message())
def too_fine(now: Now) -> Iterator[Hit] | None:
    return _with_fraction(now) if now.once(has_odd_time) else None


def _with_fraction(now: Now) -> Iterator[Hit]:
    for pointer, name, text in _each_name(payload_of(now.frame)):
        found = _FRACTION.search(text)
        if found is not None and len(found[1]) > DECIMALS_MOST and is_iso_8601(text):
            yield now.hit(f"{name} has {len(found[1])} decimals of a second", pointer, seen=_shape(text),
                          expected=f"at most {DECIMALS_MOST} decimals", connector=None, transaction=None)


# The order of a transaction's messages


@dataclass(slots=True)
class Told:
    """The last messages of a transaction: their times, the latest that was told and the frame that told it."""

    times: deque[int] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))
    latest: int | None = None
    connection: str = ""
    seq: int = 0

    def tell(self, at_us: int, exchange: Exchange) -> None:
        self.times.append(at_us)
        if self.latest is None or at_us > self.latest:
            self.latest, self.connection, self.seq = at_us, exchange.connection, exchange.call_seq


@dataclass(slots=True)
class Course:
    """By transaction, the TRANSACTIONS_KEPT begun last."""

    told: dict[int, Told] = field(default_factory=dict)

    def of(self, number: int) -> Told:
        found = self.told.get(number)
        if found is None:
            found = self.told[number] = Told()
            if len(self.told) > TRANSACTIONS_KEPT:
                del self.told[next(iter(self.told))]
        return found


@check("time-backwards", call("MeterValues", "StopTransaction"))
def backwards(now: Now) -> Iterator[Hit] | None:
    request, exchange = now.request, now.exchange
    number = integer(request, "transactionId")
    if number is None or number == UNKNOWN or exchange is None or exchange.injected:
        return None
    place, at_us = _time_of(request)
    if at_us is None:
        return None
    told = now.session.book(Course).of(number)
    if told.latest is not None and at_us >= told.latest and exchange.action == "MeterValues":
        told.tell(at_us, exchange)
        return None
    pointer = "/timestamp" if place is None else f"/meterValue/{place}/timestamp"
    return _earlier(now, exchange, number, pointer, at_us)


def _earlier(now: Now, exchange: Exchange, number: int, pointer: str, at_us: int) -> Iterator[Hit]:
    course, transaction = now.session.book(Course), now.session.transactions.find(number)
    told = course.of(number)
    began_us = transaction.started_us if transaction is not None else None
    latest, ref, known = told.latest, FrameRef(told.connection, told.seq), at_us in told.times
    if latest is None and transaction is not None:
        latest, ref = began_us, transaction.start or ref
    told.tell(at_us, exchange)
    if exchange.action == "StopTransaction":
        course.told.pop(number, None)
        if began_us is not None and at_us < began_us:
            return  # stop-time-order tells of it
    if latest is not None and not known and latest - at_us > max(STEP_BACK_S, now.bounds.interval_s) * 1e6:
        yield now.hit("The time is earlier than in the transaction's message before", pointer, also=[ref])


def _time_of(request: Any) -> tuple[int | None, int | None]:
    """The message's own time; of MeterValues the latest of its samples, with the place of the last that has it."""
    at_us = moment_us(request, "timestamp")
    place: int | None = None
    for number, value in enumerate(items(request, "meterValue") if at_us is None else ()):
        found = moment_us(value, "timestamp")
        if found is not None and (at_us is None or found >= at_us):
            at_us, place = found, number
    return place, at_us
