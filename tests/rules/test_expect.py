"""What a rule may expect of a field."""

import pytest

from ocpp_proxy.rules.expect import ABSENT, OPERATORS, condition, in_words, lookup, lookup_all, state_of, tokens_of
from ocpp_proxy.rules.model import Expectation


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
        ("at_least", 1, {"absent", "null", "empty", "blank", "text", "false", "one", "list"}),
        ("at_most", 0, {"absent", "null", "empty", "blank", "text", "zero", "false", "list"}),
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


def test_a_wildcard_leads_to_every_item():
    payload = {"a": [{"b": 1}, {}, {"b": [2, 3]}]}
    assert list(lookup_all(payload, tokens_of("/a/*/b"))) == [("/a/0/b", 1), ("/a/1/b", ABSENT), ("/a/2/b", [2, 3])]
    assert list(lookup_all(payload, tokens_of("/a/*/b/*"))) == [("/a/2/b/0", 2), ("/a/2/b/1", 3)]
    assert list(lookup_all(payload, tokens_of("/x/*"))) == []


@pytest.mark.parametrize(("operator", "left", "right", "met"), [
    ("same_as", 1, 1, True), ("same_as", 1, 2, False), ("same_as", 1, True, False), ("same_as", ABSENT, 2, True),
    ("same_as", 1, ABSENT, True), ("not_same_as", 1, 1, False), ("not_same_as", 1, 2, True)])
def test_two_fields_may_be_compared(operator, left, right, met):
    holds = condition(Expectation("response", "/x", operator, "request/y"))
    parts = ({} if right is ABSENT else {"y": right}, {} if left is ABSENT else {"x": left}, ABSENT)
    assert holds(parts) is met


def test_a_demanding_condition_wants_the_field_there():
    for operator, argument, met in (("equals", 1, False), ("absent", None, True), ("none_of", [1], False)):
        expectation = Expectation("request", "/x", operator, argument)
        assert condition(expectation)(({}, ABSENT, ABSENT)) is True
        assert condition(expectation, demanding=True)(({}, ABSENT, ABSENT)) is met
    assert condition(Expectation("response", "/x", "absent"))(({}, ABSENT, ABSENT)) is False
    assert condition(Expectation("request", "/x/*", "equals", 2))(({"x": [1, 2]}, ABSENT, ABSENT)) is True
