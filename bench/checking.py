"""`check` over a long capture: how many frames a second, and how much memory, as the capture grows.

Decides what is measured: the command itself, in a process of its own, over a SQLite capture of stations that live day
after day. The same days of fewer frames are checked first: what grows with the length of a session shows as a frame's
cost that is higher in the longer one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench import mix
from ocpp_proxy.capture import Recorder
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.record import FrameRecord, Record

BATCH = 5000


@dataclass(frozen=True, slots=True)
class Checked:
    """`cpu_us`: processor time a frame, start of the program included; `peak_mib`: resident memory at its most."""

    frames: int
    stations: int
    seconds: float
    frames_per_s: float
    cpu_us: float
    peak_mib: float
    errors: int
    warnings: int


def measure(folder: Path, frames: int, stations: int) -> Checked:
    """Write a capture of so many frames, and check it."""
    path = folder / f"{frames}.db"
    write(path, frames, stations)
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "ocpp_proxy", "check", str(path), "--format", "json"],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = 0
    path.unlink()
    counted = told["counts"]["frames"]
    return Checked(counted, stations, seconds, counted / seconds, (usage.ru_utime + usage.ru_stime) * 1e6 / counted,
                   usage.ru_maxrss / 1024, told["counts"]["error"], told["counts"]["warning"])


def write(path: Path, frames: int, stations: int) -> None:
    """A capture of stations that live through the same days, side by side."""
    recorder = Recorder.create(path, "bench", on_trouble=print)
    recorder.write([mix.opened(f"st{number}") for number in range(stations)])
    seqs = [0] * stations
    left, day = frames, 0
    while left > 0:
        batch: list[tuple[float, Record]] = []
        for number in range(stations):
            for seconds, sender, raw in mix.conversation(f"st{number}", day):
                seqs[number] += 1
                batch.append((seconds, FrameRecord(
                    connection=f"st{number}", seq=seqs[number], at=mix.at(seconds), sender=sender,
                    to=OTHER_SIDE[sender], opcode="text", data=raw)))
        batch = sorted(batch, key=lambda one: one[0])[:left]
        left -= len(batch)
        for start in range(0, len(batch), BATCH):
            recorder.write([record for _, record in batch[start : start + BATCH]])
        day += 1
    recorder.close()
