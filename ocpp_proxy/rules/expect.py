"""What a rule may expect of a field.

Decides when a value meets an expectation. Refuses to judge what is not there: but for `present`, `absent` and
`not_blank`, an absent field meets every expectation; whether it may be absent is another question.

Source: RFC 6901 (JSON Pointer).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from ocpp_proxy.core.payload import numeral
from ocpp_proxy.rules.model import PARTS, Expectation

Test: TypeAlias = Callable[[Any], bool]

WILDCARD = "*"
LONGEST_MATCHED = 1000  # a user's regular expression sees no more of what a peer sent


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The reference tokens of a JSON Pointer."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def lookup(value: Any, tokens: tuple[str, ...]) -> Any:
    """What `tokens` lead to in a payload, or ABSENT."""
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token, ABSENT)
        elif isinstance(value, list) and token.isascii() and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return ABSENT
    return value


def lookup_all(value: Any, tokens: tuple[str, ...], pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Each place that `tokens` lead to, a `*` among them to every item of a list, with its pointer. Where a list on the
    way is missing or empty there is none; a field that is missing in an item of it is ABSENT."""
    for number, token in enumerate(tokens):
        if token == WILDCARD:
            for place, item in enumerate(value if isinstance(value, list) else ()):
                yield from lookup_all(item, tokens[number + 1 :], f"{pointer}/{place}")
            return
        value = lookup(value, (token,))
        pointer += f"/{token.replace('~', '~0').replace('/', '~1')}"
    yield pointer, value


def state_of(value: Any) -> str:
    """absent, null, empty, blank or present."""
    if value is ABSENT:
        return "absent"
    if value is None:
        return "null"
    if isinstance(value, str) and not value.strip():
        return "blank" if value else "empty"
    return "present"


def _present(_: Any) -> Test:
    return lambda value: value is not ABSENT and value is not None


def _absent(_: Any) -> Test:
    return lambda value: value is ABSENT


def _not_blank(_: Any) -> Test:
    return lambda value: bool(value.strip()) if isinstance(value, str) else value is not ABSENT and value is not None


def _one_of(allowed: list[Any]) -> Test:
    among = _among(allowed)
    return lambda value: value is ABSENT or among(value)


def _none_of(forbidden: list[Any]) -> Test:
    among = _among(forbidden)
    return lambda value: not among(value)


def _among(values: list[Any]) -> Test:
    texts = frozenset(one for one in values if isinstance(one, str))
    others = [one for one in values if not isinstance(one, str)]
    return lambda value: value in texts if isinstance(value, str) else any(_same(value, one) for one in others)


def _matches(pattern: str) -> Test:
    fullmatch = re.compile(pattern).fullmatch
    return lambda value: not isinstance(value, str) or fullmatch(value[:LONGEST_MATCHED]) is not None


def _at_least(limit: Any) -> Test:
    least = numeral(limit)
    return lambda value: (found := numeral(value)) is None or found >= least  # type: ignore[operator]


def _at_most(limit: Any) -> Test:
    most = numeral(limit)
    return lambda value: (found := numeral(value)) is None or found <= most  # type: ignore[operator]


def _anything(_: Any) -> Test:
    return lambda _: True


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)  # 1 is not true


# Name → what makes the test, and how the expectation reads in a sentence ({} its argument).
OPERATORS: dict[str, tuple[Callable[[Any], Test], str]] = {
    "present": (_present, "a value"),
    "absent": (_absent, "nothing"),
    "not_blank": (_not_blank, "a text that is not blank"),
    "equals": (lambda argument: _one_of([argument]), "{}"),
    "one_of": (_one_of, "one of {}"),
    "none_of": (_none_of, "anything but {}"),
    "matches": (_matches, "a text like {}"),
    "at_least": (_at_least, "at least {}"),
    "at_most": (_at_most, "at most {}"),
    "same_as": (_anything, "the same as in the {}"),
    "not_same_as": (_anything, "other than in the {}"),
}
_COMPARING = {"same_as": True, "not_same_as": False}


def comparison(operator: str, argument: Any) -> Callable[[Any, tuple[Any, Any, Any]], bool] | None:
    """For an operator that compares with another field ("request/connectorId"), what decides; else None. Where one of
    both is absent there is nothing to compare."""
    if operator not in _COMPARING:
        return None
    alike = _COMPARING[operator]
    part, _, pointer = argument.partition("/")
    index, tokens = PARTS.index(part), tokens_of(f"/{pointer}")

    def compare(value: Any, parts: tuple[Any, Any, Any]) -> bool:
        other = ABSENT if parts[index] is ABSENT else lookup(parts[index], tokens)
        return value is ABSENT or other is ABSENT or _same(value, other) is alike

    return compare


def in_words(operator: str, argument: Any) -> str:
    """The expectation as a phrase."""
    shown = ", ".join(map(str, argument)) if isinstance(argument, list) else str(argument)
    return OPERATORS[operator][1].format(shown)


def condition(expectation: Expectation, *, demanding: bool = False) -> Callable[[tuple[Any, Any, Any]], bool]:
    """Whether an expectation holds, of the parts of an exchange; not where its part is missing. `demanding`: a field
    that is absent meets nothing but `absent`."""
    index, tokens = PARTS.index(expectation.part), tokens_of(expectation.field)
    other = comparison(expectation.operator, expectation.argument)
    test = OPERATORS[expectation.operator][0](expectation.argument)
    may_lack, several = not demanding or expectation.operator == "absent", WILDCARD in tokens

    def meets(value: Any, parts: tuple[Any, Any, Any]) -> bool:
        if value is ABSENT and not may_lack:
            return False
        return test(value) if other is None else other(value, parts)

    def holds(parts: tuple[Any, Any, Any]) -> bool:
        part = parts[index]
        if part is ABSENT:
            return False
        if several:  # one of them is enough
            return any(meets(value, parts) for _, value in lookup_all(part, tokens))
        return meets(lookup(part, tokens), parts)

    return holds
