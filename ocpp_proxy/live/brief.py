"""A few words about a frame, and what becomes of them where there is little room.

Decides which words go first: the fields that a row calls extra, then the length of the longest ones; what is short
says the most for its room. Refuses to know which fields there are (`salient`).

Source: own decision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ocpp_proxy.live.safe import ELLIPSIS, fit, width_of

READINGS = ": "  # what a field begins with that follows all others: the values of what they name
_LEAST_CELLS = 10
_ENOUGH_READINGS = 24
_LABEL = re.compile("^connector (?=[0-9]+$)")


@dataclass(frozen=True, slots=True)
class Brief:
    """`fields`: each salient field in words; `extra`: those that may go; `joint`: what is put between them;
    `notable`: worth a colour, e.g. a Rejected."""

    fields: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    joint: str = " "
    notable: bool = False

    @property
    def text(self) -> str:
        """All of it, whatever its length."""
        return self._join([*self.fields, *self.extra])

    def within(self, cells: int) -> str:
        """As much of it as `cells` cells hold."""
        fields = [*self.fields, *self.extra]
        excess = self._excess(fields, cells)
        if excess > 0 and any(field.startswith(READINGS) for field in fields):
            fields = _squeezed(_labelled(fields), self._excess(_labelled(fields), cells), _ENOUGH_READINGS)
        while (excess := self._excess(fields, cells)) > 0 and len(fields) > len(self.fields):
            fields.pop()
        if excess > 0:
            fields = _labelled(fields)
            fields = _squeezed(fields, self._excess(fields, cells), _LEAST_CELLS)
        return fit(self._join(fields), cells)

    def _excess(self, fields: list[str], cells: int) -> int:
        return width_of(self._join(fields)) - cells

    def _join(self, fields: list[str]) -> str:
        said = self.joint.join([field for field in fields if not field.startswith(READINGS)])
        read = "".join([field for field in fields if field.startswith(READINGS)])
        return said + read if said else read.removeprefix(READINGS)


def _labelled(fields: list[str]) -> list[str]:
    return [_LABEL.sub("conn ", field) for field in fields]


def _squeezed(fields: list[str], excess: int, least: int) -> list[str]:
    """The longest shortened, to `least` cells, until `excess` cells are gained or nothing long is left."""
    fields = list(fields)
    while excess > 0 and (longest := max(fields, key=width_of, default="")):
        width = width_of(longest)
        shorter = _shortened(longest, max(width - excess, least))
        if width_of(shorter) >= width:
            break
        fields[fields.index(longest)] = shorter
        excess -= width - width_of(shorter)
    return fields


def _shortened(field: str, cells: int) -> str:
    """Cut between the members of an enumeration where that loses little, else anywhere."""
    cut = fit(field, cells)
    comma = cut.rfind(", ")
    return cut[:comma] + ELLIPSIS if comma >= _LEAST_CELLS else cut
