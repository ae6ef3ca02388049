"""Which frames a capture lacks."""

from __future__ import annotations

import pytest
from capture_records import after, closed, frame, opened
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.capture import Hole, holes
from ocpp_proxy.core.record import Gap, Record


def gap(first_seq: int, lost: int, connection: str = "c1") -> Gap:
    return Gap(connection=connection, at=after(0), first_seq=first_seq, lost=lost, reason="disk full")


@pytest.mark.parametrize(("records", "missing"), [
    ([], []),
    ([opened(), closed()], []),
    ([frame(1), frame(2), frame(3)], []),
    ([frame(1), frame(4), frame(5), frame(7)], [Hole("c1", 2, 2, None), Hole("c1", 6, 1, None)]),
    ([frame(1), gap(2, 2), frame(4)], [Hole("c1", 2, 2, "disk full")]),
    ([frame(1), gap(2, 1), frame(4)], [Hole("c1", 2, 1, "disk full"), Hole("c1", 3, 1, None)]),
    ([frame(1), gap(2, 5)], [Hole("c1", 2, 5, "disk full")]),
    ([gap(1, 2), frame(3)], [Hole("c1", 1, 2, "disk full")]),
    ([gap(1, 0), frame(1)], []),
    ([frame(100), frame(102)], [Hole("c1", 101, 1, None)]),
    ([frame(2), frame(1), frame(4), frame(3)], []),
    ([frame(1), frame(1, connection="c2"), frame(3, connection="c2"), frame(2)], [Hole("c2", 2, 1, None)]),
])
def test_holes_are_found_and_explained(records: list[Record], missing: list[Hole]) -> None:
    assert holes(records) == missing


@given(st.sets(st.integers(1, 40)), st.randoms())
def test_the_order_of_frames_does_not_matter(present: set[int], shuffle: object) -> None:
    order = list(present)
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    found = {seq for hole in holes(frame(seq) for seq in order)
             for seq in range(hole.first_seq, hole.first_seq + hole.lost)}
    assert found == (set(range(min(present), max(present))) - present if present else set())
