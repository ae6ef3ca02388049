"""Where in a TOML file a table or a key stands: the standard library's reader does not tell.

Decides by the look of each line: headers of tables, and keys at a line's beginning. Refuses to read values, so a line
of a text over several lines can be taken for a key; the number is there to be jumped to, nothing is decided by it.

Source: TOML 1.0.0, sections Keys, Table and Array of Tables.
"""

from __future__ import annotations

import re
from typing import TypeAlias

_HEADER = re.compile(r"^\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."']+))\s*(?:\.|$)""")

# A path of names; the table of an array is followed by its number, from 0.
Path: TypeAlias = "tuple[str | int, ...]"


class TomlLines:
    """The lines of a file's tables and keys, from 1."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        table: Path = ()
        counts: dict[Path, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _parts(header[1])
                if line.lstrip().startswith("[["):
                    self._lines.setdefault(table, number)
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._add(table, number)
            elif key := _KEY.match(line):
                self._add((*table, *_parts(key[1])), number)

    def find(self, *path: str | int) -> int | None:
        """The line of a table or key, else that of the nearest table around it; None where nothing is known."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def _add(self, path: Path, number: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)


def _parts(name: str) -> Path:
    return tuple(first or second or third.strip() for first, second, third in _PART.findall(name))
