"""The station's queue of messages about transactions in 1.6: in which order they come, and how often.

Decides which of them are not acknowledged yet, whether a newer one overtakes, and whether what failed is sent again as
configured. The same content with another message id is the same message. Refuses to know how long a station waits for
an answer: up to IN_TIME_S it certainly waits, after `answer_fail_s` it certainly does not.

Source: OCPP 1.6 edition 2 sections 3.7, 3.7.1, 9.1.31 and 9.1.32; OCPP-J 1.6 errata 3.3 (a failure is a CALLERROR).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, number
from ocpp_proxy.rules.checks.meter_samples import contexts, readings
from ocpp_proxy.rules.checks.transactions16_past import (
    IN_TIME_S,
    about,
    may_have_waited,
    offline_at,
    own_time,
    time_of,
    whole_since,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, IN_16, answer, call, check, learn
from ocpp_proxy.rules.place import place_of

QUEUED = ("StartTransaction", "StopTransaction", "MeterValues")
BILLED = QUEUED[:2]
WAITING_KEPT = 32
DONE_KEPT = 64
JITTER_US = 10_000_000   # two connectors may note the same moment so far apart
ROUNDING_S = 1.0         # times may be cut to whole seconds
DRAINING_S = 30.0        # after an old message, others may follow
MARGIN_S = 60.0          # for whatever else the station has to do before it sends again
NEVER_S = 900.0          # how long to wait for it where the interval is not known

Failure: TypeAlias = Literal["error", "link", "unclear"]


@dataclass(slots=True)
class Message:
    """One that is not acknowledged. `ref` and `time`: of the last time it was sent; `at_us`: its own time; `failures`:
    how often it has failed so far, `doubtful`: and how often it may have, since the link was lost meanwhile; `failure`:
    how at last, None while its answer may still come; `overtaken`: a newer one that was sent meanwhile; `told`: that
    was told already; `certain`: the time waited is the station's own."""

    action: str
    message_id: str
    ref: FrameRef
    time: float
    at_us: int | None
    failures: int = 0
    doubtful: int = 0
    failure: Failure | None = None
    overtaken: FrameRef | None = None
    told: bool = False
    certain: bool = True


class Newest(NamedTuple):
    """The message with the latest time of its own."""

    action: str
    ref: FrameRef
    at_us: int


class Facts(NamedTuple):
    """What is asked of a message more than once. `key`: what stays the same when it is sent again; `at_us`: its own
    time; `queued`: whether it belongs in the queue; `aligned`: it bears the beginning of an interval."""

    key: Hashable
    at_us: int | None
    queued: bool
    aligned: bool


@dataclass(slots=True)
class Queue:
    """`waiting`: by key, oldest first; `done`: keys of those acknowledged last; `old`: when one came last that had
    waited; `last`: the key of the last Call."""

    waiting: dict[Hashable, Message] = field(default_factory=dict)
    done: dict[Hashable, None] = field(default_factory=dict)
    newest: Newest | None = None
    old: float | None = None
    last: tuple[FrameRef, Hashable] | None = None


# To be asked by `now.once`.


def facts_of(now: Now) -> Facts:
    told = now.once(contexts) if now.action == "MeterValues" else frozenset[str]()
    queued = _is_queued(now) and "Trigger" not in told
    return Facts(key_of(now), now.once(own_time), queued, "Sample.Clock" in told)


def key_of(now: Now) -> Hashable:
    request, action, at_us = now.request, now.action, now.once(own_time)
    if at_us is None:
        return action, hash(now.exchange.call.raw.partition(b"{")[2]) if now.exchange is not None else None
    place, transaction = integer(request, "connectorId"), integer(request, "transactionId")
    if action == "MeterValues":
        return action, at_us, place, transaction, len(now.once(readings))
    meter = number(request, "meterStart"), number(request, "meterStop")
    return action, at_us, place, transaction, folded(request, "idTag"), *meter


def _key_answered(now: Now) -> Hashable:
    """That of the Call that is answered, which as a rule was the last."""
    last = now.session.book(Queue).last
    return last[1] if last is not None and last[0] == now.call_ref else now.once(key_of)


def _is_queued(now: Now) -> bool:
    """Whether the message may belong in the queue: what this program made up does not, nor what cannot be read."""
    exchange = now.exchange
    return exchange is not None and not (now.injected or exchange.withheld) and isinstance(now.request, dict)


@learn(call(*QUEUED, retries=True), versions=IN_16)
def sent(now: Now) -> None:
    exchange, facts, book, ref = now.exchange, now.once(facts_of), now.session.book(Queue), now.ref
    key, at_us = facts.key, facts.at_us
    book.last = ref, key
    if exchange is None or not facts.queued:
        return
    message = book.waiting.get(key)
    if message is None:
        for other in book.waiting.values():
            other.overtaken = other.overtaken or ref
        message = book.waiting[key] = Message(now.action, exchange.message_id, ref, now.time, at_us)
        if len(book.waiting) > WAITING_KEPT:
            del book.waiting[next(iter(book.waiting))]
    elif message.failure is None:
        message.failures += 1  # no answer came
    message.ref, message.time, message.failure, message.overtaken = ref, now.time, None, None
    message.certain = exchange.called_time - now.time < 1.0
    if at_us is not None and (book.newest is None or at_us > book.newest.at_us):
        book.newest = Newest(now.action, ref, at_us)
    if may_have_waited(now, at_us):
        book.old = now.time


@learn(answer(*QUEUED), versions=IN_16)
def answered(now: Now) -> None:
    book, key = now.session.book(Queue), _key_answered(now)
    message = book.waiting.get(key)
    if message is None:
        return
    if not isinstance(now.frame, CallResult):
        message.failures += 1
        message.failure = "error"
        return
    if len(book.waiting) > 1:
        _give_up(book, key)
    del book.waiting[key]
    book.done[key] = None
    if len(book.done) > DONE_KEPT:
        del book.done[next(iter(book.done))]


def _give_up(book: Queue, key: Hashable) -> None:
    """What is older and was overtaken has been given up, as far as can be seen."""
    for other, message in list(book.waiting.items()):
        if other == key:
            return
        if message.overtaken is not None and message.told:
            del book.waiting[other]


@learn(CLOSED, versions=IN_16)
def cut_off(now: Now) -> None:
    book = now.session.book(Queue)
    for message in book.waiting.values():
        if message.failure is None and message.ref.connection == now.connection:
            waited = now.time - message.time >= IN_TIME_S  # so that the station may have taken it for failed
            message.failure = "unclear" if waited else "link"
            message.doubtful += waited


def unsettled(now: Now) -> bool:
    """Whether messages about transactions may still be on their way. One that others have overtaken need not."""
    book = now.session.book(Queue)
    draining = book.old is not None and now.time - book.old < DRAINING_S
    return draining or any(one.overtaken is None for one in book.waiting.values())


def held_up(now: Now) -> bool:
    """Whether messages about transactions may be waiting in the queue: behind one that has failed or is not answered in
    time, or after a time offline, or since the station is not accepted."""
    if now.session.registration.status not in (None, "Accepted"):
        return True
    book, slow_s = now.session.book(Queue), now.bounds.answer_warn_s
    if book.old is not None and now.time - book.old < now.bounds.stop_s:
        return True
    return any(one.overtaken is None and (one.failure is not None or now.time - one.time >= slow_s)
               for one in book.waiting.values())


def _attempts(now: Now) -> int | None:
    return now.session.settings.integer("TransactionMessageAttempts")


def _interval_s(now: Now) -> int | None:
    return now.session.settings.integer("TransactionMessageRetryInterval")


# Order


@check("tx-order", call(*QUEUED, retries=True))
def order(now: Now) -> Iterator[Hit] | None:
    book, facts = now.session.book(Queue), now.once(facts_of)
    if not facts.queued or not (book.waiting or _is_late(now, facts, book.newest)):
        return None
    return _order(now, book, facts)


def _order(now: Now, book: Queue, facts: Facts) -> Iterator[Hit]:
    again = book.waiting.get(facts.key)
    if again is not None:
        if whole_since(now, again.time):
            yield from _sent_again(now, again)
        return
    if facts.key in book.done or now.retry:
        return
    for older in book.waiting.values():
        if older.told or (now.exchange is not None and now.exchange.message_id == older.message_id):
            continue  # one id for two messages is another matter
        if (how := _overtaken(now, older)) is not None and whole_since(now, older.time):
            older.told = True
            case = "link" if older.failure == "link" else None
            yield now.hit(f"{now.action} sent before {older.action}, which is older and {how}", also=[older.ref],
                          case=case)
            return
    newest = book.newest
    if newest is not None and _is_late(now, facts, newest) and offline_at(now, facts.at_us) is not None:
        yield now.hit(f"{now.action} from a time offline, sent after {newest.action}, which is newer",
                      also=[newest.ref])


def _is_late(now: Now, facts: Facts, newest: Newest | None) -> bool:
    """Whether a newer one has come before on this connection."""
    if newest is None or facts.at_us is None or newest.at_us - facts.at_us < JITTER_US or facts.aligned:
        return False
    return newest.ref.connection == now.connection


def _all_seen(now: Now, at_us: int | None) -> bool:
    """Whether all attempts of a message are on record, as everything is since it was made."""
    made = time_of(now, at_us)
    return made is None or whole_since(now, made + ROUNDING_S)


def _sent_again(now: Now, message: Message) -> Iterator[Hit]:
    """One that was overtaken had not been given up."""
    if message.overtaken is not None and not message.told and message.failure in (None, "error"):
        message.told = True
        yield now.hit(f"Sent before {message.action}, which is older, had failed and was sent again later",
                      frame=message.overtaken, also=[message.ref])


def _overtaken(now: Now, older: Message) -> str | None:
    """How the older one stands, where this one has to wait for it."""
    waited_s = now.time - older.time
    attempts = _attempts(now)
    if older.failure is None and waited_s < IN_TIME_S:
        return "not answered yet" if older.certain and older.ref.connection == now.connection else None
    if older.failure == "link":
        return "was not answered when the link was lost" if older.action in BILLED else None
    if older.failure == "unclear":
        return None
    failures = older.failures + older.doubtful + (older.failure is None)
    if attempts is None or failures >= attempts or not _all_seen(now, older.at_us):
        return None
    if older.failure is None and waited_s < now.bounds.answer_fail_s:
        return None
    return f"has to be sent again, TransactionMessageAttempts being {attempts}"


# Sending again


@check("tx-retry-backoff", call(*QUEUED, retries=True))
def backoff(now: Now) -> Iterator[Hit] | None:
    waiting, facts = now.session.book(Queue).waiting, now.once(facts_of)
    message = waiting.get(facts.key) if waiting and facts.queued else None
    if message is None or message.ref.connection != now.connection:
        return None
    return _too_early(now, message)


def _too_early(now: Now, message: Message) -> Iterator[Hit]:
    if not whole_since(now, message.time):
        yield from now.unknown("frames are missing between two attempts")
        return
    failures, attempts, interval_s = message.failures + (message.failure is None), _attempts(now), _interval_s(now)
    if attempts is None and interval_s is None:
        yield from now.unknown("TransactionMessageAttempts and TransactionMessageRetryInterval were not seen")
        return
    if attempts is not None and 0 < attempts <= failures:
        yield now.hit(f"{now.action} sent again although it has failed as often as TransactionMessageAttempts allows",
                      expected=attempts, also=[message.ref])
    wait_s = (interval_s or 0) * failures
    waited_s = now.time - message.time
    if waited_s + now.bounds.tolerance_s(wait_s) < wait_s:
        yield now.hit(f"{now.action} sent again after {about(waited_s)}; after {_times(failures)} it has to wait "
                      f"{wait_s} s", expected=wait_s, also=[message.ref])


def _times(failures: int) -> str:
    return "one failure" if failures == 1 else f"{failures} failures"


@check("tx-retry-missing", call(*BILLED, retries=True))
def awaited(now: Now) -> None:
    facts = now.once(facts_of)
    now.cancel(facts.key)
    message = now.session.book(Queue).waiting.get(facts.key)
    if facts.queued:
        failures = message.failures + message.doubtful + (message.failure is None) if message is not None else 0
        _await_another(now, facts.key, failures + 1, now.bounds.answer_fail_s, "was not answered")


@check("tx-retry-missing", answer(*BILLED))
def failed(now: Now) -> None:
    key = _key_answered(now)
    message = now.session.book(Queue).waiting.get(key)
    now.cancel(key)
    if message is not None and now.error is not None and now.session.registration.status in (None, "Accepted"):
        _await_another(now, key, message.failures + message.doubtful + 1, 0.0, "was answered with CALLERROR")


def _await_another(now: Now, key: Hashable, failures: int, after_s: float, how: str) -> None:
    attempts, interval_s = _attempts(now), _interval_s(now)
    if failures >= (attempts if attempts is not None else 2) or not _all_seen(now, now.once(own_time)):
        return  # it has been sent often enough, as far as is known
    wait_s = NEVER_S if interval_s is None else 2.0 * max(interval_s, 0) * failures
    now.later(after_s + wait_s + MARGIN_S, not_sent_again, key=key, data=(how, attempts, now.time),
              place=place_of(now, call=True))


def not_sent_again(now: Now, deadline: Deadline) -> Iterator[Hit]:
    how, attempts, since = deadline.data
    action = deadline.place.action
    if not whole_since(now, since):
        return
    if attempts is None:
        yield now.hit(f"{action} {how} and was not sent again", case="unknown", place=deadline.place, by="station")
    else:
        yield now.hit(f"{action} {how} and was not sent again, though TransactionMessageAttempts is {attempts}",
                      place=deadline.place, by="station")
