"""A second opinion on payloads: python-jsonschema over the schema files of the `ocpp` package.

Decides for itself, and shares nothing with the package under test but the files and the published overlay: how JSON is
read, which dialect a file is in (the one it names), how the overlay is applied, what a date and time and a URI are.

Source: JSON Schema draft-04 and draft-06; RFC 6902 section 4.1; RFC 3339 section 5.6; RFC 3986 section 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Context, Decimal, localcontext
from functools import cache
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jsonschema import Draft4Validator, Draft6Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
# The names that docs/schemas.md gives to what breaks; every other keyword is "schema-other".
_RULES = {
    "required": "schema-required", "type": "schema-type", "enum": "schema-enum", "maxLength": "schema-max-length",
    "additionalProperties": "schema-additional", "format": "schema-format", "multipleOf": "schema-multiple-of",
}  # fmt: skip
# Wide enough for the division behind multipleOf not to be rounded, whatever number a frame holds here.
_EXACT = Context(prec=1000)


class Message(NamedTuple):
    version: str
    action: str
    part: str
    file: str


class Broken(NamedTuple):
    """A breach: its rule, and the place of the value, of the field that is missing, or of the one too many."""

    pointer: str
    rule: str


def messages() -> list[Message]:
    """Every schema file of the package, as the message that it describes."""
    found = []
    for version, folder in FOLDERS.items():
        for file in sorted(one.name for one in (resources.files("ocpp") / folder / "schemas").iterdir()):
            name, dot, suffix = file.rpartition(".")
            if dot and suffix == "json":
                part = "response" if name.endswith("Response") else "request"
                action = name.removesuffix("Response") if version == "1.6" else re.sub("(Request|Response)$", "", name)
                found.append(Message(version, action, part, name))
    return found


def loads(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _data(package: str, *path: str) -> Any:
    return loads(resources.files(package).joinpath(*path).read_text(encoding="utf-8-sig"))


@cache
def schema(message: Message, *, corrected: bool = True) -> Any:
    document = _data("ocpp", FOLDERS[message.version], "schemas", f"{message.file}.json")
    for one in _data("ocpp_proxy.files", "schema_overlay.json") if corrected else ():
        if (one["version"], one["schema"]) == (message.version, message.file):
            document = _added(document, one["path"].split("/")[1:], one["value"])
    return document


def _added(document: Any, path: list[str], value: Any) -> Any:
    """A copy of the document with the value added."""
    step, *rest = path
    if isinstance(document, list):
        return [*document, value] if step == "-" else [
            _added(item, rest, value) if str(index) == step else item for index, item in enumerate(document)
        ]  # fmt: skip
    return document | {step: _added(document[step], rest, value) if rest else value}


@cache
def _validator(message: Message, *, corrected: bool = True) -> Validator:
    document = schema(message, corrected=corrected)
    dialect = {"http://json-schema.org/draft-04/schema#": _DRAFT_4, "http://json-schema.org/draft-06/schema#": _DRAFT_6}
    return dialect[document["$schema"]](document, format_checker=_FORMATS)


def broken(message: Message, payload: Any, *, corrected: bool = True) -> set[Broken]:
    """Every breach of the message's schema; `corrected`: as the overlay has it, else as it lies in the package."""
    with localcontext(_EXACT):
        errors = list(_validator(message, corrected=corrected).iter_errors(payload))
    return {one for error in errors for one in _told(error)}


def _told(error: ValidationError) -> Iterator[Broken]:
    rule = _RULES.get(str(error.validator), "schema-other")
    if rule == "schema-required":
        fields = set(error.validator_value) - error.instance.keys()
    elif rule == "schema-additional":
        fields = error.instance.keys() - error.schema.get("properties", {}).keys()
    else:
        yield Broken(_pointer(*error.absolute_path), rule)
        return
    for field in fields:
        yield Broken(_pointer(*error.absolute_path, field), rule)


def _pointer(*path: str | int) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _is_integer_of_draft_6(_: Any, value: Any) -> bool:
    return (type(value) is int) or (type(value) is Decimal and value == value.to_integral_value(context=_EXACT))


_DRAFT_4 = extend(Draft4Validator)
_DRAFT_6 = extend(
    Draft6Validator, type_checker=Draft6Validator.TYPE_CHECKER.redefine("integer", _is_integer_of_draft_6)
)
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def is_rfc_3339(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    match = _RFC_3339.fullmatch(value)
    if match is None:
        return False
    day, time, _, zone = match.groups()
    try:
        return bool(datetime.fromisoformat(f"{day}T{time}{zone.upper()}"))
    except ValueError:
        return False


_OUTSIDE_URIS = re.compile(r"[^!#-;=?-Z\[\]_a-z~]|%(?![0-9A-Fa-f]{2})")


def is_uri(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return bool(urlsplit(value).scheme) and not _OUTSIDE_URIS.search(value)
    except ValueError:
        return False


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time")(is_rfc_3339)
_FORMATS.checks("uri")(is_uri)
