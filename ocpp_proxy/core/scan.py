"""JSON text as a tree that remembers where everything stood, read on past what a parser would stop at.

Decides what is wrong with a text and where, and what of it is readable all the same. It is the slow and patient way,
for texts known to be defective (`reader`) or to hold a secret (`redact`); it refuses to know what an OCPP frame is.

Source: RFC 8259 (JSON), RFC 6901 (JSON Pointer).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from json.decoder import (  # type: ignore[attr-defined]  # typeshed leaves scanstring out
    JSONDecodeError,
    scanstring,
)
from typing import Any, Literal, TypeAlias

import orjson

from ocpp_proxy.core.frame import Defect

Kind: TypeAlias = Literal["object", "array", "string", "number", "other"]

DEPTH_MAX = 254  # what orjson writes and jsonschema-rs reads; the deepest OCPP payload has about ten levels
VALUES_MAX = 50_000  # a defective frame that claims more than this is not worth the relay's time
DEFECTS_MAX = 100  # of one text; who reads the first hundred has understood

_SPACE = re.compile(r"[ \t\r\n]*")
_PADDING = re.compile("[ \t\r\n\0]*")
_HEAD = re.compile(r'\[[ \t\r\n]{0,8}"?[2-6](?:\.0)?"?[ \t\r\n]{0,8},[ \t\r\n]{0,8}["0-9]')
_HEAD_WITHIN = 1024
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?(?:nan(?:\([a-z]*\))?|inf(?:inity)?)\b", re.IGNORECASE)
_LITERALS = {"true": True, "false": False, "null": None}
_CONTROL = re.compile(r"[\x00-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT_DIGITS_MAX = 300  # far beyond any use, far below what int() refuses


@dataclass(slots=True)
class Node:
    """A value in the text, from character `start` up to `end`. `value`: the decoded scalar; the list of (key, value)
    nodes of an object, duplicates included; the list of nodes of an array. `whole`: False where the text broke off."""

    kind: Kind
    start: int
    end: int
    value: Any
    whole: bool = True


@dataclass(slots=True)
class Scan:
    """What was found: the first value, None where not even that could be read, the offset where reading stopped, and
    the defects with positions in characters. `broken`: it stopped at an error, which is the last defect."""

    node: Node | None = None
    end: int = 0
    defects: list[Defect] = field(default_factory=list)
    broken: bool = False


class _BrokenError(Exception):
    """Reading cannot go on behind this position."""

    def __init__(self, code: str, message: str, position: int) -> None:
        self.code, self.message, self.position = code, message, position


def number(text: str, *, integer: bool) -> int | float | Decimal | None:
    """A JSON number, exactly: a float only where its shortest spelling is the text. None beyond Decimal's range."""
    if integer and len(text) <= _INT_DIGITS_MAX:
        return int(text)
    if not integer:
        value = float(text)
        if orjson.dumps(value) == text.encode():
            return value
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def escape(token: str) -> str:
    """One reference token of a JSON Pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def plain(node: Node) -> Any:
    """The node as a plain value; the last of duplicate keys counts, as with most parsers."""
    if node.kind == "object":
        return {key.value: plain(value) for key, value in node.value}
    if node.kind == "array":
        return [plain(value) for value in node.value]
    return node.value


def begin(text: str) -> tuple[int, list[Defect]]:
    """Where a message's array begins, past a byte order mark, NULs and what else was put before it, and which of these
    there were."""
    found: list[Defect] = []
    start = 0
    if text.startswith("\ufeff"):
        found.append(Defect("bom", "begins with a byte order mark", 0))
        start = 1
    end = skip_padding(text, start)
    if (nul := text.find("\0", start, end)) >= 0:
        found.append(Defect("nul", "NUL before the message", nul))
    if text[end : end + 1] not in ("[", "{", '"', "") and (head := _HEAD.search(text, end, end + _HEAD_WITHIN)):
        found.append(Defect("leading-data", f"{text[end : head.start()][:20]!a} before the message", end))
        end = head.start()
    return end, found


def skip_padding(text: str, at: int) -> int:
    """Past white space and NULs."""
    match = _PADDING.match(text, at)
    return match.end() if match else at


def scan(text: str, start: int = 0) -> Scan:
    """Read the value that begins at or behind `start`. Never raises."""
    found = Scan()
    scanner = _Scanner(text, found.defects)
    try:
        found.node, found.end = scanner.value(scanner.skip(start), "", 0)
    except _BrokenError as broken:
        found.defects.append(Defect(broken.code, broken.message, broken.position))
        found.node, found.end, found.broken = scanner.root, broken.position, True
    return found


def walk(node: Node, pointer: str = "") -> Iterator[tuple[str, Node]]:
    """The node and all below it, each with its pointer, in the order of the text."""
    yield pointer, node
    if node.kind == "object":
        for key, value in node.value:
            yield from walk(value, f"{pointer}/{escape(key.value)}")
    elif node.kind == "array":
        for index, value in enumerate(node.value):
            yield from walk(value, f"{pointer}/{index}")


class _Scanner:
    """Recursive descent; the outermost container is kept, so that what was read before an error is not lost."""

    def __init__(self, text: str, defects: list[Defect]) -> None:
        self.text = text
        self.defects = defects
        self.count = 0
        self.root: Node | None = None

    def skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def value(self, at: int, pointer: str, depth: int) -> tuple[Node, int]:
        self.count += 1
        if self.count > VALUES_MAX:
            raise _BrokenError("too-complex", f"defective, and more than {VALUES_MAX} values", at)
        char = self.text[at : at + 1]
        if char == '"':
            node = self.string(at, pointer)
        elif char == "{":
            node = self.object(at, pointer, depth + 1)
        elif char == "[":
            node = self.array(at, pointer, depth + 1)
        else:
            node = self.scalar(at, pointer)
        return node, node.end

    def string(self, at: int, pointer: str) -> Node:
        try:
            value, end = scanstring(self.text, at + 1, False)
        except JSONDecodeError as error:
            raise _BrokenError("not-json", f"{error.msg[:1].lower()}{error.msg[1:]}", error.pos) from None
        source = self.text[at:end]
        if control := _CONTROL.search(source):
            code = "nul" if control[0] == "\0" else "control-character"
            self.note(code, f"control character U+{ord(control[0]):04X} in a string", at + control.start(), pointer)
        if _SURROGATE.search(value):
            if len(_SURROGATE.findall(value)) > len(_SURROGATE.findall(source)):
                self.note("lone-surrogate", "half of a surrogate pair stands alone in a string", at, pointer)
            value = _SURROGATE.sub("\ufffd", value)
        return Node("string", at, end, value)

    def scalar(self, at: int, pointer: str) -> Node:
        if match := _NUMBER.match(self.text, at):
            value = number(match[0], integer=match[1] is None and match[2] is None)
            if value is None:
                self.note("number-range", "a number with an exponent beyond every range", at, pointer)
            return Node("number", at, match.end(), value)
        for word, meaning in _LITERALS.items():
            if self.text.startswith(word, at):
                return Node("other", at, at + len(word), meaning)
        if match := _NOT_A_NUMBER.match(self.text, at):
            self.note("nan", f"{match[0]} is no JSON number", at, pointer)
            return Node("other", at, match.end(), None)
        raise _BrokenError("not-json", self.unexpected("a value", at), at)

    def array(self, at: int, pointer: str, depth: int) -> Node:
        items: list[Node] = []
        node = self.opened("array", at, items, depth)
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "]":
            return self.closed(node, at)
        while True:
            item, at = self.value(at, f"{pointer}/{len(items)}", depth)
            items.append(item)
            at = self.skip(at)
            if self.text[at : at + 1] == "]":
                return self.closed(node, at)
            at = self.comma(at, "]")

    def object(self, at: int, pointer: str, depth: int) -> Node:
        members: list[tuple[Node, Node]] = []
        names: set[str] = set()
        node = self.opened("object", at, members, depth)
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "}":
            return self.closed(node, at)
        while True:
            if self.text[at : at + 1] != '"':
                raise _BrokenError("not-json", self.unexpected("a key in double quotes", at), at)
            key = self.string(at, pointer)
            below = f"{pointer}/{escape(key.value)}"
            if key.value in names:
                self.note("duplicate-key", f'the key "{key.value}" appears twice in one object', at, below)
            names.add(key.value)
            at = self.skip(key.end)
            if self.text[at : at + 1] != ":":
                raise _BrokenError("not-json", self.unexpected("':'", at), at)
            value, at = self.value(self.skip(at + 1), below, depth)
            members.append((key, value))
            at = self.skip(at)
            if self.text[at : at + 1] == "}":
                return self.closed(node, at)
            at = self.comma(at, "}")

    def opened(self, kind: Kind, at: int, value: list[Any], depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise _BrokenError("too-deep", f"nested more than {DEPTH_MAX} levels deep", at)
        node = Node(kind, at, len(self.text), value, whole=False)
        if self.root is None:
            self.root = node
        return node

    def closed(self, node: Node, at: int) -> Node:
        node.end, node.whole = at + 1, True
        return node

    def comma(self, at: int, closing: str) -> int:
        if self.text[at : at + 1] != ",":
            raise _BrokenError("not-json", self.unexpected(f"',' or '{closing}'", at), at)
        return self.skip(at + 1)

    def unexpected(self, expected: str, at: int) -> str:
        seen = self.text[at : at + 1]
        return f"expected {expected}, found {seen!a}" if seen else f"expected {expected}, but the text ends"

    def note(self, code: str, message: str, at: int, pointer: str) -> None:
        if len(self.defects) < DEFECTS_MAX:
            self.defects.append(Defect(code, message, at, pointer))
