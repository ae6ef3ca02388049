"""Which stations there are, and in what state.

Decides what is told of a station: its connections and open Calls from the traffic, its registration, device and
connectors from the books that the rules keep (`core.session`). Keeps STATIONS_KEPT stations, those heard of last, and
OPEN_KEPT open Calls a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ocpp_proxy.core.event import FrameSeen
from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import Call
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, Opened
from ocpp_proxy.core.session import Session

STATIONS_KEPT = 10_000
OPEN_KEPT = 64
Lookup: TypeAlias = "Callable[[str], Session | None]"


@dataclass(slots=True)
class Link:
    """An open connection. `open_calls`: by caller and message id, oldest first."""

    opened: Opened
    frames: int = 0
    open_calls: dict[tuple[str, str], Exchange] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "connection": self.opened.connection, "since": self.opened.at.isoformat(),
            "subprotocol": self.opened.subprotocol, "station_address": self.opened.station_address,
            "frames": self.frames, "open_calls": [_call_dict(call) for call in self.open_calls.values()],
        }  # fmt: skip


def _call_dict(exchange: Exchange) -> dict[str, Any]:
    return {"caller": exchange.caller, "action": exchange.action[:100], "message_id": exchange.message_id[:100],
            "since": exchange.called_at.isoformat(), "injected": exchange.injected}


@dataclass(slots=True)
class Station:
    """One station over all its connections; `links`: the open ones, the newest last."""

    identity: str
    links: dict[str, Link] = field(default_factory=dict)
    connections: int = 0
    refused: int = 0
    frames: int = 0
    last_heard: Instant | None = None
    closed: Closed | None = None

    @property
    def newest(self) -> str | None:
        """The id of the newest open connection."""
        return next(reversed(self.links), None)


class Stations:
    """`lookup`: what the rules know of a station."""

    def __init__(self, lookup: Lookup, on_forget: Callable[[str], None]) -> None:
        self._lookup = lookup
        self._on_forget = on_forget
        self._known: dict[str, Station] = {}

    @property
    def open_connections(self) -> int:
        return sum(len(station.links) for station in self._known.values())

    @property
    def count(self) -> int:
        return len(self._known)

    def get(self, identity: str) -> Station | None:
        return self._known.get(identity)

    def of_connection(self, connection: str | None) -> str | None:
        """Whose open connection that is."""
        return next((one.identity for one in self._known.values() if connection in one.links), None)

    def all(self) -> list[Station]:
        """By identity."""
        return [station for _, station in sorted(self._known.items())]

    def opened(self, record: Opened) -> None:
        if record.station is None:
            return
        station = self._of(record.station)
        station.last_heard = record.at
        if record.status == 101:
            station.connections += 1
            station.links[record.connection] = Link(record)
        else:
            station.refused += 1

    def closed(self, record: Closed, identity: str | None) -> None:
        station = self._known.get(identity) if identity is not None else None
        if station is not None and station.links.pop(record.connection, None) is not None:
            station.closed = record

    def frame(self, event: FrameSeen) -> None:
        if event.station is None:
            return
        station = self._of(event.station)
        if event.record.sender == "station":
            station.last_heard = event.record.at
        if event.frame is None:
            return
        station.frames += 1
        link = station.links.get(event.record.connection)
        if link is not None:
            link.frames += 1
            _pair(link, event)

    def as_dict(self, station: Station) -> dict[str, Any]:
        """As the API shows it; None for what was not seen."""
        session = self._lookup(station.identity)
        newest = station.links[station.newest] if station.newest is not None else None
        return {
            "station": station.identity, "connected": newest is not None, "connection": station.newest,
            "version": session.version if session is not None else None,
            "since": newest.opened.at.isoformat() if newest is not None else None,
            "last_heard": station.last_heard.isoformat() if station.last_heard is not None else None,
            "frames": station.frames, "open_calls": sum(len(link.open_calls) for link in station.links.values()),
            "connections": [link.as_dict() for link in station.links.values()],
            "connections_so_far": station.connections, "refused_so_far": station.refused,
            "last_closed": _closed_dict(station.closed), **_from_books(session),
        }  # fmt: skip

    def _of(self, identity: str) -> Station:
        station = self._known.pop(identity) if identity in self._known else Station(identity)
        self._known[identity] = station
        if len(self._known) > STATIONS_KEPT:
            gone = next(iter(self._known))
            del self._known[gone]
            self._on_forget(gone)
        return station


def _pair(link: Link, event: FrameSeen) -> None:
    exchange = event.exchange
    if exchange is None:
        return
    key = (exchange.caller, exchange.message_id)
    if exchange.answer is not None:
        link.open_calls.pop(key, None)
    elif isinstance(event.frame, Call):
        link.open_calls[key] = exchange
        if len(link.open_calls) > OPEN_KEPT:
            del link.open_calls[next(iter(link.open_calls))]


def _closed_dict(record: Closed | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {"connection": record.connection, "at": record.at.isoformat(), "by": record.by, "code": record.code,
            "reason": record.reason}


def _from_books(session: Session | None) -> dict[str, Any]:
    last = session.registration.last if session is not None else None
    device = last.device if last is not None else None
    places = sorted(session.connectors.known.items()) if session is not None else []
    two = session is not None and session.version != "1.6"
    return {
        "registration": {"status": last.status, "interval_s": last.interval_s} if last is not None else None,
        "device": {"vendor": device.vendor, "model": device.model, "serial": device.serial,
                   "firmware": device.firmware} if device is not None else None,
        "connectors": [
            {"evse": place[0] if two else None, "connector": place[1] if two else place[0],
             "status": connector.status.name, "error": connector.status.error}
            for place, connector in places if connector.status is not None
        ],
    }  # fmt: skip
