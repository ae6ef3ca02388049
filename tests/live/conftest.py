"""Screens to draw on, and what they must look like."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from live_screen import ZONE, Screen, console_of

from ocpp_proxy.live.stream import StreamView

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one who runs the tests prefers on his own terminal must not decide them."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


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
