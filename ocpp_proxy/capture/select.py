"""Which records of a capture one wants to see.

Decides that by connection, station, sender and time, for records and for the database's tables alike. Refuses to know
what frames say (`search`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.capture.rows import sql_text
from ocpp_proxy.core.frame import Sender
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord, Opened, Record


@dataclass(frozen=True, slots=True)
class Selection:
    """What is None does not matter. `since` counts as inside, `until` as outside; `sender` selects frames, and
    nothing but frames. A record that has no time or no connection is outside as soon as that is asked for."""

    station: str | None = None
    connection: str | None = None
    sender: Sender | None = None
    since: Instant | None = None
    until: Instant | None = None

    @property
    def frames_only(self) -> bool:
        return self.sender is not None

    def of(self, records: Iterator[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
        """Those of the numbered `records` that are wanted."""
        if self == ALL:
            return records
        return self._wanted(records)

    def _wanted(self, records: Iterator[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
        of_station: set[str | None] = set()
        for number, record in records:
            if isinstance(record, Opened) and record.station == self.station:
                of_station.add(record.connection)
            if (
                (self.connection is None or record.connection == self.connection)
                and (self.station is None or record.connection in of_station)
                and (self.sender is None or (isinstance(record, FrameRecord) and record.sender == self.sender))
                and self._is_in_time(record.at)
            ):
                yield number, record

    def _is_in_time(self, at: Instant | None) -> bool:
        if self.since is None and self.until is None:
            return True
        return at is not None and (self.since is None or at.utc_us >= self.since.utc_us) and (
            self.until is None or at.utc_us < self.until.utc_us)

    def sql(self, table: str) -> tuple[str, list[Any]]:
        """The condition for rows of `table`, and its values."""
        asked: list[tuple[str, Any]] = [
            ("connection IN (SELECT connection FROM opened WHERE station = ?)", sql_text(self.station)),
            ("connection IN (SELECT id FROM connection WHERE name = ?)", sql_text(self.connection)),
            ("sender = ?", self.sender if table == "frame" else None),
            ("at_us >= ?", self.since and self.since.utc_us),
            ("at_us < ?", self.until and self.until.utc_us),
        ]
        conditions = [condition for condition, value in asked if value is not None]
        return " AND ".join(conditions) or "1", [value for _, value in asked if value is not None]


ALL = Selection()
