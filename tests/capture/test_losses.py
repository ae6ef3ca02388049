"""What is kept of frames that could not be recorded."""

from __future__ import annotations

import pytest
from capture_records import after, closed, frame, opened

from ocpp_proxy.capture import losses
from ocpp_proxy.capture.losses import Losses
from ocpp_proxy.core.record import Entry, Gap, Part, Record


def gap(first_seq: int, lost: int, connection: str = "c1", at: float = 0, reason: str = "disk full") -> Gap:
    return Gap(connection=connection, at=after(at or first_seq), first_seq=first_seq, lost=lost, reason=reason)


def told(book: Losses) -> list[Record]:
    lines: list[Record] = []
    while book:
        chunk = book.chunk(after(50))
        assert 0 < len(chunk.lines) <= losses.CHUNK + 1
        lines += chunk.lines
        book.written(chunk)
    return lines


def test_nothing_lost_is_nothing_to_tell() -> None:
    assert not Losses()


def test_frames_that_follow_each_other_are_one_gap() -> None:
    book = Losses()
    assert book.add([frame(3), frame(4), frame(9)], after(0), "disk full", keep_late=True) == 3
    assert book.add([frame(10), frame(1, connection="c2"), frame(4)], after(0), "locked", keep_late=True) == 2
    assert told(book) == [gap(3, 2), gap(9, 2), gap(1, 1, "c2", reason="locked")]
    assert not book


def test_a_part_counts_once_for_its_message() -> None:
    book = Losses()
    part = Part(connection="c1", seq=5, data=b"")
    assert book.add([part, part, frame(5)], after(7), "disk full", keep_late=True) == 1
    assert told(book) == [gap(5, 1, at=7)]


def test_other_records_are_kept_whole_unless_one_may_be_at_fault() -> None:
    book = Losses()
    book.add([opened(), frame(1), closed()], after(0), "disk full", keep_late=True)
    assert told(book) == [opened(), closed(), gap(1, 1)]
    book.add([opened(), frame(1), closed()], after(0), "odd", keep_late=False)
    *_, note = told(book)
    assert note == Entry(type="note", at=after(50), fields={"text": "2 further records could not be kept: odd"})


def test_a_long_time_without_a_disk_needs_no_end_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MAX_CONNECTIONS", 30)
    monkeypatch.setattr(losses, "MAX_LATE", 20)
    monkeypatch.setattr(losses, "CHUNK", 7)
    book = Losses()
    for number in range(100):
        batch = [opened(f"c{number}"), frame(1, connection=f"c{number}")]
        assert book.add(batch, after(0), "disk full", keep_late=True) == 1
    lines = told(book)
    assert [type(line) for line in lines] == [type(opened())] * 20 + [Gap] * 30 + [Entry]
    assert lines[-1] == Entry(type="note", at=after(50),
                              fields={"text": "150 further records could not be kept: disk full"})


def test_a_capture_that_begins_anew_begins_with_what_is_open() -> None:
    book = Losses()
    book.add([frame(7), frame(8), frame(11), closed("c2")], after(0), "deleted", keep_late=True)
    book.start_over([opened("c1"), opened("c3")])
    assert told(book) == [opened("c1"), opened("c3"), closed("c2"), gap(1, 11, at=7, reason="deleted")]
