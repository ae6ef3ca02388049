"""Screens to draw on, and what they must look like."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from rich.console import Console

from ocpp_proxy.core.event import Event
from ocpp_proxy.live.stream import StreamView

ZONE = timezone(timedelta(hours=1))
GOLDEN = Path(__file__).parent / "golden"


@dataclass
class Screen:
    """A stream view and what it wrote."""

    view: StreamView
    file: io.StringIO

    def draw(self, *events: Iterable[Event]) -> Screen:
        for batch in events:
            self.view.show(list(batch))
        return self

    def text(self) -> str:
        assert self.view.close()
        return self.file.getvalue()

    def lines(self) -> list[str]:
        """Without the legend and the dates."""
        return [line for line in self.text().splitlines()[1:] if not line.startswith("──")]


def console_of(width: int | None, *, colour: bool = False) -> Console:
    """`width` None: a pipe."""
    return Console(file=io.StringIO(), force_terminal=width is not None, width=width, legacy_windows=False,
                   color_system="truecolor" if colour else None)


@pytest.fixture
def screen() -> Callable[..., Screen]:
    def make(width: int | None = 80, *, colour: bool = False) -> Screen:
        console = console_of(width, colour=colour)
        file = console.file
        assert isinstance(file, io.StringIO)
        return Screen(StreamView(console, zone=ZONE), file)
    return make


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares with a file of tests/live/golden; GOLDEN_WRITE=1 writes it anew, to be looked at before a commit."""
    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("GOLDEN_WRITE"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")
    return compare
