"""Captures are read as they are found, and left as they were."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from capture_records import MakeRecorder, closed, frame, opened, record_into

from ocpp_proxy.capture import open_capture
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import Record

KILLED = """
import os, sys
from ocpp_proxy.capture import Recorder
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord
recorder = Recorder.create(sys.argv[1], "", on_trouble=print)
for seq in range(1, 4):
    recorder.write([FrameRecord(connection="c1", seq=seq, at=Instant(seq, 1), sender="csms", to="station",
                                opcode="text", data=b"[]")])
os.kill(os.getpid(), 9)
"""


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def records_of(path: Path) -> list[Record]:
    with open_capture(path) as capture:
        return list(capture.records())


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What a killed writer left behind: nothing has been folded in."""
    path = tmp_path / "a.db"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert (tmp_path / "a.db-wal").stat().st_size > 0
    return path


def test_a_closed_one_is_left_as_it_was(tmp_path: Path) -> None:
    path = record_into(tmp_path / "a.db", [opened(), frame(1), closed()])
    before = snapshot(tmp_path)
    assert len(records_of(path)) == 3
    assert snapshot(tmp_path) == before


def test_its_name_may_be_any(tmp_path: Path) -> None:
    record_into(tmp_path / "a.db", [opened(), frame(1)]).rename(tmp_path / "50% of it?#x.jsonl")
    with open_capture(tmp_path / "50% of it?#x.jsonl") as capture:
        assert capture.kind == "sqlite"
        assert list(capture.records()) == [opened(), frame(1)]


def test_that_of_a_killed_writer_is_read_whole_and_keeps_its_log(killed: Path) -> None:
    before = snapshot(killed.parent)
    assert [record.seq for record in records_of(killed)] == [1, 2, 3]  # type: ignore[union-attr]
    after = snapshot(killed.parent)
    assert (after["a.db"], after["a.db-wal"]) == (before["a.db"], before["a.db-wal"])


def test_that_of_a_killed_writer_is_continued_and_folded_in(killed: Path) -> None:
    record_into(killed, [frame(4)])
    assert [file.name for file in killed.parent.iterdir()] == ["a.db"]
    assert [record.seq for record in records_of(killed)] == [1, 2, 3, 4]  # type: ignore[union-attr]


def test_where_no_file_can_be_put_beside_it_a_copy_is_read(killed: Path) -> None:
    for name in ("a.db-shm", "a.db.lock"):
        (killed.parent / name).unlink()
    # SQLite cannot make its file of this name, just as in a folder where nobody may write.
    (killed.parent / "a.db-shm").symlink_to("/nowhere/at/all")
    with open_capture(killed) as capture:
        assert len(list(capture.records())) == len(list(capture.records())) == 3
        assert capture.path == killed
        folder = Path(capture._folder.name)  # type: ignore[attr-defined]
        assert folder.is_dir()
    assert not folder.exists()


def test_one_in_log_mode_without_its_log_gets_none(killed: Path, tmp_path: Path) -> None:
    record_into(killed)
    connection = sqlite3.connect(killed)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    (tmp_path / "alone").mkdir()
    copy = Path(shutil.copy(killed, tmp_path / "alone" / "a.db"))
    assert copy.read_bytes()[18:20] == b"\x02\x02"
    assert len(records_of(copy)) == 3
    assert [file.name for file in copy.parent.iterdir()] == ["a.db"]


def test_reading_while_it_is_written_disturbs_nobody(make_recorder: MakeRecorder, tmp_path: Path) -> None:
    recorder = make_recorder()
    recorder.write([opened()])
    readings = []
    for seq in range(1, 20):
        with open_capture(tmp_path / "a.db") as capture:  # opened and closed in the writer's own process
            readings.append(capture.records())
            next(readings[-1])
        assert recorder.write([frame(seq)])
        with pytest.raises(BadInput, match="is being written already"):
            make_recorder()
    assert [len(list(reading)) for reading in readings] == list(range(19))
    del readings
    recorder.close()
    assert not recorder.had_gap
    assert len(records_of(tmp_path / "a.db")) == 20
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize(("content", "said"), [
    (b"SQLite format 3\0" + bytes(200), "is no SQLite file"),
    (None, "is a SQLite file, but no capture"),
])
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "a.db"
    if content is None:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE mine (a)")
        connection.close()
    else:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        open_capture(path)


def test_a_damaged_one_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = record_into(tmp_path / "a.db", [opened(), *(frame(seq, b"x" * 500) for seq in range(1, 500))])
    content = bytearray(path.read_bytes())
    content[len(content) // 2:] = b"\x55" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    read: list[Record] = []
    with open_capture(path) as capture, pytest.raises(BadInput, match=r"a\.db: is damaged and cannot be read on"):
        read.extend(capture.records())
    assert len(read) > 50


@pytest.mark.parametrize("damage", ["UPDATE frame SET connection = 77", "UPDATE frame SET extra = '{'",
                                    "UPDATE frame SET masked = '[{}]'", "DROP TABLE gap"])
def test_one_that_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path, damage: str) -> None:
    path = record_into(tmp_path / "a.db", [opened(), frame(1)])
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with pytest.raises(BadInput, match=r"a\.db: is damaged"):
        records_of(path)
