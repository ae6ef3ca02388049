"""Reads what `fault add` takes as text: JSON Patches, answers, errors.

Decides the short forms; each mistake names the option. Refuses to apply anything.

Source: RFC 6901 (JSON Pointer), RFC 6902 (JSON Patch).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ocpp_proxy.capture.jsontext import loads
from ocpp_proxy.core.errors import BadInput


def patch_of(sets: Sequence[str], removes: Sequence[str], patch: str | None) -> list[dict[str, Any]]:
    """One JSON Patch of all: the given one first, then what is removed, then what is set. Raises BadInput."""
    operations = _patch(patch) if patch is not None else []
    operations += [{"op": "remove", "path": _pointer("--remove", text)} for text in removes]
    return operations + [_set(text) for text in sets]


def object_of(option: str, text: str) -> dict[str, Any]:
    """A JSON object. Raises BadInput."""
    value = _json(option, text)
    if not isinstance(value, dict):
        raise BadInput(f"{option}: expected a JSON object")
    return value


def error_of(text: str) -> dict[str, Any]:
    """CODE or CODE:description."""
    code, _, description = text.partition(":")
    if not code:
        raise BadInput("--error: expected CODE or CODE:description, such as InternalError:busy")
    return {"code": code, "description": description.strip()}


def _set(text: str) -> dict[str, Any]:
    pointer, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text}: expected /pointer=value")
    try:
        said = loads(value)
    except (ValueError, RecursionError):
        said = value
    return {"op": "add", "path": _pointer("--set", pointer), "value": said}


def _pointer(option: str, text: str) -> str:
    if not text.startswith("/"):
        raise BadInput(f"{option} {text}: expected a JSON Pointer into the payload, such as /idTagInfo/status")
    return text


def _patch(text: str) -> list[dict[str, Any]]:
    if not text.lstrip().startswith(("[", "{")):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--patch: cannot be read: {getattr(error, 'strerror', None) or error}", text) from None
    found = _json("--patch", text)
    operations = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in operations):
        raise BadInput("--patch: expected a list of JSON Patch operations")
    return operations


def _json(option: str, text: str) -> Any:
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{option}: no JSON: {error}") from None
