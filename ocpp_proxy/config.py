"""Reads `ocpp-proxy.toml`: a table a command, a key an option.

Decides how the file is read and where a mistake in it stands; refuses to know which options there are: the command
line hands in the table of those it allows.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ocpp_proxy.core.errors import BadInput

DEFAULT_NAME = "ocpp-proxy.toml"

# For each command the options it takes; for a group a mapping of its commands.
Allowed: TypeAlias = "Mapping[str, Allowed | frozenset[str]]"


def load(path: Path, allowed: Allowed) -> dict[str, Any]:
    """The file as nested tables whose keys are the options' names, with hyphens.

    Raises BadInput: not readable, not TOML, or a table or key that `allowed` does not have.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8 text", str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"is not TOML: {error}", str(path), _line_of(error)) from None
    return _checked(tables, allowed, "", str(path), text)


def _checked(table: Mapping[str, Any], allowed: Allowed, where: str, file: str, text: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in table.items():
        inner = allowed.get(key)
        if inner is None:
            raise BadInput(f"there is no command {where}{key}; known: {', '.join(sorted(allowed))}", file,
                           _line_with(text, key))
        if not isinstance(value, Mapping):
            raise BadInput(f"{where}{key} has to be a table: [{where}{key}]", file, _line_with(text, key))
        if isinstance(inner, frozenset):
            result[key] = _options(value, inner, f"{where}{key}", file, text)
        else:
            result[key] = _checked(value, inner, f"{where}{key}.", file, text)
    return result


def _options(table: Mapping[str, Any], allowed: frozenset[str], command: str, file: str, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, value in table.items():
        if (name := key.replace("_", "-")) not in allowed:
            known = ", ".join(sorted(allowed))
            raise BadInput(f"[{command}] has no option {key}; known: {known}", file, _line_with(text, key))
        options[name] = value
    return options


def _line_of(error: tomllib.TOMLDecodeError) -> int | None:
    found = re.search(r"line (\d+)", str(error))
    return int(found[1]) if found else None


def _line_with(text: str, key: str) -> int | None:
    """Where `key` first stands as a key or in a table's name: tomllib does not tell."""
    pattern = re.compile(rf"^\s*(\[[^\]]*\b{re.escape(key)}\b|[\"']?{re.escape(key)}[\"']?\s*[=.])")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)
