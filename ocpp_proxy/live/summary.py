"""What a run amounted to: the figures of the closing summary, counted while it goes on.

Decides what is counted and how: memory stays bounded however long the run and whatever peers send. Refuses to know
how it is drawn (`summary_text`) and to find anything by itself: findings come from the rules.

Source: own decision.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from rich.console import Console

from ocpp_proxy.core.event import (
    ConnectionClosed,
    ConnectionOpened,
    Event,
    FindingRaised,
    FrameSeen,
    GapSeen,
)
from ocpp_proxy.core.finding import SEVERITIES, Finding, Severity
from ocpp_proxy.core.frame import OTHER_SIDE, Call, CallError, CallResult, CallResultError, Malformed, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.live import summary_text
from ocpp_proxy.live.fields import look
from ocpp_proxy.live.latency import Latencies
from ocpp_proxy.live.names import Names, nameless
from ocpp_proxy.live.safe import scalar
from ocpp_proxy.live.writer import Writer

_STATIONS_KEPT = 10_000
_ACTIONS_KEPT = 300
_RULES_KEPT = 1_000
_OPEN_KEPT = 1_000  # a connection
OTHER_ACTION = "(other)"

_IDENTITY = {
    "vendor": (("chargePointVendor",), ("chargingStation", "vendorName")),
    "model": (("chargePointModel",), ("chargingStation", "model")),
    "firmware": (("firmwareVersion",), ("chargingStation", "firmwareVersion")),
}


@dataclass(slots=True)
class StationSeen:
    """One station, over all its connections. `open`: how many of them stand now."""

    identity: str
    vendor: str | None = None
    model: str | None = None
    firmware: str | None = None
    subprotocol: str | None = None
    connections: int = 0
    refused: int = 0
    open: int = 0
    frames: int = 0
    last_seen: Instant | None = None


@dataclass(slots=True)
class RuleSeen:
    """One rule: `findings` different ones, seen `count` times in all; `message` and `fix` of the first."""

    rule: str
    severity: Severity
    message: str
    fix: str
    findings: int = 0
    count: int = 0
    stations: set[str] = field(default_factory=set)


class Summary:
    """Add events as they come; render at the end."""

    def __init__(self, *, zone: tzinfo | None = None) -> None:
        self.zone = zone
        self.names: Names = nameless  # what people call the stations
        self.first: Instant | None = None
        self.last: Instant | None = None
        self.counts: Counter[str] = Counter()
        self.stations: dict[str, StationSeen] = {}
        self.rules: dict[str, RuleSeen] = {}
        self.latencies: dict[tuple[str, Side], Latencies] = {}
        self._station_of: dict[str, StationSeen] = {}
        self._open: dict[str, dict[tuple[str, str], None]] = {}
        self._handlers: dict[type, Callable[[Any], None]] = {
            FrameSeen: self._frame, FindingRaised: self._finding, ConnectionOpened: self._opened,
            ConnectionClosed: self._closed, GapSeen: self._gap}

    def add(self, events: Iterable[Event]) -> None:
        """Count what the pipeline made of one record, or of several."""
        for event in events:
            self._handlers[type(event)](event)

    @property
    def pending(self) -> int:
        """CALLs that may still be answered: their connections stand."""
        return sum(len(calls) for calls in self._open.values())

    def worst_first(self) -> list[RuleSeen]:
        """The rules that found something, errors before warnings before infos, then by number."""
        return sorted(self.rules.values(), key=lambda seen: (SEVERITIES.index(seen.severity), -seen.count, seen.rule))

    def render(self, console: Console, capture_path: str | os.PathLike[str] | None, *, lines_dropped: int = 0,
               timeout_s: float = 5.0) -> bool:
        """Print it. `lines_dropped`: those the stream view could not show. Never raises and never waits longer than
        `timeout_s`, whatever became of the terminal; False where it could not be printed."""
        path = None if capture_path is None else os.fspath(capture_path)
        text = summary_text.text(self, console, path, lines_dropped)
        writer = Writer(console.file, console.encoding)
        writer.put(text, 1)
        return writer.close(timeout_s)

    def as_dict(self) -> dict[str, Any]:
        """The same for machines; times in UTC, latencies in milliseconds."""
        return {
            "version": 1,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "counts": {**{name: self.counts[name] for name in COUNTS}, "pending": self.pending},
            "stations": [_station_dict(seen) for _, seen in sorted(self.stations.items())],
            "stations_omitted": self.counts["stations_omitted"],
            "findings": [{"rule": seen.rule, "severity": seen.severity, "findings": seen.findings, "count": seen.count,
                          "stations": sorted(seen.stations), "message": seen.message, "fix": seen.fix}
                         for seen in self.worst_first()],
            "latencies": [{"action": action, "answered_by": side, "count": kept.count, "p50_ms": kept.percentile_ms(50),
                           "p95_ms": kept.percentile_ms(95), "p99_ms": kept.percentile_ms(99), "max_ms": kept.max_ms}
                          for (action, side), kept in sorted(self.latencies.items())],
        }

    # --- events ------------------------------------------------------------------------------------------------

    def _moment(self, at: Instant) -> None:
        self.first = self.first or at
        self.last = at

    def _station(self, connection: str, identity: str | None) -> StationSeen:
        seen = self._station_of.get(connection)
        if seen is None:
            name = identity or "-"
            seen = self.stations.get(name)
            if seen is None:
                seen = StationSeen(name)
                if len(self.stations) < _STATIONS_KEPT:
                    self.stations[name] = seen
                else:
                    self.counts["stations_omitted"] += 1
            self._station_of[connection] = seen
        return seen

    def _opened(self, event: ConnectionOpened) -> None:
        record = event.record
        self._moment(record.at)
        seen = self._station(record.connection, record.station)
        seen.last_seen = record.at
        if record.status != 101:
            seen.refused += 1
            self.counts["refused"] += 1
            return
        self.counts["connections"] += 1
        seen.connections += 1
        seen.open += 1
        seen.subprotocol = record.subprotocol
        self._open[record.connection] = {}

    def _closed(self, event: ConnectionClosed) -> None:
        connection = event.record.connection
        self._moment(event.record.at)
        seen = self._station(connection, event.station)
        seen.last_seen = event.record.at
        calls = self._open.pop(connection, None)
        if calls is not None:
            seen.open = max(seen.open - 1, 0)
            self.counts["unanswered"] += len(calls)
        del self._station_of[connection]

    def _gap(self, event: GapSeen) -> None:
        self._moment(event.record.at)
        self.counts["gaps"] += 1
        self.counts["lost"] += event.record.lost

    def _frame(self, event: FrameSeen) -> None:
        record = event.record
        self._moment(record.at)
        seen = self._station(record.connection, event.station)
        seen.last_seen = record.at
        if record.opcode in ("ping", "pong"):
            self.counts["control"] += 1
            return
        self.counts["frames"] += 1
        seen.frames += 1
        if record.origin != "relayed":
            self.counts[record.origin] += 1
        frame = event.frame
        if isinstance(frame, Call):
            self._call(event, frame, seen)
        elif isinstance(frame, CallResultError):
            self.counts["result_errors"] += 1
        elif isinstance(frame, CallResult | CallError):
            self._answer(event, frame)
        elif isinstance(frame, Malformed):
            self.counts["malformed"] += 1

    def _call(self, event: FrameSeen, call: Call, seen: StationSeen) -> None:
        if call.action == "BootNotification":
            for name, paths in _IDENTITY.items():
                value = next((value for path in paths if (value := look(call.payload, path)) is not None), None)
                if value is not None:
                    setattr(seen, name, scalar(value, 50))
        exchange = event.exchange
        if exchange is None or exchange.attempts > 1:
            return
        self.counts["exchanges"] += 1
        calls = self._open.setdefault(event.record.connection, {})
        key = (exchange.caller, exchange.message_id)
        if key in calls or len(calls) >= _OPEN_KEPT:
            self.counts["unanswered"] += 1
            del calls[key if key in calls else next(iter(calls))]
        calls[key] = None

    def _answer(self, event: FrameSeen, frame: CallResult | CallError) -> None:
        exchange = event.exchange
        calls = self._open.get(event.record.connection, {})
        if exchange is None or (exchange.caller, exchange.message_id) not in calls:
            self.counts["stray_answers"] += 1
            return
        del calls[exchange.caller, exchange.message_id]
        self.counts["errors" if isinstance(frame, CallError) else "answered"] += 1
        latency = exchange.latency_ms
        if latency is not None and event.record.sender != "proxy":
            side = OTHER_SIDE[exchange.caller]
            kept = self.latencies.get((exchange.action, side))
            if kept is None:
                action = exchange.action if len(self.latencies) < _ACTIONS_KEPT else OTHER_ACTION
                kept = self.latencies.setdefault((action, side), Latencies())
            kept.add(latency)

    def _finding(self, event: FindingRaised) -> None:
        item: Finding = event.finding
        seen = self.rules.get(item.rule)
        if seen is None:
            if len(self.rules) >= _RULES_KEPT:
                return
            seen = self.rules[item.rule] = RuleSeen(item.rule, item.severity, item.message, item.fix)
        if SEVERITIES.index(item.severity) < SEVERITIES.index(seen.severity):
            seen.severity = item.severity  # risen since
        seen.findings += event.first
        seen.count += 1
        if item.station is not None and len(seen.stations) < _STATIONS_KEPT:
            seen.stations.add(item.station)


COUNTS = ("frames", "control", "malformed", "injected", "modified", "withheld", "exchanges", "answered", "errors",
          "unanswered", "stray_answers", "result_errors", "connections", "refused", "gaps", "lost")


def _station_dict(seen: StationSeen) -> dict[str, Any]:
    return {"station": seen.identity, "vendor": seen.vendor, "model": seen.model, "firmware": seen.firmware,
            "subprotocol": seen.subprotocol, "connections": seen.connections, "refused": seen.refused,
            "open": seen.open, "frames": seen.frames,
            "last_seen": seen.last_seen.isoformat() if seen.last_seen else None}
