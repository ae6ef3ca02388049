from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import IO

import pytest
from live_screen import ZONE
from live_story import Story
from rich.console import Console

from ocpp_proxy.live.stream import StreamView
from ocpp_proxy.live.writer import Writer

posix = pytest.mark.skipif(os.name != "posix", reason="pipes by descriptor are for POSIX")


@pytest.fixture
def pipe() -> Iterator[tuple[int, IO[str]]]:
    """The reading end as a descriptor, the writing end as a file."""
    read, write = os.pipe()
    file = os.fdopen(write, "w", encoding="utf-8", buffering=1)
    yield read, file
    for end in (read, write):
        with contextlib.suppress(OSError):
            os.close(end)


def test_everything_is_written_in_order() -> None:
    file = io.StringIO()
    writer = Writer(file, "utf-8")
    for n in range(1_000):
        writer.put(f"{n}\n", 1)
    assert writer.close()
    assert file.getvalue().split() == [str(n) for n in range(1_000)]


def test_lines_come_while_it_runs(pipe: tuple[int, IO[str]]) -> None:
    read, file = pipe
    writer = Writer(file, "utf-8")
    writer.put("first\n", 1)
    assert os.read(read, 100) == b"first\n"
    writer.put("second\n", 1)
    assert os.read(read, 100) == b"second\n"
    assert writer.close()


@posix
def test_a_pipe_nobody_reads_stops_nothing_and_what_is_missing_is_counted(pipe: tuple[int, IO[str]]) -> None:
    read, file = pipe
    view = StreamView(Console(file=file), zone=ZONE, lines_kept=2_000)
    cp = Story()
    longest = 0.0
    for _ in range(20_000):
        events = cp.call("station", "Authorize", {"idTag": "04A2B3C4"})
        begin = time.perf_counter()
        view.show(events)
        longest = max(longest, time.perf_counter() - begin)
    assert longest < 1.0  # a blocked write would last as long as nobody reads
    dropped = view.lines_dropped
    assert dropped > 10_000
    got = bytearray()
    reader = threading.Thread(target=lambda: [got.extend(data) for data in iter(lambda: os.read(read, 65_536), b"")])
    reader.start()
    assert view.close(30)
    file.close()
    reader.join()
    lines = got.decode().splitlines()
    assert sum("Authorize" in line for line in lines) + dropped == 20_000
    assert lines[-1] == f"… {dropped:,} lines not shown: the output was too slow".replace(",", " ")


@posix
def test_lines_come_again_after_the_missing_ones_were_told(pipe: tuple[int, IO[str]]) -> None:
    read, file = pipe
    writer = Writer(file, "utf-8", lines_kept=10)
    waiting = 0
    while not writer.lines_dropped:
        writer.put("x" * 999 + "\n", 1)
        waiting += 1_000
    waiting -= 1_000
    while waiting:
        waiting -= len(os.read(read, waiting))
    deadline = time.monotonic() + 10
    while writer._lines_put != writer._lines_done and time.monotonic() < deadline:
        time.sleep(0.001)  # the thread has yet to note that it has written everything
    writer.put("again\n", 1)
    assert writer.close()
    file.close()
    rest = b"".join(iter(lambda: os.read(read, 65_536), b"")).decode()
    assert rest.endswith("… 1 lines not shown: the output was too slow\nagain\n")


@posix
def test_a_broken_pipe_ends_the_drawing_and_nothing_else(pipe: tuple[int, IO[str]]) -> None:
    read, file = pipe
    view = StreamView(Console(file=file), zone=ZONE)
    os.close(read)
    cp = Story()
    deadline = time.monotonic() + 10
    while not view.broken and time.monotonic() < deadline:
        view.show(cp.call("station", "Authorize"))
    assert view.broken
    view.show(cp.call("station", "Authorize"))
    assert not view.close()


@posix
def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, IO[str]]) -> None:
    read, file = pipe
    os.set_blocking(file.fileno(), False)
    writer = Writer(file, "utf-8")
    for _ in range(300):
        writer.put("x" * 999 + "\n", 1)
    got = 0
    while got < 300_000:
        got += len(os.read(read, 65_536))
    assert writer.close()
    assert got == 300_000


@pytest.mark.parametrize(("encoding", "text"), [
    ("utf-8", "CP001 → csms Ladesäule ✓ …\n"), ("cp1252", "CP001 > csms Ladesäule + ~\n"),
    ("ascii", "CP001 > csms Lades\\xe4ule + ~\n")])
def test_an_output_that_cannot_show_our_signs_gets_plain_ones(encoding: str, text: str) -> None:
    buffer = io.BytesIO()
    writer = Writer(io.TextIOWrapper(buffer, encoding=encoding), encoding)
    writer.put("CP001 → csms Ladesäule ✓ …\n", 1)
    assert writer.close()
    assert buffer.getvalue().decode(encoding) == text


@posix
def test_the_program_ends_though_nobody_ever_reads() -> None:
    program = textwrap.dedent("""
        import sys
        from rich.console import Console
        from ocpp_proxy.live.writer import Writer
        writer = Writer(sys.stdout, "utf-8")
        for _ in range(1000):
            writer.put("x" * 999 + "\\n", 1)
        print(writer.close(0.2), file=sys.stderr)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        assert child.wait(30) == 0
        assert child.stderr.read() == b"False\n"
