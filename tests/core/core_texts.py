"""Makes JSON texts in all the spellings that peers write, and reads them in the one way that is beyond doubt."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

SPACE = st.sampled_from(["", "", "", " ", "  ", "\n", "\r\n\t"])


@st.composite
def json_texts(draw: st.DrawFn, depth: int = 3) -> str:
    """A JSON value as text, without duplicate keys, oddly spaced and spelled."""
    kind = draw(st.sampled_from(["string", "number", "word"] + ["object", "array"] * bool(depth)))
    if kind == "string":
        return draw(string_texts())
    if kind == "number":
        return draw(number_texts())
    if kind == "word":
        return draw(st.sampled_from(["true", "false", "null"]))
    space = draw(SPACE)
    items = draw(st.lists(json_texts(depth=depth - 1), max_size=4))
    if kind == "array":
        return f"[{space}" + f"{space},{space}".join(items) + f"{space}]"
    keys = draw(st.lists(string_texts(), min_size=len(items), max_size=len(items), unique_by=json.loads))
    members = [f"{key}{space}:{space}{item}" for key, item in zip(keys, items, strict=True)]
    return f"{{{space}" + f"{space},{space}".join(members) + f"{space}}}"


@st.composite
def string_texts(draw: st.DrawFn) -> str:
    pieces = draw(st.lists(st.one_of(
        st.characters(exclude_characters='"\\', exclude_categories=("Cs",), min_codepoint=32),
        st.sampled_from([r"\"", r"\\", r"\/", r"\b", r"\n", r"\t", r"é", r"A", r"😀", r" "]),
    ), max_size=8))  # fmt: skip
    return '"' + "".join(pieces) + '"'


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    sign = draw(st.sampled_from(["", "-"]))
    whole = draw(st.one_of(st.integers(0, 10**25).map(str), st.sampled_from(["0", "18446744073709551616"])))
    fraction = draw(st.sampled_from(["", ".0", ".1", ".50", ".30000000000000004", ".123456789012345678901"]))
    exponent = draw(st.sampled_from(["", "", "", "e5", "E+5", "e-7", "e16", "e400", "E-400"]))
    return sign + whole + fraction + exponent


def reference(text: str) -> Any:
    """What the text says, every number as exact as Decimal and int are, in a form that compares by value."""
    return comparable(json.loads(text, parse_float=Decimal))


def comparable(value: Any) -> Any:
    """Numbers by exact value and kind, so that 1, 1.0 and true differ and 0.1 does not lose a digit."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return ("int", value)
    if isinstance(value, (float, Decimal)):
        exact = Decimal(repr(value)) if isinstance(value, float) else value
        return ("real", _normal(exact) if exact else Decimal(0), exact.is_signed())
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return {key: comparable(item) for key, item in value.items()}


def _normal(value: Decimal) -> Decimal:
    """Like normalize(), which would round to the context's precision."""
    sign, digits, exponent = value.as_tuple()
    while len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return Decimal((sign, digits, exponent))
