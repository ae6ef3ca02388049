"""A capture in SQLite form, read only.

Decides how the tables become one sequence of records again, also while a writer is at work, after one was killed,
and for files of earlier versions. Refuses to change the file.
"""

from __future__ import annotations

import heapq
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ocpp_proxy.capture.model import Capture
from ocpp_proxy.capture.opening import check_version, read_header
from ocpp_proxy.capture.rows import COLUMNS, READERS, Names, Row, frame_record, from_sql_text
from ocpp_proxy.capture.schema import SCHEMA_VERSION
from ocpp_proxy.capture.select import ALL, Selection
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import FrameRecord, Record

_SELECT = {table: f'SELECT {", ".join(columns)} FROM "{table}"' for table, columns in COLUMNS.items()}  # noqa: S608 — our own names


def open_database(path: Path, *, immutable: bool = False) -> DatabaseCapture:
    """The SQLite capture at `path`. `immutable`: nobody writes it. Raises BadInput."""
    uri = path.absolute().as_uri() + "?mode=ro" + ("&immutable=1" if immutable else "")
    try:
        try:
            return DatabaseCapture(path, uri)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            # A log that a killed writer left in a folder that is not ours to write in.
            return _open_copy(path)
    except (sqlite3.Error, OSError) as error:
        raise BadInput(f"cannot be read: {error}", str(path)) from None


def _open_copy(path: Path) -> DatabaseCapture:
    folder = tempfile.TemporaryDirectory(prefix="ocpp-proxy-")
    copy = Path(folder.name, "capture.db")
    try:
        shutil.copyfile(path, copy)
        shutil.copyfile(path.with_name(path.name + "-wal"), copy.with_name("capture.db-wal"))
        return DatabaseCapture(path, copy.as_uri(), folder)
    except BaseException:
        folder.cleanup()
        raise


class DatabaseCapture(Capture):
    """See `Capture`. `uri` is where it really is read: the file itself, or a copy in `folder`."""

    kind = "sqlite"

    def __init__(self, path: Path, uri: str, folder: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self._folder = folder
        self._uri = uri
        with closing(self.connect()) as connection:
            version = check_version(connection, path)
            if not version:
                raise BadInput("is empty; expected a capture (.db or .jsonl)", str(path))
            if version < SCHEMA_VERSION:
                self._migrate_copy(connection)
        with closing(self.connect()) as connection:
            super().__init__(path, read_header(connection))

    @property
    def is_copy(self) -> bool:
        """Whether what is read is not the file itself."""
        return self._folder is not None

    def connect(self) -> sqlite3.Connection:
        """A connection of its own to the database, to be closed by the caller."""
        return sqlite3.connect(self._uri, uri=True, isolation_level=None)

    def _migrate_copy(self, connection: sqlite3.Connection) -> None:
        from ocpp_proxy.capture.migrations import migrate  # sqlite-utils takes a tenth of a second to load

        self._folder = tempfile.TemporaryDirectory(prefix="ocpp-proxy-")
        copy = Path(self._folder.name, "migrated.db")
        with closing(sqlite3.connect(copy, isolation_level=None)) as target:
            connection.backup(target)
            migrate(target)
        self._uri = copy.as_uri()

    def numbered(self, selection: Selection = ALL) -> Iterator[tuple[int, Record]]:
        with _readable(self.path), closing(self.connect()) as connection:
            connection.execute("BEGIN")  # one state of the file throughout, whatever a writer adds meanwhile
            names = _names(connection)
            tables = [_rows(connection, table, selection) for table in READERS
                      if table == "frame" or not selection.frames_only]
            for table, row in heapq.merge(*tables, key=lambda found: found[1][0]):
                if table == "frame":
                    yield row[0], _frame(connection, row, names)
                else:
                    yield row[0], READERS[table](row, names)

    def frames_at(self, numbers: Iterable[int]) -> Iterator[FrameRecord]:
        with _readable(self.path), closing(self.connect()) as connection:
            connection.execute("BEGIN")
            names = _names(connection)
            for number in numbers:
                for row in connection.execute(f"{_SELECT['frame']} WHERE n = ?", (number,)):
                    yield _frame(connection, row, names)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What a damaged file makes us stumble over is the file's fault."""
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"is damaged and cannot be read on: {error}", str(path)) from None


def _names(connection: sqlite3.Connection) -> Names:
    rows = connection.execute("SELECT id, name FROM connection")
    return {number: from_sql_text(name) or "" for number, name in rows}


def _rows(connection: sqlite3.Connection, table: str, selection: Selection) -> Iterator[tuple[str, Row]]:
    condition, values = selection.sql(table)
    for row in connection.execute(f"{_SELECT[table]} WHERE {condition} ORDER BY n", values):
        yield table, row


def _frame(connection: sqlite3.Connection, row: Row, names: Names) -> FrameRecord:
    """The frame of `row`; of one that broke off, as far as its parts were received."""
    record = frame_record(row, names)
    if not record.incomplete:
        return record
    found = connection.execute("SELECT data FROM part WHERE frame = ? ORDER BY n", (row[0],))
    parts = [part for part, in found]
    if parts:
        record.fragments = (*(record.fragments or (len(record.data),)), *map(len, parts))
        record.data = b"".join((record.data, *parts))
    return record
