"""Frames found by what they say."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from capture_records import MakeRecorder, frame, opened, record_into

from ocpp_proxy.capture import jsonl, open_capture
from ocpp_proxy.capture.search import search
from ocpp_proxy.capture.select import Selection
from ocpp_proxy.core.record import FrameRecord, Record

CSMS = {"sender": "csms", "to": "station"}
TALK: list[Record] = [
    opened(),
    frame(1, b'[2,"a","BootNotification",{"chargePointVendor":"Wall Box","chargePointModel":"CPB1-S-2-4"}]'),
    frame(2, b'[3,"a",{"status":"Accepted"}]', **CSMS),
    frame(3, b"\xff Faulted \x00 binary", opcode="binary"),
    frame(4, b'[2,"9","TriggerMessage",{"requestedMessage":"Heartbeat"}]', sender="proxy", to="station"),
    frame(5, b'[4,"9","NotImplemented","",{}]'),
    frame(6, b"\xc3\x84nderung", opcode="ping"),
    frame(1, b'[2,"a","Heartbeat",{}]', connection="c2"),
    frame(7, b"not json: Accepted"),
]


def in_form(folder: Path, form: str) -> Path:
    if form == "db":
        return record_into(folder / "a.db", TALK)
    path = folder / "a.jsonl"
    path.write_text("".join(f"{jsonl.encode(record)}\n" for record in TALK))
    return path


def found(path: Path, *query: object, **more: object) -> list[tuple[str, int]]:
    with open_capture(path) as capture:
        return [(record.connection, record.seq) for record in search(capture, *query, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["db", "jsonl"])
@pytest.mark.parametrize(("text", "places"), [
    ("heartbeat", [("c1", 4), ("c2", 1)]),
    ("trigger", [("c1", 4)]),
    ("essage", []),
    ("wall boot", [("c1", 1)]),
    ("wall heartbeat", []),
    ("CPB1-S-2", [("c1", 1)]),
    ('"status":"Accepted"', [("c1", 2)]),
    ("accepted", [("c1", 2), ("c1", 7)]),
    ("FAULTED", [("c1", 3)]),
    ("änder", [("c1", 6)]),
    ('OR "', []),
    ("(NEAR* -", []),
])
def test_words_in_any_order_and_case(tmp_path: Path, form: str, text: str, places: list[tuple[str, int]]) -> None:
    path = in_form(tmp_path, form)
    assert found(path, text) == places
    assert found(path, text) == places  # by the index that the first search made


@pytest.mark.parametrize("form", ["db", "jsonl"])
def test_other_wishes_narrow_it_down(tmp_path: Path, form: str) -> None:
    path = in_form(tmp_path, form)
    assert found(path, "accepted", Selection(sender="csms")) == [("c1", 2)]
    assert found(path, "heartbeat", Selection(connection="c2")) == [("c2", 1)]
    assert found(path, "", Selection(sender="csms")) == [("c1", 2)]
    assert found(path, action="BootNotification") == [("c1", 1), ("c1", 2)]
    assert found(path, action="TriggerMessage") == [("c1", 4), ("c1", 5)]
    assert found(path, "accepted", action="BootNotification") == [("c1", 2)]
    assert found(path, "", Selection(sender="station"), action="TriggerMessage") == [("c1", 5)]
    assert found(path, action="Reset") == []


def indexed(path: Path) -> int | None:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM frame_fts_docsize").fetchone()[0])
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()


class TestIndex:
    def test_it_is_kept_in_a_capture_that_nobody_writes(self, tmp_path: Path) -> None:
        path = in_form(tmp_path, "db")
        assert indexed(path) is None
        found(path, "heartbeat")
        assert indexed(path) == 8
        assert [file.name for file in tmp_path.iterdir()] == ["a.db"]
        record_into(path, [frame(2, connection="c2")])
        assert found(path, "heartbeat") == [("c1", 4), ("c2", 1), ("c2", 2)]
        assert indexed(path) == 9

    def test_it_changes_nothing_of_what_is_recorded(self, tmp_path: Path) -> None:
        path = in_form(tmp_path, "db")
        found(path, "heartbeat")
        with open_capture(path) as capture:
            assert list(capture.records()) == TALK

    def test_a_capture_that_is_being_written_is_searched_without_it(
        self, make_recorder: MakeRecorder, tmp_path: Path
    ) -> None:
        recorder = make_recorder()
        recorder.write(TALK)
        assert found(tmp_path / "a.db", "heartbeat") == [("c1", 4), ("c2", 1)]
        assert recorder.write([frame(8, b"heartbeat again")])
        assert found(tmp_path / "a.db", "heartbeat") == [("c1", 4), ("c2", 1), ("c1", 8)]
        recorder.close()
        assert indexed(tmp_path / "a.db") is None
        assert not recorder.had_gap

    def test_an_index_that_has_fallen_behind_is_not_trusted(
        self, make_recorder: MakeRecorder, tmp_path: Path
    ) -> None:
        path = in_form(tmp_path, "db")
        found(path, "heartbeat")
        recorder = make_recorder()
        recorder.write([frame(9, b"heartbeat")])
        assert ("c1", 9) in found(path, "heartbeat")

    def test_a_capture_that_may_not_be_written_is_searched_without_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = in_form(tmp_path, "db")
        monkeypatch.setattr("os.access", lambda *_: False)
        assert found(path, "heartbeat") == [("c1", 4), ("c2", 1)]
        assert indexed(path) is None

    def test_what_a_killed_writer_left_is_put_in_order(self, tmp_path: Path) -> None:
        path = in_form(tmp_path, "db")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        assert found(path, "heartbeat") == [("c1", 4), ("c2", 1)]
        assert indexed(path) == 8
        assert path.read_bytes()[18:20] == b"\x01\x01"  # no log wanted any more

    def test_a_capture_without_frames_has_nothing_to_find(self, tmp_path: Path) -> None:
        path = record_into(tmp_path / "b.db", [opened()])
        assert found(path, "heartbeat") == []


def test_a_broken_off_message_is_found_by_its_first_part(tmp_path: Path) -> None:
    path = record_into(tmp_path / "a.db", [frame(1, b"[2,heart", incomplete=True)])
    with open_capture(path) as capture:
        record, = search(capture, "heart")
        assert isinstance(record, FrameRecord)
        assert record.incomplete
