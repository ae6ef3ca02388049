"""Holds a payload against the JSON schema of its version, action and part.

Decides what of a payload breaks its schema, every error with its place, what was seen and what was expected. Refuses to
know where schemas lie (a loader hands them in) and how bad an error is (the rules).

Every file is read as draft-06, so that 1.0 counts as an integer in all versions alike; the 1.6 core files name
draft-04, which differs in nothing else that they use. Numbers are compared in decimal.

Source: the official schemas of each version; OCPP-J 1.6 section 4.2 and 2.0.1 Part 4 section 4.2 (an empty payload may
be null).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from jsonschema_rs import Draft6Validator, ValidationError

from ocpp_proxy.core.formats import FORMAT_NAMES, FORMATS, RFC_3339, is_uri
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.scan import escape
from ocpp_proxy.core.vocabulary import ACTIONS

Part: TypeAlias = Literal["request", "response"]
Schema: TypeAlias = dict[str, Any]
# Takes a version and a file's name without suffix; None where there is no such schema.
Loader: TypeAlias = Callable[[Version, str], "Schema | None"]

_RULES: Mapping[str, str] = {
    "required": "schema-required",
    "type": "schema-type",
    "enum": "schema-enum",
    "maxLength": "schema-max-length",
    "additionalProperties": "schema-additional",
    "format": "schema-format",
    "multipleOf": "schema-multiple-of",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
SHOWN_MAX = 60
_WORDS = {"True": "true", "False": "false", "None": "null"}


@dataclass(frozen=True, slots=True)
class SchemaError:
    """One breach. `pointer` is relative to the payload, and names the field that is missing or too much; `seen` is the
    value there, None for a missing one; `expected` the limit, the allowed values, the type or a phrase."""

    rule: str
    pointer: str
    message: str
    seen: Any
    expected: Any


class _Compiled:
    """A schema and its validators. What `quick` accepts is valid; it takes only RFC 3339 for a date and time, which it
    checks without leaving Rust. Where it refuses, `exact` decides, with the version's own formats.

    jsonschema-rs 0.60 takes other characters for digits in a date and time ("0." for an hour), hence the pattern."""

    __slots__ = ("_exact", "quick", "schema", "version")

    def __init__(self, version: Version, schema: Schema) -> None:
        self.version = version
        self.schema = _tidy({keyword: value for keyword, value in schema.items() if keyword not in ("$schema", "$id")})
        self.quick = Draft6Validator(_dated(self.schema), validate_formats=True, formats={"uri": is_uri})
        self._exact: Draft6Validator | None = None

    @property
    def exact(self) -> Draft6Validator:
        if self._exact is None:
            formats = dict(FORMATS[self.version])
            self._exact = Draft6Validator(self.schema, validate_formats=True, formats=formats)
        return self._exact


class Schemas:
    """The schemas of all versions, each loaded and compiled when it is first needed."""

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._compiled: dict[tuple[Version, str, Part], _Compiled | None] = {}

    def check(self, version: Version, action: str, part: Part, payload: Any) -> tuple[SchemaError, ...]:
        """All errors, ordered by place. None where there is no schema to check against: for unknown actions, and for
        the answer to what is never answered. A payload of null counts as empty. Never raises, whatever the payload."""
        compiled = self._find(version, action, part)
        if compiled is None:
            return ()
        if payload is None:
            payload = {}
        try:
            try:
                return () if compiled.quick.is_valid(payload) else _errors(compiled, payload)
            except UnicodeEncodeError:
                return _errors(compiled, _encodable(payload))
        except (ValueError, RecursionError) as error:
            return (SchemaError("schema-other", "", f"cannot be checked: {error}", None, "a plain JSON object"),)

    def _find(self, version: Version, action: str, part: Part) -> _Compiled | None:
        key = (version, action, part)
        try:
            return self._compiled[key]
        except KeyError:
            pass
        if action not in ACTIONS[version]:  # before any name is built from it, and not kept: peers choose it
            return None
        schema = self._load(version, schema_name(version, action, part))
        self._compiled[key] = None if schema is None else _Compiled(version, schema)
        return self._compiled[key]


def _tidy(schema: Any) -> Any:
    """The same schema in a form whose errors can be told apart: without the "additionalProperties" that the files put
    on enumerations, where it means nothing, and with "properties" wherever it stands, so that each extra one is named.
    Whole limits become integers: jsonschema-rs holds a number against 100.0 in binary, and takes 100.00000000000000001.
    """
    if isinstance(schema, float) and schema.is_integer():
        return int(schema)
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {keyword: _tidy(value) for keyword, value in schema.items()}
    if tidy.get("additionalProperties") is False:
        if tidy.get("type") == "object":
            tidy.setdefault("properties", {})
        elif isinstance(tidy.get("type"), str):
            del tidy["additionalProperties"]
    return tidy


def _dated(schema: Any) -> Any:
    """The same schema with a pattern beside each format of a date and time."""
    if isinstance(schema, list):
        return [_dated(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dated = {keyword: _dated(value) for keyword, value in schema.items()}
    return dated | {"pattern": RFC_3339} if dated.get("format") == "date-time" else dated


def schema_name(version: Version, action: str, part: Part) -> str:
    """The file of an action that the version knows, without suffix."""
    if part == "response":
        return f"{action}Response"
    return action if version == "1.6" or ACTIONS[version][action].kind == "send" else f"{action}Request"


def _errors(compiled: _Compiled, payload: Any) -> tuple[SchemaError, ...]:
    errors = [error for found in compiled.exact.iter_errors(payload) for error in _explain(found, compiled, payload)]
    mistyped = {error.pointer for error in errors if error.rule == "schema-type"}
    errors = [error for error in errors if error.rule != "schema-enum" or error.pointer not in mistyped]
    return tuple(sorted(errors, key=lambda error: (error.pointer, error.rule, error.message)))


def _explain(found: ValidationError, compiled: _Compiled, payload: Any) -> Iterator[SchemaError]:
    """One breach as jsonschema-rs tells it, or one for each property that is too much."""
    pointer = "".join(f"/{escape(str(step))}" for step in found.instance_path)
    keyword = found.kind.name
    rule = _RULES.get(keyword, "schema-other")
    holder = _at(compiled.schema, found.schema_path[:-1])
    seen = _at(payload, found.instance_path)  # not found.instance: that one went through Rust's own numbers
    if keyword == "required":
        name = found.kind.as_dict()["property"]
        expected = _describe(holder.get("properties", {}).get(name), compiled)
        yield SchemaError(rule, f"{pointer}/{escape(name)}", f"{name} is missing", None, expected)
    elif keyword == "additionalProperties":
        known = sorted(holder.get("properties", {}))
        for name in found.kind.as_dict()["unexpected"]:
            message = f"{_show(name)} is not known here{_meant(name, known)}"
            yield SchemaError(rule, f"{pointer}/{escape(name)}", message, seen[name], known)
    else:
        field = str(found.instance_path[-1]) if found.instance_path else "the payload"
        if found.instance_path and isinstance(found.instance_path[-1], int):
            field = f"item {field}"
        expected, message = _breach(keyword, holder, field, seen, compiled)
        yield SchemaError(rule, pointer, message, seen, expected)


_SIZES = {
    "maxLength": ("characters", "allowed"),
    "minLength": ("characters", "needed"),
    "maxItems": ("items", "allowed"),
    "minItems": ("items", "needed"),
}
_LIMITS = {"maximum": "at most", "minimum": "at least", "multipleOf": "a multiple of"}


def _breach(keyword: str, holder: Schema, field: str, seen: Any, compiled: _Compiled) -> tuple[Any, str]:
    """What was expected, as a value, and the whole in words."""
    limit = holder[keyword]
    if keyword in _SIZES:
        unit, verb = _SIZES[keyword]
        return limit, f"{field} has {len(seen)} {unit}, {limit} are {verb}"
    if keyword in _LIMITS:
        return limit, f"{field} is {_show(seen)}, not {_LIMITS[keyword]} {limit}"
    if keyword == "enum":
        return limit, f"{field} is {_show(seen)}{_meant(seen, limit)}; allowed: {', '.join(map(str, limit))}"
    if keyword == "format":
        limit = FORMAT_NAMES[compiled.version].get(limit, limit)
        return limit, f"{field} is {_show(seen)}, not {limit}"
    if keyword == "type":
        return limit, f"{field} is {_show(seen)}, not {_describe(holder, compiled)}"
    return limit, f"{field} is {_show(seen)}, which breaks {keyword} {_show(limit)}"


def _describe(schema: Any, compiled: _Compiled) -> str:
    """A field's schema in a few words."""
    if isinstance(schema, dict) and "$ref" in schema:
        schema = _at(compiled.schema, schema["$ref"].removeprefix("#/").split("/"))
    if not isinstance(schema, dict):
        return "a value"
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "format" in schema:
        return FORMAT_NAMES[compiled.version].get(schema["format"], schema["format"])
    kind = schema.get("type", "value")
    article = "an" if kind[0] in "aeio" else "a"
    limit = f" of at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    return f"{article} {kind}{limit}"


def _at(document: Any, path: Iterable[str | int]) -> Any:
    for step in path:
        document = document[step]
    return document


def _meant(word: Any, candidates: list[Any]) -> str:
    guess = nearest(word, [name for name in candidates if isinstance(name, str)]) if isinstance(word, str) else None
    return f" (did you mean {guess}?)" if guess else ""


def _show(value: Any) -> str:
    """A value as JSON would write it, shortened."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else _WORDS.get(str(value), str(value))
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _encodable(value: Any) -> Any:
    """The same with half surrogate pairs, which UTF-8 cannot carry, replaced."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
