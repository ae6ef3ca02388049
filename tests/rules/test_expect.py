"""What a rule may expect of a field."""

import pytest

from ocpp_proxy.rules.expect import ABSENT, OPERATORS, in_words, lookup, state_of, tokens_of


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", {"a": [{"b/c": 1, "~": 2}], "": 3}),
        ("/a/0/b~1c", 1),
        ("/a/0/~0", 2),
        ("/", 3),
        ("/a/1", ABSENT),
        ("/a/-1", ABSENT),
        ("/a/²", ABSENT),
        ("/a/0/b~1c/deeper", ABSENT),
        ("/missing", ABSENT),
    ],
)
def test_a_pointer_leads_to_a_value_or_to_nothing(pointer, value):
    assert lookup({"a": [{"b/c": 1, "~": 2}], "": 3}, tokens_of(pointer)) == value


def met(operator, argument=None):
    values = {"absent": ABSENT, "null": None, "empty": "", "blank": " \t", "text": "A", "zero": 0, "false": False,
              "one": 1, "list": []}
    test = OPERATORS[operator][0](argument)
    return {name for name, value in values.items() if test(value)}


@pytest.mark.parametrize(
    ("operator", "argument", "satisfied"),
    [
        ("present", None, {"empty", "blank", "text", "zero", "false", "one", "list"}),
        ("absent", None, {"absent"}),
        ("not_blank", None, {"text", "zero", "false", "one", "list"}),
        ("equals", 1, {"absent", "one"}),
        ("equals", True, {"absent"}),
        ("one_of", ["A", 0], {"absent", "text", "zero"}),
        ("none_of", ["A", 0], {"absent", "null", "empty", "blank", "false", "one", "list"}),
        ("matches", "[A-Z]", {"absent", "null", "text", "zero", "false", "one", "list"}),
    ],
)
def test_an_operator_is_met_by_these_and_no_others(operator, argument, satisfied):
    assert met(operator, argument) == satisfied


def test_an_expression_has_to_match_the_whole_text():
    test = OPERATORS["matches"][0]("[0-9]{2}")
    assert test("12")
    assert not test("123")
    assert not test("12\n")


@pytest.mark.parametrize(
    ("value", "state"),
    [(ABSENT, "absent"), (None, "null"), ("", "empty"), ("  ", "blank"), ("x", "present"), (0, "present")],
)
def test_a_field_is_in_one_of_five_states(value, state):
    assert state_of(value) == state


def test_an_expectation_reads_as_a_phrase():
    assert in_words("one_of", ["A", "B"]) == "one of A, B"
    assert in_words("not_blank", None) == "a text that is not blank"
