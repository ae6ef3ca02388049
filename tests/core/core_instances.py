"""Makes valid payloads from schemas, and breaks them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import Part
from ocpp_proxy.core.vocabulary import ACTIONS, VERSIONS

ANY_TYPE = {"data"}  # of DataTransfer in 2.x
FOLDERS: dict[Version, str] = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


def messages() -> Iterator[tuple[Version, str, Part, str]]:
    """Every message: version, action, part, and the name of the file that describes it."""
    for version in VERSIONS:
        for action in ACTIONS[version].values():
            suffix = "" if version == "1.6" or action.kind == "send" else "Request"
            yield version, action.name, "request", f"{action.name}{suffix}"
            if action.kind == "call":
                yield version, action.name, "response", f"{action.name}Response"


def example(schema: dict[str, Any], root: dict[str, Any] | None = None, *, full: bool) -> Any:
    """A valid value: with all properties if `full`, else with those that are required."""
    root = root or schema
    if "$ref" in schema:
        return example(root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root, full=full)
    if "enum" in schema:
        return schema["enum"][-1]
    kind = schema.get("type")
    if kind == "object":
        names = schema.get("properties", {}) if full else schema.get("required", ())
        return {name: example(schema["properties"][name], root, full=full) for name in names}
    if kind == "array":
        return [example(schema["items"], root, full=full)] * schema.get("minItems", 1)
    if kind == "string":
        made = {"date-time": "2026-11-21T09:00:00Z", "uri": "ftp://host/file"}.get(schema.get("format", ""), "x")
        return made[: schema.get("maxLength", 100)]
    if kind in ("integer", "number"):
        return schema.get("minimum", min(schema.get("maximum", 1), 1))
    return True if kind == "boolean" else {"any": "thing"}


def mutations(schema: dict[str, Any], payload: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What breaks the schema at the top: the rule, the pointer and the payload."""
    for name in schema.get("required", ()):
        broken = copy.deepcopy(payload)
        del broken[name]
        yield "schema-required", f"/{name}", broken
    for name in payload.keys() - ANY_TYPE:
        wrong: Any = 5 if isinstance(payload[name], (str, bool, list, dict)) else "5"
        yield "schema-type", f"/{name}", payload | {name: wrong}
    if schema.get("additionalProperties") is False:
        yield "schema-additional", "/notInOcpp", payload | {"notInOcpp": 1}
