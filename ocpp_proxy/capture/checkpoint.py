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
LOG_LIMIT_PAGES = 16_384     # 64 MiB
_PASSES = 4                  # each finds what was written during the one before: less and less


class Checkpointer:
    """`writing` is to be held while a transaction is written; `moved` tells whether the file has
    left its place."""

    def __init__(self, path: Path) -> None:
        self.writing = threading.Lock()
        self.moved = False
        self._path = path
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
        before = None
        for _ in range(_PASSES):
            folded_in = _pass(self._connection)
            if folded_in is None or folded_in == before:
                return
            before = folded_in
        if before is not None and before > LOG_LIMIT_PAGES:
            with self.writing:
                _pass(self._connection)


def _pass(connection: sqlite3.Connection) -> int | None:
    """Fold in what is in the log now; how many pages of it are then in the file, None where it cannot be done now.
    The log starts over with the next commit after everything is."""
    try:
        busy, _, folded_in = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:
        return None
    return None if busy else int(folded_in)
