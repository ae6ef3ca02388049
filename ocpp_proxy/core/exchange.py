"""Who answers whom: pairs each Call with its answer.

Decides what belongs together on one connection, by caller and message id. Refuses to judge it: it names what it saw
(`Correlation.remarks`) and leaves severity and fault to the rules.

Source: OCPP-J 1.6 section 4.1; OCPP 2.0.1 and 2.1 Part 4 section 4.1 (one open CALL a side, retries may reuse the id).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.core.frame import (
    OTHER_SIDE,
    Answer,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Send,
    Sender,
    Side,
)
from ocpp_proxy.core.instant import Instant

TIMEOUT_S = 30.0
OPEN_MAX = 32
PAST_MAX = 32


@dataclass(slots=True)
class Exchange:
    """A Call (or a Send) and, once it has come, its answer. `caller` is the side that sent the Call or for which
    the proxy injected it; `attempts` counts the Call and its retries with the same id, `answers` the answers;
    `complaint` is what a caller of 2.1 said about an answer that it could not read. `called_seq`: the frame of the
    last attempt; `called_time`: when it went on to the other side, in seconds of the capture's own clock;
    `withheld`: a Call that never reached it, since this program swallowed it; `faults`: ids of the schema rules
    that the Call breaks."""

    connection: str
    caller: Side
    message_id: str
    call: Call | Send
    call_seq: int
    called_at: Instant
    injected: bool = False
    attempts: int = 1
    answers: int = 0
    complaint: CallResultError | None = None
    answer: CallResult | CallError | None = None
    answer_seq: int | None = None
    answered_at: Instant | None = None
    called_seq: int = 0
    called_time: float = 0.0
    withheld: bool = False
    faults: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        return self.call.action

    @property
    def request(self) -> Any:
        """The Call's payload."""
        return self.call.payload

    @property
    def response(self) -> Any:
        """The CallResult's payload; None while open and after a CallError."""
        return self.answer.payload if isinstance(self.answer, CallResult) else None

    @property
    def latency_ms(self) -> float | None:
        """From the last attempt of the Call to its answer, as they passed the proxy."""
        if self.answered_at is None:
            return None
        return self.answered_at.seconds_since(self.called_at) * 1000


@dataclass(slots=True)
class Past:
    """What is kept of a Call or Send that needs no answer any more; `answer_seq` is None for a Send."""

    action: str
    call_seq: int
    answer_seq: int | None
    content: int


@dataclass(slots=True)  # not frozen: one is made for each frame
class Correlation:
    """What a frame means to its exchange.

    `exchange`: the one it opened, repeats, answers or complains about; None if there is none, or if it was answered so
    long ago that only `earlier` is left of it. `remarks`, in this order:

    - "opened": a Call or Send began an exchange;
    - "retry": the same caller's same id with the same content again, "id-reuse": with other content;
    - "overlap": the caller has another Call open that is neither answered nor timed out (those that the proxy injected
      in its name do not count against it);
    - "answered", and "late" if that took longer than the timeout;
    - "answered-twice": the Call had its answer already; "answered-again": it had, but had been sent as often;
    - "orphan": an answer to nothing that is known here. In 2.x a CallError with id "-1" is meant to be one; one with
      `earlier` set answers a Send, which nobody may.
    """

    exchange: Exchange | None
    remarks: tuple[str, ...] = ()
    earlier: Past | None = None


class _Caller:
    """The exchanges that one side began on this connection, by message id, oldest first.

    Holds at most OPEN_MAX Calls without an answer (the oldest is forgotten first), the last answered Exchange, and a
    few words on each of the PAST_MAX before it.
    """

    __slots__ = ("last", "open", "past")

    def __init__(self) -> None:
        self.open: dict[str, Exchange] = {}
        self.past: dict[str, Past] = {}
        self.last: Exchange | None = None

    def add(self, exchange: Exchange) -> None:
        self.open.pop(exchange.message_id, None)
        self.open[exchange.message_id] = exchange
        if len(self.open) > OPEN_MAX:
            del self.open[next(iter(self.open))]

    def settle(self, exchange: Exchange) -> None:
        self.last = exchange
        self.past.pop(exchange.message_id, None)
        self.past[exchange.message_id] = Past(
            exchange.call.action, exchange.call_seq, exchange.answer_seq, hash(exchange.call.raw)
        )
        if len(self.past) > PAST_MAX:
            del self.past[next(iter(self.past))]

    def recall(self, message_id: str) -> Exchange | None:
        return self.last if self.last is not None and self.last.message_id == message_id else None

    def busy(self, at: Instant, timeout_s: float) -> bool:
        return any(
            not exchange.injected and at.seconds_since(exchange.called_at) <= timeout_s
            for exchange in self.open.values()
        )


class Correlator:
    """Pairs the frames of one connection. Feed it every frame in order; it never raises.

    `timeout_s`: after so long without an answer a Call counts as given up by its caller, and its answer as late.
    """

    __slots__ = ("_csms", "_station", "connection", "timeout_s")

    def __init__(self, connection: str, timeout_s: float = TIMEOUT_S) -> None:
        self.connection = connection
        self.timeout_s = timeout_s
        self._station = _Caller()
        self._csms = _Caller()

    def unanswered(self) -> Iterator[Exchange]:
        """The Calls without an answer, the station's first, each side's in order."""
        yield from self._station.open.values()
        yield from self._csms.open.values()

    def receive(
        self, frame: Frame, seq: int, sender: Sender, at: Instant, injected_for: Side | None = None
    ) -> Correlation:
        """`injected_for`: the side in whose name the proxy sent this frame; needed where `sender` is "proxy"."""
        speaker = injected_for or sender
        if speaker == "proxy":
            return Correlation(None)
        if isinstance(frame, (Call, Send)):
            return self._called(frame, seq, speaker, at, injected_for is not None)
        if isinstance(frame, CallResultError):
            return self._complained(frame, speaker)
        if isinstance(frame, (CallResult, CallError)):
            return self._answered(frame, seq, OTHER_SIDE[speaker], at, injected_for is not None)
        return Correlation(None)

    def awaits(self, exchange: Exchange) -> bool:
        """Whether it has no answer, and its id is not in use for another Call by now."""
        return self._of(exchange.caller).open.get(exchange.message_id) is exchange

    def _of(self, caller: Side) -> _Caller:
        return self._station if caller == "station" else self._csms

    def _called(self, call: Call | Send, seq: int, caller: Side, at: Instant, injected: bool) -> Correlation:
        calls = self._of(caller)
        earlier = calls.past.get(call.message_id)
        before = calls.open.get(call.message_id)
        if before is not None and (before.call.action, before.call.payload) == (call.action, call.payload):
            before.attempts += 1
            before.called_at, before.called_seq = at, seq
            return Correlation(before, ("retry",))
        exchange = Exchange(self.connection, caller, call.message_id, call, seq, at, injected, called_seq=seq)
        remarks: tuple[str, ...] = ("opened",)
        if before is not None:
            remarks += ("id-reuse",)
        elif earlier is not None:
            remarks += ("retry",) if earlier.content == hash(call.raw) else ("id-reuse",)
        if isinstance(call, Send):
            calls.settle(exchange)
            return Correlation(exchange, remarks, earlier)
        if calls.open and calls.busy(at, self.timeout_s):
            remarks += ("overlap",)
        calls.add(exchange)
        return Correlation(exchange, remarks, earlier)

    def _answered(self, answer: Answer, seq: int, caller: Side, at: Instant, injected: bool) -> Correlation:
        calls = self._of(caller)
        exchange = calls.open.pop(answer.message_id, None)
        if exchange is not None:
            exchange.answer, exchange.answer_seq, exchange.answered_at = answer, seq, at
            exchange.answers = 1
            calls.settle(exchange)
            late = at.seconds_since(exchange.called_at) > self.timeout_s
            return Correlation(exchange, ("answered", "late") if late else ("answered",))
        earlier = calls.past.get(answer.message_id)
        if earlier is None or earlier.answer_seq is None:
            return Correlation(None, ("orphan",), earlier)
        exchange = calls.recall(answer.message_id)
        if exchange is not None and not injected:
            exchange.answers += 1
        again = exchange is not None and not injected and exchange.answers <= exchange.attempts
        return Correlation(exchange, ("answered-again",) if again else ("answered-twice",), earlier)

    def _complained(self, complaint: CallResultError, caller: Side) -> Correlation:
        """A CallResultError comes from the caller of the exchange whose CallResult it complains about."""
        calls = self._of(caller)
        earlier = calls.past.get(complaint.message_id)
        exchange = calls.recall(complaint.message_id)
        if exchange is not None:
            exchange.complaint = complaint
        return Correlation(exchange, () if earlier is not None else ("orphan",), earlier)
