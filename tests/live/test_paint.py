from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_screen import console_of

from ocpp_proxy.live.paint import Painter, wrap
from ocpp_proxy.live.safe import safe, width_of


def test_a_line_is_cut_at_the_width_even_within_colour() -> None:
    paint = Painter(console_of(20, colour=True))
    assert paint.line([("error", "x" * 15), ("", "y" * 15), ("dim", "never")]) == \
        f"\x1b[1;31m{'x' * 15}\x1b[0myyyy…\n"
    assert paint.line([("", "y" * 30)], cut=False) == "y" * 30 + "\n"


@given(st.text(max_size=200), st.integers(2, 60))
def test_wrapped_text_keeps_to_the_width_and_loses_nothing(text: str, cells: int) -> None:
    text = safe(text, 500)
    lines = wrap(text, cells)
    assert all(width_of(line) <= cells for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("width", [10, 20, 300])
def test_a_very_narrow_terminal_is_taken_as_twenty(width: int) -> None:
    assert Painter(console_of(width)).width == max(width, 20)
