"""What every capture offers to those who read it, whichever form it has.

Decides nothing but the shape. Refuses to know about files and databases (`linefile`, `dbreader`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ocpp_proxy.capture.select import ALL, Selection
from ocpp_proxy.core.record import CaptureHeader, FrameRecord, Record

TIMES_MADE_UP = "times_made_up"  # the header's key for it, once such a capture has been converted


class Capture(ABC):
    """An open capture; a context manager.

    `remarks` says, after `records` has been read through, what was left out and why: one sentence each.
    """

    kind: Literal["sqlite", "jsonl"]

    def __init__(self, path: Path, header: CaptureHeader) -> None:
        self.path = path
        self.header = header
        self.remarks: list[str] = []

    @property
    def times_made_up(self) -> bool:
        """Whether a line bore no time, so that rules over clocks and timers have nothing to stand on."""
        return bool(self.header.extra.get(TIMES_MADE_UP))

    def records(self, selection: Selection = ALL) -> Iterator[Record]:
        """The records in the order of the capture's lines, from the start at each call. Raises BadInput at a line
        that cannot be read."""
        return (record for _, record in self.numbered(selection))

    @abstractmethod
    def numbered(self, selection: Selection = ALL) -> Iterator[tuple[int, Record]]:
        """As `records`, each with its number, which rises from line to line."""

    @abstractmethod
    def frames_at(self, numbers: Iterable[int]) -> Iterator[FrameRecord]:
        """The frames of these numbers, which must rise."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
