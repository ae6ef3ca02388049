"""Loads the JSON schemas of the `ocpp` package, with the corrections of our overlay applied.

Decides where schemas come from. Refuses to know what is done with them (`core.schema`). The overlay
(`schema_overlay.json`) holds each correction of a known defect with its reason and source; `docs/schemas.md` shows it.

Source: PyPI package `ocpp`, which carries the official schemas of each version; RFC 6902 for the overlay's "add".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ocpp_proxy.core.frame import Version

_FOLDERS: Mapping[Version, str] = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


def load_schema(version: Version, name: str) -> dict[str, Any] | None:
    """The schema with this file name (without suffix), corrected; None where the package has none.

    `name` must come from a table of known names, never from a peer.
    """
    file = resources.files("ocpp") / _FOLDERS[version] / "schemas" / f"{name}.json"
    if not file.is_file():
        return None
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    for correction in overlay():
        if (correction["version"], correction["schema"]) == (version, name):
            _add(schema, correction["path"], correction["value"])
    return schema


def overlay() -> list[dict[str, Any]]:
    """The corrections: id, version, schema, op ("add"), path (JSON Pointer), value, reason, source."""
    text = resources.files(__package__).joinpath("schema_overlay.json").read_text(encoding="utf-8")
    corrections: list[dict[str, Any]] = json.loads(text)
    return corrections


def _add(schema: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split("/")[1:]
    here: Any = schema
    for step in way:
        here = here[step]
    if last == "-":
        if value not in here:
            here.append(value)
    else:
        here[last] = value
