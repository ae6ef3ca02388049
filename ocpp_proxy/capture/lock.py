"""One writer a capture.

Decides who may write: whoever holds the lock of the file beside the capture. The operating system takes the lock back
when its process ends, however it ends. Refuses to lock the capture itself: SQLite does that, and a second handle on
the database file would take SQLite's own locks away when it is closed.

Source: flock(2); fcntl(2), "advisory record locking", on locks and closed handles.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from ocpp_proxy.core.errors import BadInput

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

_LOCKED_BYTE = 1000  # far behind the process id, which others want to read while it is locked


class WriterLock:
    """Held from construction to `release`. Raises BadInput where another process holds it or it cannot be made."""

    def __init__(self, capture: Path) -> None:
        self._path = capture.with_name(capture.name + ".lock")
        self._handle = self._acquire(str(capture))
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, str(os.getpid()).encode())

    def _acquire(self, capture: str) -> int:
        while True:
            try:
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            except OSError as error:
                raise BadInput(f"cannot be written: {error.strerror}", capture) from None
            try:
                _try_lock(handle)
            except OSError:
                owner = os.read(handle, 20).decode(errors="replace").strip()
                os.close(handle)
                raise BadInput(f"is being written already, by process {owner or 'unknown'}; one writer a capture",
                               capture) from None
            if self._is_current(handle):
                return handle
            os.close(handle)  # its holder removed it between our opening and our locking

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._path))
        except OSError:
            return False

    def release(self) -> None:
        """Remove the lock file, then let go."""
        with suppress(OSError):  # Windows removes no open file, and an unlocked one left behind does no harm
            self._path.unlink(missing_ok=True)
        os.close(self._handle)
