"""The order and completeness of TransactionEvents: what is first, what is last, what is missing.

Delivery is free to change the order, so that sequence numbers and the events' own times count, and what is missing is
said only after WAIT_S; while the station is offline, it has still time.

Source: OCPP 2.0.1 and 2.1 Part 2, block E sections 1.2, 1.3.2 and 1.3.2.1, E01.FR.07, E01.FR.08, E01.FR.14,
TransactionEventEnumType; OCPP 2.0.1 Part 6 section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ocpp_proxy.rules.checks.transactions2x_book import Mark, Stories, Story, Told, fresh, stories, told
from ocpp_proxy.rules.now import Deadline, FrameRef, Hit, Now, Overdue
from ocpp_proxy.rules.occasions import call, check

WAIT_S = 300.0        # for an event that may have been overtaken
ANOTHER_S = 50.0      # for the Ended of a transaction on whose EVSE another one has begun, on top of status_s
SETTLED_S = 50.0      # after a reconnection, until what was queued is through, on top of status_s
RESOLUTION_US = 1_000_000  # clocks that tell seconds, and others
GAPS_SHOWN = 5


@dataclass(slots=True)
class Wait:
    """What a deadline is about: a transaction by its folded id, and another by its own; `seconds`: how long it was."""

    tx: str
    seconds: float
    other: str = ""


def await_(now: Now, then: Overdue, wait: Wait) -> None:
    now.later(wait.seconds, then, key=wait.tx, data=wait, across=True)


def postponed(now: Now, deadline: Deadline, then: Overdue) -> bool:
    """While the station is offline, and just after, what it has queued may still come: ask again in twice the time."""
    links, wait = now.session.links, deadline.data
    settling = bool(links.windows) and now.time - links.windows[-1].to_time < SETTLED_S + now.bounds.status_s
    if links.offline_since is None and not settling:
        return False
    now.later(wait.seconds * 2, then, key=wait.tx, data=Wait(wait.tx, wait.seconds * 2, wait.other), across=True,
              place=deadline.place)  # fmt: skip
    return True


def ref_of(mark: Mark | None) -> FrameRef | None:
    return mark.ref if mark is not None else None


# What comes first


@check("te-seq-start", call("TransactionEvent"))
def seq_start(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is not None and one.event.kind == "Started" and one.event.seq != 0:
        yield now.hit("The first TransactionEvent of a transaction does not have seqNo 0", "/seqNo", expected=0,
                      connector=None, transaction=None)  # fmt: skip


@check("te-first-started", call("TransactionEvent"))
def first_started(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None:
        return
    event, story = one.event, one.story
    if event.kind == "Started":
        now.cancel(event.tx)
        earlier = story.marks[0] if story is not None and story.begun is None else None
        if earlier is not None and earlier.seq < event.seq:
            yield now.hit("Started does not have the lowest seqNo of its transaction", "/seqNo", also=[earlier.ref])
    elif event.seq == 0:
        yield now.hit(f"The event with seqNo 0 is {event.kind}, not Started", "/eventType", seen=event.kind,
                      expected="Started")
    elif story is not None and story.begun is not None and event.seq < story.begun.seq:
        yield now.hit(f"{event.kind} has a lower seqNo than the Started of its transaction", "/seqNo",
                      also=[story.begun.ref])
    elif story is None and (other := _before(stories(now), one)) is not None:
        await_(now, never_started, Wait(event.tx, WAIT_S, other))


def _before(book: Stories, one: Told) -> str | None:
    """A transaction that was on the same EVSE earlier, so that this one has begun since the capture did."""
    event = one.event
    for key, other in reversed(book.by_id.items()):
        known = [mark.at_us for mark in (other.begun, other.ended) if mark is not None and mark.at_us is not None]
        if event.evse is not None and other.evse == event.evse and event.at_us is not None and known:
            return key if min(known) < event.at_us and book.whole(other) else None
    return None


def never_started(now: Now, deadline: Deadline) -> Iterator[Hit]:
    book, wait = stories(now), deadline.data
    story, other = book.by_id.get(wait.tx), book.by_id.get(wait.other)
    if story is None or story.begun is not None or other is None or not book.whole(other):
        return
    if not postponed(now, deadline, never_started):
        yield now.hit("No Started was sent for this transaction, which began after another one on its EVSE",
                      "/eventType", expected="Started", place=deadline.place, also=[other.first])  # fmt: skip


# What comes last


@check("te-ended-last", call("TransactionEvent"))
def ended_last(now: Now) -> Iterator[Hit]:
    one = told(now)
    if one is None or one.story is None:
        return
    event, story = one.event, one.story
    mine = (event.seq, event.at_us)
    for kind, mark in (("Started", story.begun), ("Ended", story.ended)):
        if event.kind == kind and mark is not None and mine != (mark.seq, mark.at_us):
            yield now.hit(f"A second {kind} of the same transaction", "/eventType", seen=kind, also=[mark.ref])
            return
    if not one.fresh:
        return
    if story.ended is not None and event.seq > story.ended.seq:
        yield now.hit(f"{event.kind} has a higher seqNo than the Ended of its transaction", "/seqNo",
                      also=[story.ended.ref])
    elif event.kind == "Ended" and story.marks and story.marks[-1].seq > event.seq:
        yield now.hit("Ended does not have the highest seqNo of its transaction", "/seqNo", also=[story.marks[-1].ref])


@check("te-txid-unique", call("TransactionEvent"))
def id_unique(now: Now) -> Iterator[Hit]:
    one = told(now)
    if one is not None and one.reused is not None:
        yield now.hit("The transactionId was that of another transaction before", "/transactionInfo/transactionId",
                      also=[one.reused.ref])  # fmt: skip


# One transaction at a time


@check("te-one-per-evse", call("TransactionEvent"))
def one_per_evse(now: Now) -> None:
    one = fresh(now)
    if one is None or one.event.evse is None or one.event.kind == "Ended":
        return
    event, story, book = one.event, one.story, stories(now)
    new_here = event.kind == "Started" if story is None else story.begun is not None and story.evse is None
    other = book.open_on(event.evse, but=event.tx)
    if new_here and other is not None and other.last is not None:
        await_(now, two_at_once, Wait(event.tx, ANOTHER_S + now.bounds.status_s, other.name.casefold()))


def two_at_once(now: Now, deadline: Deadline) -> Iterator[Hit]:
    book, wait = stories(now), deadline.data
    this, other = book.by_id.get(wait.tx), book.by_id.get(wait.other)
    if this is None or other is None or this.begun is None or book.hole_time > other.first_time:
        return
    if not _overlap(this.begun, other) or (other.open and postponed(now, deadline, two_at_once)):
        return
    yield now.hit("A transaction begins on an EVSE where another one has not ended", "/evse", place=deadline.place,
                  connector=this.evse, also=[other.first, ref_of(other.ended)])  # fmt: skip


def _overlap(begun: Mark, other: Story) -> bool:
    if other.ended is None:
        return True
    if begun.at_us is None or other.ended.at_us is None:
        return False
    return other.ended.at_us > begun.at_us + RESOLUTION_US


# What is missing


@check("te-seq-contiguous", call("TransactionEvent"))
def contiguous(now: Now) -> Iterator[Hit]:
    one = told(now)
    if one is None or one.story is None:
        return
    event, story = one.event, one.story
    mark = story.mark(event.seq)
    if mark is not None and mark.kind == event.kind == "Updated" and mark[:4] != _as_mark(one):
        yield now.hit("Two different events of a transaction have the same seqNo", "/seqNo", also=[mark.ref])
    if event.kind == "Ended" and one.fresh and story.open:
        await_(now, incomplete, Wait(event.tx, WAIT_S))


def _as_mark(one: Told) -> tuple[int, str, str, int | None]:
    event = one.event
    return event.seq, event.kind, event.reason, event.at_us


def incomplete(now: Now, deadline: Deadline) -> Iterator[Hit]:
    book = stories(now)
    story = book.by_id.get(deadline.data.tx)
    if story is None or not book.whole(story) or not (gaps := _gaps(story)):
        return
    if postponed(now, deadline, incomplete):
        return
    number = sum(high - low + 1 for low, high in gaps)
    offline = now.session.links.offline_between(story.first_time, story.last_time)
    missing = "An event is" if number == 1 else f"{number} events are"
    yield now.hit(
        f"{missing} missing from the seqNos of the transaction" + (", during which the station was offline" * offline),
        "/seqNo", seen=", ".join(_shown(low, high) for low, high in gaps[:GAPS_SHOWN]), expected="every seqNo",
        case="offline" if offline else None, place=deadline.place, also=[story.first], connector=story.evse,
    )  # fmt: skip


def _gaps(story: Story) -> list[tuple[int, int]]:
    """Those between its Started, or else its first event heard, and its Ended."""
    first = story.begun.seq if story.begun is not None else story.spans[0][0]
    last = story.ended.seq if story.ended is not None else first
    return [(low, high) for low, high in story.gaps() if first < low and high < last]


def _shown(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


@check("te-seq-time", call("TransactionEvent"))
def seq_time(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.story is None or one.event.at_us is None:
        return
    event = one.event
    lower = max((mark for mark in one.story.marks if mark.seq < event.seq), default=None)
    higher = min((mark for mark in one.story.marks if mark.seq > event.seq), default=None)
    for mark, sign in ((lower, 1), (higher, -1)):
        at_us = mark.at_us if mark is not None else None
        if at_us is not None and sign * (at_us - one.event.at_us) > RESOLUTION_US:
            yield now.hit("The event with the higher seqNo has the earlier timestamp", "/timestamp",
                          also=[ref_of(mark)])
            return
