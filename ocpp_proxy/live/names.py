"""A station's name for people, beside its identity.

Decides how the two share the room that there is: the identity comes first and is cut only where it alone is too long.
Refuses to know where names come from, and to put one in the identity's place.

Source: own decision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ocpp_proxy.live.safe import fit, fit_middle, safe, width_of

# The name of an identity, None where it has none.
Names: TypeAlias = Callable[[str], str | None]

_IDENTITY_LETTERS = 64
_NAME_LETTERS = 40
_NAME_CELLS = 6  # less would say nothing


def nameless(_: str) -> str | None:
    """Nobody has a name."""
    return None


def label(identity: str, names: Names, cells: int) -> str:
    """Identity and name in at most `cells` cells; where that is too narrow for both, the identity. That one has no
    spaces, so that no station can pass for another with a name, or for another line."""
    shown = fit_middle(safe(identity, _IDENTITY_LETTERS).replace(" ", "_"), cells)
    name = names(identity)
    room = cells - width_of(shown) - 1
    if name is None or (room < _NAME_CELLS and room < width_of(safe(name, _NAME_LETTERS))):
        return shown
    return f"{shown} {fit(safe(name, _NAME_LETTERS), room)}"


def word(identity: str, names: Names) -> str:
    """Identity and name as one word without spaces, for lines that are taken apart at them."""
    name = names(identity)
    said = safe(identity, _IDENTITY_LETTERS) + (f"({safe(name, _NAME_LETTERS)})" if name is not None else "")
    return "_".join(said.split())
