"""The capture's database as its one writer holds it.

Decides how records get into the file: one transaction a call, committed to the write-ahead log, which survives the
end of the process but is not synced to the disk. Refuses to decide what happens to records that could not be written
(`recorder`): it raises, and nothing of that call is in the file.

Source: SQLite documentation, "Write-Ahead Logging" and "PRAGMA Statements".
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ocpp_proxy.capture.batch import Batch, Book
from ocpp_proxy.capture.checkpoint import Checkpointer
from ocpp_proxy.capture.lock import WriterLock
from ocpp_proxy.capture.opening import open_for_writing
from ocpp_proxy.capture.rows import COLUMNS, INSERT_PLAIN_FRAME, is_plain, plain_frame_row, sql_text
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, FrameRecord, Opened, Writable

_CLOSE_TIMEOUT_MS = 2000  # for readers to come to an end
_OWN_NAME = re.compile("c([0-9]{1,15})")


class MovedError(Exception):
    """The file is no longer where it was: deleted, renamed or replaced while we wrote into it."""


class Store:
    """Opens `path` for writing, makes it if it is not there and continues it if it is. Raises BadInput.

    `patience_s`: how long to wait for another program that holds a lock on the file.
    """

    def __init__(self, path: Path, header: CaptureHeader, patience_s: float = 0.0) -> None:
        if not path.parent.is_dir():
            raise BadInput(f"cannot be written: there is no folder {path.parent}", str(path))
        if path.is_dir():
            raise BadInput("is a folder; expected the name of a capture file", str(path))
        self.path = path
        self._lock = WriterLock(path)
        try:
            self._connection = open_for_writing(path, header, patience_s)
        except BaseException:
            self._lock.release()
            raise
        self._book = Book(
            last_n=max(self._ask(f'SELECT coalesce(max(n), 0) FROM "{table}"') for table in COLUMNS),  # noqa: S608 — our own names
            last_id=self._ask("SELECT coalesce(max(id), 0) FROM connection"),
        )
        self._connection.execute("PRAGMA busy_timeout = 0")  # a lock must not stall the loop
        self._cursor = self._connection.cursor()
        self._checkpointer = Checkpointer(path)

    def _ask(self, question: str) -> int:
        answer: int = self._connection.execute(question).fetchone()[0]
        return answer

    @property
    def moved(self) -> bool:
        """Whether the file has been seen to be gone from its place."""
        return self._checkpointer.moved

    @property
    def opened(self) -> list[Opened]:
        """How the connections that are open now were opened."""
        return list(self._book.opened.values())

    def last_own_name(self) -> int:
        """The highest number of the connections c1, c2, … in the file, 0 if there is none."""
        names = self._connection.execute("SELECT name FROM connection WHERE name GLOB 'c[0-9]*'")
        return max((int(own[1]) for name, in names if (own := _OWN_NAME.fullmatch(name))), default=0)

    def insert(self, records: Sequence[Writable], *, live: bool = True) -> None:
        """Commit `records`, all or none. `live`: the whole of a fragmented message takes the place of its parts;
        else each record is one of its own, as in the capture it comes from. Raises sqlite3.Error or MovedError."""
        if self._checkpointer.moved:
            raise MovedError
        with self._checkpointer.writing:
            if not (len(records) == 1 and self._insert_one(records[0])):
                self._insert_batch(records, live)

    def _insert_one(self, record: Writable) -> bool:
        """The usual case, without the three statements of an explicit transaction; False if it is another."""
        book = self._book
        if type(record) is not FrameRecord or not is_plain(record) or book.incomplete:
            return False
        connection = book.ids.get(record.connection)
        if connection is None:
            return False
        book.last_n += 1
        self._cursor.execute(INSERT_PLAIN_FRAME, plain_frame_row(book.last_n, connection, record))
        return True

    def _insert_batch(self, records: Sequence[Writable], live: bool) -> None:
        cursor = self._cursor
        cursor.execute("BEGIN IMMEDIATE")
        try:
            batch = Batch(self._book, self._find, live)
            batch.add(records)
            for statement, rows in batch.statements():
                if rows:
                    cursor.executemany(statement, rows)
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite rolls back by itself after some errors
                cursor.execute("ROLLBACK")
            raise
        batch.settle()

    def _find(self, name: str) -> int | None:
        found = self._connection.execute("SELECT id FROM connection WHERE name = ?", (sql_text(name),)).fetchone()
        return found and int(found[0])

    def close(self) -> None:
        """Fold the log in, so that the one file is left, as far as that goes while others read it. Never raises."""
        self._checkpointer.stop()
        try:
            self._fold_in()
        finally:
            self._connection.close()
            self._lock.release()

    def _fold_in(self) -> None:
        try:
            self._connection.execute(f"PRAGMA busy_timeout = {_CLOSE_TIMEOUT_MS}")
            try:
                if self._checkpointer.moved:
                    raise MovedError  # removing the log by its name might take another file's
                self._connection.execute("PRAGMA journal_mode = DELETE")
            except (sqlite3.OperationalError, MovedError):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # every commit is in the log, and whoever opens the file next finds it there
