"""Something that happened between a station and its CSMS, with everything that belongs to it at hand.

Decides what those who keep books (`core.station`) and the rules may ask about what has just passed. Refuses to know
what they make of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import Call, CallError, CallResult, Frame, Send, Side, Version
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.payload import text
from ocpp_proxy.core.record import FrameRecord, Record

if TYPE_CHECKING:
    from ocpp_proxy.core.session import Session
    from ocpp_proxy.core.station.links import Link


class FrameRef(NamedTuple):
    """A frame that is on record."""

    connection: str
    seq: int


class Occasion:
    """One thing that happened.

    `action`: of the exchange, "" where there is none.
    `time`: seconds on the capture's own clock, which never goes back and, where time is scaled, runs as fast as the
    payloads tell; only differences mean something. `at`: when it was by the proxy's wall clock. `side`: who spoke, None
    where nobody did. `exchange`: the one a Call opened or an answer belongs to. `request`, `response` and `error` are
    what is known of that exchange by now: any JSON value, None where there is none; `error` is {code, description,
    details}. `link`: the open connection, None for a handshake that failed and for a deadline after the last one ended.
    """

    __slots__ = (
        "_ref", "action", "at", "connection", "error", "exchange", "frame", "link", "record", "request", "response",
        "session", "side", "time", "version",
    )  # fmt: skip

    def __init__(
        self, session: Session, version: Version, connection: str, time: float, at: Instant, link: Link | None = None,
        record: Record | None = None, frame: Frame | None = None, side: Side | None = None,
        exchange: Exchange | None = None,
    ) -> None:  # fmt: skip
        self.session = session
        self.version = version
        self.connection = connection
        self.time = time
        self.at = at
        self.link = link
        self.record = record
        self.frame = frame
        self.side = side
        self.exchange = exchange
        self.request: Any = None
        self.response: Any = None
        self.error: dict[str, Any] | None = None
        self.action = exchange.call.action if exchange is not None else ""
        self._ref: FrameRef | None = None
        if isinstance(frame, (Call, Send)):
            self.request = frame.payload
        elif exchange is not None:
            self.request = exchange.request
            if isinstance(frame, CallResult):
                self.response = frame.payload
            elif isinstance(frame, CallError):
                self.error = {"code": frame.code, "description": frame.description, "details": frame.details}

    @property
    def ref(self) -> FrameRef:
        """The frame itself; where there is none, the last before it (seq 0: none)."""
        made = self._ref
        if made is None:
            record, link = self.record, self.link
            seq = record.seq if isinstance(record, FrameRecord) else link.last_seq if link is not None else 0
            made = self._ref = FrameRef(self.connection, seq)
        return made

    @property
    def call_ref(self) -> FrameRef:
        """The Call of the exchange; the frame itself where there is no exchange."""
        return FrameRef(self.connection, self.exchange.call_seq) if self.exchange is not None else self.ref

    @property
    def called_time(self) -> float:
        """When the Call of the exchange went on to the other side, on the clock of `time`; now where there is none."""
        return self.exchange.called_time if self.exchange is not None else self.time

    @property
    def status(self) -> str | None:
        """The `status` of the response."""
        return text(self.response, "status")

    @property
    def injected(self) -> bool:
        """Whether the Call came from this program and not from the side that it speaks for."""
        return self.exchange is not None and self.exchange.injected
