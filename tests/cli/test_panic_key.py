"""The panic key, on a real terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocpp_proxy.capture import open_capture
from ocpp_proxy.core.record import Entry

if sys.platform == "win32":
    pytest.skip("a terminal of POSIX", allow_module_level=True)

import fcntl
import pty
import termios


def on_a_terminal(folder: Path, *options: str) -> tuple[subprocess.Popen[str], int, int]:
    """A run whose stdin is a terminal of its own: (process, our end, its end)."""
    ours, its = pty.openpty()

    def control() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-m", "ocpp_proxy", "run", "--upstream", "ws://127.0.0.1:9/", "--listen", "127.0.0.1:0",
         "--view", "quiet", "--capture", "x.db", *options],
        cwd=folder, stdin=its, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=control,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)})
    return process, ours, its


def until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")


def acts(folder: Path) -> list[object]:
    with open_capture(folder / "x.db") as capture:
        return [(record.fields["act"], record.fields["by"]) for record in capture.records()
                if isinstance(record, Entry) and record.type == "act"]


def test_p_is_the_panic_key_and_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    process, ours, its = on_a_terminal(tmp_path, "--allow-injection")
    try:
        before = termios.tcgetattr(its)
        until(process, "press p for panic")
        assert termios.tcgetattr(its) != before
        os.write(ours, b"xp")
        until(process, "pure relay from here on")
        os.write(ours, b"\x03")  # Ctrl-C, which is still one
        assert process.wait(20) == 130
        assert termios.tcgetattr(its) == before
        assert acts(tmp_path) == [("panic", "panic key")]
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(its)


def test_without_leave_the_keyboard_is_left_alone(tmp_path: Path) -> None:
    process, ours, its = on_a_terminal(tmp_path)
    try:
        before = termios.tcgetattr(its)
        until(process, "listening on")
        os.write(ours, b"p\x03")
        assert process.wait(20) == 130
        assert termios.tcgetattr(its) == before
        assert acts(tmp_path) == []
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(its)
