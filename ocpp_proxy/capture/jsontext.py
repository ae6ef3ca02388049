"""JSON as it stands in capture lines and in the database: one line, exact, always encodable as UTF-8.

Decides how JSON is spelled (no spaces; control characters, line separators and lone surrogates escaped, so that a
line is a line in every program and harmless on a terminal) and that numbers stay exact. Refuses to know what the
values mean.

Source: RFC 8259.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\r\n]*")
_MAX_INT_DIGITS = 4000  # Python refuses to convert more than 4300

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dumps(value: Any) -> str:
    """`value` on one line. Never raises: what JSON cannot say is written as text."""
    try:
        text = _fast_or_exact(value)
    except RecursionError:
        return '"(nested too deeply to be kept)"'
    return text if text.isascii() and "\x7f" not in text else _UNSAFE.sub(_escape, text)


def loads(text: str) -> Any:
    """The value of `text`; numbers as int, as float where that is exact, else as Decimal. Raises ValueError or
    RecursionError."""
    return _decoder.decode(text)


def member_text(text: str, name: str) -> str:
    """How the member `name` of the object `text` is spelled; `text` must have been read by `loads` already."""
    found = ""
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = _decoder.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, at = _decoder.raw_decode(text, start)
        if key == name:
            found = text[start:at]
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _fast_or_exact(value: Any) -> str:
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError):  # a Decimal, an integer of thousands of digits, or no JSON at all
        return _slow(value)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None  # the pattern matches nothing as well
    return space.end()


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _slow(value: Any) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_encoder.encode(str(key))}:{_slow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_slow, value)) + "]"
    if isinstance(value, str | bool | None) or (isinstance(value, float) and math.isfinite(value)):
        return _encoder.encode(value)
    if isinstance(value, int):
        return str(Decimal(value))  # unlike int, not limited in its digits
    return _encoder.encode(str(value))


def _read_float(text: str) -> float | Decimal:
    exact = Decimal(text)
    value = float(text)
    return value if math.isfinite(value) and Decimal(repr(value)) == exact else exact


def _read_int(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MAX_INT_DIGITS else Decimal(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_decoder = json.JSONDecoder(parse_float=_read_float, parse_int=_read_int, parse_constant=_refuse_constant)
