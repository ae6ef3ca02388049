"""How much of a station's past is on record, and what may have happened beside it.

Decides whether anything can be missing between a moment and now, when what a message tells of was on the capture's own
clock, and whether it may have waited in the station's queue: if it is from a time offline, from before the connection,
or from long ago. Refuses to judge. A station's clock that is fast is known by the messages themselves, which cannot be
from the future; one that is slow makes messages look as if they had waited, which is the benefit of the doubt.

Source: OCPP 1.6 edition 2 sections 3.5 (offline) and 3.7 (queued messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ocpp_proxy.core.payload import folded, integer, moment_us
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.links import Window
from ocpp_proxy.core.station.transactions import UNKNOWN, Transaction
from ocpp_proxy.rules.checks.meter_samples import readings
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import IN_16, call, learn

FRESH_S = 120.0        # a message whose own time is older than this may have waited
NEAR_S = 60.0          # the proxy's clock and the station's may be so far apart
LONGEST_US = 30 * 86_400_000_000  # clocks that are further apart than this have nothing to do with each other
FAST_US = 86_400_000_000     # nor is one that is this fast a clock at all
HOUR_S = 3600.0
IN_TIME_S = 10.0       # an answer that takes longer may have come too late for the station


@dataclass(slots=True)
class Strays:
    """`last`: when a StopTransaction came of which it is not clear what it ended."""

    last: float = -inf


@learn(call("StopTransaction"), versions=IN_16)
def ended_something(now: Now) -> None:
    if now.once(named) is None:
        now.session.book(Strays).last = now.time


@dataclass(slots=True)
class Ahead:
    """How far the station's clock is ahead of the proxy's at least, in the hour that began at `hour` and in the one
    before."""

    fast_us: int = 0
    fast_before_us: int = 0
    hour: float = 0.0


@learn(call("StatusNotification", "StartTransaction", "StopTransaction", "MeterValues"), versions=IN_16)
def told_time(now: Now) -> None:
    book, at_us = now.session.book(Ahead), now.once(own_time)
    if now.time - book.hour > HOUR_S:
        book.fast_us, book.fast_before_us, book.hour = 0, book.fast_us, now.time
    if at_us is not None and book.fast_us < at_us - now.at.utc_us < FAST_US:
        book.fast_us = at_us - now.at.utc_us


def whole_since(now: Now, time: float) -> bool:
    """Whether everything that the station said and heard since then is on record."""
    return now.session.links.whole_since(time)


def certainly_open(now: Now, transaction: Transaction) -> bool:
    """Whether a transaction that has no end has none indeed: its start was answered, it was not refused, and nothing is
    missing since."""
    if not transaction.open or transaction.start is None or transaction.confirmed is None:
        return False
    if transaction.status not in (None, "Accepted") or now.session.book(Strays).last > transaction.start_time:
        return False
    return whole_since(now, transaction.start_time)


def own_time(now: Now) -> int | None:
    """When what the message tells of was, by its own words; the last sample of MeterValues. (To be asked by
    `now.once`.)"""
    at_us = moment_us(now.request, "timestamp")
    if at_us is not None or now.action != "MeterValues":
        return at_us
    values = now.once(readings)
    if len(values) == 1:
        return values[0].at_us
    return max((one.at_us for one in values if one.at_us is not None), default=None)


def time_of(now: Now, at_us: int | None) -> float | None:
    """When a moment that the station tells of was, on the clock of `now.time`; None where its clock and the proxy's
    have nothing to do with each other."""
    if at_us is None:
        return None
    book = now.session.book(Ahead)
    ago_s = (now.at.utc_us + max(book.fast_us, book.fast_before_us) - at_us) / 1e6
    return now.time - ago_s if abs(ago_s) * 1e6 < LONGEST_US else None


def was_before(at_us: int | None, other_us: int | None, slack_s: float = 2.0) -> bool:
    """Whether the one moment lies before the other, as far as two clocks can tell."""
    if at_us is None or other_us is None:
        return False
    return within(other_us - at_us - round(slack_s * 1e6), LONGEST_US)


def told_before(now: Now, at_us: int | None, time: float, slack_s: float = 2.0) -> bool:
    """Whether a moment that the station tells of lies before a time, as far as one can tell."""
    told = time_of(now, at_us)
    return told is not None and told < time - slack_s


def within(passed_us: int, longest_us: int) -> bool:
    return 0 < passed_us < longest_us


def offline_at(now: Now, at_us: int | None) -> Window | None:
    """The time offline in which a moment lies that the station tells of."""
    windows = now.session.links.windows
    told = time_of(now, at_us) if windows else None
    return next((one for one in windows if one.from_time <= told <= one.to_time), None) if told is not None else None


def may_have_waited(now: Now, at_us: int | None) -> bool:
    """Whether a message with this time of its own may come from the station's queue. Where it is from the future, the
    clock is wrong and nobody knows."""
    if at_us is None or now.link is None:
        return True
    told = time_of(now, at_us)
    if told is None:
        return False
    windows = now.session.links.windows
    if windows and any(one.from_time - NEAR_S <= told <= one.to_time + NEAR_S for one in windows):
        return True
    return (now.link.opened is not None and told < now.link.opened_time) or abs(now.time - told) > FRESH_S


def known_start(now: Now) -> Transaction | None:
    """The transaction that this StartTransaction, sent again, has told of before. (To be asked by `now.once`.)"""
    return now.session.transactions.begun_by(now.request)


def named(now: Now) -> Transaction | None:
    """The transaction that the request names, where there is no doubt which it is: ids of 0 and less may stand for
    several. (To be asked by `now.once`.)"""
    number, book = integer(now.request, "transactionId"), now.session.transactions
    if number is None:
        return None
    if number > 0 and len(book.open) == 1 and (only := book.open[0]).is_called(number):
        return None if only.mixed else only
    found = [one for one in book.open if one.is_called(number) or (number == UNKNOWN and one.id is None)]
    if not found:
        return book.find(number) if number > 0 else None
    if len(found) > 1 or found[0].mixed or (number <= 0 and not whole_since(now, found[0].start_time)):
        return None
    return found[0]


def token_of(now: Now) -> str | None:
    return folded(now.request, "idTag")


def stamped_us(now: Now) -> int | None:
    return moment_us(now.request, "timestamp")


def connectors_of(session: Session) -> int | None:
    """How many connectors the station has, None if it did not say."""
    return session.settings.integer("NumberOfConnectors")


def about(seconds: float) -> str:
    """A time as people say it: so that the same defect reads the same again."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"about {round(seconds / size)} {name}"
    return f"about {round(seconds, -1):.0f} s" if seconds >= 10 else "less than 10 s"
