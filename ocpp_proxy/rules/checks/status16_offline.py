"""Statuses of 1.6 that tell of the past.

Decides whether a status had been overtaken when it was told. The clocks of station and proxy need not agree: the least
time from any status to its telling is how far the station's clock may be behind at most, and only what is late beyond
that is late.

Source: OCPP 1.6 edition 2 section 4.9 (rules after a time offline) and 6.47.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.rules.checks.status16 import Told, booted_since, is_behind, lines, told_in, turned_back
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

STATUSES_KEPT = 8
SLACK_US = 2_000_000


@dataclass(slots=True)
class Lags:
    """`least_us`: the least time from a status to its telling, by both clocks, since the clock was last set by a boot;
    `recent`: connector and status of those told on this connection that may still prove to be old."""

    least_us: int | None = None
    connection: str = ""
    recent: list[tuple[int, Told]] = field(default_factory=list)


@learn(answer("BootNotification"), versions=IN_16)
def clock_set(now: Now) -> None:
    now.session.book(Lags).least_us = None


@learn(call("StatusNotification"), versions=IN_16)
def lagged(now: Now) -> None:
    read, book = now.once(told_in), now.session.book(Lags)
    if read is None:
        return
    line, before_us = lines(now).known.get(read[0]), book.least_us
    if line is not None and line.late is not None and line.late.ref == read[1].ref:
        book.least_us = None  # it may be the clock that was put back
    least_us = book.least_us = _least_us(book, read[1])
    if book.connection != now.connection:
        book.connection, book.recent = now.connection, []
    elif least_us != before_us:
        book.recent = [each for each in book.recent if not _long_before(now, each[1], least_us)]
    if not _long_before(now, read[1], least_us):
        book.recent = [*book.recent[1 - STATUSES_KEPT:], read]


@check("status-offline-history", call("StatusNotification"))
def history(now: Now) -> Iterator[Hit] | None:
    read = now.once(told_in)
    if read is None:
        return None
    number, one = read
    book, last = now.session.book(Lags), lines(now).last(number)
    in_order = last is None or not (is_behind(one, last) or _overtaken(now, last, one))
    recent = _least_us(book, one) == book.least_us and not _long_before(now, one, book.least_us)
    return None if in_order and recent else _history(now, number, one)


def _history(now: Now, number: int, one: Told) -> Iterator[Hit]:
    line = lines(now).known.get(number)
    last = line.last if line is not None else None
    if line is not None and last is not None and not booted_since(now, last.time):
        if is_behind(one, last) and not turned_back(line, one):
            yield now.hit(f"{one.name} is told after {last.name}, and was before it by its time", "/timestamp",
                          expected="statuses in the order of their events", also=[last.ref])
            return
        if _overtaken(now, last, one):
            yield now.hit(f"{last.name} was over already when it was told, since it is followed by {one.name}",
                          "/timestamp", expected=f"{one.name} alone", frame=last.ref, also=[now.ref])
    yield from _old(now, number, one)


def _overtaken(now: Now, last: Told, one: Told) -> bool:
    """Whether this one had begun before the last was told, and both before the connection was there."""
    least_us, opened_us = now.session.book(Lags).least_us, _opened_us(now)
    if one.at_us is None or last.at_us is None or least_us is None or opened_us is None:
        return False
    if last.name == one.name or _is_error(last) or last.ref.connection != now.connection:
        return False
    begun_us = one.at_us + max(least_us, 0)  # by the proxy's clock, at the latest
    return last.at_us < one.at_us and begun_us <= opened_us - SLACK_US


def _old(now: Now, number: int, one: Told) -> Iterator[Hit]:
    """Those of this connection whose own time now proves to be long before it."""
    book = now.session.book(Lags)
    if now.link is None or booted_since(now, now.link.opened_time):
        return
    least_us = _least_us(book, one)
    recent = book.recent if book.connection == now.connection else []
    for place, told in (*recent, (number, one)):
        if not _is_error(told) and _long_before(now, told, least_us):
            yield now.hit(f"{told.name} is told with the time of an event long before the connection", "/timestamp",
                          case="old-time", frame=told.ref, connector=place)


def _long_before(now: Now, told: Told, least_us: int | None) -> bool:
    """Whether it began long before the connection was there, however far the station's clock is behind."""
    opened_us = _opened_us(now)
    if told.at_us is None or least_us is None or opened_us is None:
        return False
    return told.at_us + max(least_us, 0) <= opened_us - round(now.bounds.time_fail_s * 1e6)


def _least_us(book: Lags, told: Told) -> int | None:
    """The least lag so far, with that of this status."""
    if told.at_us is None:
        return book.least_us
    lag_us = told.sent_us - told.at_us
    return lag_us if book.least_us is None else min(book.least_us, lag_us)


def _opened_us(now: Now) -> int | None:
    link = now.link
    return link.opened.at.utc_us if link is not None and link.opened is not None else None


def _is_error(told: Told) -> bool:
    return told.name == "Faulted" or told.error not in (None, "NoError")
