"""Which frames a capture lacks.

Decides that from the numbers of the frames and from the gap lines alone. Refuses to guess why: a hole without a gap
line is one that the recording had no time to explain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from ocpp_proxy.core.record import FrameRecord, Gap, Record

_END = float("inf")


@dataclass(frozen=True, slots=True)
class Hole:
    """`lost` frames from `first_seq` on are not in the capture; `reason` is the gap line's, None without one."""

    connection: str
    first_seq: int
    lost: int
    reason: str | None


def holes(records: Iterable[Record]) -> list[Hole]:
    """Which frames are missing, by connection and seq. Frames before a connection's first one count only where a
    gap line says so: a capture may have been cut out of a larger one."""
    seen: dict[str, Runs] = {}
    gaps: dict[str, list[Gap]] = {}
    for record in records:
        if isinstance(record, FrameRecord):
            seen.setdefault(record.connection, Runs()).add(record.seq)
        elif isinstance(record, Gap):
            gaps.setdefault(record.connection, []).append(record)
    return [hole for connection in seen | gaps
            for hole in _holes_of(connection, seen.get(connection, Runs()), gaps.get(connection, []))]


class Runs:
    """A set of whole numbers that mostly follow each other, kept as [first, last] in ascending order."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []

    def add(self, number: int) -> None:
        runs = self.runs
        if not runs or number > runs[-1][1] + 1:
            runs.append([number, number])
        elif number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            self._insert(number)

    def _insert(self, number: int) -> None:
        place = bisect_right(self.runs, [number, _END]) - 1
        if place >= 0 and number <= self.runs[place][1]:
            return
        self.runs.insert(place + 1, [number, number])
        for left in (place + 1, place):
            if 0 <= left < len(self.runs) - 1 and self.runs[left][1] + 1 == self.runs[left + 1][0]:
                self.runs[left][1] = self.runs.pop(left + 1)[1]


def _holes_of(connection: str, seen: Runs, gaps: list[Gap]) -> list[Hole]:
    found = [Hole(connection, gap.first_seq, gap.lost, gap.reason) for gap in gaps if gap.lost > 0]
    accounted = sorted([*seen.runs, *([hole.first_seq, hole.first_seq + hole.lost - 1] for hole in found)])
    end = accounted[0][0] - 1 if accounted else 0
    for first, last in accounted:
        if first > end + 1:
            found.append(Hole(connection, end + 1, first - end - 1, None))
        end = max(end, last)
    return sorted(found, key=lambda hole: hole.first_seq)
