"""A station to teach: what is said to its books, as the pipeline would say it."""

from __future__ import annotations

from typing import Any

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import Call, CallError, CallResult
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.occasion import Occasion
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.session import Session


class Taught:
    """`session` hears of Calls and answers, one second after the other."""

    def __init__(self, version: Any = "1.6", session: Session | None = None) -> None:
        self.version = version
        self.session = session or Session("S")
        self.time = 0.0
        self.seq = 0
        self.open: dict[tuple[str, str], Exchange] = {}

    def call(self, action: Any, request: Any, side: Any = "station", after_s: float = 1.0) -> Exchange:
        frame = Call(b'[2,"%d","",{' % self.seq + repr(request).encode(), (), str(self.seq), action, request)
        record = self._record(side, after_s)
        exchange = Exchange("c1", side, frame.message_id, frame, self.seq, record.at, called_time=self.time)
        self.session.learn(self._occasion(record, frame, side, exchange))
        return exchange

    def answer(
        self, exchange: Exchange, response: Any = None, *, error: str | None = None, after_s: float = 1.0
    ) -> None:
        frame = CallResult(b"", (), exchange.message_id, response)
        if error is not None:
            frame = CallError(b"", (), exchange.message_id, error, "", {})
        side = "csms" if exchange.caller == "station" else "station"
        record = self._record(side, after_s)
        exchange.answer, exchange.answer_seq = frame, self.seq
        self.session.learn(self._occasion(record, frame, side, exchange))

    def exchange(self, action: str, request: Any, response: Any = None, side: Any = "station", **answer: Any) -> None:
        self.answer(self.call(action, request, side), response, **answer)

    def asked(self, action: str, request: Any, response: Any = None, **answer: Any) -> None:
        """A Call of the CSMS and its answer."""
        self.exchange(action, request, response, "csms", **answer)

    def _record(self, side: Any, after_s: float) -> FrameRecord:
        self.seq += 1
        self.time += after_s
        return FrameRecord(connection="c1", seq=self.seq, at=Instant(round(self.time * 1e6)), sender=side,
                           to="csms" if side == "station" else "station", opcode="text", data=b"")

    def _occasion(self, record: FrameRecord, frame: Any, side: Any, exchange: Exchange) -> Occasion:
        return Occasion(self.session, self.version, "c1", self.time, record.at, record=record, frame=frame, side=side,
                        exchange=exchange)
