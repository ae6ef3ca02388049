from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.live.brief import Brief
from ocpp_proxy.live.safe import safe, width_of

BOOTED = Brief(("Wall Box Chargers", "CPB1-S-2-4", "fw 4.3.6"), ("(PowerUp)", "serial 522122"))
READ = Brief(("connector 1", ": 1234 Wh, 7200 W, 31.3 A, 230 V L1-N"), ("tx 1766486654",))


@pytest.mark.parametrize(("brief", "cells", "text"), [
    (BOOTED, 80, "Wall Box Chargers CPB1-S-2-4 fw 4.3.6 (PowerUp) serial 522122"),
    (BOOTED, 60, "Wall Box Chargers CPB1-S-2-4 fw 4.3.6 (PowerUp)"),  # what is extra goes first, the last of it first
    (BOOTED, 40, "Wall Box Chargers CPB1-S-2-4 fw 4.3.6"),
    (BOOTED, 32, "Wall Box Ch… CPB1-S-2-4 fw 4.3.6"),                 # then the longest field gets shorter
    (BOOTED, 12, "Wall Box… C…"),
    (READ, 80, "connector 1 tx 1766486654: 1234 Wh, 7200 W, 31.3 A, 230 V L1-N"),
    (READ, 50, "conn 1 tx 1766486654: 1234 Wh, 7200 W, 31.3 A…"),     # readings are not halved
    (READ, 42, "conn 1 tx 1766486654: 1234 Wh, 7200 W…"),
    (READ, 34, "conn 1: 1234 Wh, 7200 W…"),
    (Brief(("Accepted", "interval 300 s"), ("clock 2026-11-21T09:00:00Z",), ", "), 30, "Accepted, interval 300 s"),
    (Brief((": 1 Wh",)), 30, "1 Wh"),
    (Brief(), 0, ""),
])
def test_what_says_most_for_its_room_stays(brief: Brief, cells: int, text: str) -> None:
    assert brief.within(cells) == text


words = st.lists(st.text(max_size=20).map(safe), max_size=5).map(tuple)


@given(words, words, st.sampled_from([" ", ", "]), st.integers(0, 100))
def test_it_never_takes_more_room_and_all_of_it_where_there_is_enough(
        fields: tuple[str, ...], extra: tuple[str, ...], joint: str, cells: int) -> None:
    brief = Brief(fields, extra, joint)
    assert width_of(brief.within(cells)) <= cells
    assert brief.within(width_of(brief.text)) == brief.text
