"""Text from peers, made fit for a terminal.

Decides how a string that a station or a CSMS chose appears on the engineer's screen: as it was sent, but never longer
than asked for, never on more than one line, and with every character that a terminal would obey instead of show
(control codes, escape sequences, bidirectional overrides, invisible and unassigned characters) spelled out. Refuses
to know what the text means.

Source: Unicode UAX #9 (bidirectional controls), UAX #44 (general categories); ECMA-48 (control functions).
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Any

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x00": "\\0"}
_MARKS_IN_A_ROW = 2  # more combining marks on one letter would paint over the neighbouring lines
_BITS_SHOWN = 128


def safe(text: str, limit: int = 60) -> str:
    """`text` with at most `limit` of its characters, harmless characters as they are, the others escaped."""
    if len(text) > limit:
        text = text[: max(limit - 1, 0)] + ELLIPSIS
    if text.isprintable() and text.isascii():
        return text
    return _escape(text)


def _escape(text: str) -> str:
    shown: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        shown.append(char if char.isprintable() and marks <= _MARKS_IN_A_ROW else _spelled(char))
    return "".join(shown)


def _spelled(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def scalar(value: Any, limit: int = 60) -> str:
    """A JSON value in brief: strings and numbers as sent, collections as their size."""
    if isinstance(value, str):
        return safe(value, limit)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return safe(str(value), limit) if value.bit_length() <= _BITS_SHOWN else "(huge number)"
    if isinstance(value, float | Decimal):
        return safe(str(value), limit)
    if isinstance(value, list):
        return "[]" if not value else f"[{len(value)}]"
    if isinstance(value, dict):
        return "{}" if not value else f"{{{len(value)}}}"
    return safe(type(value).__name__, limit)


def width_of(text: str) -> int:
    """The terminal cells that `text` takes."""
    return len(text) if text.isascii() else _cells(text)


_cells = lru_cache(4096)(cell_len)


def fit(text: str, cells: int) -> str:
    """`text`, cut at its end to at most `cells` cells."""
    if width_of(text) <= cells:
        return text
    if cells <= 1:
        return ELLIPSIS[:cells]
    return set_cell_size(text, cells - 1).rstrip(" " + ELLIPSIS) + ELLIPSIS


def fit_middle(text: str, cells: int) -> str:
    """`text`, cut in its middle to at most `cells` cells: both ends of an identity tell stations apart."""
    if width_of(text) <= cells:
        return text
    if cells < 5:
        return fit(text, cells)
    head = (cells - 1) // 2
    tail = text[-(cells - 1 - head):]
    while width_of(tail) > cells - 1 - head:
        tail = tail[1:]
    return set_cell_size(text, head).rstrip() + ELLIPSIS + tail
