"""`ocpp-proxy capture`, as it is called."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ocpp_proxy.__main__ import main
from ocpp_proxy.capture import Recorder, open_capture
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Gap, Opened

NINE = Instant.parse("2026-11-21T09:00:00Z").utc_us
BOOT = b'[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
PROGRAM = [sys.executable, "-m", "ocpp_proxy", "capture"]


def at(seconds: float) -> Instant:
    return Instant(NINE + int(seconds * 1e6))


RECORDS = [
    Opened(connection="c1", at=at(0), station="CP001", target="/ocpp/CP001", subprotocol="ocpp1.6",
           station_address="192.0.2.7:40112"),
    FrameRecord(connection="c1", seq=1, at=at(1), sender="station", to="csms", opcode="text", data=BOOT),
    FrameRecord(connection="c1", seq=2, at=at(1.2), sender="csms", to="station", opcode="text",
                data=b'[3,"1",{"status":"Accepted"}]'),
    FrameRecord(connection="c1", seq=3, at=at(2), sender="proxy", to="station", opcode="text", origin="injected",
                data=b'[2,"9","TriggerMessage",{"requestedMessage":"Heartbeat"}]'),
    FrameRecord(connection="c1", seq=4, at=at(3), sender="station", to="csms", opcode="ping", data=b"\x1b[31m\xff"),
    Gap(connection="c1", at=at(4), first_seq=5, lost=2, reason="disk full"),
    Entry(type="finding", connection="c1", at=at(4), fields={"rule": "boot-missing-iccid", "severity": "warning",
                                                             "message": "no iccid"}),
    Entry(type="note", at=at(5), fields={"text": "plug pulled"}),
    Closed(connection="c1", at=at(86_400), by="csms", code=1001, reason="maintenance"),
]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    recorder = Recorder.create(tmp_path / "field.db", "ocpp-proxy test", on_trouble=print)
    recorder.write(RECORDS)
    recorder.close()
    return tmp_path / "field.db"


class Said:
    """What a call of the command said: exit code, stdout, stderr."""

    def __init__(self, capfd: pytest.CaptureFixture[str], *arguments: object) -> None:
        self.code = main(["capture", *map(str, arguments)])
        self.out, self.err = capfd.readouterr()


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


class TestShow:
    def test_a_record_is_a_line(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        said = Said(capfd, "show", capture)
        assert (said.code, said.err) == (0, "")
        assert said.out.splitlines() == [
            "2026-11-21 UTC",
            "09:00:00.000 c1  opened by CP001: answered 101, ocpp1.6, /ocpp/CP001, 192.0.2.7:40112",
            f"09:00:01.000 c1  #1    → csms  {BOOT.decode()}",
            '09:00:01.200 c1  #2    ← csms  [3,"1",{"status":"Accepted"}]',
            '09:00:02.000 c1  #3    ← proxy (injected) [2,"9","TriggerMessage",{"requestedMessage":"Heartbeat"}]',
            "09:00:03.000 c1  #4    → csms  (ping) \\x1b[31m\\xff",
            "09:00:04.000 c1  GAP: 2 frames from #5 on not recorded: disk full",
            "09:00:04.000 c1  finding: warning boot-missing-iccid no iccid",
            "09:00:05.000 -   note: plug pulled",
            "2026-11-22 UTC",
            "09:00:00.000 c1  closed by csms with 1001 maintenance",
        ]

    def test_as_json_it_is_the_capture_lines(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        said = Said(capfd, "show", capture, "--format", "json", "--sender", "station")
        first, second = map(json.loads, said.out.splitlines())
        assert (first["type"], first["seq"], first["data"]) == ("frame", 1, BOOT.decode())
        assert second["data_base64"] == "G1szMW3/"

    @pytest.mark.parametrize(("options", "count"), [
        (["--station", "CP001"], 8), (["--station", "CP002"], 0), (["--connection", "c1", "--sender", "csms"], 1),
        (["--from", "2026-11-21T09:00:02", "--to", "2026-11-21T10:00:04+01:00"], 2), (["--limit", "3"], 3),
        (["--from", "2026-11-22"], 1),
    ])
    def test_it_can_be_narrowed_down(
        self, capture: Path, capfd: pytest.CaptureFixture[str], options: list[str], count: int
    ) -> None:
        said = Said(capfd, "show", capture, "--format", "json", *options)
        assert (said.code, len(said.out.splitlines())) == (0, count)

    @pytest.mark.parametrize(("options", "words"), [
        (["--from", "noon"], "'noon' is no time; expected e.g. 2026-11-21T09:00"),
        (["--sender", "charger"], "'station', 'csms', 'proxy'"),
        (["--limit", "0"], "--limit"), (["--format", "xml"], "'text', 'json'"),
    ])
    def test_wrong_options_name_the_right_ones(
        self, capture: Path, capfd: pytest.CaptureFixture[str], options: list[str], words: str
    ) -> None:
        said = Said(capfd, "show", capture, *options)
        assert (said.code, said.out) == (2, "")
        assert words in said.err

    def test_a_file_that_cannot_be_read_is_named_with_its_line(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "hand.jsonl"
        path.write_text(lines({"sender": "station", "data": [2, "1", "Heartbeat", {}]}, {"sender": "charger"}))
        said = Said(capfd, "show", path)
        assert said.code == 2
        assert said.err.startswith(f"ocpp-proxy: {path}:2: expected one of station, csms, proxy")
        assert len(said.err.splitlines()) == 1
        assert Said(capfd, "show", tmp_path / "missing.db").code == 2

    def test_a_last_line_that_is_cut_off_is_told(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "cut.jsonl"
        path.write_text(lines({"sender": "station", "data": "x"}) + '{"type":"fra')
        said = Said(capfd, "show", path)
        assert (said.code, len(said.out.splitlines())) == (0, 2)
        assert "line 2 is cut off after 12 bytes" in said.err

    def test_a_terminal_gets_whole_lines(self, capture: Path) -> None:
        leader, follower = pty.openpty()
        subprocess.run([*PROGRAM, "show", str(capture)], stdout=follower, check=True,
                       env={**os.environ, "COLUMNS": "60"})
        os.close(follower)
        with os.fdopen(leader, "rb") as terminal:
            shown = terminal.read1(100_000).decode().replace("\r\n", "\n").splitlines()
        assert len(shown) == 11
        assert max(map(len, shown)) == 60
        assert '#2    ← csms  [3,"1",{"status":' in shown[3]

    def test_who_reads_no_further_is_not_told_off(self, tmp_path: Path) -> None:
        recorder = Recorder.create(tmp_path / "long.db", "", on_trouble=print)
        recorder.write([FrameRecord(connection="c1", seq=seq, at=at(seq), sender="station", to="csms", opcode="text",
                                    data=BOOT) for seq in range(1, 20_000)])
        recorder.close()
        for command in (["show", "long.db"], ["search", "long.db", "boot"], ["export", "long.db", "--to", "jsonl"]):
            with subprocess.Popen([*PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  cwd=tmp_path) as program:
                assert program.stdout is not None
                assert program.stderr is not None
                program.stdout.readline()
                program.stdout.close()
                assert program.stderr.read() == b""


class TestSearch:
    @pytest.mark.parametrize(("query", "seqs"), [
        (["accepted"], [2]), (["heartbeat trigger"], [3]), (["--action", "BootNotification"], [1, 2]),
        (["accepted", "--action", "BootNotification", "--sender", "csms"], [2]), (["--sender", "station"], [1, 4]),
        (["boot", "--limit", "1"], [1]),
    ])
    def test_frames_are_found(
        self, capture: Path, capfd: pytest.CaptureFixture[str], query: list[str], seqs: list[int]
    ) -> None:
        said = Said(capfd, "search", capture, *query, "--format", "json")
        assert (said.code, said.err) == (0, "")
        assert [json.loads(line)["seq"] for line in said.out.splitlines()] == seqs

    def test_nothing_found_is_said(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        said = Said(capfd, "search", capture, "nonsense")
        assert (said.code, said.out, said.err) == (0, "", "nothing found\n")


class TestList:
    def test_captures_with_what_they_hold(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        folder = capture.parent
        (folder / "hand.jsonl").write_text(lines({"type": "opened", "station": "A\x1b[31m"},
                                                 {"sender": "csms", "data": "x"}))
        (folder / "notes.txt").write_text("no capture")
        (folder / "broken.jsonl").write_text("no capture")
        said = Said(capfd, "list", folder)
        assert said.code == 0
        assert said.out.splitlines() == [
            f"{capture}  {capture.stat().st_size / 1e3:.1f} kB",
            "  2026-11-21 09:00:00 – 2026-11-22 09:00:00 UTC",
            "  stations: CP001",
            "  1 connection, 4 frames, 1 finding, 1 gap (2 frames lost)",
            f"{folder / 'hand.jsonl'}  0.1 kB",
            "  2000-01-01 00:00:00 – 00:00:00 UTC",
            "  stations: A\\x1b[31m",
            "  1 connection, 1 frame, 0 findings",
        ]
        assert said.err.startswith(f"ocpp-proxy: {folder / 'broken.jsonl'}:1: expected a JSON object")

    def test_as_json_it_is_an_object_a_capture(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        said = Said(capfd, "list", capture, "--format", "json")
        assert json.loads(said.out) == {
            "capture": str(capture), "kind": "sqlite", "tool": "ocpp-proxy test", "time_scale": 1,
            "stations": ["CP001"], "connections": 1, "frames": 4, "findings": 1, "gaps": 1, "lost": 2,
            "first": "2026-11-21T09:00:00.000000Z", "last": "2026-11-22T09:00:00.000000Z",
            "size_bytes": capture.stat().st_size}

    def test_it_lists_the_folder_captures_by_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        said = Said(capfd, "list")
        assert (said.code, said.err) == (2, "ocpp-proxy: captures: is not there; expected a folder with captures\n")
        (tmp_path / "captures").mkdir()
        said = Said(capfd, "list")
        assert (said.code, said.out, said.err) == (0, "", "no captures in captures\n")


class TestConversion:
    def test_there_and_back(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        folder = capture.parent
        exported = Said(capfd, "export", capture, "--to", "jsonl")
        assert (exported.code, exported.err) == (0, "")
        said = Said(capfd, "export", capture, "--to", "jsonl", "--output", folder / "a.jsonl")
        assert (said.code, said.out, said.err) == (0, "", "")
        assert (folder / "a.jsonl").read_text() == exported.out
        assert Said(capfd, "import", folder / "a.jsonl", "--output", folder / "b.db").code == 0
        with open_capture(folder / "b.db") as copy:
            assert list(copy.records()) == RECORDS
        assert Said(capfd, "import", folder / "b.db", "--output", folder / "c.jsonl").code == 0
        assert (folder / "c.jsonl").read_text() == exported.out

    def test_what_is_there_is_not_overwritten(self, capture: Path, capfd: pytest.CaptureFixture[str]) -> None:
        before = capture.read_bytes()
        for arguments in (["export", capture, "--to", "jsonl", "--output", capture],
                          ["import", capture, "--output", capture]):
            said = Said(capfd, *arguments)
            assert said.code == 2
            assert "is there already" in said.err
        assert capture.read_bytes() == before

    @pytest.mark.parametrize(("arguments", "words"), [
        (["export", "field.db", "--to", "xml"], "'xml' is not 'jsonl'"),
        (["export", "field.db"], "--to"),
        (["import", "field.db"], "--output"),
        (["import", "nothing.log", "--output", "x.db"], "nothing.log: cannot be read: No such file"),
        (["rename"], "No such command 'rename'"),
    ])
    def test_wrong_usage_is_exit_2(
        self, capture: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        arguments: list[str], words: str,
    ) -> None:
        monkeypatch.chdir(capture.parent)
        said = Said(capfd, *arguments)
        assert (said.code, said.out) == (2, "")
        assert words in said.err

    def test_long_work_shows_its_progress_on_a_terminal(self, tmp_path: Path) -> None:
        (tmp_path / "long.jsonl").write_text(lines(*[{"sender": "csms", "data": "x"}] * 40_000))
        leader, follower = pty.openpty()
        subprocess.run([*PROGRAM, "import", "long.jsonl", "--output", "long.db"], stderr=follower, cwd=tmp_path,
                       check=True)
        os.close(follower)
        with os.fdopen(leader, "rb") as terminal:
            told = terminal.read1(100_000).decode()
        assert ",000 records imported" in told
        assert told.endswith("\x1b[K")


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["search"], ["export"], ["import"]])
def test_help_has_an_example(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    said = Said(capfd, *command, "--help")
    assert said.code == 0
    assert "Example" in said.out
    assert "ocpp-proxy capture" in said.out
    assert max(map(len, said.out.splitlines())) <= 80
