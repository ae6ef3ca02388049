"""A capture in JSONL form as a file.

Decides how its lines are found: with or without a header, blank ones between, the last one cut off by a power cut.
Refuses to know what stands in a line (`linereader`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO

from ocpp_proxy.capture.linereader import LineReader
from ocpp_proxy.capture.model import Capture
from ocpp_proxy.capture.select import ALL, Selection
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, Entry, FrameRecord, Record

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# A line as this project writes it, which bears a time.
_TIMED = re.compile(rb'\{"type":"\w+","connection":"[^"\\]*",("(seq|station)":("[^"\\]*"|\d+|null),)?"at":"')


def open_lines(path: Path) -> LineCapture:
    """The JSONL capture at `path`. Raises BadInput."""
    try:
        file: IO[bytes] = path.open("rb")
        if not file.seekable():  # a pipe: it is read more than once
            with file as pipe:
                file = tempfile.TemporaryFile()  # noqa: SIM115 — closed with the capture
                shutil.copyfileobj(pipe, file)
                file.seek(0)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(path)) from None
    try:
        return LineCapture(path, file)
    except BaseException:
        file.close()
        raise


class LineCapture(Capture):
    """See `Capture`."""

    kind = "jsonl"

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._file = file
        super().__init__(path, CaptureHeader())
        first = next(self._read(LineReader(str(path))), None)
        if isinstance(first, CaptureHeader):
            self.header = first
        elif first is None and not self.remarks:
            raise BadInput("is empty; expected a capture (.db or .jsonl)", str(path))

    @cached_property
    def _some_line_without_time(self) -> bool:
        reader = LineReader(str(self.path))
        for number, line in self._lines():
            if not _TIMED.match(line):
                try:
                    reader.read(line, number)
                except BadInput:
                    return reader.times_made_up  # `records` will say what is wrong with it
                if reader.times_made_up:
                    return True
        return False

    @property
    def times_made_up(self) -> bool:
        return super().times_made_up or self._some_line_without_time

    def numbered(self, selection: Selection = ALL) -> Iterator[tuple[int, Record]]:
        return selection.of(self._numbered())

    def _numbered(self) -> Iterator[tuple[int, Record]]:
        self.remarks.clear()
        for number, record in enumerate(self._read(LineReader(str(self.path)))):
            if not isinstance(record, CaptureHeader):
                yield number, record
            elif number:  # two captures in one file
                fields = {"version": record.version, "tool": record.tool, "time_scale": record.time_scale}
                yield number, Entry(type="capture", fields={**fields, **record.extra})

    def frames_at(self, numbers: Iterable[int]) -> Iterator[FrameRecord]:
        wanted = iter(numbers)
        sought = next(wanted, None)
        for number, record in self._numbered():
            if sought is None:
                return
            if number == sought:
                sought = next(wanted, None)
                if isinstance(record, FrameRecord):
                    yield record

    def _read(self, reader: LineReader) -> Iterator[CaptureHeader | Record]:
        for number, line in self._lines():
            try:
                record = reader.read(line, number)
            except BadInput:
                if not _is_cut_off(line):
                    raise
                self.remarks.append(f"line {number} is cut off after {len(line)} bytes; the lines before it are read")
                return
            if record is not None:
                yield record

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        position = 0
        number = 0
        while True:
            self._file.seek(position)  # several may be reading at once
            lines = self._file.readlines(2**16)
            if not lines:
                return
            position = self._file.tell()
            if not number:
                lines[0] = self._first(lines[0])
            for line in lines:
                number += 1
                yield number, line

    def _first(self, line: bytes) -> bytes:
        if line.startswith(_UTF16):
            raise BadInput("is UTF-16; expected a capture in UTF-8", str(self.path), 1)
        return line.removeprefix(_BOM)

    def close(self) -> None:
        self._file.close()


def _is_cut_off(line: bytes) -> bool:
    """Whether the last line ends in the midst of an object, or in the zeros that a file system leaves behind."""
    return not line.endswith(b"\n") and (line.lstrip().startswith(b"{") or not line.strip(b"\0")) and (
        not line.rstrip().endswith(b"}"))
