"""Quiet keep-alives folded into one line.

Decides which frames are mere signs of life, and keeps count of those not drawn. Refuses to hide anything that is not
plain: a Heartbeat answered with an error, late or with a finding is drawn, and so is the first of each connection.

Source: OCPP 1.6 section 4.6 and OCPP 2.0.1 G02 (Heartbeat); RFC 6455 section 5.5.2 (ping, pong).
"""

from __future__ import annotations

from ocpp_proxy.core.event import FrameSeen
from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import Call, CallResult
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.live.lines import SLOW_MS
from ocpp_proxy.live.paint import Line
from ocpp_proxy.live.when import counted, milliseconds

_CONNECTIONS_KEPT = 50_000


class Fold:
    """Counts keep-alives from `since` on; `last` is the newest one's time."""

    def __init__(self) -> None:
        self.since: Instant | None = None
        self.last: Instant | None = None
        # The id of the Heartbeat drawn in full, None once its answer was drawn too.
        self._first: dict[str, str | None] = {}
        self._reset()

    def _reset(self) -> None:
        self.since = self.last = None
        self._beats = self._pings = self._pongs = 0
        self._latency_ms: float | None = None
        self.stations: set[str | None] = set()

    def takes(self, event: FrameSeen) -> bool:
        """Whether the frame is a plain keep-alive. Asked once a frame: it remembers each connection's first."""
        record = event.record
        if record.origin != "relayed" or record.held_ms is not None:
            return False
        if event.frame is None:
            return record.opcode in ("ping", "pong")
        exchange = event.exchange
        return exchange is not None and exchange.action == "Heartbeat" and self._plain_beat(event, exchange)

    def _plain_beat(self, event: FrameSeen, exchange: Exchange) -> bool:
        seen = event.frame
        if exchange.injected or exchange.caller != "station" or seen is None or seen.defects:
            return False
        connection = event.record.connection
        if isinstance(seen, Call):
            if connection not in self._first:
                if len(self._first) >= _CONNECTIONS_KEPT:
                    self._first.clear()
                self._first[connection] = exchange.message_id
                return False
            return exchange.attempts == 1
        if self._first.get(connection) == exchange.message_id:
            self._first[connection] = None
            return False
        latency = exchange.latency_ms
        return (isinstance(seen, CallResult) and exchange.answer is seen
                and latency is not None and latency < SLOW_MS)

    def add(self, event: FrameSeen) -> None:
        """Count it instead of drawing it."""
        self.last = event.record.at
        self.since = self.since or self.last
        self.stations.add(event.station)
        if event.record.opcode == "ping":
            self._pings += 1
        elif event.record.opcode == "pong":
            self._pongs += 1
        elif isinstance(event.frame, CallResult) and event.exchange is not None:
            self._beats += 1
            self._latency_ms = event.exchange.latency_ms

    def line(self, since: str) -> Line:
        """What was folded, in words; counting starts anew."""
        said = []
        if self._beats:
            said.append(counted(self._beats, "heartbeat"))
        if self._pings or self._pongs:
            said.append(counted(self._pings, "ping"))
        if abs(self._pings - self._pongs) > 1:
            said.append(counted(self._pongs, "pong"))
        latency = f" (last {milliseconds(self._latency_ms)})" if self._latency_ms is not None else ""
        who = f" of {len(self.stations)} stations" if len(self.stations) > 1 else ""
        text = ", ".join(said) or "1 heartbeat on its way"
        self._reset()
        return [("dim", f"· {text}{who} since {since}{latency}")]

    def forget(self, connection: str) -> None:
        """The connection is closed: its id may not come again, but its memory would stay."""
        self._first.pop(connection, None)
