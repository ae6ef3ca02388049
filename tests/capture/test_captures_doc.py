"""What docs/captures.md says of the format is so."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from capture_records import after, closed, frame, opened, record_into

from ocpp_proxy.capture import jsonl, open_capture
from ocpp_proxy.capture.rows import COLUMNS
from ocpp_proxy.core.record import FrameRecord

DOC = (Path(__file__).parents[2] / "docs" / "captures.md").read_text(encoding="utf-8")


def block(language: str, number: int) -> str:
    return re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)[number]


def test_the_lines_are_spelled_as_we_write_them() -> None:
    lines = block("json", 0).splitlines()
    assert len(lines) == 9
    assert [jsonl.encode(jsonl.decode(line)) for line in lines] == lines


def test_every_key_is_explained(tmp_path: Path) -> None:
    rows = re.findall(r"^\| (`.*?) \|", DOC, re.MULTILINE)
    explained = set(re.findall(r"`(\w+)`", " ".join(rows)))
    odd = frame(1, b"\xff", sender="proxy", to="csms", origin="modified", original=b"\xff", held_ms=1.0, fragments=(1,),
                incomplete=True)
    everything = [opened(), odd, closed()]
    keys = {key for line in map(jsonl.encode, everything) for key in re.findall(r'"(\w+)":', line)}
    assert keys - explained - {"type", "mono_ns", "original_base64", "code", "reason"} == set()


def test_the_hand_written_lines_are_read_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "hand.jsonl"
    path.write_text(block("json", 1))
    with open_capture(path) as capture:
        first, second = capture.records()
        assert isinstance(first, FrameRecord)
        assert isinstance(second, FrameRecord)
        assert (first.connection, first.seq, first.opcode, second.seq) == ("1", 1, "text", 2)
        assert first.at.isoformat() == "2000-01-01T00:00:00.000000Z"
        assert second.at.utc_us - first.at.utc_us == 1000
        assert capture.times_made_up


def test_the_tables_have_the_columns_it_names(tmp_path: Path) -> None:
    for table, columns in COLUMNS.items():
        row = re.search(rf"^\| `{table}` \| (.*) \|$", DOC, re.MULTILINE)
        assert row is not None, table
        named = re.findall(r"`(\w+)`", row[1].split(":")[0].replace("(`to` in the lines)", ""))
        assert ["n", *named] == list(columns)


def test_its_queries_work(tmp_path: Path) -> None:
    path = record_into(tmp_path / "a.db", [opened(), frame(1), frame(2, b"\xff"), frame(3, b"{"), closed(at=after(9))])
    connection = sqlite3.connect(path)
    actions, ends = [connection.execute(query).fetchall() for query in block("sql", 0).split(";")[:2]]
    application, = connection.execute("PRAGMA application_id").fetchone()
    connection.close()
    assert actions == [("station", "Heartbeat", 1)]
    assert ends == [("CP1", "c1", "2026-11-21 09:00:09", "station", 1000, "")]
    assert f"`PRAGMA application_id` is {application}" in DOC
