"""What may stand in the fields of a capture line, each with the sentence that names it to whoever got it wrong.

Decides what a field accepts; refuses to know which line has which fields (`jsonl`). A reader takes the JSON value
and gives the one that a record holds, or raises `UnfitError`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, get_args

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.core.frame import Opcode, Sender, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Header, Mask, Origin

Reader: TypeAlias = Callable[[Any], Any]

_INT64 = 2**63
_FIRST_US = Instant.parse("0001-01-01T00:00:00Z").utc_us
_LAST_US = Instant.parse("9999-12-31T23:59:59.999999Z").utc_us
_MASK_KEYS = ("pointer", "length", "form")


class UnfitError(ValueError):
    """A value that a field cannot hold; says what it could."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def shown(value: Any) -> str:
    """`value` as short JSON for a message."""
    text = dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise UnfitError("a text")


def one_of(*allowed: str) -> Reader:
    def read(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise UnfitError("one of " + ", ".join(allowed))
    return read


def integer(least: int = -_INT64) -> Reader:
    expected = "a whole number" + (f" from {least}" if least > -_INT64 else "")

    def read(value: Any) -> int:
        if type(value) is int and least <= value < _INT64:
            return value
        raise UnfitError(expected)
    return read


def number(value: Any) -> float:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(float(value)):
        return float(value)
    raise UnfitError("a number")


def positive(value: Any) -> float:
    if (read := number(value)) > 0:
        return read
    raise UnfitError("a number above 0")


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise UnfitError("true or false")


def mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise UnfitError("an object")


def each(read: Reader, what: str) -> Reader:
    def read_list(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise UnfitError(f"a list of {what}")
        return tuple(map(read, value))
    return read_list


def utc_us(value: Any) -> int:
    """Microseconds since 1970 of an ISO 8601 text, in the years that can be written again."""
    try:
        moment = Instant.parse(value).utc_us
    except (TypeError, ValueError, OverflowError):
        moment = _LAST_US + 1
    if _FIRST_US <= moment <= _LAST_US:
        return moment
    raise UnfitError('a time such as "2026-11-21T09:00:00.000000Z"')


def base64_bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(text(value), validate=True)
    except (ValueError, binascii.Error):
        raise UnfitError("bytes in base64") from None


def header(value: Any) -> Header:
    match value:
        case [str(name), str() | dict() as content]:
            return name, content
    raise UnfitError('a header as ["Name","value"]')


def mask(value: Any) -> Mask:
    match value:
        case {"pointer": str() | None as pointer, "length": int(length), "form": "text" | "hex" | "bytes" as form} if (
            not isinstance(length, bool)
        ):
            extra = {key: item for key, item in value.items() if key not in _MASK_KEYS}
            return Mask(pointer, length, form, extra) if extra else Mask(pointer, length, form)
    raise UnfitError('a mask as {"pointer":"/3/value","length":16,"form":"text"}, form one of text, hex, bytes')


def echo(value: Any) -> tuple[int, str]:
    match value:
        case {"code": int(code), "reason": str(reason)} if not isinstance(code, bool):
            return code, reason
    raise UnfitError('a close as {"code":1000,"reason":""}')


sender = one_of(*get_args(Sender))
side = one_of(*get_args(Side))
opcode = one_of(*get_args(Opcode))
origin = one_of(*get_args(Origin))
