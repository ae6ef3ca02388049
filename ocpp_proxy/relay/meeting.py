"""What a fault does to a message that it meets, on one connection.

Decides per kind. Refuses to know how a message is recorded and sent: that is its connection's `part`, which it asks to
forward, withhold, replace, or answer in the other side's stead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.core.frame import Call, CallError, CallResult, Frame, Send, Side
from ocpp_proxy.core.reader import read
from ocpp_proxy.relay.acts import Fault
from ocpp_proxy.relay.faults import Faults, patched
from ocpp_proxy.relay.ledger import Page
from ocpp_proxy.relay.passing import Passing

if TYPE_CHECKING:
    from ocpp_proxy.relay.part import Part


HELD_MAX = 1000  # messages of one connection; the oldest goes on when there are more


class Meeting:
    """`faults` are those of the whole proxy, `part` that of this connection."""

    def __init__(self, faults: Faults, part: Part, identity: str) -> None:
        self._faults = faults
        self._part = part
        self._identity = identity
        self._held: dict[Passing, tuple[str, asyncio.TimerHandle | None]] = {}  # by which fault, until when

    @property
    def busy(self) -> bool:
        """Whether messages have to be looked at."""
        return bool(self._faults) or bool(self._held)

    def swallows_pong(self, sender: Side) -> bool:
        fault = self._faults.of_kind("half-open", self._identity, sender) if self._faults else None
        if fault is not None:
            fault.hits += 1
        return fault is not None

    def meets(self, message: Passing, page: Page) -> bool:
        """Whether a fault has taken care of it."""
        fault = self._faults.on_message(self._identity, message) if self._faults else None
        if fault is None:
            return False
        fault.hits += 1
        _DO[fault.order.kind](self, fault, message, page)
        return True

    def release(self, fault_id: str | None, page: Page) -> None:
        """Let go on what was held because of this fault, or of any."""
        for message, (by, timer) in list(self._held.items()):
            if fault_id in (None, by):
                del self._held[message]
                if timer is not None:
                    timer.cancel()
                self._part.go_on(message, page)

    def drop_held(self) -> list[Passing]:
        """What is held, which nobody will release any more."""
        held, self._held = self._held, {}
        for _, timer in held.values():
            if timer is not None:
                timer.cancel()
        return list(held)

    def _delay(self, fault: Fault, message: Passing, page: Page) -> None:
        assert fault.order.seconds is not None
        timer = self._part.later(fault.order.seconds, lambda page: self._in_time(message, page))
        self._keep(message, fault, timer, page)

    def _in_time(self, message: Passing, page: Page) -> None:
        found = self._held.pop(message, None)
        if found is None:
            return
        if found[1] is not None:
            found[1].cancel()
        self._part.go_on(message, page)

    def _hold(self, fault: Fault, message: Passing, page: Page) -> None:
        self._keep(message, fault, None, page)

    def _keep(self, message: Passing, fault: Fault, timer: asyncio.TimerHandle | None, page: Page) -> None:
        if len(self._held) >= HELD_MAX:
            self._in_time(next(iter(self._held)), page)
        message.waited = True
        self._held[message] = (fault.id, timer)

    def _drop(self, fault: Fault, message: Passing, page: Page) -> None:
        self._part.withhold(message, page, fault)

    def _duplicate(self, fault: Fault, message: Passing, page: Page) -> None:
        self._part.forward(message, page)
        self._part.repeat(message, page, fault)

    def _drip(self, fault: Fault, message: Passing, page: Page) -> None:
        self._part.forward(message, page, fault.order.bytes_per_s)

    def _modify(self, fault: Fault, message: Passing, page: Page) -> None:
        frame = read(message.data, binary=message.binary)  # not the masked form
        try:
            content = _with_payload(frame, fault)
        except ValueError as error:
            fault.hits -= 1
            self._part.notice(f"fault {fault.id} does not fit {message.action or 'a message'}, which goes on as it is: "
                              f"{error}")
            self._part.go_on(message, page)
            return
        self._part.replace(message, dumps(content).encode(), fault)
        self._part.go_on(message, page)

    def _answer(self, fault: Fault, message: Passing, page: Page) -> None:
        call, order = message.call, fault.order
        assert call is not None
        self._part.withhold(message, page, fault)
        if order.result is not None:
            self._part.say(message.side, [3, call.message_id, order.result], page, fault)
        elif order.error is not None:
            words = order.error.get("description", ""), order.error.get("details", {})
            self._part.say(message.side, [4, call.message_id, order.error["code"], *words], page, fault)

    def _cut(self, fault: Fault, message: Passing, page: Page) -> None:
        self._part.withhold(message, page, fault)
        self._part.cut(fault.order)


_DO: Mapping[str, Callable[[Meeting, Fault, Passing, Page], None]] = {
    "delay": Meeting._delay, "hold": Meeting._hold, "drop": Meeting._drop, "duplicate": Meeting._duplicate,
    "drip": Meeting._drip, "modify": Meeting._modify, "answer": Meeting._answer, "disconnect": Meeting._cut,
    "reset": Meeting._cut,
}  # fmt: skip


def _with_payload(frame: Frame, fault: Fault) -> list[object]:
    """The message with another payload. Raises ValueError where it has none, or the patch does not fit."""
    patch = fault.order.patch
    if isinstance(frame, Call):
        return [2, frame.message_id, frame.action, patched(frame.payload, patch)]
    if isinstance(frame, Send):
        return [6, frame.message_id, frame.action, patched(frame.payload, patch)]
    if isinstance(frame, CallResult):
        return [3, frame.message_id, patched(frame.payload, patch)]
    if type(frame) is CallError:
        return [4, frame.message_id, frame.code, frame.description, patched(frame.details, patch)]
    raise ValueError("it has no payload")
