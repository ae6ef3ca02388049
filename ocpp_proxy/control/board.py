"""What a running proxy knows of itself: a listener that hears every event and can be asked at any time.

Decides what becomes of each kind of event. Refuses to know who asks (`api`). All memory is bounded: by `stations`,
`messages` and `hub`, each as it says, and here by FINDINGS_KEPT findings, those raised last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ocpp_proxy.control.figures import Figures
from ocpp_proxy.control.hub import Hub
from ocpp_proxy.control.messages import Messages, message_of
from ocpp_proxy.control.stations import Lookup, Stations
from ocpp_proxy.core.event import ConnectionClosed, ConnectionOpened, Event, FindingRaised, FrameSeen, GapSeen
from ocpp_proxy.core.finding import Finding, Severity
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry

FINDINGS_KEPT = 5_000


class Board:
    """`lookup`: what the rules know of a station; `keep_secrets`: the capture does, so the board has to mask;
    `on_mistake` hears of what it failed on itself, which disturbs nobody else who listens."""

    def __init__(
        self, lookup: Lookup, *, keep_secrets: bool = False, on_mistake: Callable[[Exception], None] | None = None
    ) -> None:
        self.figures = Figures()
        self.messages = Messages()
        self.stations = Stations(lookup, self.messages.drop)
        self.hub = Hub()
        self._keep_secrets = keep_secrets
        self._on_mistake = on_mistake
        self._findings: dict[int, Finding] = {}  # by identity: repetitions are the same object
        self._handlers: dict[type, Callable[[Any], None]] = {
            FrameSeen: self._frame, FindingRaised: self._finding, ConnectionOpened: self._opened,
            ConnectionClosed: self._closed, GapSeen: self._gap,
        }  # fmt: skip

    def show(self, events: Iterable[Event]) -> None:
        """Take what the pipeline said."""
        for event in events:
            if (handle := self._handlers.get(type(event))) is not None:
                try:
                    handle(event)
                except Exception as error:
                    if self._on_mistake is None:
                        raise
                    self._on_mistake(error)

    def tick(self, at: Instant) -> None:
        """Time alone changes nothing here."""

    def act(self, entry: Entry) -> None:
        """Take what goes on record as done by this program, or as a remark."""
        station = self.stations.of_connection(entry.connection)
        self.hub.publish(entry.type, station, lambda: {
            "station": station, "connection": entry.connection, "at": entry.at.isoformat() if entry.at else None,
            **entry.fields})

    def findings(self, station: str | None, severity: Severity | None, limit: int) -> list[Finding]:
        """The last `limit`, in the order in which they were first raised."""
        chosen = [one for one in self._findings.values()
                  if station in (None, one.station) and severity in (None, one.severity)]
        return chosen[-limit:]

    def _frame(self, event: FrameSeen) -> None:
        self.figures.add(event)
        self.stations.frame(event)
        if event.frame is None:
            return
        message = message_of(event, mask=self._keep_secrets)
        if event.station is not None:
            self.messages.add(event.station, message)
        self.hub.publish("frame", event.station, message.as_dict)

    def _finding(self, event: FindingRaised) -> None:
        self.figures.add(event)
        finding = event.finding
        self._findings[id(finding)] = finding
        if len(self._findings) > FINDINGS_KEPT:
            del self._findings[next(iter(self._findings))]
        self.hub.publish("finding", finding.station, lambda: {**finding.as_dict(), "first": event.first})

    def _opened(self, event: ConnectionOpened) -> None:
        record = event.record
        self.figures.opened(record.status)
        self.stations.opened(record)
        self.hub.publish("opened", record.station, lambda: {
            "station": record.station, "connection": record.connection, "at": record.at.isoformat(),
            "station_address": record.station_address, "subprotocol": record.subprotocol, "status": record.status,
            "refused_by": record.refused_by})

    def _closed(self, event: ConnectionClosed) -> None:
        record = event.record
        self.stations.closed(record, event.station)
        self.hub.publish("closed", event.station, lambda: {
            "station": event.station, "connection": record.connection, "at": record.at.isoformat(), "by": record.by,
            "code": record.code, "reason": record.reason})

    def _gap(self, event: GapSeen) -> None:
        self.figures.add(event)
        record = event.record
        self.hub.publish("gap", None, lambda: {
            "connection": record.connection, "at": record.at.isoformat(), "first_seq": record.first_seq,
            "lost": record.lost, "reason": record.reason})
