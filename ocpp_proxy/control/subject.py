"""The running proxy as its API sees it: what can be asked and what can be done, in one value.

Refuses to know how any of it works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ocpp_proxy.control.board import Board
from ocpp_proxy.relay.controls import Controls


@dataclass(frozen=True, slots=True)
class Subject:
    """`started`: RFC 3339; `is_recorded`: whether nothing is missing in the capture so far; `end`: ends the run as
    SIGTERM does."""

    controls: Controls
    board: Board
    started: str
    listen: tuple[str, ...]
    capture: Path
    is_recorded: Callable[[], bool]
    end: Callable[[], None]

    @property
    def capture_bytes(self) -> int:
        """Of the database and its log; 0 where they are gone."""
        total = 0
        for file in (self.capture, self.capture.with_name(f"{self.capture.name}-wal")):
            try:
                total += file.stat().st_size
            except OSError:
                continue
        return total
