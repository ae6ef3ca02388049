"""Makes valid payloads from schemas, each different, and breaks them in every way that peers are known to.

Decides what is made and what is broken. Refuses to know whether the outcome is valid: some of it is on purpose.
Everything comes from the random numbers handed in, so that the same seed gives the same texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

Schema = dict[str, Any]
Path = tuple[str | int, ...]

TIMES = ["2026-11-21T09:00:00Z", "2026-11-21T09:00:00.123Z", "2024-02-29T23:59:59+01:00", "2026-11-21t09:00:00z"]
WRONG_TIMES = [
    "2026-11-21T09:00:00", "2026-11-21T09:00Z", "2026-11-21T09:00:00+0100", "2026-11-21T09:00:00+01",
    "2026-11-21T09:00:00,5Z", "2026-11-21T24:00:00Z", "20261121T090000Z", "2026-02-29T00:00:00Z", "2026-11-21",
    "2026-11-21 09:00:00Z", "2026-11-21T9:00:00Z", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z",
    "2026-11-21T09:00:00.Z", "2026-11-21T09:00:00+25:00", "21.11.2026 09:00", "1795251600", "", "0", "yesterday",
    "2026-11-21T09:00:00ZZ", "2026-11-21T09:60:00Z", "2026-11-21T09:00:00Z ", "２026-11-21T09:00:00Z",
]  # fmt: skip
URIS = ["ftp://user@host/path/", "https://[2001:db8::1]:8443/fw.bin?x=1#y", "sftp://host/a%20b"]
WRONG_URIS = ["C:", "C:/fw.bin", "/fw.bin", "fw.bin", "http://host/a b", "http://host/%zz", "", "http://höst/"]
ANYTHING: list[Any] = [None, True, 0, 7, Decimal("1.0"), Decimal("-2.5"), "", "5", "true", [], ["x"], {}, {"x": 1}]
DEPTH = 60
_LETTERS = 'abcXYZ019 -_ß€😀"\\/\n'


@dataclass(frozen=True, slots=True)
class Site:
    """A value in a payload: where it stands, and the schema for it."""

    path: Path
    schema: Schema


def text_of(value: Any) -> str:
    """The value as JSON; a Decimal as it is spelt."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


class Maker:
    """Makes payloads for one schema."""

    def __init__(self, schema: Schema, random: Random) -> None:
        self.root = schema
        self.random = random

    def payload(self) -> Any:
        """A valid one: what is required, and each time another choice of the rest."""
        return self._make(self.root, self.random.choice((0.1, 0.5, 0.9)))

    def _plain(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.root["definitions"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _make(self, schema: Schema, chance: float) -> Any:
        schema, random = self._plain(schema), self.random
        if "enum" in schema:
            return random.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                required = schema.get("required", ())
                made = {
                    name: self._make(inner, chance * 0.7) for name, inner in schema.get("properties", {}).items()
                    if name in required or random.random() < chance
                }  # fmt: skip
                closed = schema.get("additionalProperties") is False
                return made if closed or random.random() < 0.5 else made | {"own/~": [1]}
            case "array":
                least = schema.get("minItems", 0)
                size = random.randint(least, min(schema.get("maxItems", 99), least + 2))
                return [self._make(schema["items"], chance * 0.7) for _ in range(size)]
            case "string":
                return self._string(schema)
            case "integer":
                return random.randint(int(schema.get("minimum", -3)), int(schema.get("maximum", 2**31)))
            case "number":
                low, high = int(schema.get("minimum", -9)), int(schema.get("maximum", 1000))
                return random.choice((low, high, Decimal(random.randint(low * 10, high * 10)) / 10))
            case "boolean":
                return random.random() < 0.5
        return random.choice(ANYTHING)

    def _string(self, schema: Schema) -> str:
        if "format" in schema:
            return self.random.choice({"date-time": TIMES, "uri": URIS}[schema["format"]])
        most = min(schema.get("maxLength", 40), 40)
        return "".join(self.random.choices(_LETTERS, k=self.random.randint(0, most)))

    def mutant(self, payload: Any) -> tuple[str, Any]:
        """The payload with one to three things changed, and their names."""
        changed, names = deepcopy(payload), list[str]()
        wanted = self.random.choice((1, 1, 1, 2, 3))
        while len(names) < wanted:
            sites = list(self.sites(changed))
            site = self.random.choices(sites, [_weight(site) for site in sites])[0]
            name, value = self._change(_at(changed, site.path), site.schema)
            if site.path or value is not None:  # null for a whole payload counts as an empty one
                names.append(name)
                changed = put(changed, site.path, value)
        return "+".join(names), changed

    def sites(self, payload: Any) -> Iterator[Site]:
        """Every value in the payload that the schema has something to say of, the payload first."""
        return self._sites(payload, self.root, ())

    def _sites(self, value: Any, schema: Schema, path: Path) -> Iterator[Site]:
        schema = self._plain(schema)
        yield Site(path, schema)
        if isinstance(value, dict):
            for name, inner in schema.get("properties", {}).items():
                if name in value:
                    yield from self._sites(value[name], inner, (*path, name))
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self._sites(item, schema["items"], (*path, index))

    def _change(self, value: Any, schema: Schema) -> tuple[str, Any]:
        changes = [change for kinds, change in _CHANGES for _ in range(3) if type(value) in kinds] + _FOR_ALL
        self.random.shuffle(changes)
        for change in changes:
            if changed := list(change(value, schema)):
                return change.__name__.strip("_"), self.random.choice(changed)
        raise AssertionError("another type is always possible")


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def put(document: Any, path: Path, value: Any) -> Any:
    """The document, changed in place."""
    if not path:
        return value
    _at(document, path[:-1])[path[-1]] = value
    return document


def _weight(site: Site) -> int:
    """What few fields have is broken more often than what all have; so is the payload itself."""
    rare = site.schema.keys() & {"format", "multipleOf", "minimum", "maximum", "minItems", "maxItems"}
    return 5 if rare or not site.path else 1


# Changes: each gives the values to choose from, none where it cannot be applied.

Change = Callable[[Any, Schema], Iterable[Any]]


def _wrong_type(value: Any, schema: Schema) -> Iterator[Any]:
    return (other for other in ANYTHING if type(other) is not type(value))


def _null(value: Any, schema: Schema) -> list[Any]:
    return [None]


def _in_a_list(value: Any, schema: Schema) -> list[Any]:
    return [[value]]


def _drop(value: Any, schema: Schema) -> Iterator[Any]:
    return ({name: item for name, item in value.items() if name != gone} for gone in value)


def _unknown_key(value: Any, schema: Schema) -> Iterator[Any]:
    return (value | {name: 1} for name in ("notInOcpp", "", "a/b~c", "ä", "status", "idTag", "customdata"))


def _misspelt_key(value: Any, schema: Schema) -> Iterator[Any]:
    return ({name.swapcase() if name == wrong else name: item for name, item in value.items()} for wrong in value)


def _custom_data(value: Any, schema: Schema) -> Iterator[Any]:
    deep: Any = []
    for level in range(DEPTH):
        deep = {"x": deep} if level % 3 else [deep]
        yield value | {"customData": {"vendorId": "v", "deep": deep}}


def _wrong_custom_data(value: Any, schema: Schema) -> Iterator[Any]:
    wrong: Any
    for wrong in ({}, {"deep": [[{}]]}, {"vendorId": 5}, {"vendorId": "v" * 256}, [], None):
        yield value | {"customData": wrong}


def _misspelt(value: Any, schema: Schema) -> list[Any]:
    return [value + "x", value[:-1], value.swapcase(), f" {value}", value.replace("e", "3")]


def _long(value: Any, schema: Schema) -> list[Any]:
    """Characters are counted, whatever their number of bytes; the longest that is allowed is among them."""
    most = schema.get("maxLength")
    return [] if most is None else [one * (most + more) for one in ("x", "ß", "😀") for more in (0, 1, 50)]


def _wrong_format(value: Any, schema: Schema) -> list[Any]:
    return {"date-time": WRONG_TIMES, "uri": WRONG_URIS}[schema["format"]] if "format" in schema else []


def _many_items(value: Any, schema: Schema) -> list[Any]:
    most = schema.get("maxItems", 99)
    return [value[:1] * (most + more) for more in (0, 1)] if value and most < 50 else []


def _no_items(value: Any, schema: Schema) -> list[Any]:
    return [[]]


def _item_alone(value: Any, schema: Schema) -> list[Any]:
    return list(value[:1])


def _out_of_range(value: Any, schema: Schema) -> list[Any]:
    below = [schema["minimum"] - 1] if "minimum" in schema else []
    above = [schema["maximum"] + 1] if "maximum" in schema else []
    return [*below, *above, -1, -(2**31) - 1, 2**53 + 1, 10**30]


def _spelt_otherwise(value: Any, schema: Schema) -> Iterator[Any]:
    whole = int(value)
    return map(Decimal, (f"{whole}.0", f"{whole}.00", f"{whole}E0", f"{whole}e2", f"{whole * 10}E-1"))


def _decimals(value: Any, schema: Schema) -> Iterator[Any]:
    return (int(value) + Decimal(part) for part in ("0.1", "0.3", "0.35", "0.7", "0.01", "1e-9", "0.100", "1E-20"))


_OBJECT: frozenset[type] = frozenset({dict})
_STRING: frozenset[type] = frozenset({str})
_LIST: frozenset[type] = frozenset({list})
_NUMBER: frozenset[type] = frozenset({int, Decimal})
_FOR_ALL: list[Change] = [_wrong_type, _null, _in_a_list]
_CHANGES: list[tuple[frozenset[type], Change]] = [
    (_OBJECT, _drop), (_OBJECT, _unknown_key), (_OBJECT, _misspelt_key), (_OBJECT, _custom_data),
    (_OBJECT, _wrong_custom_data),
    (_STRING, _misspelt), (_STRING, _long), (_STRING, _wrong_format),
    (_LIST, _many_items), (_LIST, _no_items), (_LIST, _item_alone),
    (_NUMBER, _out_of_range), (_NUMBER, _spelt_otherwise), (_NUMBER, _decimals),
]  # fmt: skip
