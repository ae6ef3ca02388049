"""Names for people stand beside identities, and never in their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from live_screen import Screen, console_of
from live_story import Story, day
from rich.console import Console

from ocpp_proxy.live.face import Face
from ocpp_proxy.live.names import label, nameless, word
from ocpp_proxy.live.safe import width_of
from ocpp_proxy.live.stream import StreamView

LONG = "NL-GFX-E12345-000017"
NAMES = {"CP001": "Garage, left", "CP2": "x", LONG: "Gate", "CJK": "車庫の左側です", "bad": "a\x1b[2Jb\nc"}.get


@pytest.mark.parametrize(("identity", "cells", "shown"), [
    ("CP001", 40, "CP001 Garage, left"),
    ("CP001", 12, "CP001 Garag…"),
    ("CP001", 11, "CP001"),
    ("CP2", 5, "CP2 x"),
    ("CP2", 4, "CP2"),
    ("CP9", 40, "CP9"),
    (LONG, 20, LONG),
    (LONG, 12, "NL-GF…000017"),
    (LONG, 32, f"{LONG} Gate"),
    ("CJK", 12, "CJK 車庫の…"),
    ("bad", 40, r"bad a\x1b[2Jb\nc"),
    ("CP001 Garage", 40, "CP001_Garage"),
])
def test_labels(identity: str, cells: int, shown: str) -> None:
    assert label(identity, NAMES, cells) == shown
    assert width_of(shown) <= cells


def test_words_have_no_spaces() -> None:
    assert word("CP001", NAMES) == "CP001(Garage,_left)"
    assert word("CP 1", nameless) == "CP_1"


@pytest.fixture
def screen() -> Callable[[int | None], Screen]:
    def make(width: int | None) -> Screen:
        console = console_of(width)
        view = StreamView(console)
        view.use_names(NAMES)
        return Screen(view, console.file)  # type: ignore[arg-type]

    return make


def test_the_stream_shows_both(screen: Callable[[int | None], Screen]) -> None:
    for width, shown in ((160, "CP001 Garage, left → csms"), (None, " CP001(Garage,_left) → csms")):
        assert shown in screen(width).draw(Story("CP001").call("station", "A")).text()


def test_new_names_count_at_once(screen: Callable[[int | None], Screen]) -> None:
    for width in (160, None):
        drawn, cp = screen(width), Story("CP001")
        drawn.draw(cp.call("station", "A"))
        drawn.view.use_names({"CP001": "Right"}.get)
        drawn.draw(cp.call("station", "B"))
        first, second = drawn.lines()
        assert "Garage" in first
        assert "Right" in second
        assert "Garage" not in second


@pytest.mark.parametrize("width", [80, 160, None])
def test_the_summary_shows_both(width: int | None) -> None:
    console: Console = console_of(width)
    face = Face("stream", Path("day.db"), console)
    face.use_names({"CP001": "Garage, left"}.get)
    for batch in day():
        face.show(batch)
    face.close()
    summary = console.file.getvalue().partition("── Summary")[2]  # type: ignore[attr-defined]
    assert "  CP001 Garage, left  " in summary
