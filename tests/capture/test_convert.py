"""From one form into the other and back, without loss."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from capture_records import TOOL, closed, frame, opened, record_into, some_header, some_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp_proxy.capture import jsonl, open_capture
from ocpp_proxy.capture.convert import export_file, import_file, new_file
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, Entry, Record


def quiet(_: int) -> None:
    pass


def to(path: Path, source: Path) -> Path:
    with open_capture(source) as capture:
        import_file(capture, path, quiet)
    return path


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(some_header, st.lists(some_record, max_size=12))
def test_lines_to_database_to_lines_is_the_same_to_the_byte(header: CaptureHeader, records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = "".join(f"{jsonl.encode(record)}\n" for record in [header, *records]).encode()
        (folder / "a.jsonl").write_bytes(lines)
        database = to(folder / "b.db", folder / "a.jsonl")
        assert database.read_bytes().startswith(b"SQLite format 3")
        with open_capture(database) as capture:
            assert capture.header == header
            assert list(capture.records()) == records
        copy = to(folder / "c.db", database)
        assert to(folder / "d.jsonl", copy).read_bytes() == lines
        assert names(folder) == ["a.jsonl", "b.db", "c.db", "d.jsonl"]


def test_frames_of_the_same_number_do_not_swallow_each_other(tmp_path: Path) -> None:
    records = [frame(1, b"[2,", incomplete=True), frame(1, b'[2,"1"]'), frame(1, b"", incomplete=True)]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(f"{jsonl.encode(record)}\n" for record in records))
    with open_capture(to(tmp_path / "b.db", source)) as capture:
        assert list(capture.records()) == records


def test_times_that_were_made_up_stay_so(tmp_path: Path) -> None:
    hand = tmp_path / "hand.jsonl"
    hand.write_text('{"sender":"station","data":[2,"1","Heartbeat",{}]}\n')
    for path in (to(tmp_path / "a.db", hand), to(tmp_path / "b.jsonl", hand)):
        with open_capture(path) as capture:
            assert capture.times_made_up
            assert len(list(capture.records())) == 1
    with open_capture(record_into(tmp_path / "real.db", [opened(), frame(1)])) as capture:
        assert not capture.times_made_up


def test_many_records_keep_their_order(tmp_path: Path) -> None:
    records: list[Record] = []
    for number in range(1, 1800):
        records += [frame(number), Entry(type="note", fields={"text": str(number)})]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(f"{jsonl.encode(record)}\n" for record in records))
    done: list[int] = []
    with open_capture(source) as capture:
        import_file(capture, tmp_path / "b.db", done.append)
    assert done == [1000, 2000, 3000, 3598]
    with open_capture(tmp_path / "b.db") as capture:
        assert list(capture.records()) == records


@pytest.mark.parametrize("output", ["there.db", "there.jsonl"])
def test_nothing_is_overwritten(tmp_path: Path, output: str) -> None:
    source = record_into(tmp_path / "a.db", [opened(), frame(1), closed()])
    (tmp_path / output).write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        to(tmp_path / output, source)
    assert (tmp_path / output).read_text() == "mine"
    assert names(tmp_path) == ["a.db", output]


@pytest.mark.parametrize("output", ["new.db", "new.jsonl"])
def test_a_source_that_breaks_off_leaves_nothing_behind(tmp_path: Path, output: str) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"sender":"csms","data":"x"}\n{"sender":"charger","data":"x"}\n')
    with pytest.raises(BadInput, match=r"a\.jsonl:2"):
        to(tmp_path / output, source)
    assert names(tmp_path) == ["a.jsonl"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = record_into(tmp_path / "a.db", [opened()])
    for output in ("nowhere/b.db", "nowhere/b.jsonl"):
        with pytest.raises(BadInput, match=r"nowhere/b\.\w+: cannot be written"):
            to(tmp_path / output, source)


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "x"

    def write_while_another_does() -> None:
        with new_file(target) as temporary:
            temporary.write_text("ours")
            target.write_text("theirs")

    with pytest.raises(BadInput, match="is there already"):
        write_while_another_does()
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["x"]


def test_the_header_of_a_recording_goes_along(tmp_path: Path) -> None:
    source = record_into(tmp_path / "a.db", [opened()])
    with open_capture(source) as capture:
        export_file(capture, "jsonl", tmp_path / "a.jsonl", quiet)
    first = (tmp_path / "a.jsonl").read_text().splitlines()[0]
    assert first == f'{{"type":"capture","version":1,"tool":"{TOOL}","time_scale":1}}'
