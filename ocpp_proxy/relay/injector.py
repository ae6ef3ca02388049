"""Calls of our own on one connection: when they may be sent, whose Calls wait meanwhile, whose answer is kept back.

Decides by the rules of OCPP and of a relay that nobody should notice:

- One Call at a time: ours is sent only when none is open in either direction, as seen from here, and while it is open
  the Calls of the side in whose name it was sent are held, never those of its receiver. What is no Call overtakes them.
- Its answer is kept from the side that did not ask; so are a late one and a second one. An answer belongs to us only
  while that side has no Call of the same id on its way.
- Everything has a deadline, so that a station that falls silent costs its CSMS a delay and nothing else.
- A station gets a rest after a transaction has begun and between two of our Calls: some hang up on correct ones.

Refuses to know how messages are read, recorded and written to the wire (`part`).

Source: OCPP-J 1.6 section 4.1.1; OCPP 2.0.1 Part 4 sections 4.1.1 and 6.4 (a controller in between).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from ocpp_proxy.core.exchange import TIMEOUT_S
from ocpp_proxy.core.frame import OTHER_SIDE, Answer, CallError, CallResult, Side
from ocpp_proxy.relay.acts import Came, Injection, Outcome
from ocpp_proxy.relay.ledger import Page
from ocpp_proxy.relay.passing import Passing

QUIET_S = 10.0   # after a transaction has begun
PACE_S = 1.0     # from the end of one of our Calls to the beginning of the next
HOLD_MOST_S = 25.0  # less than what callers wait for an answer
PAST_MAX = 64
LOOK_S = 1.0


class Wish:
    """A Call that waits for its moment. `done`: what came of it."""

    __slots__ = ("deadline", "done", "order")

    def __init__(self, order: Injection) -> None:
        self.order = order
        self.done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.deadline: asyncio.TimerHandle | None = None

    def end(self, outcome: Outcome) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        if not self.done.done():  # who asked may be gone
            self.done.set_result(outcome)


class Injected:
    """Our Call that is open. `holds`: whether Calls of the other side are still held because of it."""

    __slots__ = ("held_s", "holds", "message_id", "sent", "seq", "timers", "wish")

    def __init__(self, wish: Wish, message_id: str, sent: float, seq: int) -> None:
        self.wish = wish
        self.message_id = message_id
        self.sent = sent
        self.seq = seq
        self.holds = True
        self.held_s = 0.0
        self.timers: tuple[asyncio.TimerHandle, ...] = ()

    @property
    def to(self) -> Side:
        return self.wish.order.to


class Injector:
    """`send` writes a Call of ours down and to the wire; `release` lets a held message pass; `later` gives us a turn of
    our own after so many seconds; `over`: the connection ends, nothing can be sent; `remark` puts an outcome on
    record."""

    def __init__(
        self,
        connection: str,
        *,
        send: Callable[[Wish, str, Page], int],
        release: Callable[[Passing, Page], None],
        later: Callable[[float, Callable[[Page], None]], asyncio.TimerHandle],
        remark: Callable[[Injected, Came, Page], None],
    ) -> None:
        self._connection = connection
        self._send = send
        self._release = release
        self._later = later
        self._remark = remark
        self._time = time.perf_counter  # a loop's own time may stand still within a turn
        self._open: Mapping[Side, dict[str, float]] = {"station": {}, "csms": {}}  # relayed Calls by caller
        self._waiting: deque[Wish] = deque()
        self._ours: Injected | None = None
        self._held: deque[Passing] = deque()
        self._past: Mapping[Side, dict[str, None]] = {"station": {}, "csms": {}}  # our ids by who answers them
        self._rest_until = 0.0
        self._waker: asyncio.TimerHandle | None = None

    # -- what passes

    @property
    def busy(self) -> bool:
        """Whether there is anything of ours that a message may have to do with."""
        return self._ours is not None or bool(self._held) or any(self._past.values())

    def called(self, caller: Side, message_id: str) -> None:
        """A Call went on its way."""
        calls = self._open[caller]
        calls.pop(message_id, None)
        calls[message_id] = self._time()
        if len(calls) > PAST_MAX:
            del calls[next(iter(calls))]

    def answered(self, by: Side, message_id: str) -> None:
        """An answer went on its way."""
        self._open[OTHER_SIDE[by]].pop(message_id, None)

    def transaction_began(self) -> None:
        """Leave the station alone for a while."""
        self._rest(QUIET_S)

    def awaits(self, answer: Answer, by: Side) -> bool:
        """Whether it belongs to a Call of ours, open or past: then nobody else gets it."""
        if answer.message_id in self._open[OTHER_SIDE[by]]:
            return False
        return self._is_open(answer, by) or answer.message_id in self._past[by]

    def take(self, answer: Answer, by: Side, page: Page) -> None:
        """It has come; what waited for it goes on."""
        ours = self._ours
        if ours is not None and self._is_open(answer, by):
            self._finish(ours, "result" if isinstance(answer, CallResult) else "error", page, answer)

    def _is_open(self, answer: Answer, by: Side) -> bool:
        ours = self._ours
        return ours is not None and ours.to == by and ours.message_id == answer.message_id

    def holds(self, message: Passing) -> bool:
        """Whether it has to wait, and does from now on."""
        ours = self._ours
        first = ours is not None and ours.holds and message.side != ours.to and message.call is not None
        if not first and not (self._held and message.side == self._held[0].side and message.call is not None):
            return False
        message.waited = True
        self._held.append(message)
        return True

    # -- our own

    def want(self, wish: Wish, page: Page) -> None:
        """Send it now or as soon as it may be sent."""
        self._waiting.append(wish)
        wish.deadline = self._later(wish.order.wait_s, lambda page: self._give_up(wish, page))
        self.go_on(page)

    def go_on(self, page: Page) -> None:
        """Begin with what waits, if this is the moment for it."""
        if self._ours is not None or not self._waiting:
            return
        wish = next((one for one in self._waiting if self._may_go(one)), None) if self._idle() else None
        if wish is None:
            self._look_again()
            return
        self._waiting.remove(wish)
        if wish.done.done():  # who asked is gone
            self.go_on(page)
            return
        self._begin(wish, page)

    def end(self, page: Page, reason: str) -> None:
        """The connection is over: what is open or waits will not be answered."""
        ours, self._ours = self._ours, None
        if ours is not None:
            _stop(ours)
            self._past[ours.to][ours.message_id] = None
            self._remark(ours, "disconnected", page)
            ours.wish.end(self._outcome(ours, "disconnected", {"reason": reason}))
        while self._waiting:
            self._waiting.popleft().end(Outcome(
                outcome="disconnected", connection=self._connection, error={"reason": f"{reason}, before it was sent"},
            ))  # fmt: skip
        if self._waker is not None:
            self._waker.cancel()

    def refuse_all(self, reason: str) -> None:
        """What waits is not sent."""
        while self._waiting:
            self._waiting.popleft().end(
                Outcome(outcome="refused", connection=self._connection, error={"reason": reason})
            )

    def let_go(self, page: Page) -> None:
        """Whatever is held passes now, and nothing more is held because of the Call that is open."""
        if self._ours is not None:
            self._ours.holds = False
        while self._held:
            message = self._held.popleft()
            if self._ours is not None:
                self._ours.held_s += self._time() - message.since
            self._release(message, page)

    def drop_held(self) -> list[Passing]:
        """What is held, for good."""
        held, self._held = list(self._held), deque()
        return held

    def _begin(self, wish: Wish, page: Page) -> None:
        message_id = self._fresh_id()
        seq = self._send(wish, message_id, page)
        ours = self._ours = Injected(wish, message_id, self._time(), seq)
        if wish.deadline is not None:
            wish.deadline.cancel()
        ours.timers = (
            self._later(wish.order.timeout_s, lambda page: self._expire(ours, page)),
            self._later(HOLD_MOST_S, lambda page: self._hold_no_longer(ours, page)),
        )

    def _fresh_id(self) -> str:
        while True:
            message_id = str(uuid4())
            if not any(message_id in ids for books in (self._open, self._past) for ids in books.values()):
                return message_id

    def _finish(self, ours: Injected, came: Came, page: Page, answer: Answer | None = None) -> None:
        """It is over with this Call: others go on."""
        _stop(ours)
        self._ours = None
        past = self._past[ours.to]
        past[ours.message_id] = None
        if len(past) > PAST_MAX:
            del past[next(iter(past))]
        if ours.to == "station":
            self._rest(PACE_S)
        while self._held:
            message = self._held.popleft()
            ours.held_s += self._time() - message.since
            self._release(message, page)
        ours.wish.end(self._outcome(ours, came, None, answer))
        self.go_on(page)

    def _outcome(
        self, ours: Injected, came: Came, error: Mapping[str, Any] | None, answer: Answer | None = None
    ) -> Outcome:
        if isinstance(answer, CallError):
            error = {"code": answer.code, "description": answer.description, "details": answer.details}
        elif came == "timeout":
            error = {"reason": f"no answer within {ours.wish.order.timeout_s:g} s"}
        return Outcome(
            outcome=came, connection=self._connection, message_id=ours.message_id, seq=ours.seq,
            latency_ms=round((self._time() - ours.sent) * 1000, 3) if answer is not None else None,
            held_ms=round(ours.held_s * 1000, 3),
            response=answer.payload if isinstance(answer, CallResult) else None,
            error=error,
        )  # fmt: skip

    # -- deadlines

    def _expire(self, ours: Injected, page: Page) -> None:
        if self._ours is ours:
            self._remark(ours, "timeout", page)
            self._finish(ours, "timeout", page)

    def _hold_no_longer(self, ours: Injected, page: Page) -> None:
        if self._ours is ours:
            self.let_go(page)

    def _give_up(self, wish: Wish, _page: Page) -> None:
        if wish in self._waiting:
            self._waiting.remove(wish)
            reason = f"no moment for it within {wish.order.wait_s:g} s: {self._why_not(wish)}"
            wish.end(Outcome(outcome="refused", connection=self._connection, error={"reason": reason}))

    def _why_not(self, wish: Wish) -> str:
        if self._ours is not None:
            return "another Call of ours was open"
        if (left_s := self._rest_until - self._time()) > 0 and not self._may_go(wish):
            return f"the station is left alone for {left_s:.0f} s more (--now sends it nevertheless)"
        open_now = [f"{len(calls)} of the {caller}" for caller, calls in self._open.items() if calls]
        return f"Calls were open all the time ({', '.join(open_now)})"

    # -- the moment

    def _idle(self) -> bool:
        """No Call is open: one that is overdue has been given up by its caller."""
        overdue = self._time() - TIMEOUT_S
        for calls in self._open.values():
            while calls and (oldest := next(iter(calls.items())))[1] < overdue:
                del calls[oldest[0]]
        return not self._held and not any(self._open.values())

    def _may_go(self, wish: Wish) -> bool:
        return wish.order.hasten or wish.order.to == "csms" or self._time() >= self._rest_until

    def _rest(self, seconds: float) -> None:
        self._rest_until = max(self._rest_until, self._time() + seconds)

    def _look_again(self) -> None:
        """Nothing may happen by then but that time goes by."""
        if self._waker is None:
            rest_s = self._rest_until - self._time()
            self._waker = self._later(rest_s if 0 < rest_s < LOOK_S else LOOK_S, self._woken)

    def _woken(self, page: Page) -> None:
        self._waker = None
        self.go_on(page)


def _stop(ours: Injected) -> None:
    for timer in ours.timers:
        timer.cancel()
