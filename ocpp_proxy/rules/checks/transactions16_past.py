"""How much of a station's past is on record, and what may have happened beside it.

Decides whether anything can be missing between a moment and now, and whether a message may have waited in the station's
queue. Refuses to judge. What has waited is known by its own time: it lies in a time offline, before the connection, or
long ago by the proxy's clock; a station whose clock is wrong by that much gets the benefit of the doubt.

Source: OCPP 1.6 edition 2 sections 3.5 (offline) and 3.7 (queued messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ocpp_proxy.core.payload import folded, integer, moment_us
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.transactions import UNKNOWN, Transaction, same_start
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import call, learn

FRESH_S = 120.0        # a message whose own time is older than this may have waited
NEAR_US = 60_000_000   # the proxy's clock and the station's may be so far apart
LONGEST_US = 30 * 86_400_000_000  # clocks that are further apart than this have nothing to do with each other
IN_TIME_S = 10.0       # an answer that takes longer may have come too late for the station


@dataclass(slots=True)
class Strays:
    """`last`: when a StopTransaction came of which it is not clear what it ended."""

    last: float = -inf


@learn(call("StopTransaction"))
def ended_something(now: Now) -> None:
    if named(now) is None:
        now.session.book(Strays).last = now.time


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


def may_have_waited(now: Now, at_us: int | None) -> bool:
    """Whether a message with this time of its own may come from the station's queue."""
    if at_us is None or now.link is None:
        return True
    links = now.session.links
    if any(one.from_us - NEAR_US <= at_us <= one.to_us + NEAR_US for one in links.windows):
        return True
    opened = now.link.opened
    if opened is not None and within(opened.at.utc_us - at_us, LONGEST_US):
        return True
    return within(now.at.utc_us - at_us - round(FRESH_S * 1e6), LONGEST_US)


def within(passed_us: int, longest_us: int) -> bool:
    return 0 < passed_us < longest_us


def was_before(at_us: int | None, other_us: int | None, slack_s: float = 2.0) -> bool:
    """Whether the one moment lies before the other, as far as two clocks can tell."""
    if at_us is None or other_us is None:
        return False
    return within(other_us - at_us - round(slack_s * 1e6), LONGEST_US)


def wall_us(now: Now, time: float) -> int:
    """What the proxy's wall clock showed at a time of the capture's clock."""
    return now.at.utc_us - round((now.time - time) * 1e6)


def known_start(now: Now) -> Transaction | None:
    """The transaction that this StartTransaction, sent again, has told of before."""
    return next((one for one in now.session.transactions.all() if same_start(one, now.request)), None)


def named(now: Now) -> Transaction | None:
    """The transaction that the request names, where there is no doubt which it is: ids of 0 and less may stand for
    several."""
    number = integer(now.request, "transactionId")
    book = now.session.transactions
    if number is None:
        return None
    if number > 0:
        return book.find(number)
    found = [one for one in book.open if one.is_called(number) or (number == UNKNOWN and one.id is None)]
    return found[0] if len(found) == 1 else None


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
