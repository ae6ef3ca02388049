"""Turns captures of one form into the other.

Decides how a new file comes into being: under another name until it is whole, and never over one that is there.
Refuses to change a fact: the same records come out again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ocpp_proxy.capture.jsonl import encode
from ocpp_proxy.capture.model import TIMES_MADE_UP, Capture
from ocpp_proxy.capture.store import Store
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader, Record

_BATCH = 1000
_LINE_SUFFIXES = (".jsonl", ".ndjson")

Progress = Callable[[int], None]  # hears how many records are done


def write_lines(capture: Capture, out: BinaryIO, on_progress: Progress) -> None:
    """The JSONL form of `capture` into `out`."""
    out.write(encode(_header(capture)).encode() + b"\n")
    for records in _batches(capture, on_progress):
        out.writelines(encode(record).encode() + b"\n" for record in records)


# What `capture export` can write, by name.
EXPORTS: dict[str, Callable[[Capture, BinaryIO, Progress], None]] = {"jsonl": write_lines}


def export_file(capture: Capture, form: str, path: Path, on_progress: Progress) -> None:
    """`capture` in `form` as the new file `path`. Raises BadInput."""
    with new_file(path) as temporary, temporary.open("xb") as out:
        EXPORTS[form](capture, out, on_progress)
        out.flush()
        os.fsync(out.fileno())


def import_file(capture: Capture, path: Path, on_progress: Progress) -> None:
    """`capture` as the new capture `path`: in JSONL form where its name says so, else as a database. Raises
    BadInput."""
    if path.suffix.lower() in _LINE_SUFFIXES:
        export_file(capture, "jsonl", path, on_progress)
        return
    with new_file(path) as temporary:
        store = Store(temporary, _header(capture))
        try:
            for records in _batches(capture, on_progress):
                store.insert(records, live=False)
        finally:
            store.close()


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends well, and is gone when it does not.
    Raises BadInput where `path` is there already or cannot be made."""
    _refuse_existing(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        _refuse_existing(path)
        temporary.replace(path)
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", str(path)) from None
    except BadInput as error:
        if error.file == str(temporary):
            raise BadInput(error.what, str(path)) from None
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise BadInput("is there already and is left as it is; name another file", str(path))


def _header(capture: Capture) -> CaptureHeader:
    """Lines without a time get one by being converted: the header goes on saying that it was made up."""
    header = capture.header
    return replace(header, extra={**header.extra, TIMES_MADE_UP: True}) if capture.times_made_up else header


def _batches(capture: Capture, on_progress: Progress) -> Iterator[Sequence[Record]]:
    records = capture.records()
    done = 0
    while batch := list(islice(records, _BATCH)):
        yield batch
        done += len(batch)
        on_progress(done)
