"""One writer a capture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocpp_proxy.capture.lock import WriterLock
from ocpp_proxy.core.errors import BadInput

HOLDER = """
import sys
from pathlib import Path
from ocpp_proxy.capture.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_there_is_one_at_a_time(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "a.db")
    with pytest.raises(BadInput, match=rf"a\.db: is being written already, by process {os.getpid()};"):
        WriterLock(tmp_path / "a.db")
    WriterLock(tmp_path / "b.db").release()
    lock.release()
    WriterLock(tmp_path / "a.db").release()
    assert list(tmp_path.iterdir()) == []


def test_it_vanishes_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "a.db")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BadInput, match=f"by process {holder.pid};"):
            WriterLock(tmp_path / "a.db")
        holder.kill()
    assert (tmp_path / "a.db.lock").exists()
    WriterLock(tmp_path / "a.db").release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_removed_is_not_believed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our opening and our locking, its holder may remove the file, and another may make a new one."""
    opened: list[int] = []
    real_open = os.open

    def open_and_lose(path: Path, *args: int) -> int:
        handle = real_open(path, *args)
        if not opened:
            path.unlink()
        opened.append(handle)
        return handle

    monkeypatch.setattr(os, "open", open_and_lose)
    lock = WriterLock(tmp_path / "a.db")
    assert len(opened) == 2
    with pytest.raises(BadInput, match="is being written already"):
        WriterLock(tmp_path / "a.db")
    lock.release()
