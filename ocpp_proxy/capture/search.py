"""Finds frames by what they say.

Decides which frames hold a text, by an index of their words, and which carry an action, by reading them. The index is
made when it is first asked for: in the capture itself where that is a database that nobody writes, else beside it for
this one search. Refuses to burden the recording: nothing here is kept up by the writer.

Source: SQLite documentation, "FTS5 Full-text Search".
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from ocpp_proxy.capture.dbreader import DatabaseCapture
from ocpp_proxy.capture.lock import WriterLock
from ocpp_proxy.capture.model import Capture
from ocpp_proxy.capture.schema import SCHEMA_VERSION
from ocpp_proxy.capture.select import ALL, Selection
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.exchange import Correlator
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import FrameRecord, Record

_WORDS = "frame_fts"


def search(
    capture: Capture, text: str = "", selection: Selection = ALL, action: str | None = None
) -> Iterator[FrameRecord]:
    """The frames that hold every word of `text` (in any order and case; a word may be the beginning of a longer one)
    and, with `action`, belong to an exchange of that action."""
    numbers = _numbers_with(capture, text) if text.split() else None
    if numbers is not None and selection == ALL and action is None:
        return capture.frames_at(numbers)
    wanted = None if numbers is None else set(numbers)
    return _narrowed(capture, wanted, selection, action)


def _narrowed(
    capture: Capture, numbers: set[int] | None, selection: Selection, action: str | None
) -> Iterator[FrameRecord]:
    if action is not None:
        with_action = set(_numbers_of(capture.numbered(), action))
        numbers = with_action if numbers is None else numbers & with_action
    for number, record in capture.numbered(selection):
        if isinstance(record, FrameRecord) and (numbers is None or number in numbers):
            yield record


def _numbers_of(records: Iterable[tuple[int, Record]], action: str) -> Iterator[int]:
    """The numbers of the frames of an exchange of `action`: requests and answers."""
    exchanges: dict[str, Correlator] = {}
    for number, record in records:
        if isinstance(record, FrameRecord) and record.opcode in ("text", "binary"):
            correlator = exchanges.setdefault(record.connection, Correlator(record.connection))
            injected_for = OTHER_SIDE[record.to] if record.sender == "proxy" else None
            found = correlator.receive(read(record.data), record.seq, record.sender, record.at, injected_for)
            if found.exchange is not None and found.exchange.action == action:
                yield number


def _numbers_with(capture: Capture, text: str) -> list[int]:
    query = " ".join('"' + word.replace('"', '""') + '"*' for word in text.split())
    if isinstance(capture, DatabaseCapture):
        _index_inside(capture)
        with closing(capture.connect()) as connection:
            if _is_indexed(connection):
                return _matches(connection, query)
    with closing(sqlite3.connect("")) as connection:  # a temporary database, on disk when it grows
        connection.execute(f"CREATE VIRTUAL TABLE {_WORDS} USING fts5(data, content='')")
        connection.executemany(f"INSERT INTO {_WORDS} (rowid, data) VALUES (?, ?)", (  # noqa: S608 — our own name
            (number, record.data.decode(errors="replace")) for number, record in capture.numbered()
            if isinstance(record, FrameRecord)))
        return _matches(connection, query)


def _matches(connection: sqlite3.Connection, query: str) -> list[int]:
    found = connection.execute(f"SELECT rowid FROM {_WORDS} WHERE {_WORDS} MATCH ? ORDER BY rowid", (query,))  # noqa: S608 — our own name
    return [number for number, in found]


def _is_indexed(connection: sqlite3.Connection) -> bool:
    """Whether the index inside the capture covers its last frame."""
    try:
        last_frame, = connection.execute("SELECT coalesce(max(n), 0) FROM frame").fetchone()
        last_indexed, = connection.execute(f"SELECT coalesce(max(id), 0) FROM {_WORDS}_docsize").fetchone()  # noqa: S608 — our own name
    except sqlite3.OperationalError:  # there is none
        return False
    return bool(last_indexed == last_frame)


def _index_inside(capture: DatabaseCapture) -> None:
    """Bring the index in the capture up to its last frame, if the file is ours to write and nobody writes it."""
    from sqlite_utils import Database  # takes a tenth of a second to load

    path = capture.path
    if not _may_index(capture):
        return
    try:
        lock = WriterLock(path)
    except BadInput:
        return
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            database = Database(connection, recursive_triggers=False, execute_plugins=False)
            frames = database.table("frame")
            if not database.table(_WORDS).exists():
                frames.enable_fts(["data"], fts_version="FTS5")
            else:
                connection.execute(
                    f"INSERT INTO {_WORDS} (rowid, data) SELECT n, data FROM frame "  # noqa: S608 — our own names
                    f"WHERE n > (SELECT coalesce(max(id), 0) FROM {_WORDS}_docsize)")
                connection.commit()
            connection.execute("PRAGMA journal_mode = DELETE")  # so that the one file is left
    except sqlite3.Error:  # a reader in the way, a full disk: the search finds another way
        pass
    finally:
        lock.release()


def _may_index(capture: DatabaseCapture) -> bool:
    with closing(capture.connect()) as connection:
        version, = connection.execute("PRAGMA user_version").fetchone()
        if _is_indexed(connection) or version != SCHEMA_VERSION:
            return False
    return not capture.is_copy and os.access(capture.path, os.W_OK) and os.access(Path(capture.path).parent, os.W_OK)
