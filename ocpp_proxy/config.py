"""Reads `ocpp-proxy.toml`: a table a command, a key an option; and `[[station]]`, an entry a station.

Decides how the file is read and where a mistake in it stands; refuses to know which options there are: the command
line hands in the table of those it allows. What an entry of a station may hold is for `files.stations` to say.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.stations import TABLE, StationEntry, read_stations
from ocpp_proxy.files.toml_lines import TomlLines

DEFAULT_NAME = "ocpp-proxy.toml"

# For each command the options it takes; for a group a mapping of its commands.
Allowed: TypeAlias = "Mapping[str, Allowed | frozenset[str]]"


@dataclass(frozen=True, slots=True)
class Configuration:
    """`options`: nested tables whose keys are the options' names, with hyphens; `stations` in the order of the file."""

    file: str
    options: Mapping[str, Any]
    stations: tuple[StationEntry, ...] = ()
    lines: TomlLines = field(default_factory=lambda: TomlLines(""), compare=False)

    def line(self, *path: str | int) -> int | None:
        """Where an option of a command ("sim", "station", "seed") stands, or a key of an entry ("station", 0, "name"),
        else its table."""
        *table, key = path
        table_line = self.lines.find(*table)
        found = (self.lines.find(*table, spelling) for spelling in (str(key), str(key).replace("-", "_")))
        return next((line for line in found if line != table_line), table_line)


def load(path: Path, allowed: Allowed) -> Configuration:
    """Raises BadInput: not readable, not TOML, a table or key that `allowed` does not have, a mistake in an entry."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors of Windows begin with a byte order mark
        tables = tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8 text", str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"is not TOML: {error}", str(path), _line_of(error, text)) from None
    lines = TomlLines(text)
    stations = read_stations(tables.pop(TABLE, []), str(path), lines)
    return Configuration(str(path), _Check(str(path), lines).tables(tables, allowed, ()), stations, lines)


@dataclass(frozen=True, slots=True)
class _Check:
    file: str
    lines: TomlLines

    def tables(self, tables: Mapping[str, Any], allowed: Allowed, above: tuple[str, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in tables.items():
            path, inner = (*above, key), allowed.get(key)
            name, line = ".".join(path), self.lines.find(*path)
            if inner is None:
                known = sorted(allowed) + ([f"[[{TABLE}]]"] if not above else [])
                raise BadInput(f"there is no command {name}; known: {', '.join(known)}", self.file, line)
            if not isinstance(value, Mapping):
                raise BadInput(f"{name} has to be a table: [{name}]", self.file, line)
            if isinstance(inner, frozenset):
                result[key] = self.options(value, inner, path)
            else:
                result[key] = self.tables(value, inner, path)
        return result

    def options(self, table: Mapping[str, Any], allowed: frozenset[str], path: tuple[str, ...]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        command = ".".join(path)
        for key, value in table.items():
            line = self.lines.find(*path, key)
            if (name := key.replace("_", "-")) not in allowed:
                known = ", ".join(sorted(allowed))
                raise BadInput(f"[{command}] has no option {key}; known: {known}", self.file, line)
            if name in options:
                raise BadInput(f"[{command}] says {name} twice, with - and with _", self.file, line)
            if isinstance(value, Mapping) or (isinstance(value, list) and any(map(_is_nested, value))):
                raise BadInput(f"[{command}] {key}: expected a value, or a list of values", self.file, line)
            if any(isinstance(one, str) and "\0" in one for one in (value if isinstance(value, list) else [value])):
                raise BadInput(f"[{command}] {key}: no text holds the character NUL", self.file, line)
            options[name] = value
        return options


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = re.search(r"line (\d+)", str(error))
    return int(found[1]) if found else text.count("\n") + 1  # else it is "at end of document"
