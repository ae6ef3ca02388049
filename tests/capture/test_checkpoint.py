"""The log is folded in behind the writer's back, and never against it."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from capture_records import MakeRecorder, frame, opened

from ocpp_proxy.capture import checkpoint, open_capture


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.005)


def wait_for_size(path: Path, size_bytes: int) -> None:
    deadline = time.monotonic() + 10
    while path.stat().st_size < size_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_log_moves_into_the_file_while_recording_goes_on(make_recorder: MakeRecorder, tmp_path: Path) -> None:
    recorder = make_recorder()
    recorder.write([opened()])
    for seq in range(1, 101):
        assert recorder.write([frame(seq, b"x" * 10_000)])
    wait_for_size(tmp_path / "a.db", 1_000_000)
    assert recorder.write([frame(101)])
    with open_capture(tmp_path / "a.db") as capture:
        assert len(list(capture.records())) == 102


@pytest.mark.parametrize(("limit_pages", "is_held"), [(3, True), (3000, False)])
def test_a_writer_that_never_rests_is_held_when_the_log_has_grown(
    make_recorder: MakeRecorder, monkeypatch: pytest.MonkeyPatch, limit_pages: int, is_held: bool
) -> None:
    monkeypatch.setattr(checkpoint, "LOG_LIMIT_PAGES", limit_pages)
    passes: list[bool] = []
    known, enough = threading.Event(), threading.Event()

    def never_done(_: sqlite3.Connection) -> int:
        assert known.wait(10)
        passes.append(writing.locked())
        if len(passes) >= 12:
            enough.set()
        return len(passes) + 2

    monkeypatch.setattr(checkpoint, "_pass", never_done)
    recorder = make_recorder()
    writing = recorder._store._checkpointer.writing  # type: ignore[union-attr]
    known.set()
    assert enough.wait(10)
    one_round = [False] * checkpoint._PASSES + [True] * is_held
    assert passes[:10] == (one_round * 3)[:10]
    assert recorder.write([frame(2)])


def test_a_reader_only_delays_it(make_recorder: MakeRecorder, tmp_path: Path) -> None:
    recorder = make_recorder()
    recorder.write([opened(), frame(1)])
    with open_capture(tmp_path / "a.db") as capture:
        reading = capture.records()
        next(reading)
        for seq in range(2, 50):
            assert recorder.write([frame(seq, b"x" * 10_000)])
        assert list(reading) == [frame(1)]
    wait_for_size(tmp_path / "a.db", 400_000)
    recorder.close()
    assert not recorder.had_gap
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]
