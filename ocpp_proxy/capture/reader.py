"""Opens captures of either form for reading.

Decides what a file is, by its content and not by its name, and leaves it as it is: no log beside it, no lock that a
writer would notice. Refuses to know what the records say.

Source: SQLite documentation, "Write-Ahead Logging" (read-only databases), "URI filenames" (immutable), "Database
File Format" (the header's magic and version numbers).
"""

from __future__ import annotations

from pathlib import Path

from ocpp_proxy.capture.dbreader import open_database
from ocpp_proxy.capture.linefile import open_lines
from ocpp_proxy.capture.model import Capture
from ocpp_proxy.core.errors import BadInput

_MAGIC = b"SQLite format 3\0"
_HEADER_SIZE = 20
_WAL_FORMAT = 2  # in the bytes 18 and 19 of the header


def open_capture(path: str | Path) -> Capture:
    """The capture at `path`. Raises BadInput where it cannot be read or is none."""
    path = Path(path)
    if path.is_dir():
        raise BadInput("is a folder; expected a capture (.db or .jsonl)", str(path))
    if path.with_name(path.name + "-wal").exists():
        # Its writer may be this very process: opening and closing the file besides would take SQLite's locks away.
        return open_database(path)
    if not path.is_file():
        return open_lines(path)  # a pipe can be opened once only; or there is nothing, and that is said there
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_SIZE)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(path)) from None
    if not head.startswith(_MAGIC):
        return open_lines(path)
    # Without its log, a file in this mode has no writer; opened in the usual way it would get a log.
    return open_database(path, immutable=head[18:20] == bytes([_WAL_FORMAT] * 2))
