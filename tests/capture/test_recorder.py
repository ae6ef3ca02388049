"""Recording while all is well, and while it is not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from capture_records import HEARTBEAT, TOOL, MakeRecorder, after, closed, frame, opened, record_into

from ocpp_proxy.capture import Hole, Recorder, checkpoint, holes, open_capture
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, Entry, FrameRecord, Gap, Part, Record


def records_of(path: Path) -> list[Record]:
    with open_capture(path) as capture:
        return list(capture.records())


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


def test_everything_is_in_one_file_in_the_end(make_recorder: MakeRecorder, tmp_path: Path, troubles: list[str]) -> None:
    recorder = make_recorder()
    written = [opened(), frame(1), frame(2, b"\xff\x00", opcode="ping"), Entry(type="note", fields={"text": "!"}),
               Entry(type="finding", connection="c1", at=after(2), fields={"rule": "r"}), closed()]
    assert all(recorder.write([record]) for record in written)
    recorder.close()
    recorder.close()
    assert names(tmp_path) == ["a.db"]
    with open_capture(tmp_path / "a.db") as capture:
        assert capture.kind == "sqlite"
        assert capture.header == CaptureHeader(tool=TOOL)
        assert list(capture.records()) == written
    assert names(tmp_path) == ["a.db"]
    assert not recorder.had_gap
    assert troubles == []


def test_the_time_scale_is_kept(tmp_path: Path) -> None:
    Recorder.create(tmp_path / "a.db", TOOL, 20.0, on_trouble=print).close()
    with open_capture(tmp_path / "a.db") as capture:
        assert capture.header.time_scale == 20


def test_what_is_written_can_be_read_at_once(make_recorder: MakeRecorder, tmp_path: Path) -> None:
    recorder = make_recorder()
    recorder.write([opened(), frame(1)])
    with open_capture(tmp_path / "a.db") as capture:
        reading = capture.records()
        assert next(reading) == opened()
        assert recorder.write([frame(2)])  # a reader does not stop the writer
        assert list(reading) == [frame(1)]  # and sees the file as it was when it began
        assert list(capture.records()) == [opened(), frame(1), frame(2)]


def test_batches_keep_their_order_across_record_types(make_recorder: MakeRecorder, tmp_path: Path) -> None:
    recorder = make_recorder()
    batch = [opened("c1"), frame(1), opened("c2", "CP2"), frame(1, connection="c2"), closed("c1"),
             frame(2, connection="c2"), closed("c2")]
    assert recorder.write(batch)
    assert recorder.write([])
    assert records_of(tmp_path / "a.db") == batch


class TestConnections:
    def test_they_are_numbered(self, make_recorder: MakeRecorder) -> None:
        recorder = make_recorder()
        assert [recorder.next_connection() for _ in range(3)] == ["c1", "c2", "c3"]

    def test_a_continued_capture_counts_on(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        first = [opened("c9"), frame(1, connection="c9"), opened("cx"), opened("1"), closed("c9")]
        record_into(tmp_path / "a.db", first)
        recorder = make_recorder()
        name = recorder.next_connection()
        assert name == "c10"
        more = [opened(name), Entry(type="note", connection="c9", fields={}), frame(1, connection=name)]
        assert recorder.write(more)
        assert records_of(tmp_path / "a.db") == first + more


class TestFragments:
    FIRST = frame(1, b"[2,", incomplete=True, fragments=(3,))
    REST = (Part(connection="c1", seq=1, data=b'"1"'), Part(connection="c1", seq=1, data=b",{}]"))
    WHOLE = frame(1, b'[2,"1",{}]', fragments=(3, 3, 4))

    @pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3), (3, 2), (5,), (1, 3, 1)])
    def test_the_whole_takes_the_place_of_its_parts(
        self, make_recorder: MakeRecorder, tmp_path: Path, sizes: tuple[int, ...]
    ) -> None:
        recorder = make_recorder()
        recorder.write([opened()])
        stream = iter([self.FIRST, frame(2, b"", opcode="ping"), *self.REST, self.WHOLE])
        for size in sizes:
            assert recorder.write([next(stream) for _ in range(size)])
        assert recorder.write([frame(3)])
        assert records_of(tmp_path / "a.db") == [opened(), self.WHOLE, frame(2, b"", opcode="ping"), frame(3)]
        connection = sqlite3.connect(tmp_path / "a.db")
        assert connection.execute("SELECT count(*) FROM part").fetchone() == (0,)
        connection.close()

    def test_one_that_broke_off_is_there_as_far_as_it_came(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        recorder.write([opened(), self.FIRST])
        recorder.write([self.REST[0]])
        recorder.write([closed()])
        expected = frame(1, b'[2,"1"', incomplete=True, fragments=(3, 3))
        assert records_of(tmp_path / "a.db") == [opened(), expected, closed()]
        recorder.close()
        again = make_recorder()  # a later run does not touch it
        again.write([opened("c2"), frame(1, connection="c2")])
        assert records_of(tmp_path / "a.db")[1] == expected

    def test_both_directions_may_be_in_the_midst_of_one(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        other = frame(2, b"[3,", incomplete=True, sender="csms", to="station", fragments=(3,))
        recorder.write([opened(), self.FIRST])
        recorder.write([other])
        recorder.write([self.REST[0], Part(connection="c1", seq=2, data=b"]")])
        recorder.write([self.WHOLE])
        assert records_of(tmp_path / "a.db") == [
            opened(), self.WHOLE,
            frame(2, b"[3,]", incomplete=True, sender="csms", to="station", fragments=(3, 1))]


class TestTrouble:
    def test_a_locked_file_makes_a_gap(self, make_recorder: MakeRecorder, tmp_path: Path, troubles: list[str]) -> None:
        recorder = make_recorder()
        assert recorder.write([opened(), frame(1)])
        with locked(tmp_path / "a.db"):
            assert not recorder.write([frame(2)])
            assert len(troubles) == 1
            assert "recording into" in troubles[0]
            assert "has stopped: capture locked by another program; forwarding goes on" in troubles[0]
            assert not recorder.write([frame(3), frame(4)])
            assert not recorder.retry()
            assert recorder.had_gap
            assert len(troubles) == 1
        assert recorder.write([frame(5)])
        assert len(troubles) == 2
        assert "recording again" in troubles[1]
        assert "3 frames are missing" in troubles[1]
        gap = Gap(connection="c1", at=after(2), first_seq=2, lost=3, reason="capture locked by another program")
        assert records_of(tmp_path / "a.db") == [opened(), frame(1), gap, frame(5)]
        assert holes(records_of(tmp_path / "a.db")) == [Hole("c1", 2, 3, "capture locked by another program")]
        assert recorder.had_gap

    def test_a_retry_tells_of_the_gap_without_a_new_frame(
        self, make_recorder: MakeRecorder, tmp_path: Path, troubles: list[str]
    ) -> None:
        recorder = make_recorder()
        assert recorder.retry()
        recorder.write([opened()])
        with locked(tmp_path / "a.db"):
            recorder.write([frame(1)])
        assert recorder.retry()
        assert recorder.retry()
        assert [type(record) for record in records_of(tmp_path / "a.db")[1:]] == [Gap]
        assert len(troubles) == 2

    def test_closing_tells_of_it_at_last(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        recorder.write([opened()])
        with locked(tmp_path / "a.db"):
            recorder.write([frame(1)])
        recorder.close()
        assert [type(record) for record in records_of(tmp_path / "a.db")[1:]] == [Gap]
        assert recorder.had_gap

    def test_handshakes_and_closes_are_written_late(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        with locked(tmp_path / "a.db"):
            recorder.write([opened(), frame(1)])
            recorder.write([closed(), opened("c2", "CP2")])
            recorder.write([frame(1, connection="c2")])
        assert recorder.write([frame(2, connection="c2")])
        reason = "capture locked by another program"
        assert records_of(tmp_path / "a.db") == [
            opened(), closed(), opened("c2", "CP2"),
            Gap(connection="c1", at=after(1), first_seq=1, lost=1, reason=reason),
            Gap(connection="c2", at=after(1), first_seq=1, lost=1, reason=reason),
            frame(2, connection="c2")]

    def test_a_full_disk_loses_the_whole_batch_and_nothing_before_it(
        self, make_recorder: MakeRecorder, tmp_path: Path, troubles: list[str]
    ) -> None:
        recorder = make_recorder()
        recorder.write([opened(), frame(1)])
        database = recorder._store._connection  # type: ignore[union-attr]
        pages, = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        big = b"x" * 100_000
        assert not recorder.write([frame(2), frame(3, big), frame(4)])
        assert "disk full" in troubles[0]
        database.execute("PRAGMA max_page_count = 1000000")
        assert recorder.write([frame(5, big)])
        assert records_of(tmp_path / "a.db") == [
            opened(), frame(1), Gap(connection="c1", at=after(2), first_seq=2, lost=3, reason="disk full"),
            frame(5, big)]

    def test_a_lost_fragment_does_not_hurt_if_the_whole_is_recorded(
        self, make_recorder: MakeRecorder, tmp_path: Path
    ) -> None:
        recorder = make_recorder()
        recorder.write([opened(), TestFragments.FIRST])
        with locked(tmp_path / "a.db"):
            assert not recorder.write([TestFragments.REST[0]])
            assert not recorder.write([TestFragments.REST[1]])
        assert recorder.write([TestFragments.WHOLE])
        found = records_of(tmp_path / "a.db")
        assert found[1] == TestFragments.WHOLE
        gap, = found[2:]
        assert isinstance(gap, Gap)
        assert (gap.first_seq, gap.lost) == (1, 1)
        assert recorder.had_gap

    def test_a_fragment_whose_beginning_is_lost_is_left_out(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        recorder.write([opened()])
        with locked(tmp_path / "a.db"):
            recorder.write([TestFragments.FIRST])
        assert recorder.write([TestFragments.REST[0]])
        assert [type(record) for record in records_of(tmp_path / "a.db")[1:]] == [Gap]

    @pytest.mark.parametrize("odd", [
        [object()], [frame(2**70)], [frame(1, b"text".decode())], [frame(1, at=None)],
        [opened(status=object())],
    ])
    def test_nothing_makes_it_raise(
        self, make_recorder: MakeRecorder, tmp_path: Path, odd: Any, troubles: list[str]
    ) -> None:
        recorder = make_recorder()
        recorder.write([opened()])
        assert not recorder.write(odd)
        assert recorder.had_gap
        assert troubles
        recorder.retry()
        assert recorder.write([frame(7)])
        assert frame(7) in records_of(tmp_path / "a.db")

    def test_writing_after_the_end_is_no_crash(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        recorder.close()
        assert not recorder.write([frame(1)])
        assert not recorder.retry()
        recorder.close()
        assert names(tmp_path) == ["a.db"]


class TestMissingFile:
    @pytest.fixture(autouse=True)
    def _look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.01)

    @staticmethod
    def _until_noticed(recorder: Recorder) -> None:
        for _ in range(1000):
            if recorder._store.moved:  # type: ignore[union-attr]
                return
            recorder._store._checkpointer._stopping.wait(0.01)  # type: ignore[union-attr]
        raise AssertionError("not noticed")

    def test_one_that_is_deleted_is_begun_anew(
        self, make_recorder: MakeRecorder, tmp_path: Path, troubles: list[str]
    ) -> None:
        recorder = make_recorder()
        recorder.write([opened("c1"), opened("c2", "CP2"), frame(1), closed("c2")])
        (tmp_path / "a.db").unlink()
        self._until_noticed(recorder)
        assert not recorder.write([frame(2)])
        assert "deleted" in troubles[0]
        assert recorder.retry()
        assert recorder.write([frame(3)])
        reason = "capture file deleted or replaced"
        assert records_of(tmp_path / "a.db") == [
            opened("c1"), Gap(connection="c1", at=after(2), first_seq=1, lost=2, reason=reason), frame(3)]
        recorder.close()
        assert names(tmp_path) == ["a.db"]

    def test_one_that_is_renamed_keeps_what_it_had(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        recorder = make_recorder()
        recorder.write([opened(), frame(1)])
        (tmp_path / "a.db").rename(tmp_path / "old.db")
        self._until_noticed(recorder)
        assert not recorder.write([frame(2)])
        assert recorder.retry()
        recorder.close()
        assert records_of(tmp_path / "old.db") == [opened(), frame(1)]
        assert [type(record).__name__ for record in records_of(tmp_path / "a.db")] == ["Opened", "Gap"]

    def test_a_file_of_somebody_else_in_its_place_is_left_alone(
        self, make_recorder: MakeRecorder, tmp_path: Path
    ) -> None:
        recorder = make_recorder()
        recorder.write([opened()])
        (tmp_path / "a.db").rename(tmp_path / "old.db")
        (tmp_path / "a.db").write_text("mine")
        self._until_noticed(recorder)
        assert not recorder.write([frame(1)])
        assert not recorder.retry()
        recorder.close()
        assert (tmp_path / "a.db").read_text() == "mine"
        assert recorder.had_gap


DISK_FULL = """
import resource, sys
from capture_records import closed, frame, opened, TOOL
from ocpp_proxy.capture import Recorder
said = []
recorder = Recorder.create(sys.argv[1], TOOL, on_trouble=said.append)
assert recorder.write([opened()])
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
seq = 0
while recorder.write([frame(seq + 1, b"x" * 1000)]):
    seq += 1
print(seq)
for lost in range(2, 12):
    assert not recorder.write([frame(seq + lost, b"x" * 1000)])
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
assert recorder.write([frame(seq + 12)])
assert recorder.write([closed()])
recorder.close()
assert recorder.had_gap and len(said) == 2, said
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The operating system refuses, in the midst of writing the log."""
    path = tmp_path / "a.db"
    done = subprocess.run([sys.executable, "-c", DISK_FULL, str(path)], capture_output=True, text=True, check=False,
                          cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    recorded = int(done.stdout)
    found = records_of(path)
    assert recorded > 20
    assert [record.seq for record in found if isinstance(record, FrameRecord)] == [
        *range(1, recorded + 1), recorded + 12]
    gap, = [record for record in found if isinstance(record, Gap)]
    assert (gap.first_seq, gap.lost, gap.reason) == (recorded + 1, 11, "disk error")
    assert names(tmp_path) == ["a.db"]


class TestRefused:
    """What cannot be recorded into is refused before anything is relayed, and left as it was."""

    def test_a_second_writer(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        make_recorder().write([opened()])
        with pytest.raises(BadInput, match=r"a\.db: is being written already, by process \d+"):
            make_recorder()
        assert records_of(tmp_path / "a.db") == [opened()]

    def test_a_second_process(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        make_recorder()
        program = f"from ocpp_proxy.capture import Recorder; Recorder.create({str(tmp_path / 'a.db')!r}, '', " \
                  "on_trouble=print)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "is being written already" in done.stderr

    @pytest.mark.parametrize(("content", "said"), [
        (b'{"type":"capture"}\n', "is no SQLite file; expected a capture"),
        (b"SQLite format 3\0 but no more", "is no SQLite file"),
    ])
    def test_another_kind_of_file(self, make_recorder: MakeRecorder, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "a.db").write_bytes(content)
        with pytest.raises(BadInput, match=said):
            make_recorder()
        assert (tmp_path / "a.db").read_bytes() == content
        assert names(tmp_path) == ["a.db"]

    def test_somebody_elses_database(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "a.db")
        other.execute("CREATE TABLE mine (a)")
        other.commit()
        other.close()
        before = (tmp_path / "a.db").read_bytes()
        with pytest.raises(BadInput, match="is a SQLite file, but no capture"):
            make_recorder()
        assert (tmp_path / "a.db").read_bytes() == before

    def test_a_newer_version(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        newer = sqlite3.connect(record_into(tmp_path / "a.db", [opened()]))
        newer.execute("PRAGMA user_version = 7")
        newer.close()
        with pytest.raises(BadInput, match="has schema version 7, this ocpp-proxy knows up to 1"):
            make_recorder()
        with pytest.raises(BadInput, match="has schema version 7, this ocpp-proxy knows up to 1"):
            open_capture(tmp_path / "a.db")

    def test_a_locked_file(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        record_into(tmp_path / "a.db", [opened()])
        with locked(tmp_path / "a.db"), pytest.raises(BadInput, match="cannot be written: another program is using it"):
            make_recorder()

    @pytest.mark.parametrize(("path", "said"), [
        ("nowhere/a.db", "there is no folder"), (".", "is a folder"), ("a.db/b.db", "there is no folder")])
    def test_a_place_that_is_none(self, make_recorder: MakeRecorder, tmp_path: Path, path: str, said: str) -> None:
        (tmp_path / "a.db").touch()
        with pytest.raises(BadInput, match=said):
            make_recorder(tmp_path / path)

    def test_a_place_that_is_not_ours(self, make_recorder: MakeRecorder) -> None:
        with pytest.raises(BadInput, match="cannot be written"):
            make_recorder(Path("/proc/a.db"))

    def test_an_empty_file_is_as_good_as_none(self, make_recorder: MakeRecorder, tmp_path: Path) -> None:
        (tmp_path / "a.db").touch()
        make_recorder().write([opened()])
        assert records_of(tmp_path / "a.db") == [opened()]


def test_the_log_is_folded_in_as_far_as_readers_allow(
    make_recorder: MakeRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocpp_proxy.capture.store._CLOSE_TIMEOUT_MS", 50)
    recorder = make_recorder()
    recorder.write([opened(), frame(1, HEARTBEAT)])
    with open_capture(tmp_path / "a.db") as capture:
        reading = capture.records()
        next(reading)
        recorder.close()
        assert list(reading) == [frame(1)]
    assert records_of(tmp_path / "a.db") == [opened(), frame(1)]
    record_into(tmp_path / "a.db", [frame(2)])  # the next to write puts it in order
    assert names(tmp_path) == ["a.db"]
    assert records_of(tmp_path / "a.db") == [opened(), frame(1), frame(2)]
