"""Numbers as options take them."""

from __future__ import annotations

import math
from typing import Any

import click


class Quantity(click.FloatRange):
    """More than 0 (or 0, too), and a number: not inf, and not nan, which is neither more nor less than anything."""

    def __init__(self, most: float | None = None, *, zero: bool = False) -> None:
        super().__init__(0, most, min_open=not zero)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number in the range {self._describe_range()}.", param, ctx)
        return number
