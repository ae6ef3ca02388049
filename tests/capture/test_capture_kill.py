"""kill -9 while recording: what `write` said is on record, is on record."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ocpp_proxy.capture import holes, open_capture
from ocpp_proxy.core.record import FrameRecord, Opened

KILLS = 20
# Writes batches of all sizes without a pause, folds the log in all the time, and reports each commit on a pipe.
WRITER = """
import os, sys
from ocpp_proxy.capture import Recorder, checkpoint
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord, Opened
checkpoint.INTERVAL_S = 0.002
recorder = Recorder.create(sys.argv[1], '', on_trouble=print)
name = recorder.next_connection()
assert recorder.write([Opened(connection=name, at=Instant(0))])
os.write(1, name.encode() + b"\\n")
seq, size = 0, 1
while True:
    batch = [FrameRecord(connection=name, seq=seq + i, at=Instant(seq, seq), sender="station", to="csms",
                         opcode="text", data=b"x" * (seq % 700)) for i in range(1, size + 1)]
    assert recorder.write(batch)
    seq += size
    size = size % 7 + 1
    os.write(1, b"%d\\n" % seq)
"""


def record_until_killed(path: Path, after_s: float) -> tuple[str, int]:
    """The connection, and the last frame that was reported to be on record."""
    read_end, write_end = os.pipe()
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=write_end) as writer, os.fdopen(read_end, "rb") as pipe:
        os.close(write_end)
        name = pipe.readline().decode().strip()
        time.sleep(after_s)
        # A full pipe would make the writer wait for us; what it holds is read while the writer runs.
        os.set_blocking(read_end, False)
        reports = pipe.read() or b""
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        os.set_blocking(read_end, True)
        reports += pipe.read()
    return name, int(reports.split(b"\n")[-2])


def test_nothing_that_was_committed_is_missing(tmp_path: Path) -> None:
    moments = random.Random(5)
    path = tmp_path / "a.db"
    reported: dict[str, int] = {}
    for _ in range(KILLS):
        name, seq = record_until_killed(path, moments.uniform(0.001, 0.12))
        reported[name] = seq
    assert list(reported) == [f"c{number}" for number in range(1, KILLS + 1)]
    with open_capture(path) as capture:
        records = list(capture.records())
    assert holes(records) == []
    assert [record.connection for record in records if isinstance(record, Opened)] == list(reported)
    for name, seq in reported.items():
        found = [record.seq for record in records if isinstance(record, FrameRecord) and record.connection == name]
        assert found == list(range(1, len(found) + 1))
        assert seq <= len(found) <= seq + 7  # the last commit may not have been reported any more
