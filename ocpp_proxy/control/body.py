"""Reads a request's JSON strictly.

Decides which texts are one JSON value that can be said again on a wire: no key twice, no NaN, no number beyond what a
float holds, no half of a surrogate pair, no unbounded nesting. Refuses to know what the value should be (`models`).

Source: RFC 8259; RFC 7493 (I-JSON) section 2.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEPTH_MOST = 64
_HALF_PAIR = re.compile("[\ud800-\udfff]")


class BadBodyError(Exception):
    """The sentence says why; it quotes nothing of the body but a key's name."""


def read_json(body: bytes) -> Any:
    """The value. Raises BadBodyError."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_float=_number,
                           parse_constant=_constant)
        _look_through(value, 0)
    except UnicodeDecodeError:
        raise BadBodyError("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadBodyError(f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise BadBodyError(f"the body is nested more than {DEPTH_MOST} deep") from None
    except ValueError:  # an integer of thousands of digits
        raise BadBodyError("the body holds a number that is too long") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadBodyError("a key stands twice in the same object")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadBodyError("the body holds a number that is too large")
    return value


def _constant(text: str) -> Any:
    raise BadBodyError(f"{text} is not JSON")


def _look_through(value: Any, depth: int) -> None:
    if depth > DEPTH_MOST:
        raise BadBodyError(f"the body is nested more than {DEPTH_MOST} deep")
    if isinstance(value, str):
        if _HALF_PAIR.search(value):
            raise BadBodyError("the body holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _look_through(key, depth + 1)
            _look_through(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _look_through(item, depth + 1)
