"""Looks into payloads that may hold anything.

Decides what counts as a text, a number, a list in a payload that nobody has checked: what is of another type is None,
as is what is not there. Refuses to say what is wrong with it (`schema`).

Source: OCPP 1.6 edition 2 sections 2.2 (CiString) and 3.15 (ISO 8601); RFC 3339.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias

from ocpp_proxy.core.formats import is_iso_8601
from ocpp_proxy.core.instant import parsed_us

Number: TypeAlias = "int | float | Decimal"

BIGGEST = 10**18  # with an exponent, no whole number is beyond that: 1e4000000 would have four million digits
NUMERAL_LIMIT = 10**15
DIGITS = 30  # before and behind the point; arithmetic with Decimals of greater exponents raises
LONGEST_KEPT = 200  # characters of a peer's text that are kept beyond its frame
_FIRST_YEAR = "0001"


def member(value: Any, *keys: str) -> Any:
    """What the keys lead to, one object after the other."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


# The readers below go down the keys themselves: rules ask them dozens of times a frame.


def text(value: Any, *keys: str) -> str | None:
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if isinstance(value, str) else None


def kept(value: Any, *keys: str) -> str | None:
    """A text cut to what may be kept of it."""
    found = text(value, *keys)
    return found[:LONGEST_KEPT] if found is not None else None


def folded(value: Any, *keys: str) -> str | None:
    """A text as case-insensitive ones are compared: idTags and configuration keys of 1.6."""
    found = kept(value, *keys)
    return found.casefold() if found is not None else None


def integer(value: Any, *keys: str) -> int | None:
    """A whole number, also one written with a point (1.0); true is none."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    if type(value) is int:
        return value
    if isinstance(value, (float, Decimal)) and -BIGGEST < value < BIGGEST and value == value.__trunc__():
        return int(value)
    return None


def number(value: Any, *keys: str) -> Number | None:
    """A number that one can reckon with; true is none."""
    found = member(value, *keys) if keys else value
    if isinstance(found, Decimal):
        return found if _is_moderate(found) else None
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def numeral(value: Any) -> Decimal | None:
    """A number, or a text that spells one as JSON would, give or take white space; none beyond 1e15 or below
    1e-30."""
    if isinstance(value, str):
        if len(value) > LONGEST_KEPT or "_" in value:
            return None
    elif not isinstance(value, (int, float, Decimal)) or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if _is_moderate(found) and -NUMERAL_LIMIT < found < NUMERAL_LIMIT else None


def _is_moderate(value: Decimal) -> bool:
    return value.is_finite() and (not value or -DIGITS < value.adjusted() < DIGITS)


def flag(value: Any, *keys: str) -> bool | None:
    found = member(value, *keys) if keys else value
    return found if isinstance(found, bool) else None


def items(value: Any, *keys: str) -> list[Any]:
    """The list there, else an empty one."""
    for key in keys:
        if not isinstance(value, dict):
            return []
        value = value.get(key)
    return value if isinstance(value, list) else []


def objects(value: Any, *keys: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects in the list there, each with its position."""
    return ((place, item) for place, item in enumerate(items(value, *keys)) if isinstance(item, dict))


def moment_us(value: Any, *keys: str) -> int | None:
    """A date and time as microseconds since 1970 in UTC, which one without a zone counts as."""
    found = text(value, *keys)
    return _moment_us(found) if found is not None and len(found) <= LONGEST_KEPT else None


@lru_cache(maxsize=256)  # several rules ask for the times of the same frame
def _moment_us(spelled: str) -> int | None:
    if not is_iso_8601(spelled) or spelled[:4] < _FIRST_YEAR:
        return None
    try:
        return parsed_us(spelled.upper())
    except (ValueError, OverflowError):  # a second of 60, a fraction of a minute
        return None
