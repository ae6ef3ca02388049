"""Reads YAML with the scalars of JSON.

Decides what a plain word in a file means: `null`, `true`, `false` and numbers as JSON writes them, and text for
everything else, so that `on` stays a word and a date stays text. Refuses whatever JSON has no room for (anchors,
aliases, tags, further documents), duplicate keys, values left out, and whole numbers beyond 2^53, which are serial
numbers that want quotes. Every mistake is reported with its line; refuses to know what the file is about.

Source: RFC 8259 sections 3 and 6; YAML 1.2.2 chapter 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isinf
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser is ten times as fast
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_WORDS = {"null": None, "true": True, "false": False}
_EXACT = 2**53 - 1
_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a user's file. `line` counts from 1; `pointer` is a JSON Pointer, "" the whole document."""

    path: str
    line: int | None
    pointer: str
    what: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.pointer}: {self.what}" if self.pointer else f"{place}: {self.what}"


@dataclass(frozen=True, slots=True)
class Document:
    """`value` is None where `mistakes` left nothing to read; `lines` maps JSON Pointers to lines from 1."""

    path: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    def line_of(self, pointer: str) -> int | None:
        """The line of what `pointer` names, or of the nearest thing around it."""
        while pointer not in self.lines and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer)

    def mistake(self, pointer: str, what: str) -> Mistake:
        """A mistake at `pointer`."""
        return Mistake(self.path, self.line_of(pointer), pointer, what)


def parse(text: str, path: str) -> Document:
    """The document in `text`; `path` is only named in mistakes. Never raises for what the text holds."""
    reader = _Reader(path)
    try:
        value = reader.document(iter(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        return Document(path, None, {}, (Mistake(path, line, "", f"is not YAML: {error.problem or error.context}"),))
    except yaml.YAMLError as error:  # a character that YAML forbids
        return Document(path, None, {}, (Mistake(path, _line_at(text, error), "", f"is not YAML: {_brief(error)}"),))
    return Document(path, value, reader.lines, tuple(reader.mistakes))


def escape(key: str) -> str:
    """One token of a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class _Reader:
    """Builds values from the parser's events; PyYAML's own constructor would lose lines and duplicate keys."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: dict[str, int] = {}
        self.mistakes: list[Mistake] = []

    def document(self, events: Iterator[Any]) -> Any:
        value, seen = None, False
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    self._wrong(event, "", "a second document starts here; one file holds one")
                    break
                seen = True
                value = self._value(next(events), events, "", 0)
        if not seen:
            self.mistakes.append(Mistake(self.path, None, "", "is empty"))
        return value

    def _value(self, event: Any, events: Iterator[Any], pointer: str, depth: int) -> Any:
        self.lines[pointer] = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            self._wrong(event, pointer, f"aliases (*{event.anchor}) are not supported; write the value out")
            return None
        if event.anchor is not None:
            self._wrong(event, pointer, f"anchors (&{event.anchor}) are not supported")
        if event.tag not in (None, "!"):
            self._wrong(event, pointer, f"tags ({event.tag}) are not supported")
        if depth > _DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {_DEPTH}", problem_mark=event.start_mark)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, pointer, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, pointer, depth)
        return self._scalar(event, pointer)

    def _mapping(self, events: Iterator[Any], pointer: str, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, pointer, depth)
            place = f"{pointer}/{escape(key)}"
            first = self.lines.get(place)
            value = self._value(next(events), events, place, depth + 1)
            if key in mapping:
                self._wrong(event, place, f"key {key!r} stands here again; first in line {first}")
            mapping[key] = value
            self.lines[place] = event.start_mark.line + 1
        return mapping

    def _key(self, event: Any, events: Iterator[Any], pointer: str, depth: int) -> str:
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        self._wrong(event, pointer, "a key has to be text")
        self._value(event, events, pointer, depth + 1)
        return "?"

    def _sequence(self, events: Iterator[Any], pointer: str, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, events, f"{pointer}/{len(items)}", depth + 1))
        return items

    def _scalar(self, event: Any, pointer: str) -> Any:
        text: str = event.value
        if event.style:  # quoted or a block: text
            return text
        if not text:
            self._wrong(event, pointer, 'nothing stands here; write null, or "" for an empty text')
            return None
        if text in _WORDS:
            return _WORDS[text]
        number = _NUMBER.match(text)
        if number is None:
            return text
        if number[2] or number[3]:
            return self._decimal(event, pointer)
        if len(text) > 20 or abs(int(text)) > _EXACT:
            self._wrong(event, pointer, f"{text[:30]} is too long a number to be exact; put it in quotes")
            return text
        return int(text)

    def _decimal(self, event: Any, pointer: str) -> float:
        value = float(event.value)
        if isinf(value):
            self._wrong(event, pointer, f"{event.value[:30]} is too large a number")
        return value

    def _wrong(self, event: Any, pointer: str, what: str) -> None:
        self.mistakes.append(Mistake(self.path, event.start_mark.line + 1, pointer, what))


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0].strip()


def _line_at(text: str, error: Exception) -> int | None:
    position = getattr(error, "position", None)
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else None
