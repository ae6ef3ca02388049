"""The last messages of each station, as they may be shown: masked, whatever the capture holds.

Keeps MESSAGES_KEPT messages a station, the first DATA_KEPT bytes of each, and BYTES_KEPT bytes of all together; where
that is too much, the station that was silent longest loses its oldest ones. Refuses to be exact about bytes: the
capture is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.event import FrameSeen
from ocpp_proxy.core.frame import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Malformed,
    Send,
    Sender,
    Side,
)
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Origin
from ocpp_proxy.core.redact import may_hold_secret, redact

MESSAGES_KEPT = 500
DATA_KEPT = 16_384
BYTES_KEPT = 32 * 1024 * 1024
_OVERHEAD = 400  # bytes of a message besides its data
_WORD_KEPT = 100  # characters of an action or an id that a peer chose
_KINDS: dict[type[Frame], str] = {
    Call: "call", CallResult: "result", CallError: "error", CallResultError: "result-error", Send: "send",
    Malformed: "malformed",
}  # fmt: skip


@dataclass(slots=True)  # not frozen: one is made for each message
class Message:
    """`data`: the beginning of the payload, masked; `size_bytes`: of all of it. `action`: the Call's own, or that of
    the Call that is answered; `latency_ms`: of an answer, from its Call."""

    station: str | None
    connection: str
    seq: int
    at: Instant
    sender: Sender
    to: Side
    origin: Origin
    kind: str
    message_id: str | None
    action: str | None
    data: bytes
    size_bytes: int
    held_ms: float | None
    latency_ms: float | None

    @property
    def weight(self) -> int:
        return len(self.data) + _OVERHEAD

    def as_dict(self) -> dict[str, Any]:
        """As the API shows it; bytes that are not UTF-8 are replaced."""
        return {
            "station": self.station, "connection": self.connection, "seq": self.seq, "at": self.at.isoformat(),
            "sender": self.sender, "to": self.to, "origin": self.origin, "type": self.kind,
            "message_id": self.message_id, "action": self.action, "data": self.data.decode(errors="replace"),
            "size_bytes": self.size_bytes, "cut": self.size_bytes > len(self.data), "held_ms": self.held_ms,
            "latency_ms": self.latency_ms,
        }  # fmt: skip


def message_of(event: FrameSeen, *, mask: bool) -> Message:
    """What is kept of a frame. `mask`: the capture keeps its secrets, so they have to be masked here."""
    record, frame, exchange = event.record, event.frame, event.exchange
    data = redact(record.data)[0] if mask and may_hold_secret(record.data) else record.data
    action = frame.action if isinstance(frame, Call | Send) else exchange.action if exchange is not None else None
    answers = exchange is not None and exchange.answer is frame
    return Message(
        event.station, record.connection, record.seq, record.at, record.sender, record.to, record.origin,
        _KINDS.get(type(frame), record.opcode) if frame is not None else record.opcode,
        _cut(getattr(frame, "message_id", None)), _cut(action), data[:DATA_KEPT], len(data), record.held_ms,
        exchange.latency_ms if exchange is not None and answers else None,
    )  # fmt: skip


def _cut(word: str | None) -> str | None:
    return word[:_WORD_KEPT] if word is not None else None


@dataclass(slots=True)
class _Ring:
    messages: deque[Message] = field(default_factory=deque)
    forgotten: int = 0


class Messages:
    """By station, the one heard of last at the end."""

    def __init__(self) -> None:
        self._rings: dict[str, _Ring] = {}
        self._bytes = 0

    def add(self, station: str, message: Message) -> None:
        """Keep it; something older may have to go."""
        ring = self._rings.pop(station) if station in self._rings else _Ring()
        self._rings[station] = ring
        ring.messages.append(message)
        self._bytes += message.weight
        if len(ring.messages) > MESSAGES_KEPT:
            self._forget(ring)
        while self._bytes > BYTES_KEPT:
            silent, ring = next(iter(self._rings.items()))
            self._forget(ring)
            if not ring.messages:
                del self._rings[silent]

    def of(self, station: str, connection: str | None, after: int | None, limit: int) -> list[Message]:
        """Oldest first: the last `limit`, or, with `after`, the first that bear a higher number."""
        chosen = [one for one in self._kept(station) if connection is None or one.connection == connection]
        if after is None:
            return chosen[-limit:]
        return [one for one in chosen if one.seq > after][:limit]

    def forgotten(self, station: str) -> int:
        """How many are not kept any more."""
        ring = self._rings.get(station)
        return ring.forgotten if ring is not None else 0

    def drop(self, station: str) -> None:
        """The station is not known any more."""
        ring = self._rings.pop(station, None)
        if ring is not None:
            self._bytes -= sum(one.weight for one in ring.messages)

    def _kept(self, station: str) -> Iterator[Message]:
        ring = self._rings.get(station)
        return iter(ring.messages if ring is not None else ())

    def _forget(self, ring: _Ring) -> None:
        self._bytes -= ring.messages.popleft().weight
        ring.forgotten += 1
