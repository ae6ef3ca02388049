"""What could not be recorded, kept until it can be said in the capture.

Decides which gap lines tell of the frames that were lost, and which records are written late. Refuses to grow without
end: behind a disk that stays full for days, connections beyond a limit are only counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, FrameRecord, Gap, Opened, Part, Record, Writable

MAX_CONNECTIONS = 10_000
MAX_LATE = 10_000
CHUNK = 100  # lines: what may be written at once without holding up the frames


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines to be written together, and what they stand for."""

    lines: list[Record]
    late: int
    connections: tuple[str, ...]


@dataclass(slots=True)
class _Run:
    """Lost frames without a recorded one in between."""

    first: int
    last: int
    at: Instant
    reason: str


class Losses:
    """Frames that were lost, by connection, and the few other records, which are kept whole."""

    def __init__(self) -> None:
        self._runs: dict[str, list[_Run]] = {}
        self._late: deque[Record] = deque()
        self._dropped = 0
        self._last_reason = ""

    def __bool__(self) -> bool:
        return bool(self._runs or self._late or self._dropped)

    def add(self, records: Sequence[Writable], at: Instant, reason: str, *, keep_late: bool) -> int:
        """`records` are lost; how many frames that adds. `at`: for those that bear no time. `keep_late`: whether
        records other than frames may be written later, or one of them may be what cannot be written."""
        self._last_reason = reason
        if not keep_late:
            self._dropped += len(self._late)
            self._late.clear()
        lost = 0
        for record in records:
            if isinstance(record, FrameRecord):
                lost += self._lose(record.connection, record.seq, record.at, reason)
            elif isinstance(record, Part):
                lost += self._lose(record.connection, record.seq, at, reason)
            elif keep_late and len(self._late) < MAX_LATE:
                self._late.append(record)
            else:
                self._dropped += 1
        return lost

    def _lose(self, connection: str, seq: int, at: Instant, reason: str) -> bool:
        runs = self._runs.get(connection)
        if runs is None:
            if len(self._runs) >= MAX_CONNECTIONS:
                self._dropped += 1
                return True
            runs = self._runs[connection] = []
        if runs and seq == runs[-1].last + 1:
            runs[-1].last = seq
        elif any(run.first <= seq <= run.last for run in runs):
            return False
        else:
            runs.append(_Run(seq, seq, at, reason))
        return True

    def chunk(self, at: Instant) -> Chunk:
        """What is to be written next: the late records, then the gaps."""
        lines = list(islice(self._late, CHUNK))
        late = len(lines)
        connections = tuple(islice(self._runs, CHUNK - late))
        lines += [Gap(connection=name, at=run.at, first_seq=run.first, lost=run.last - run.first + 1,
                      reason=run.reason) for name in connections for run in self._runs[name]]
        if not lines:
            text = f"{self._dropped} further records could not be kept: {self._last_reason}"
            lines.append(Entry(type="note", at=at, fields={"text": text}))
        return Chunk(lines, late, connections)

    def written(self, chunk: Chunk) -> None:
        """The lines of `chunk` are in the capture."""
        for _ in range(chunk.late):
            self._late.popleft()
        for name in chunk.connections:
            del self._runs[name]
        if not chunk.late and not chunk.connections:
            self._dropped = 0

    def forget(self) -> None:
        """One of the lines cannot be written, and nobody knows which: only count them from now on."""
        self._dropped += len(self._late) + len(self._runs)
        self._late.clear()
        self._runs.clear()

    def start_over(self, opened: Sequence[Opened]) -> None:
        """The capture begins anew in the midst of the connections `opened`: what was before is lost as well."""
        self._late.extendleft(reversed(opened))
        for record in opened:
            if runs := self._runs.get(record.connection):
                runs[:] = [_Run(1, runs[-1].last, runs[0].at, runs[0].reason)]
