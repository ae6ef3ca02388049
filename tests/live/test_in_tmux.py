"""What a real terminal shows: the screen read back from tmux."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from live_screen import ZONE
from live_story import day
from rich.console import Console
from ocpp_proxy.live.stream import StreamView
from ocpp_proxy.live.summary import Summary
console, summary = Console(), Summary(zone=ZONE)
view = StreamView(console, zone=ZONE)
for batch in day():
    view.show(batch)
    summary.add(batch)
view.close()
if {summary}:
    summary.render(console, "captures/day.db")
print("END", end="", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    folder = tempfile.mkdtemp(prefix="tmux-", dir="/tmp")  # a socket's path must be short
    socket = f"{folder}/socket"
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

    def run(*arguments: str) -> str:
        return subprocess.run(["tmux", "-S", socket, *arguments], check=True, capture_output=True, text=True,
                              env=environment, encoding="utf-8").stdout

    def show(width: int, height: int, *, summary: bool = False) -> list[str]:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(folder=str(Path(__file__).parent), summary=summary), encoding="utf-8")
        run("-f", os.devnull, "new-session", "-d", "-x", str(width), "-y", str(height),
            f"{shlex.quote(sys.executable)} {shlex.quote(str(program))}")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            lines = run("capture-pane", "-p", "-S", "-1000").splitlines()
            if "END" in lines:
                return lines[:lines.index("END")]
            time.sleep(0.05)
        raise AssertionError("the program did not come to its end:\n" + "\n".join(lines))

    yield show
    subprocess.run(["tmux", "-S", socket, "kill-server"], check=False, capture_output=True)
    shutil.rmtree(folder)


@pytest.mark.parametrize(("width", "height", "name"), [(80, 24, "stream-80.txt"), (160, 50, "stream-160.txt")])
def test_the_terminal_shows_exactly_the_lines_that_were_meant(
        tmux: Callable[..., list[str]], width: int, height: int, name: str) -> None:
    golden = Path(__file__).parent / "golden" / name
    assert tmux(width, height) == golden.read_text(encoding="utf-8").splitlines()


def test_the_summary_does_not_wrap_at_80_columns(tmux: Callable[..., list[str]]) -> None:
    meant = (Path(__file__).parent / "golden" / "summary-80.txt").read_text(encoding="utf-8").splitlines()
    assert tmux(80, 24, summary=True)[-len(meant):] == meant
