"""What TransactionEvents of 2.x say of times offline, what is left of them afterwards, and how they are sent again.

The times in the events are the station's, those of the connection are the proxy's: how far the station's clock is off
is taken from events that came at once, and what is near the edge of a time offline is not judged.

Source: OCPP 2.0.1 and 2.1 Part 2, E04.FR.01 to .03, E11.FR.01, E11.FR.02, E11.FR.07, E12.FR.02, E13.FR.02 to .04.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import CallError
from ocpp_proxy.rules.checks.transactions2x_book import fresh, said, stories
from ocpp_proxy.rules.checks.transactions2x_meter import UPDATED, every_s
from ocpp_proxy.rules.now import Deadline, FrameRef, Hit, Now
from ocpp_proxy.rules.occasions import OPENED, answer, call, check, learn

EDGE_US = 10_000_000  # so far from the edges of a time offline both clocks agree about it
WITHIN_S = 300.0      # after a reconnection, until each open transaction has been heard of
PERIODS = 2
ATTEMPTS = "OCPPCommCtrlr.MessageAttempts[TransactionEvent]"
INTERVAL = "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]"
NOT_SEEN = "{} was not seen"
TRIES_KEPT = 16


@check("te-offline-flag", call("TransactionEvent"))
def offline_flag(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.at_us is None:
        return
    lag_us = stories(now).lag_us
    if lag_us is None:
        yield from now.unknown("the station's clock could not be compared with the proxy's")
        return
    at_us = one.event.at_us + lag_us  # by the proxy's clock
    if not one.event.offline and _lies_in(now, at_us):
        yield now.hit("An event from a time offline does not have offline true", "/offline", seen=False, expected=True)
    elif one.event.offline and _lies_after(now, at_us):
        yield now.hit("An event from a time online has offline true", "/offline", seen=True, expected=False,
                      case="online")


def _lies_in(now: Now, at_us: int) -> bool:
    """Whether it happened between two connections, neither of which this program ended."""
    return any(window.from_us + EDGE_US < at_us < window.to_us - EDGE_US and window.by != "proxy"
               for window in now.session.links.windows)


def _lies_after(now: Now, at_us: int) -> bool:
    """Whether it happened during the connection that it was told on."""
    link = now.link
    began = link.opened.at if link is not None and link.opened is not None else None
    return began is not None and began.utc_us + EDGE_US < at_us and len(now.session.links.open) == 1


# What was queued


@check("te-queue-after-offline", OPENED)
def reconnected(now: Now) -> Iterator[Hit]:
    since = now.session.links.offline_since
    if since is None:
        return
    for story in stories(now).running():
        if not story.sampled or not story.alive(now.session) or story.last_time > since[0]:
            continue
        key = story.name.casefold()
        interval_s = every_s(now, key)
        if interval_s is None:
            yield from now.unknown(NOT_SEEN.format(UPDATED))
        elif interval_s > 0:
            now.later(max(WITHIN_S, (PERIODS + 1) * interval_s), silent, key=key, data=key)


@check("te-queue-after-offline", call("TransactionEvent", retries=True))
def heard_again(now: Now) -> None:
    event = said(now)
    if event is not None:
        now.cancel(event.tx)


def silent(now: Now, deadline: Deadline) -> Iterator[Hit]:
    story = stories(now).by_id.get(deadline.data)
    if story is None or story.last is None or now.session.registration.status not in (None, "Accepted"):
        return
    yield now.hit("A transaction that was running before the station was offline is not heard of after it",
                  place=deadline.place, by="station", frame=story.last.ref, transaction=story.name,
                  connector=story.evse)  # fmt: skip


# What is sent again


@dataclass(slots=True)
class Try:
    """An event on its way. `count`: how often it was sent; `sent`: when last, `failed`: when that failed, None while it
    has no answer; `connection`: of the last attempt."""

    count: int
    sent: float
    ref: FrameRef
    connection: str
    failed: float | None = None


@dataclass(slots=True)
class Tries:
    """By transaction and sequence number: those without a CALLRESULT."""

    open: dict[tuple[str, int], Try] = field(default_factory=dict)


@learn(call("TransactionEvent", retries=True))
def sent(now: Now) -> None:
    event = said(now)
    if event is None or now.injected:
        return
    tries = now.session.book(Tries).open
    before = tries.pop((event.tx, event.seq), None)
    known = before is not None and before.connection == now.connection
    tries[event.tx, event.seq] = Try(before.count + 1 if before is not None and known else 1, now.called_time, now.ref,
                                     now.connection)
    if len(tries) > TRIES_KEPT:
        del tries[next(iter(tries))]


@learn(answer("TransactionEvent"))
def answered(now: Now) -> None:
    event = said(now)
    tries = now.session.book(Tries).open
    if event is None:
        return
    if isinstance(now.frame, CallError) and (one := tries.get((event.tx, event.seq))) is not None:
        one.failed = now.time
    else:
        tries.pop((event.tx, event.seq), None)


@check("te-retry", call("TransactionEvent", retries=True))
def again(now: Now) -> Iterator[Hit]:
    event = said(now)
    before = now.session.book(Tries).open.get((event.tx, event.seq)) if event is not None else None
    if before is None or before.connection != now.connection or now.injected:
        return
    interval_s, most = now.session.settings.integer(INTERVAL), now.session.settings.integer(ATTEMPTS)
    if interval_s is None and most is None:
        yield from now.unknown(NOT_SEEN.format(INTERVAL))
        return
    if most is not None and most > 0 and before.count >= most:
        yield now.hit(f"A TransactionEvent is sent more often than the {most} times of MessageAttempts", "",
                      also=[before.ref])
    elif interval_s is not None and interval_s > 0:
        yield from _spacing(now, before, interval_s)


def _spacing(now: Now, before: Try, interval_s: int) -> Iterator[Hit]:
    """Where the CSMS said nothing, it is not known when the station gave up waiting: then only too soon can be seen."""
    wanted_s = interval_s * before.count
    since = before.failed if before.failed is not None else before.sent
    passed_s, tolerance_s = now.time - since, now.bounds.tolerance_s(wanted_s)
    times = f"{before.count} times the " if before.count > 1 else "the "
    if passed_s < wanted_s - tolerance_s:
        yield now.hit(f"A TransactionEvent is sent again sooner than {times}MessageAttemptInterval of {interval_s} s "
                      "after it failed", "", also=[before.ref])
    elif before.failed is not None and passed_s > wanted_s + tolerance_s + now.bounds.answer_fail_s * 2:
        yield now.hit(f"A TransactionEvent is sent again later than {times}MessageAttemptInterval of {interval_s} s "
                      "after it failed", "", also=[before.ref])


