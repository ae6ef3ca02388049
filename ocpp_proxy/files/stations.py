"""The `[[station]]` entries of `ocpp-proxy.toml`: what is said of single stations, or of all that match a pattern.

Decides which keys an entry may hold and of what kind their values are. Refuses to know what follows from them: which
entry counts for a station (`ocpp_proxy.relay.routes`), whether a URL or a file can be used (`ocpp_proxy.cli.routing`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unicodedata import category

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.toml_lines import TomlLines

TABLE = "station"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not any(category(char) == "Cc" for char in value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


_TEXT = (_is_text, "a text that is not empty, without control characters")
# What an entry may say, whether a value will do, and in words which would. Besides `id` and `name` all are options of
# `run` and mean what they mean there.
KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_text, 'an identity such as "CP001", or a pattern with * and ? such as "DEPOT-*"'),
    "name": _TEXT,
    "upstream": (_is_text, 'a URL such as "wss://csms.example.com/ocpp"'),
    "upstream-ca": (_is_text, "the path of a PEM file"),
    "upstream-cert": (_is_text, "the path of a PEM file"),
    "upstream-key": (_is_text, "the path of a PEM file"),
    "upstream-insecure": (_is_switch, "true or false"),
    "upstream-sni": _TEXT,
    "upstream-timeout": (_is_seconds, "a number of seconds above 0"),
}


@dataclass(frozen=True, slots=True)
class StationEntry:
    """`id` is an identity as stations send it, or a pattern; `options` holds what the entry says besides `id` and
    `name`, by the names of run's options. `line` is where it begins, None where that is not known."""

    id: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = field(default=None, compare=False)


def read_stations(tables: Any, file: str, lines: TomlLines) -> tuple[StationEntry, ...]:
    """The entries in the order of the file. Raises BadInput for the first mistake, with its line."""
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise BadInput(f"{TABLE} has to be written with two brackets, once for each: [[{TABLE}]]", file,
                       lines.find(TABLE))
    entries: dict[str, StationEntry] = {}
    for index, table in enumerate(tables):
        entry = _entry(table, file, lines, index)
        if (other := entries.get(entry.id)) is not None:
            there = f"in line {other.line}" if other.line is not None else "before"
            raise BadInput(f"[[{TABLE}]] {entry.id} stands {there} already: one entry says all", file,
                           lines.find(TABLE, index, "id"))
        entries[entry.id] = entry
    return tuple(entries.values())


def _entry(table: Mapping[str, Any], file: str, lines: TomlLines, index: int) -> StationEntry:
    said: dict[str, Any] = {}
    for key, value in table.items():
        name, line = key.replace("_", "-"), lines.find(TABLE, index, key)
        if name not in KEYS:
            raise BadInput(f"[[{TABLE}]] has no key {key}; known: {', '.join(sorted(KEYS))}", file, line)
        if name in said:
            raise BadInput(f"[[{TABLE}]] says {name} twice, with - and with _", file, line)
        will_do, wanted = KEYS[name]
        if not will_do(value):
            raise BadInput(f"[[{TABLE}]] {key}: expected {wanted}", file, line)
        said[name] = value
    line = lines.find(TABLE, index)
    if "id" not in said:
        raise BadInput(f"[[{TABLE}]] without id: expected {KEYS['id'][1]}", file, line)
    if len(said) == 1:
        others = ", ".join(sorted(KEYS.keys() - {"id"}))
        raise BadInput(f"[[{TABLE}]] {said['id']} says nothing of it: expected some of {others} (who may connect is "
                       "said by allow in [run])", file, line)
    return StationEntry(said.pop("id"), said.pop("name", None), said, line)
