"""JSON on one line, exact."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from capture_records import json_values
from hypothesis import given

from ocpp_proxy.capture.jsontext import dumps, loads, member_text


@given(json_values)
def test_what_was_written_is_read_again(value: object) -> None:
    text = dumps(value)
    assert loads(text) == value
    assert dumps(loads(text)) == text
    assert len(text.splitlines()) == 1
    text.encode()


@pytest.mark.parametrize(("text", "value"), [
    ("0.1", 0.1), ("1.10", 1.1), ("1e5", 100000.0), ("-0.0", -0.0),
    ("1e400", Decimal("1e400")), ("0.30000000000000000001", Decimal("0.30000000000000000001")),
    ("123456789012345678901234567890", 123456789012345678901234567890), ("9" * 5000, Decimal("9" * 5000)),
])
def test_numbers_stay_exact(text: str, value: object) -> None:
    assert loads(text) == value
    assert type(loads(text)) is type(value)
    assert loads(dumps(loads(text))) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{", "'a'", "[1,]", ""])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def test_terminals_and_line_readers_are_not_led_astray() -> None:
    assert dumps("a\x9b31m\u2028\x7f\ud800b") == '"a\\u009b31m\\u2028\\u007f\\ud800b"'
    assert dumps("é€😀") == '"é€😀"'


class Odd:
    def __str__(self) -> str:
        return "odd"


def test_writing_never_raises() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert json.loads(dumps(deep)) == "(nested too deeply to be kept)"
    assert dumps({"a": float("nan"), "b": Odd(), "c": Decimal("NaN")}) == '{"a":"nan","b":"odd","c":"NaN"}'
    assert dumps([10**4500]) == f"[1{'0' * 4500}]"
    assert dumps({1: Decimal("1.50"), "t": (True, None)}) == '{"1":1.50,"t":[true,null]}'


@pytest.mark.parametrize(("line", "text"), [
    ('{"sender":"csms","data":[2, "1" ,"X",{"a":1.10,"a":2}]}', '[2, "1" ,"X",{"a":1.10,"a":2}]'),
    (' { "x" : {"data":[1]} , "data" : [ ] , "y":"}" } ', "[ ]"),
    ('{"data":[1],"data":[2]}', "[2]"),
    ('{"a":1}', ""),
    ("{ }", ""),
])
def test_a_member_is_given_as_it_is_spelled(line: str, text: str) -> None:
    assert member_text(line, "data") == text
