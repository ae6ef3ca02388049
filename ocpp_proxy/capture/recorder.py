"""What the relay writes to: records what it can and never stands in the way of charging.

Decides what happens when the disk is full, the file locked or gone: the relay goes on, the engineer hears of it at
once, and a gap line says what is missing as soon as a line can be written. Refuses to know how records are stored
(`store`) and how losses are kept (`losses`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ocpp_proxy.capture.losses import Losses
from ocpp_proxy.capture.store import MovedError, Store
from ocpp_proxy.clock import now
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, Writable

_PATIENCE_S = 1.0  # before anything is relayed there is time to wait for another program

# SQLite's primary result codes, in the words of a gap line.
_REASONS = {
    sqlite3.SQLITE_FULL: "disk full",
    sqlite3.SQLITE_BUSY: "capture locked by another program",
    sqlite3.SQLITE_LOCKED: "capture locked by another program",
    sqlite3.SQLITE_IOERR: "disk error",
    sqlite3.SQLITE_READONLY: "capture not writable",
    sqlite3.SQLITE_CANTOPEN: "capture not accessible",
    sqlite3.SQLITE_CORRUPT: "capture damaged",
    sqlite3.SQLITE_NOTADB: "capture damaged",
}
_MISTAKES = (sqlite3.ProgrammingError, sqlite3.InterfaceError)  # ours: values that no database takes


class Recorder:
    """The one writer of a capture. Everything is called from one thread."""

    def __init__(self, store: Store, header: CaptureHeader, on_trouble: Callable[[str], None]) -> None:
        self.had_gap = False
        self.path = store.path
        self._store: Store | None = store
        self._insert: Callable[[Sequence[Writable]], None] = store.insert
        self._header = header
        self._on_trouble = on_trouble
        self._connections = store.last_own_name()
        self._losses = Losses()
        self._lost_frames = 0
        self._is_closed = False

    @classmethod
    def create(
        cls, path: str | Path, tool: str, time_scale: float = 1.0, *, on_trouble: Callable[[str], None]
    ) -> Recorder:
        """Begin the capture at `path`, or continue it. `on_trouble` hears when recording stops and when it works
        again. Raises BadInput where the file cannot be written, has a writer, or is something else."""
        header = CaptureHeader(tool=tool, time_scale=time_scale)
        return cls(Store(Path(path), header, _PATIENCE_S), header, on_trouble)

    def next_connection(self) -> str:
        """A name that no connection of this capture has: "c1", "c2", …"""
        self._connections += 1
        return f"c{self._connections}"

    def write(self, records: Sequence[Writable]) -> bool:
        """Commit `records`, all or none; False if they are not on record. Never raises and never waits."""
        try:
            if self._losses:
                self._catch_up(records)
            else:
                self._insert(records)
        except Exception as error:
            self._lose(records, error)
            return False
        return True

    def retry(self) -> bool:
        """Write what is still to be said of losses; whether nothing is left of it. Never raises."""
        try:
            if self._losses and (self._store is None or self._store.moved):
                self._start_over()
            while self._losses:
                self._catch_up(())
        except Exception as error:
            self._lose((), error)
        return not self._losses

    def _catch_up(self, records: Sequence[Writable]) -> None:
        chunk = self._losses.chunk(now())
        self._insert([*chunk.lines, *records])
        self._losses.written(chunk)
        if not self._losses:
            self._on_trouble(f"recording again into {self.path}; {self._lost_frames} frames are missing, and gap "
                             "lines in the capture say which")

    def _lose(self, records: Sequence[Writable], error: Exception) -> None:
        reason = _reason(error)
        is_new = not self._losses
        self.had_gap = True
        is_ours = not isinstance(error, sqlite3.Error | MovedError | BadInput) or isinstance(error, _MISTAKES)
        if is_ours and not records:
            self._losses.forget()  # what cannot be written now never can
        self._lost_frames += self._losses.add(records, now(), reason, keep_late=not is_ours)
        if is_new:
            self._on_trouble(f"recording into {self.path} has stopped: {reason}; forwarding goes on, and a gap line "
                             "will say what is missing")

    def _start_over(self) -> None:
        """The file was deleted or renamed: begin a new one in its place. One put in its place is not ours."""
        if self.path.exists():
            raise MovedError
        if self._store is not None:
            self._losses.start_over(self._store.opened)
            self._store.close()
            self._store = None
        self._insert = _nowhere
        self._store = Store(self.path, self._header)
        self._insert = self._store.insert

    def close(self) -> None:
        """Save what is left and fold everything into the one file. Never raises; a second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.retry()
        if self._store is not None:
            self._store.close()
            self._store = None
        self._insert = _nowhere


def _nowhere(_: Sequence[Writable]) -> None:
    raise MovedError


def _reason(error: Exception) -> str:
    if isinstance(error, MovedError):
        return "capture file deleted or replaced"
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return _REASONS.get(code, str(error))
    return str(error) or type(error).__name__
