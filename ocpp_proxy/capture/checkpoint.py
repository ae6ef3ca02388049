"""Folds the write-ahead log into the database in the background, and watches that the file stays where it is.

Decides when pages move from the log to the file: never at the expense of a frame that waits to be written. A
checkpoint that may not disturb the writer can only end when the writer rests; where it never does, and the log has
grown large, the writer is held for the short last piece. Refuses to report trouble: what cannot be folded in now is
safe in the log.

Source: SQLite documentation, "Write-Ahead Logging", sections on checkpointing and on growing logs.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

INTERVAL_S = 2.0             # also what a power cut can take: commits in between are not synced
LOG_LIMIT_BYTES = 64 * 2**20
_PASSES = 3                  # each finds what was written during the one before: less and less


class Checkpointer:
    """`writing` is to be held while a transaction is written; `moved` tells whether the file has
    left its place."""

    def __init__(self, path: Path) -> None:
        self.writing = threading.Lock()
        self.moved = False
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._place = os.stat(path)
        # Opened here, while the file is certainly the one that is written.
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"checkpoint of {path.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when its connection is closed."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            self.moved = self._has_moved()
            if not self.moved:
                self._fold_in()
        self._connection.close()

    def _has_moved(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), self._place)
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _fold_in(self) -> None:
        for _ in range(_PASSES):
            if _pass(self._connection):
                return
        if self._log_size() > LOG_LIMIT_BYTES:
            with self.writing:
                _pass(self._connection)

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0


def _pass(connection: sqlite3.Connection) -> bool:
    """Fold in what is there; whether that was everything, or nothing more can be done now."""
    try:
        busy, in_log, folded_in = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:
        return True
    return bool(busy) or in_log == folded_in
