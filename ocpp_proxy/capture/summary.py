"""What a capture holds, in a few figures.

Decides which figures tell captures apart; counts, and refuses to judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.capture.dbreader import DatabaseCapture
from ocpp_proxy.capture.model import Capture
from ocpp_proxy.capture.rows import from_sql_text
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, FrameRecord, Gap, Opened, Record


@dataclass(slots=True)
class Summary:
    """`stations` in the order of their first connection; `frames` counts messages and control frames, `lost` those
    that gap lines tell of; `first` and `last`: the times of the earliest and the latest record, None without any."""

    stations: list[str] = field(default_factory=list)
    connections: int = 0
    frames: int = 0
    findings: int = 0
    gaps: int = 0
    lost: int = 0
    first: Instant | None = None
    last: Instant | None = None


def summarise(capture: Capture) -> Summary:
    """The figures of `capture`; by the database's own means where it is one."""
    if isinstance(capture, DatabaseCapture):
        return _of_database(capture)
    return _of_records(capture.records())


def _of_records(records: Iterable[Record]) -> Summary:
    summary = Summary()
    stations: dict[str, None] = {}
    connections: set[str] = set()
    for record in records:
        if record.connection is not None:
            connections.add(record.connection)
        if isinstance(record, FrameRecord):
            summary.frames += 1
        elif isinstance(record, Opened):
            if record.station is not None:
                stations[record.station] = None
        elif isinstance(record, Gap):
            summary.gaps += 1
            summary.lost += record.lost
        elif isinstance(record, Entry):
            summary.findings += record.type == "finding"
        if record.at is not None:
            at = record.at
            summary.first = min(summary.first or at, at, key=_time)
            summary.last = max(summary.last or at, at, key=_time)
    summary.stations = list(stations)
    summary.connections = len(connections)
    return summary


def _time(at: Instant) -> int:
    return at.utc_us


_TIMES = " UNION ALL ".join(f'SELECT min(at_us) AS first, max(at_us) AS last FROM "{table}"'  # noqa: S608 — our own names
                            for table in ("opened", "frame", "gap", "closed", "entry"))


def _of_database(capture: DatabaseCapture) -> Summary:
    with closing(capture.connect()) as connection:
        def ask(question: str) -> Any:
            return connection.execute(question).fetchone()

        stations = connection.execute(
            "SELECT station FROM opened WHERE station IS NOT NULL GROUP BY station ORDER BY min(n)")
        gaps, lost = ask("SELECT count(*), coalesce(sum(lost), 0) FROM gap")
        first, last = ask(f"SELECT min(first), max(last) FROM ({_TIMES})")  # noqa: S608 — our own names
        return Summary(
            stations=[from_sql_text(name) or "" for name, in stations],
            connections=ask("SELECT count(*) FROM connection")[0],
            frames=ask("SELECT count(*) FROM frame")[0],
            findings=ask("SELECT count(*) FROM entry WHERE type = 'finding'")[0],
            gaps=gaps, lost=lost,
            first=None if first is None else Instant(first), last=None if last is None else Instant(last),
        )
