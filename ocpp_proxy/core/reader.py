"""Bytes of one WebSocket message become a frame: the only parser there is.

Decides what a message says, exactly, and what is wrong with its framing. Refuses to know the version and the sender
(`regularity`) and what a payload must hold (`schema`). Never raises, whatever the bytes; a frame is `Malformed` only
where its type or its message id cannot be read, so that a defective Call still pairs with its answer.

Three ways lead to a frame. The fast one is taken where it is proven equal to the exact one: what orjson read, written
again, gives the same bytes but for white space. Both texts then have the same tokens, since white space never parts two
tokens that could be one; so no duplicate key was dropped, no number changed its spelling, no escape was involved. What
that does not prove goes through the standard library with hooks, and what is defective through `scan`.

Source: OCPP-J 1.6 sections 4.1 and 4.2; OCPP 2.0.1 and 2.1 Part 4 chapter 4; RFC 8259.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from ocpp_proxy.core.defects import DEFECTS as DEFECTS
from ocpp_proxy.core.frame import Call, CallError, CallResult, CallResultError, Defect, Frame, Malformed, Send
from ocpp_proxy.core.scan import DEPTH_MAX, Node, Scan, begin, number, plain, scan, skip_padding

ID_LENGTH_MAX = 36
ARITY = {2: 4, 3: 3, 4: 5, 5: 5, 6: 4}

_SPACES = b" \t\r\n"
_BINARY = (Defect("binary-opcode", "sent as a binary message; OCPP-J messages are text"),)


def read(raw: bytes, *, binary: bool = False) -> Frame:
    """The frame that a message's payload is. `binary`: it came with the binary opcode."""
    defects = _BINARY if binary else ()
    try:
        document = orjson.loads(raw)
        again = orjson.dumps(document)
    except (ValueError, TypeError):  # orjson's errors when reading and when writing
        return _read_exactly(raw, defects)
    if again != raw and again.translate(None, b" ") != raw.translate(None, _SPACES):
        return _read_exactly(raw, defects)
    return _regular(raw, document, defects) or _read_patiently(raw, defects)


def _regular(raw: bytes, document: Any, defects: tuple[Defect, ...]) -> Frame | None:
    """The frame, if nothing is wrong with its elements."""
    if type(document) is not list or len(document) < 3:
        return None
    type_id, message_id = document[0], document[1]
    if (
        type(type_id) is not int
        or ARITY.get(type_id) != len(document)
        or type(message_id) is not str
        or not 0 < len(message_id) <= ID_LENGTH_MAX
    ):
        return None
    if type_id == 3:
        return CallResult(raw, defects, message_id, document[2]) if type(document[2]) is dict else None
    if type(document[2]) is not str:
        return None
    if type_id in (2, 6):
        kind = Call if type_id == 2 else Send
        return kind(raw, defects, message_id, document[2], document[3]) if type(document[3]) is dict else None
    if type(document[3]) is not str or type(document[4]) is not dict:
        return None
    return (CallError if type_id == 4 else CallResultError)(raw, defects, message_id, *document[2:])


class _DoubtError(ValueError):
    """The standard library would read this, but not in a way that JSON defines."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DoubtError("duplicate key")
    return value


def _constant(word: str) -> NoReturn:
    raise _DoubtError(word)


def _number(text: str, *, integer: bool) -> int | float | Decimal:
    value = number(text, integer=integer)
    if value is None:
        raise _DoubtError("number out of range")
    return value


_EXACT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=lambda text: _number(text, integer=False),
    parse_int=lambda text: _number(text, integer=True),
    parse_constant=_constant,
)
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_IN_QUOTES = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def _read_exactly(raw: bytes, defects: tuple[Defect, ...]) -> Frame:
    try:
        if _too_deep(raw) or _HALF_PAIR.search(raw):
            return _read_patiently(raw, defects)
        document = _EXACT.decode(raw.decode())
    except (ValueError, RecursionError):
        return _read_patiently(raw, defects)
    return _regular(raw, document, defects) or _read_patiently(raw, defects)


def _too_deep(raw: bytes) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return False
    brackets = _IN_QUOTES.sub(b"", raw).translate(None, _NO_BRACKETS)
    depth = 0
    for byte in brackets.replace(b"{}", b"").replace(b"[]", b""):  # pairs without content are many and go no deeper
        depth += 1 if byte in b"[{" else -1
        if depth > _DEPTH_WITHOUT_PAIRS:
            return True
    return False


_DEPTH_WITHOUT_PAIRS = DEPTH_MAX - 2  # what was taken out reached at most two levels further
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

def _read_patiently(raw: bytes, defects: tuple[Defect, ...]) -> Frame:
    """The way of everything defective: what is wrong, where, and what can be read all the same."""
    found = list(defects)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        found.append(Defect("not-utf8", f"byte 0x{raw[error.start]:02X} is not UTF-8", error.start))
        text = raw.decode(errors="surrogateescape")
    start, before = begin(text)
    try:
        read_on = scan(text, start)
        _ending(text, read_on)
        return _Elements(raw, text, read_on, found + before).frame()
    except RecursionError:  # only where our own caller is deep down already
        return Malformed(raw, (*found, Defect("too-deep", "nested too deep to be read here")))


def _ending(text: str, read_on: Scan) -> None:
    """Note what stands behind the value."""
    if read_on.broken:
        return
    end = skip_padding(text, read_on.end)
    if end < len(text):
        read_on.defects.append(Defect("trailing-data", f"{text[end : end + 20]!a} behind the message", end))
    elif "\0" in text[read_on.end :]:
        read_on.defects.append(Defect("nul", "NUL behind the message", text.index("\0", read_on.end)))


def _in_bytes(defects: list[Defect], text: str) -> list[Defect]:
    """The same defects, with positions in bytes instead of characters; each character is looked at once."""
    offsets: dict[int, int] = {}
    character = byte = 0
    for position in sorted({defect.position or 0 for defect in defects}):
        byte += len(text[character:position].encode(errors="surrogateescape"))
        character = position
        offsets[position] = byte
    return [Defect(defect.code, defect.message, offsets[defect.position or 0], defect.pointer) for defect in defects]


class _Elements:
    """Makes a frame of the elements that could be read, and names each that is not as it must be."""

    def __init__(self, raw: bytes, text: str, read_on: Scan, defects: list[Defect]) -> None:
        self.raw = raw
        self.text = text
        self.broken = read_on.broken
        self.root = read_on.node
        self.nodes: list[Node] = read_on.node.value if read_on.node and read_on.node.kind == "array" else []
        self.defects = defects + _in_bytes(read_on.defects, text)

    def note(self, code: str, message: str, index: int | None = None) -> None:
        if index is None:
            self.defects.append(Defect(code, message))
        else:
            self.defects += _in_bytes([Defect(code, message, self.nodes[index].start, f"/{index}")], self.text)

    def frame(self) -> Frame:
        type_id, message_id = self.type_id(), None
        if type_id is not None:
            message_id = self.message_id()
        if type_id is None or message_id is None:
            return Malformed(self.raw, tuple(self.defects))
        if type_id not in ARITY:
            self.note("type-unknown", f"message type {type_id} is none of 2 to 6", 0)
            return Malformed(self.raw, tuple(self.defects))
        if not self.broken and len(self.nodes) != ARITY[type_id]:
            self.note("arity", f"{len(self.nodes)} elements; a message of type {type_id} has {ARITY[type_id]}")
        if type_id == 3:
            payload = self.payload(2)
            return CallResult(self.raw, tuple(self.defects), message_id, payload)
        if type_id in (2, 6):
            action, payload = self.string(2, "action-not-string", "the action"), self.payload(3)
            return (Call if type_id == 2 else Send)(self.raw, tuple(self.defects), message_id, action or "", payload)
        code = self.string(2, "error-code-not-string", "the error code")
        description = self.string(3, "error-description-not-string", "the error description")
        details = self.details()
        kind = CallError if type_id == 4 else CallResultError
        return kind(self.raw, tuple(self.defects), message_id, code or "", description, details)

    def type_id(self) -> int | None:
        if self.root is None or self.root.kind != "array":
            if not self.broken:
                self.note("not-array", "the message is no JSON array")
            return None
        if not self.nodes:
            if not self.broken:
                self.note("arity", "0 elements; the shortest message has 3")
            return None
        value = self.nodes[0].value
        if self.nodes[0].kind == "number" and isinstance(value, int):
            return value
        self.note("type-id-not-integer", f"the message type is {self.spelling(0)}, not an integer", 0)
        if self.nodes[0].kind in ("number", "string"):
            return next((type_id for type_id in ARITY if value in (type_id, str(type_id))), None)
        return None

    def message_id(self) -> str | None:
        if len(self.nodes) < 2:
            if not self.broken:
                self.note("arity", "1 element; the shortest message has 3")
            return None
        node = self.nodes[1]
        if node.kind != "string":
            self.note("id-not-string", f"the message id is {self.spelling(1)}, not a string", 1)
            return self.spelling(1) if node.kind == "number" else None
        value: str = node.value
        if not value:
            self.note("id-empty", "the message id is empty", 1)
        elif len(value) > ID_LENGTH_MAX:
            self.note("id-too-long", f"the message id has {len(value)} characters; {ID_LENGTH_MAX} are allowed", 1)
        return value

    def string(self, index: int, code: str, what: str) -> Any:
        """The element as it is, "" or another value where it should have been a string; None where there is none."""
        if index >= len(self.nodes):
            return None
        if self.nodes[index].kind != "string":
            self.note(code, f"{what} is {self.spelling(index)}, not a string", index)
            return plain(self.nodes[index]) if index == 3 else ""
        return self.nodes[index].value

    def payload(self, index: int) -> Any:
        if index >= len(self.nodes):
            return None
        value = plain(self.nodes[index])
        if value is None and self.spelling(index) == "null":
            self.note("payload-null", "the payload is null", index)
        elif not isinstance(value, dict):
            self.note("payload-not-object", f"the payload is {self.spelling(index)}, not an object", index)
        return value

    def details(self) -> Any:
        if len(self.nodes) < 5:
            return None
        if self.nodes[4].kind != "object":
            self.note("error-details-not-object", f"the error details are {self.spelling(4)}, not an object", 4)
        return plain(self.nodes[4])

    def spelling(self, index: int) -> str:
        node = self.nodes[index]
        source = self.text[node.start : node.end].encode(errors="replace").decode()
        return source if len(source) <= 40 else source[:39] + "…"
