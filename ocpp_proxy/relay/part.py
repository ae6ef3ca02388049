"""This program's own part in one connection: where it injects, holds, alters or swallows messages.

Decides for each message what becomes of it, in its turn and before anything of it is on record, and keeps the order of
what is sent. There is no such part without leave (`run --allow-injection`), and while nothing is asked of it messages
pass as everywhere: in the very bytes they came in, fragment by fragment.

| a message is | on record | the other side |
|---|---|---|
| the answer to a Call of ours | withheld | never sees it |
| a Call held because of ours | when it goes on, with `held_ms` | gets it later |
| one that a fault has met | modified, withheld, held or as it was | see `meeting` |
| anything else | as it was | gets it |

Where messages are compressed and one of them does not go on as it came, the rest of that direction goes on
uncompressed: the receiver's decompressor would miss it else.

Refuses to know when a Call may be sent (`injector`), what faults there are (`faults`) and who may ask for them
(`controls`).

Source: RFC 6455 section 5.4; RFC 7692 section 7.2.1 (a message may go uncompressed at any time).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.core.frame import OTHER_SIDE, Call, CallError, CallResult, Frame, Send, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, FrameRecord, Writable
from ocpp_proxy.relay.acts import Came, Fault, FaultOrder, Injection, Outcome
from ocpp_proxy.relay.drip import Drip
from ocpp_proxy.relay.faults import Faults
from ocpp_proxy.relay.injector import Injected, Injector, Wish
from ocpp_proxy.relay.ledger import Page
from ocpp_proxy.relay.meeting import Meeting
from ocpp_proxy.relay.passing import Passing
from ocpp_proxy.wire.happening import BINARY, CLOSE, CONT, PING, PONG, TEXT, Received

if TYPE_CHECKING:
    from ocpp_proxy.relay.ledger import Seen
    from ocpp_proxy.relay.leg import Leg, LegEvent
    from ocpp_proxy.relay.pair import Pair

CALLS_KEPT = 64


class Part:
    """One for each pair. `faults` are those of the whole proxy; `on_notice` hears what an engineer should read,
    `on_act` what goes on record as done by us."""

    def __init__(
        self, pair: Pair, faults: Faults, on_notice: Callable[[str], None], on_act: Callable[[Entry], None]
    ) -> None:
        self._pair = pair
        self._scribe = pair.scribe
        self.notice = on_notice
        self._on_act = on_act
        self._loop = asyncio.get_running_loop()
        self._over: str | None = None  # why
        self._collected: dict[Side, list[Received]] = {}
        self._fates: dict[int, Page] = {}  # by event: what is sent in its stead
        self._rewritten: set[Side] = set()  # whose messages go on uncompressed
        self._drips: dict[Side, Drip] = {}  # by receiver
        self._actions: dict[Side, dict[str, str]] = {"station": {}, "csms": {}}  # of Calls, by caller and id
        self._meeting = Meeting(faults, self, pair.identity)
        self._injector = Injector(
            pair.connection, send=self._send_ours, release=self.forward, later=self.later, remark=self._remark
        )

    # -- what is asked of it

    def inject(self, order: Injection) -> asyncio.Future[Outcome]:
        """Send a Call as soon as it may be sent."""
        wish = Wish(order)
        self._pair.ledger.turn(partial(self._want, wish), self._carry_out)
        return wish.done

    def release(self, fault_id: str | None = None) -> None:
        """A fault has ended: what it held goes on."""
        self._turn(partial(self._meeting.release, fault_id))

    def stand_down(self, reason: str) -> None:
        """Back to pure relay at once: nothing is held any more, and what waits to be injected is refused."""
        self._injector.refuse_all(reason)
        self._turn(self._stand_down)

    def cut(self, order: FaultOrder) -> None:
        """End the connection as a fault says."""
        self._pair.end(order.code, order.reason, abrupt=order.kind != "disconnect")

    def later(self, seconds: float, decide: Callable[[Page], None]) -> asyncio.TimerHandle:
        """A turn of our own, after so many seconds."""
        return self._loop.call_later(seconds, self._turn, decide)

    def _turn(self, decide: Callable[[Page], None]) -> None:
        self._pair.ledger.turn(partial(self._unless_over, decide), self._carry_out)

    def _unless_over(self, decide: Callable[[Page], None], page: Page) -> None:
        if self._over is None:
            decide(page)

    def _want(self, wish: Wish, page: Page) -> None:
        if self._over is None:
            self._injector.want(wish, page)
        else:
            wish.end(Outcome(outcome="disconnected", connection=self._pair.connection, error={"reason": self._over}))

    def _stand_down(self, page: Page) -> None:
        self._meeting.release(None, page)
        self._injector.let_go(page)
        for drip in self._drips.values():
            drip.finish()

    # -- first half: what goes on record

    def note(self, leg: Leg, event: Received, at: Instant, records: list[Writable], seen: list[Seen]) -> None:
        """In place of the scribe: write down what goes on now, and decide about it."""
        side, page = leg.side, Page(at, records, seen)
        if event.opcode in (PING, PONG):
            self._note_control(side, event, page)
        elif side in self._collected or (event.opcode != CONT and self._armed(side)):
            self._collect(side, event, page)
        else:
            self._note_passing(side, event, page)

    def ending(self, event: LegEvent, page: Page, gone: tuple[Side, ...], reason: str) -> None:
        """The connection ends with this event: what was held goes on before it, but for those who are `gone`."""
        self._over = self._over or reason
        self._fates[id(event)] = page
        collected, self._collected = self._collected, {}
        for side, frames in collected.items():
            for frame in frames:
                self._scribe.write_down(side, frame, page.at, page.records, page.seen)
                page.sends.append((self._receiver(side), frame.raw, None))
        for message in [*self._meeting.drop_held(), *self._injector.drop_held()]:
            if OTHER_SIDE[message.side] in gone:
                self.withhold(message, page)
            else:
                self.forward(message, page)
        self._injector.end(page, reason)

    def _armed(self, side: Side) -> bool:
        return self._injector.busy or self._meeting.busy or side in self._rewritten

    def _note_control(self, side: Side, event: Received, page: Page) -> None:
        written = self._scribe.write_down(side, event, page.at, page.records, page.seen)
        if written is not None and event.opcode == PONG and self._meeting.swallows_pong(side):
            written[0].origin = "withheld"
            self._fates[id(event)] = page

    def _note_passing(self, side: Side, event: Received, page: Page) -> None:
        written = self._scribe.write_down(side, event, page.at, page.records, page.seen)
        if written is None:
            return
        self._account(side, written[1])
        self._injector.go_on(page)
        if page.sends:
            page.sends.insert(0, (self._receiver(side), event.raw, None))
            self._fates[id(event)] = page

    def _collect(self, side: Side, event: Received, page: Page) -> None:
        frames = self._collected.setdefault(side, [])
        frames.append(event)
        self._fates[id(event)] = page
        if not event.fin:
            return
        del self._collected[side]
        data = event.data if len(frames) == 1 else b"".join(each.data for each in frames)
        record, frame = self._scribe.read(side, frames[0].opcode, data, page.at)
        if len(frames) > 1:
            record.fragments = tuple(len(each.data) for each in frames)
        self._decide(Passing(side, frames, record, frame, time.perf_counter()), page)
        self._injector.go_on(page)

    def _decide(self, message: Passing, page: Page) -> None:
        answer = message.answer
        if answer is not None and self._injector.awaits(answer, message.side):
            self.withhold(message, page)
            self._injector.take(answer, message.side, page)
            return
        message.action = self._action_of(message)
        if self._over is not None or not self._meeting.meets(message, page):
            self.go_on(message, page)

    # -- what becomes of a message

    def go_on(self, message: Passing, page: Page) -> None:
        """Nothing keeps it but, maybe, a Call of ours."""
        if not self._injector.holds(message):
            self.forward(message, page)

    def forward(self, message: Passing, page: Page, pace: int | None = None) -> None:
        """On record, and on its way: the bytes it came in, unless it was altered or another was left out before it."""
        if message.waited:
            message.record.held_ms = round((time.perf_counter() - message.since) * 1000, 3)
            self._left_out(message)  # others may have gone before it
        self._scribe.enter(message.record, message.frame, page.records, page.seen)
        self._account(message.side, message.frame)
        page.sends.append((self._receiver(message.side), self._bytes_of(message), pace))

    def withhold(self, message: Passing, page: Page, fault: Fault | None = None) -> None:
        """On record, and no further."""
        message.record.origin = "withheld"
        self._mark(message.record, fault)
        self._scribe.enter(message.record, message.frame, page.records, page.seen)
        self._left_out(message)

    def replace(self, message: Passing, data: bytes, fault: Fault) -> None:
        """Other words in its place; the record keeps both."""
        original = message.record
        record, message.frame = self._scribe.read(message.side, BINARY if message.binary else TEXT, data, original.at)
        record.origin, record.original = "modified", original.data
        self._mark(record, fault)
        self._left_out(message)
        message.record, message.data = record, data

    def repeat(self, message: Passing, page: Page, fault: Fault) -> None:
        """The same once more, as words of our own."""
        self._left_out(message)
        self._enter_ours(OTHER_SIDE[message.side], message.data, page, fault)

    def say(self, to: Side, content: list[Any], page: Page, fault: Fault) -> None:
        """Words of our own, in the name of the other side."""
        self._enter_ours(to, dumps(content).encode(), page, fault)

    def _enter_ours(self, to: Side, data: bytes, page: Page, fault: Fault | None) -> FrameRecord:
        record, frame = self._scribe.read(OTHER_SIDE[to], TEXT, data, page.at)
        record.sender, record.to, record.origin = "proxy", to, "injected"
        self._mark(record, fault)
        self._scribe.enter(record, frame, page.records, page.seen)
        leg = self._leg(to)
        page.sends.append((leg, leg.link.message_frame(data), None))
        return record

    def _bytes_of(self, message: Passing) -> bytes:
        if message.record.origin == "relayed" and message.side not in self._rewritten:
            return message.raw
        return self._receiver(message.side).link.message_frame(message.data, binary=message.binary)

    def _left_out(self, message: Passing) -> None:
        """Here the receiver's decompressor misses something, if it was compressed."""
        if message.compressed:
            self._rewritten.add(message.side)

    @staticmethod
    def _mark(record: FrameRecord, fault: Fault | None) -> None:
        if fault is not None:
            record.extra = {**record.extra, "fault": fault.id}

    # -- what is known of the Calls on their way

    def _account(self, side: Side, frame: Frame | None) -> None:
        if isinstance(frame, Call):
            self._injector.called(side, frame.message_id)
            actions = self._actions[side]
            actions[frame.message_id] = frame.action
            if len(actions) > CALLS_KEPT:
                del actions[next(iter(actions))]
            if _begins_transaction(frame):
                self._injector.transaction_began()
        elif type(frame) is CallResult or type(frame) is CallError:
            self._injector.answered(side, frame.message_id)
            self._actions[OTHER_SIDE[side]].pop(frame.message_id, None)

    def _action_of(self, message: Passing) -> str | None:
        frame = message.frame
        if isinstance(frame, (Call, Send)):
            return frame.action
        answer = message.answer
        return self._actions[OTHER_SIDE[message.side]].get(answer.message_id) if answer is not None else None

    # -- Calls of ours

    def _send_ours(self, wish: Wish, message_id: str, page: Page) -> int:
        order = wish.order
        data = dumps([2, message_id, order.action, order.payload]).encode()
        record = self._enter_ours(order.to, data, page, None)
        self._remember(page, order, message_id, seq=record.seq)
        return record.seq

    def _remark(self, ours: Injected, came: Came, page: Page) -> None:
        self._remember(page, ours.wish.order, ours.message_id, outcome=came)

    def _remember(self, page: Page, order: Injection, message_id: str, **more: Any) -> None:
        fields = {"act": "inject", "by": order.by, "to": order.to, "action": order.action, "message_id": message_id}
        forced = {"forced": True} if order.force else {}
        entry = Entry(type="act", connection=self._pair.connection, at=page.at, fields={**fields, **forced, **more})
        page.records.append(entry)
        self._on_act(entry)

    # -- second half: what is sent

    def act(self, leg: Leg, event: LegEvent) -> bool:
        """Send what was decided. False: the event is still to be dealt with as everywhere."""
        page = self._fates.pop(id(event), None)
        if page is not None:
            self._carry_out(page)
        if type(event) is not Received or event.opcode == CLOSE:
            for each in self._drips.values():
                each.finish()
            return False
        drip = self._drips.get(OTHER_SIDE[leg.side])
        if page is None and (drip is None or not drip.running):
            return False
        leg.frames += 1
        if page is None and drip is not None:
            drip.write(event.raw, None)
        return True

    def _carry_out(self, page: Page) -> None:
        for leg, data, pace in page.sends:
            if pace is None and leg.side not in self._drips:
                leg.write(data)
            else:
                self._drips.setdefault(leg.side, Drip(leg.write)).write(data, pace)

    def _leg(self, side: Side) -> Leg:
        return self._pair.station if side == "station" else self._pair.csms

    def _receiver(self, sender: Side) -> Leg:
        return self._leg(OTHER_SIDE[sender])


def _begins_transaction(call: Call) -> bool:
    if call.action == "TransactionEvent":
        return isinstance(call.payload, dict) and call.payload.get("eventType") == "Started"
    return call.action == "StartTransaction"
