"""What one transaction writes.

Decides which rows stand for which records: connections get a number, records their place in the order of lines, and
the whole of a fragmented message takes the place of its parts. Refuses to touch the database (`store`): what the
writer knows of the file changes only by `settle`, after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ocpp_proxy.capture.rows import (
    INSERT,
    INSERT_PLAIN_FRAME,
    Row,
    closed_row,
    entry_row,
    frame_row,
    gap_row,
    is_plain,
    opened_row,
    plain_frame_row,
    sql_text,
)
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Gap, Opened, Part, Writable

_INSERT_NAME = "INSERT INTO connection (id, name) VALUES (?, ?)"
_DELETE_PARTS = "DELETE FROM part WHERE frame = ?"
_ROW_OF: Mapping[type, tuple[str, Callable[[int, int, Any], Row]]] = {
    Opened: (INSERT["opened"], opened_row), Gap: (INSERT["gap"], gap_row), Closed: (INSERT["closed"], closed_row),
}

Place: TypeAlias = tuple[str, int]  # connection and seq


@dataclass(slots=True)
class Book:
    """What the writer knows of the file: the highest numbers in use, the numbers of the connections now in hand, how
    those were opened, and the rows of the fragmented messages that are not complete yet."""

    last_n: int
    last_id: int
    ids: dict[str, int] = field(default_factory=dict)
    opened: dict[str, Opened] = field(default_factory=dict)
    incomplete: dict[Place, int] = field(default_factory=dict)


class Batch:
    """`find` looks a connection's number up in the file. `live`: messages that are incomplete now will be whole."""

    def __init__(self, book: Book, find: Callable[[str], int | None], live: bool = True) -> None:
        self._book = book
        self._find = find
        self._live = live
        self._ids: dict[str, int] = {}
        self._names: list[Row] = []
        self._plain_frames: list[Row] = []
        self._frames: list[Row] = []
        self._parts: list[Row] = []
        self._whole: list[Row] = []
        self._others: dict[str, list[Row]] = {}
        self._begun: dict[Place, int] = {}
        self._ended: list[Place] = []
        self._opened: dict[str, Opened] = {}
        self._closed: list[str] = []

    def add(self, records: Sequence[Writable]) -> None:
        """Turn `records` into rows."""
        book, ids, plain_frames = self._book, self._book.ids, self._plain_frames
        for record in records:
            if type(record) is FrameRecord:
                connection = ids.get(record.connection) or self._number(record.connection)
                if (record.incomplete or self._begun or book.incomplete) and self._live:
                    n = self._place(record)
                else:
                    n = book.last_n = book.last_n + 1
                if is_plain(record):
                    plain_frames.append(plain_frame_row(n, connection, record))
                else:
                    self._frames.append(frame_row(n, connection, record))
            elif isinstance(record, Part):
                self._add_part(record)
            else:
                self._add_other(record)

    def _place(self, record: FrameRecord) -> int:
        """A new number, or that of the incomplete record which this one completes."""
        place = record.connection, record.seq
        n = self._row_of(place)
        if n is None:
            n = self._next()
        elif not record.incomplete:
            self._begun.pop(place, None)
            self._ended.append(place)
            self._whole.append((n,))
        if record.incomplete:
            self._begun[place] = n
        return n

    def _add_part(self, part: Part) -> None:
        frame = self._row_of((part.connection, part.seq))
        if frame is not None:  # else its first part could not be recorded, and a gap says so
            self._parts.append((self._next(), frame, part.data))

    def _add_other(self, record: Any) -> None:
        if isinstance(record, Entry):
            connection = None if record.connection is None else self._number(record.connection)
            self._others.setdefault(INSERT["entry"], []).append(entry_row(self._next(), connection, record))
            return
        insert, row = _ROW_OF[type(record)]
        self._others.setdefault(insert, []).append(row(self._next(), self._number(record.connection), record))
        if isinstance(record, Opened):
            self._opened[record.connection] = record
        elif isinstance(record, Closed):
            self._closed.append(record.connection)

    def _row_of(self, place: Place) -> int | None:
        return self._begun.get(place) or (None if place in self._ended else self._book.incomplete.get(place))

    def _next(self) -> int:
        self._book.last_n += 1
        return self._book.last_n

    def _number(self, name: str) -> int:
        found = self._book.ids.get(name) or self._ids.get(name) or self._find(name)
        if found is None:
            found = self._book.last_id + len(self._names) + 1
            self._names.append((found, sql_text(name)))
        self._ids[name] = found
        return found

    def statements(self) -> Iterator[tuple[str, list[Row]]]:
        """What to execute, in this order."""
        yield _INSERT_NAME, self._names
        yield INSERT["frame"], self._frames
        yield INSERT_PLAIN_FRAME, self._plain_frames  # after those that it may complete
        yield INSERT["part"], self._parts
        yield _DELETE_PARTS, self._whole
        yield from self._others.items()

    def settle(self) -> None:
        """The rows are in the file."""
        book = self._book
        book.last_id += len(self._names)
        book.ids.update(self._ids)
        book.opened.update(self._opened)
        book.incomplete.update(self._begun)
        for place in self._ended:
            book.incomplete.pop(place, None)
        for name in self._closed:
            book.ids.pop(name, None)
            book.opened.pop(name, None)
        if self._closed and book.incomplete:
            book.incomplete = {place: n for place, n in book.incomplete.items() if place[0] not in self._closed}
