"""Says a sentence about a station at once, and then only the tenth, hundredth, thousandth time.

Decides what is a repetition: the same words about the same station, until it got through. Refuses to know who listens.
A station that retries against a dead CSMS would else fill the terminal. Memory is bounded: the longest unheard of are
forgotten first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
STATIONS_MAX = 1024
SENTENCES_MAX = 16  # of one station


class Notices:
    """Everything goes to `on_notice`, in full or not at all."""

    def __init__(self, on_notice: Callable[[str], None]) -> None:
        self._on_notice = on_notice
        self._counts: dict[str, dict[str, int]] = {}

    def say(self, who: str, sentence: str, prefix: str = "") -> None:
        """`prefix` may differ from time to time."""
        counts = _renewed(self._counts, who, {}, STATIONS_MAX)
        count = counts[sentence] = _renewed(counts, sentence, 0, SENTENCES_MAX) + 1
        if count == 1:
            self._on_notice(prefix + sentence)
        elif _is_power_of_ten(count):
            self._on_notice(f"{prefix}{sentence} ({count} times now)")

    def forget(self, who: str) -> None:
        """It got through: the next trouble is news."""
        self._counts.pop(who, None)


def _renewed(kept: dict[str, Value], key: str, fresh: Value, limit: int) -> Value:
    """The value of a key, which becomes the youngest; where there are too many the oldest goes."""
    value = kept[key] = kept.pop(key, fresh)
    if len(kept) > limit:
        del kept[next(iter(kept))]
    return value


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
