"""Payloads may hold anything: what is of another type is None."""

from decimal import Decimal

import pytest

from ocpp_proxy.core.payload import (
    flag,
    folded,
    integer,
    items,
    kept,
    member,
    moment_us,
    number,
    numeral,
    objects,
    text,
)

ODD = [None, [], {}, "x", 3, 1.5, True, {"a": [1]}, [{"a": 1}], Decimal("1.10")]


@pytest.mark.parametrize("value", ODD)
def test_nothing_raises(value):
    for read in (text, kept, folded, integer, number, flag, items, moment_us):
        read(value)
        read(value, "a")
        read(value, "a", "b")
    member(value, "a", "b")
    list(objects(value, "a"))
    numeral(value)


def test_what_is_there_is_read():
    payload = {"a": {"b": "Text"}, "n": 3, "f": 1.5, "whole": 2.0, "yes": True, "list": [1, {"c": 2}]}
    assert (text(payload, "a", "b"), folded(payload, "a", "b"), text(payload, "n")) == ("Text", "text", None)
    assert (integer(payload, "n"), integer(payload, "whole"), integer(payload, "f")) == (3, 2, None)
    assert (integer(payload, "yes"), number(payload, "yes"), number(payload, "f")) == (None, None, 1.5)
    assert (flag(payload, "yes"), flag(payload, "n")) == (True, None)
    assert list(objects(payload, "list")) == [(1, {"c": 2})]


def test_a_number_with_a_huge_exponent_is_not_written_out():
    for spelled in ("1e4000000", "-1e4000000", "Infinity", "1e30"):
        assert integer(Decimal(spelled)) is None
        assert numeral(spelled) is numeral(Decimal(spelled)) is None
        assert number(Decimal(spelled)) is None
    assert integer(Decimal("1e3")) == number(Decimal("1e3")) == numeral("1e3") == 1000
    assert numeral("1e-4000000") is number(Decimal("1e-4000000")) is None
    assert numeral("0e-4000000") == 0


@pytest.mark.parametrize(("value", "read"), [
    ("12.50", Decimal("12.50")), (" 3 ", Decimal(3)), ("2e+01", Decimal(20)), (7, Decimal(7)), (1.1, Decimal("1.1")),
    ("", None), ("abc", None), ("NaN", None), ("1_0", None), ("inf", None), (True, None), ("1e400", None),
    (None, None)])
def test_a_numeral_is_a_number_or_spells_one(value, read):
    assert numeral(value) == read


@pytest.mark.parametrize(("value", "read"), [
    ("1970-01-01T00:00:01Z", 1_000_000), ("1970-01-01T01:00:01+01:00", 1_000_000), ("1970-01-01T00:00:01", 1_000_000),
    ("1970-01-01t00:00:01.5z", 1_500_000), ("1970-01-01T00:00:01,5+00", 1_500_000),
    ("0001-01-01T00:00:00Z", -62135596800000000),
    ("0000-01-01T00:00:00Z", None), ("2026-02-30T00:00:00Z", None), ("now", None), ("", None), (5, None)])
def test_a_moment_is_microseconds_in_utc(value, read):
    assert moment_us(value) == read
