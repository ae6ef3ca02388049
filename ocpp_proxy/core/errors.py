"""The one exception for a user's own bad input. What peers send never raises; see `frame.Defect`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class BadInput(Exception):  # noqa: N818  # named for what the user reads, it is no programming error
    """A file, option or argument that cannot be used. The command line prints it on one line and exits with 2.

    `what` says what is wrong and what was expected, allowed values included; `file` and `line` (from 1) say where.
    """

    what: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        return f"{place}: {self.what}" if place else self.what
