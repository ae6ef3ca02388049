"""What a rule may expect of a field.

Decides when a value meets an expectation. Refuses to judge what is not there: but for `present`, `absent` and
`not_blank`, an absent field meets every expectation; whether it may be absent is another question.

Source: RFC 6901 (JSON Pointer).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Test: TypeAlias = Callable[[Any], bool]

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
    return lambda value: value is ABSENT or any(_same(value, one) for one in allowed)


def _none_of(forbidden: list[Any]) -> Test:
    return lambda value: not any(_same(value, one) for one in forbidden)


def _matches(pattern: str) -> Test:
    fullmatch = re.compile(pattern).fullmatch
    return lambda value: not isinstance(value, str) or fullmatch(value[:LONGEST_MATCHED]) is not None


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
}


def in_words(operator: str, argument: Any) -> str:
    """The expectation as a phrase."""
    shown = ", ".join(map(str, argument)) if isinstance(argument, list) else str(argument)
    return OPERATORS[operator][1].format(shown)
