from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.live.safe import fit, fit_middle, safe, scalar, width_of

# Everything a terminal obeys instead of showing it, and everything nobody can see.
HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
anything = st.text(st.characters(exclude_categories=()), max_size=80)


@given(anything)
def test_nothing_harmful_is_left_of_any_text(text: str) -> None:
    assert not {unicodedata.category(char) for char in safe(text, 200)} & HARMFUL


@given(anything)
def test_what_is_left_can_be_written(text: str) -> None:
    safe(text, 200).encode("utf-8")


@given(anything, st.integers(1, 40))
def test_never_more_characters_than_asked_for_are_kept(text: str, limit: int) -> None:
    kept = safe(text, limit)
    if kept.isascii() and "\\" not in kept:
        assert len(kept) <= limit
    else:
        assert len(kept) <= limit * 10  # an escape has ten characters at most


@given(st.text(st.characters(exclude_categories=()), max_size=60), st.integers(1, 40))
def test_a_fitted_text_never_takes_more_cells(text: str, cells: int) -> None:
    assert width_of(fit(safe(text), cells)) <= cells
    assert width_of(fit_middle(safe(text), cells)) <= cells


@pytest.mark.parametrize(("text", "shown"), [
    ("Wall Box Chargers", "Wall Box Chargers"),
    ("Ladesäule 7 – 充電", "Ladesäule 7 – 充電"),
    ("\x1b[2J\x1b[1;1H", "\\x1b[2J\\x1b[1;1H"),
    ("Accepted\n10:00:00 CP002 → csms", "Accepted\\n10:00:00 CP002 → csms"),
    ("a\r\tb\x00", "a\\r\\tb\\0"),
    ("\x9b31m", "\\x9b31m"),
    ("user\u202egnp.exe", "user\\u202egnp.exe"),
    ("\u2066a\u2069\u200f\u200b", "\\u2066a\\u2069\\u200f\\u200b"),
    ("line\u2028two", "line\\u2028two"),
    ("\ud800", "\\ud800"),
    ("\U000e0041", "\\U000e0041"),
])
def test_text_is_kept_and_commands_are_spelled_out(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_marks_piled_on_a_letter_stay_on_its_line() -> None:
    assert safe("e\u0301") == "e\u0301"
    assert safe("a" + "\u0301" * 4) == "a\u0301\u0301\\u0301\\u0301"


def test_long_text_is_shortened_before_anything_else() -> None:
    assert safe("x" * 20_000_000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(("value", "shown"), [
    (None, "null"), (True, "true"), (0, "0"), (1.5, "1.5"), (Decimal("0.10"), "0.10"), ([], "[]"), ([1, 2], "[2]"),
    ({}, "{}"), ({"a": 1}, "{1}"), (2**200, "(huge number)"), (-3, "-3"), (float("nan"), "nan"), ("", ""),
    (object(), "object"),
])
def test_any_value_has_a_short_form(value: Any, shown: str) -> None:
    assert scalar(value) == shown


def test_both_ends_of_an_identity_are_kept() -> None:
    assert fit_middle("NL-GFX-E12345-000017", 12) == "NL-GF…000017"
    assert fit_middle("CP001", 12) == "CP001"
    assert fit_middle("CP001", 3) == "CP…"


def test_a_wide_character_is_not_halved() -> None:
    assert fit("充電充電", 6) == "充電…"
    assert fit("充電充電", 8) == "充電充電"
    assert fit("abc", 0) == ""
