"""What the rules about TransactionEvents of 2.x keep in mind: each transaction's story so far.

Decides what one event says, whether it has come before, and whether it comes in the order of the sequence numbers,
which delivery need not keep. A transaction that was under way when the capture began, or of which frames are missing,
is known in part, and says so. Transaction ids are compared without regard to case (identifierString).

Keeps STORIES_KEPT transactions of a station, those heard of last, each with ranges of its sequence numbers and its
highest events; and the ids of IDS_KEPT that went before. It is filled by `transactions2x_learn`.

Source: OCPP 2.0.1 and 2.1 Part 2, block E sections 1.2 to 1.5, TransactionEventRequest; Part 6 section 2.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from ocpp_proxy.core.payload import flag, folded, integer, items, kept, member, moment_us, text
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules.now import FrameRef, Now

STORIES_KEPT = 48
SPANS_KEPT = 32
IDS_KEPT = 256
LIVE_KEPT = 4
LONG_AGO = float("-inf")

KINDS = frozenset(("Started", "Updated", "Ended"))
CONNECTED = frozenset(("EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE"))
GRANTS = frozenset(("Authorized", "RemoteStart"))
REVOKES = frozenset(("StopAuthorized", "RemoteStop", "Deauthorized", "EVConnectTimeout", "TariffNotAccepted"))
SHAKES = frozenset(("EVCommunicationLost", "EVDeparted", "AbnormalCondition", "ResetCommand"))  # who knows


class Event(NamedTuple):
    """A TransactionEvent. `tx`: its transaction's id, `token`: both folded; `reason`: triggerReason; `at_us`: its own
    time; `stopped`: stoppedReason; None where it does not say."""

    tx: str
    kind: str
    reason: str
    seq: int
    at_us: int | None
    offline: bool
    state: str | None
    evse: int | None
    connector: int | None
    token: str | None
    token_type: str | None
    remote_id: int | None
    stopped: str | None
    phases: bool
    reserved: bool


class Mark(NamedTuple):
    """What is kept of an event; compared by its sequence number."""

    seq: int
    kind: str
    reason: str
    at_us: int | None
    ref: FrameRef


@dataclass(slots=True)
class Story:
    """A transaction. `first`: the event heard first; `begun`, `ended`: its Started and Ended; `spans`: the sequence
    numbers heard, in ranges, `uncounted` where there are too many; `in_turn`: all came in order, from Started on.
    `located`: EVSE and connector were told once the car was connected; `connected`, `authorized`: None where this is
    not known; `refused`: the CSMS said no to its token; `reasons`: all triggerReasons so far; `stop_called`: the CSMS
    asked to stop it; `sampled`: a periodic meter value was told. `resting`: the first energy reading, in Wh, since no
    energy flows by its chargingState, with the event's time.
    """

    name: str
    first: FrameRef
    first_time: float
    begun: Mark | None = None
    ended: Mark | None = None
    ended_time: float = 0.0
    last: Mark | None = None
    last_time: float = 0.0
    spans: list[tuple[int, int]] = field(default_factory=list)
    uncounted: bool = False
    marks: list[Mark] = field(default_factory=list)
    in_turn: bool = False
    evse: int | None = None
    connector: int | None = None
    located: bool = False
    connected: bool | None = None
    token: str | None = None
    token_type: str | None = None
    authorized: bool | None = None
    refused: bool = False
    remote_id: int | None = None
    reserved: bool = False
    state: str | None = None
    charged: bool = False
    phases: bool = False
    sampled: bool = False
    reasons: set[str] = field(default_factory=set)
    stop_called: FrameRef | None = None
    resting: tuple[Decimal, int] | None = None

    @property
    def open(self) -> bool:
        return self.ended is None

    def heard(self, seq: int) -> bool:
        return any(low <= seq <= high for low, high in self.spans)

    def mark(self, seq: int) -> Mark | None:
        return next((one for one in self.marks if one.seq == seq), None)

    def gaps(self) -> list[tuple[int, int]]:
        """The ranges of sequence numbers that are missing between the first and the last."""
        return [(high + 1, low - 1) for (_, high), (low, _) in zip(self.spans, self.spans[1:], strict=False)]

    def count(self, seq: int) -> None:
        spans = sorted([*self.spans, (seq, seq)])
        merged = [spans[0]]
        for low, high in spans[1:]:
            if low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        if len(merged) > SPANS_KEPT:
            self.uncounted = True
            del merged[0]
        self.spans = merged

    def alive(self, session: Session) -> bool:
        """Whether it goes on, as far as is known: a station that has booted since may have forgotten it."""
        since = session.registration.since
        return self.open and (since is None or self.last_time >= since)


class Told(NamedTuple):
    """An event and the story that it belongs to, as it stood before; None for a transaction not heard of. `fresh`: it
    was not heard before; `in_turn`: nor was anything left out since the transaction's Started; `reused`: the ended
    transaction whose id a Started bears again."""

    event: Event
    story: Story | None
    fresh: bool
    in_turn: bool
    reused: Mark | None = None

    def first(self, name: str) -> bool:
        """Whether no event before has told this."""
        return self.story is None or getattr(self.story, name) in (None, False)


@dataclass(slots=True)
class Stories:
    """`by_id`: by folded id, those heard of last at the end; `past`: the Started of those forgotten; `hole_time`: when
    frames were last found missing; `live`: how much later the last messages came than they say, in microseconds."""

    by_id: dict[str, Story] = field(default_factory=dict)
    past: dict[str, Mark | None] = field(default_factory=dict)
    hole_time: float = LONG_AGO
    live: deque[int] = field(default_factory=lambda: deque(maxlen=LIVE_KEPT))
    tip: tuple[FrameRef | None, Told | None] = (None, None)
    read: tuple[Any, Event | None] = (None, None)

    def get(self, name: str | None) -> Story | None:
        return self.by_id.get(name.casefold()) if name is not None else None

    def open_on(self, evse: int | None, but: str = "") -> Story | None:
        """The open transaction on this EVSE, the one heard of last."""
        if evse is None:
            return None
        return next((one for key, one in reversed(self.by_id.items())
                     if one.evse == evse and one.open and key != but), None)

    def running(self) -> Iterator[Story]:
        return (one for one in self.by_id.values() if one.open)

    @property
    def lag_us(self) -> int | None:
        """How far the station's clock is behind, as its quickest messages have it; None where nothing was told."""
        return min(self.live, default=None)

    def whole(self, story: Story) -> bool:
        """Whether nothing has been missed since its first event."""
        return self.hole_time <= story.first_time and not story.uncounted

    def keep(self, key: str, story: Story) -> None:
        self.by_id.pop(key, None)
        self.by_id[key] = story
        if len(self.by_id) > STORIES_KEPT:
            oldest = next(iter(self.by_id))
            begun = self.by_id.pop(oldest).begun
            self.past[oldest] = begun
            if len(self.past) > IDS_KEPT:
                del self.past[next(iter(self.past))]


def event_of(request: Any) -> Event | None:
    """What a TransactionEvent says; None where it does not say the least."""
    info = member(request, "transactionInfo")
    name, kind, seq = folded(info, "transactionId"), text(request, "eventType"), integer(request, "seqNo")
    if name is None or kind not in KINDS or seq is None:
        return None
    evse, token = member(request, "evse"), member(request, "idToken")
    return Event(
        name, kind, kept(request, "triggerReason") or "", seq, moment_us(request, "timestamp"),
        flag(request, "offline") or False, kept(info, "chargingState"), integer(evse, "id"),
        integer(evse, "connectorId"), folded(token, "idToken"), kept(token, "type"), integer(info, "remoteStartId"),
        kept(info, "stoppedReason"), integer(request, "numberOfPhasesUsed") is not None,
        integer(request, "reservationId") is not None,
    )  # fmt: skip


def stories(now: Now) -> Stories:
    book, hole_time = now.session.book(Stories), now.session.links.hole_time
    if hole_time is not None and hole_time > book.hole_time:
        book.hole_time = hole_time
    return book


def said(now: Now) -> Event | None:
    """What the TransactionEvent of the exchange says; it is read once, however many ask."""
    book, request = stories(now), now.request
    if book.read[0] is not request:
        book.read = (request, event_of(request))
    return book.read[1]


def told(now: Now) -> Told | None:
    """The event of the Call that has just passed; None where it cannot be made out, or this program made it."""
    book, ref = stories(now), now.ref
    if book.tip[0] != ref:
        event = None if now.injected else said(now)
        book.tip = (ref, _told(book, event) if event is not None else None)
    return book.tip[1]


def fresh(now: Now) -> Told | None:
    """The same, unless the event was heard before."""
    one = told(now)
    return one if one is not None and one.fresh else None


def _told(book: Stories, event: Event) -> Told:
    story = book.by_id.get(event.tx)
    begun = story.begun if story is not None else book.past.get(event.tx)
    if begun is not None and event.kind == "Started" and (event.seq, event.at_us) != (begun.seq, begun.at_us) and (
        story is None or not story.open or event.seq <= begun.seq
    ):
        return Told(event, None, True, True, begun)
    if story is None:
        return Told(event, None, True, event.kind == "Started")
    last = story.last
    in_turn = story.in_turn and last is not None and event.seq == last.seq + 1
    return Told(event, story, not story.heard(event.seq), in_turn)


def in_order(one: Told | None) -> bool:
    return one is not None and one.fresh and one.in_turn


def has_meter(now: Now) -> bool:
    return bool(items(now.request, "meterValue"))
