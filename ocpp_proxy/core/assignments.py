"""Makes a payload of words like `connectorId=1` and `idToken.type=Central`, with types taken from its schema.

Decides what a word means: a dotted key leads into objects, a number in it into a list; the value is read as what the
schema has there. Where that cannot be, the mistake names the field, what was expected and the nearest legal word.
Refuses to judge the payload as a whole (`schema`).

Source: the official schemas of each version (draft-04 and draft-06: type, enum, properties, items, $ref).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.nearest import nearest

Schema: TypeAlias = "Mapping[str, Any]"

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?")
_BOOLEANS = {"true": True, "false": False}
_ANYTHING: Schema = {}
_ITEMS_MOST = 10_000


def payload_of(words: Sequence[str], schema: Schema | None, *, lenient: bool = False) -> dict[str, Any]:
    """The payload. `schema`: None where there is none, and values are then guessed: JSON where they are JSON, else
    text. `lenient`: the same for fields and values that the schema does not have. Raises BadInput."""
    made: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise BadInput(f"{word!r}: expected key=value, or the payload as one JSON object")
        _Assignment(key, value, schema or _ANYTHING, lenient or schema is None).into(made)
    return made


class _Assignment:
    def __init__(self, key: str, value: str, root: Schema, lenient: bool) -> None:
        self._key = key
        self._steps = key.split(".")
        self._value = value
        self._root = root
        self._lenient = lenient

    def into(self, made: dict[str, Any]) -> None:
        """Put the value where the key leads."""
        here: Any = made
        schema = self._root
        for place, step in enumerate(self._steps):
            schema = self._inside(schema, here, step, place)
            if place == len(self._steps) - 1:
                self._put(here, step, self._read(schema))
            else:
                here = self._enter(here, step, self._container(schema, self._steps[place + 1]))

    def _inside(self, schema: Schema, here: Any, step: str, place: int) -> Schema:
        """The schema of what `step` leads to."""
        if isinstance(here, list):
            return self._resolved(schema.get("items", _ANYTHING))
        known = schema.get("properties")
        if not isinstance(known, Mapping):
            return _ANYTHING
        if step in known:
            return self._resolved(known[step])
        if self._lenient or schema.get("additionalProperties") is not False:
            return _ANYTHING
        guess = nearest(step, list(known))
        meant = f" (did you mean {guess}?)" if guess else ""
        where = ".".join(self._steps[:place])
        raise BadInput(f"{self._key}: {where or 'the payload'} has no field {step}{meant}; known: "
                       f"{', '.join(sorted(known)) or 'none'}")

    def _resolved(self, schema: Any) -> Schema:
        for _ in range(8):  # a reference may lead to another one
            reference = schema.get("$ref") if isinstance(schema, Mapping) else None
            if reference is None:
                break
            schema = self._root
            for step in reference.removeprefix("#/").split("/"):
                schema = schema.get(step, _ANYTHING)
        return schema if isinstance(schema, Mapping) else _ANYTHING

    def _container(self, schema: Schema, following: str) -> Any:
        """What the next step goes into."""
        kind = schema.get("type")
        if kind == "array" or (kind is None and following.isdecimal()):
            return []
        if kind in ("object", None) or self._lenient:
            return {}
        raise BadInput(f"{self._key}: {kind} has no fields")

    def _enter(self, here: Any, step: str, fresh: Any) -> Any:
        if isinstance(here, list):
            index = self._index(here, step)
            if index == len(here):
                here.append(fresh)
            inner = here[index]
        else:
            inner = here.setdefault(step, fresh)
        if not isinstance(inner, dict | list):
            raise BadInput(f"{self._key}: {step} has a value already")
        return inner

    def _put(self, here: Any, step: str, value: Any) -> None:
        if isinstance(here, list):
            if self._index(here, step) < len(here):
                raise BadInput(f"{self._key}: given twice")
            here.append(value)
        elif step in here:
            raise BadInput(f"{self._key}: given twice")
        else:
            here[step] = value

    def _index(self, here: list[Any], step: str) -> int:
        if not (step.isascii() and step.isdecimal()):
            raise BadInput(f"{self._key}: a list is meant there: expected a number in place of {step}")
        index = int(step[:9])
        if index > len(here) or index >= _ITEMS_MOST:
            raise BadInput(f"{self._key}: item {step} follows none: the next one is {len(here)}")
        return index

    def _read(self, schema: Schema) -> Any:
        """The value as what the schema has there."""
        read = _READERS.get(str(schema.get("type")))
        value = read(self._value) if read is not None else _guess(self._value)
        if value is None and read is not None:
            if self._lenient:
                return _guess(self._value)
            raise BadInput(f"{self._key}: expected {_EXPECTED[schema['type']]}, not {self._value!r}")
        allowed = schema.get("enum")
        if allowed is not None and value not in allowed and not self._lenient:
            guess = nearest(self._value, [word for word in allowed if isinstance(word, str)])
            meant = f" (did you mean {guess}?)" if guess else ""
            raise BadInput(f"{self._key}: there is no {self._value!r}{meant}; allowed: {', '.join(map(str, allowed))}")
        return value


def _guess(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=lambda name: name)
    except (ValueError, RecursionError):
        return text


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _number(text: str) -> int | float | None:
    whole = _integer(text)
    return whole if whole is not None else float(text) if _NUMBER.fullmatch(text) else None


def _container(kind: type) -> Any:
    def read(text: str) -> Any:
        value = _guess(text)
        return value if isinstance(value, kind) else None

    return read


_READERS: Mapping[str, Any] = {
    "string": str, "integer": _integer, "number": _number, "boolean": _BOOLEANS.get, "object": _container(dict),
    "array": _container(list),
}  # fmt: skip
_EXPECTED: Mapping[str, str] = {
    "integer": "an integer", "number": "a number", "boolean": "true or false",
    "object": 'a JSON object, or a dotted key into it', "array": "a JSON list, or a dotted key into it (key.0=…)",
}  # fmt: skip
