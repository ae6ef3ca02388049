"""YAML with the scalars of JSON: what a plain word means, and what is refused with which line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.files.yaml import parse


def value_of(text):
    document = parse(text, "a.yaml")
    assert document.mistakes == ()
    return document.value


def mistakes_of(text):
    return [(mistake.line, mistake.pointer, mistake.what) for mistake in parse(text, "a.yaml").mistakes]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"), ("yes", "yes"), ("~", "~"), ("True", "True"), ("NULL", "NULL"), ("2026-11-21", "2026-11-21"),
        ("12:30:45", "12:30:45"), ("0x1f", "0x1f"), ("017", "017"), ("1_000", "1_000"), (".5", ".5"), ("+1", "+1"),
        (".inf", ".inf"), ("2.0.1", "2.0.1"),
        ("true", True), ("false", False), ("null", None),
        ("17", 17), ("-3", -3), ("0", 0), ("1.5", 1.5), ("1e3", 1000.0),
        ("'17'", "17"), ('"true"', "true"), ('""', ""),
    ],
)  # fmt: skip
def test_a_word_means_what_json_says(written, meant):
    value = value_of(f"key: {written}\n")["key"]
    assert value == meant
    assert type(value) is type(meant)


def test_an_unquoted_serial_number_is_refused_and_not_rounded():
    assert mistakes_of("ok: 1\niccid: 89310410106543789301\n") == [
        (2, "/iccid", "89310410106543789301 is too long a number to be exact; put it in quotes")
    ]
    assert value_of("iccid: '89310410106543789301'") == {"iccid": "89310410106543789301"}


def test_a_key_written_twice_is_refused_with_both_lines():
    assert mistakes_of("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n") == [
        (4, "/b/c", "key 'c' stands here again; first in line 3"),
        (5, "/a", "key 'a' stands here again; first in line 1"),
    ]


def test_the_same_key_in_two_objects_is_fine():
    assert value_of("a: {c: 1}\nb: {c: 2}\n") == {"a": {"c": 1}, "b": {"c": 2}}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: &x 1\n", 1, "anchors"),
        ("b: 1\na: !!str 1\n", 2, "tags"),
        ("a:\n", 1, "nothing stands here"),
        ("[1]: 2\n", 1, "a key has to be text"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1e999\n", 1, "too large"),
        ("a: 1\nb: [\n", 3, "is not YAML"),
        ("a: b: c\n", 1, "is not YAML"),
        ("a: 1\nb: \x01\n", 2, "is not YAML"),
        ("[" * 60 + "]" * 60, 1, "nested deeper"),
    ],
)
def test_what_json_has_no_room_for_is_refused_with_its_line(text, line, word):
    (mistake,) = parse(text, "a.yaml").mistakes
    assert mistake.line == line
    assert word in mistake.what
    assert str(mistake).startswith(f"a.yaml:{line}: ")


def test_an_alias_is_refused_and_not_followed():
    assert [line for line, _, _ in mistakes_of("a: &x [1]\nb: *x\n")] == [1, 2]


def test_an_empty_file_says_so():
    assert mistakes_of("") == [(None, "", "is empty")]
    assert mistakes_of("# only a remark\n") == [(None, "", "is empty")]


def test_everything_has_its_line():
    document = parse("a: 1\nb:\n  - x\n  - c: 2\n    'd/e': 3\n", "a.yaml")
    lines = {pointer: document.line_of(pointer) for pointer in ("", "/a", "/b", "/b/1", "/b/1/c", "/b/1/d~1e")}
    assert lines == {"": 1, "/a": 1, "/b": 2, "/b/1": 4, "/b/1/c": 4, "/b/1/d~1e": 5}
    assert document.line_of("/b/1/missing/deeper") == 4


@given(st.text())
def test_any_text_is_a_document_or_a_list_of_mistakes(text):
    document = parse(text, "a.yaml")
    assert document.mistakes or document.lines
