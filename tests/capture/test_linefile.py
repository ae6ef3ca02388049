"""JSONL captures as files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from capture_records import closed, frame, opened

from ocpp_proxy.capture import jsonl, open_capture
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, Entry, FrameRecord

HEADER = '{"type":"capture","version":1,"tool":"t","time_scale":20}'
HAND = '{"sender":"station","data":[2,"1","Heartbeat",{}]}'
LINES = [jsonl.encode(record) for record in (opened(), frame(1), closed())]


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "capture.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_it_is_recognised_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join([HEADER, *LINES]) + "\n")
    with open_capture(path) as capture:
        assert capture.kind == "jsonl"
        assert capture.header == CaptureHeader(tool="t", time_scale=20)
        assert list(capture.records()) == [opened(), frame(1), closed()]
        assert [jsonl.encode(record) for record in capture.records()] == LINES
        assert capture.remarks == []
        assert not capture.times_made_up


@pytest.mark.parametrize("content", [
    f"{HAND}\n", HAND, f"\ufeff{HAND}\r\n\r\n", f"\n  \n{HAND}\n\n",
])
def test_header_line_ends_and_blank_lines_may_be_as_they_like(tmp_path: Path, content: str) -> None:
    with open_capture(write(tmp_path, content)) as capture:
        assert capture.header == CaptureHeader()
        record, = capture.records()
        assert isinstance(record, FrameRecord)
        assert record.data == b'[2,"1","Heartbeat",{}]'
        assert capture.times_made_up


def test_one_line_without_a_time_is_enough(tmp_path: Path) -> None:
    lines = [jsonl.encode(frame(seq)) for seq in range(1, 50)]
    with open_capture(write(tmp_path, "\n".join([*lines, HAND]))) as capture:
        assert capture.times_made_up
    with open_capture(write(tmp_path, "\n".join([*lines, '{"type":"note"}']))) as capture:
        assert not capture.times_made_up
    told = '{"type":"capture","version":1,"tool":"t","time_scale":1,"times_made_up":true}'
    with open_capture(write(tmp_path, "\n".join([told, *lines]))) as capture:
        assert capture.times_made_up


@pytest.mark.parametrize("end", ['{"type":"frame","conn', '{"type":"frame","connection":"c1","seq":2,"at":"2026', "{",
                                 "\0" * 500])
def test_a_last_line_that_is_cut_off_is_told_and_the_rest_is_read(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, "\n".join([HEADER, *LINES, end]))
    with open_capture(path) as capture:
        assert len(list(capture.records())) == 3
        assert capture.remarks == [f"line 5 is cut off after {len(end)} bytes; the lines before it are read"]


@pytest.mark.parametrize(("content", "line"), [
    (f'{HAND}\n{{"type":"frame"\n{HAND}\n', 2),
    (f'{HAND}\n{{"sender":"charger","data":"x"}}', 2),
    ("garbage", 1),
])
def test_other_broken_lines_are_named(tmp_path: Path, content: str, line: int) -> None:
    path = write(tmp_path, content)
    with pytest.raises(BadInput) as failure, open_capture(path) as capture:
        list(capture.records())
    assert (failure.value.file, failure.value.line) == (str(path), line)


@pytest.mark.parametrize(("content", "said"), [
    (b"", "is empty"), (b"\n\n", "is empty"), (HAND.encode("utf-16"), "is UTF-16"),
    (b'{"type":"capture","version":99}\n', "found version 99"), (b"\x1f\x8b\x08\x00", "expected UTF-8"),
])
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_capture(write(tmp_path, content))


def test_two_captures_in_one_file_are_one(tmp_path: Path) -> None:
    both = "\n".join([HEADER, *LINES, HEADER, *LINES])
    with open_capture(write(tmp_path, both)) as capture:
        records = list(capture.records())
        assert records[3] == Entry(type="capture", fields={"version": 1, "tool": "t", "time_scale": 20})
        assert len(records) == 7


def test_it_can_be_read_several_times_at_once(tmp_path: Path) -> None:
    lines = [jsonl.encode(frame(seq, b"x" * 1000)) for seq in range(1, 300)]
    with open_capture(write(tmp_path, "\n".join(lines))) as capture:
        for one, other in zip(capture.records(), capture.records(), strict=True):
            assert one == other
        assert [record.seq for record in capture.frames_at([0, 7, 298, 400])] == [1, 8, 299]


def test_a_pipe_will_do(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("\n".join([HEADER, *LINES]),))
    writer.start()
    with open_capture(pipe) as capture:
        writer.join()
        assert capture.header.time_scale == 20
        assert len(list(capture.records())) == len(list(capture.records())) == 3


@pytest.mark.parametrize(("name", "said"), [("missing.jsonl", "No such file"), (".", "is a folder")])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_capture(tmp_path / name)
