"""The password that a command reads from a file, so that it stands in no list of processes and in no history."""

from __future__ import annotations

from pathlib import Path

from ocpp_proxy.core.errors import BadInput

_MARK = b"\xef\xbb\xbf"  # which editors on Windows put before UTF-8


def read_password(file: Path) -> bytes:
    """The file's first line: bytes, since a password need not be text. Raises BadInput."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(file)) from error
    line = content.removeprefix(_MARK).partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise BadInput("expected the password on the first line", str(file), 1)
    return line
