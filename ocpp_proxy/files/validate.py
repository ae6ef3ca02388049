"""Holds a document of ours against its JSON Schema, and says what is wrong in words that its author understands.

Decides how a mistake is told: every one of them, with line and pointer, and with what was probably meant. Refuses to
know what documents mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

from ocpp_proxy.files.yaml import Document, Mistake, escape
from ocpp_proxy.rules.lint import meant

_KINDS = jsonschema_rs.ValidationErrorKind


class DocumentSchema:
    """The JSON Schema in the file at `path`, read when it is first needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return schema

    @cached_property
    def _validator(self) -> Any:
        return jsonschema_rs.validator_for(self.schema)

    def mistakes(self, document: Document) -> list[Mistake]:
        return [document.mistake(pointer, what) for error in self._validator.iter_errors(document.value)
                for pointer, what in self._in_words(error)]

    def _in_words(self, error: Any) -> Iterator[tuple[str, str]]:
        """Pointers and sentences of an error of the JSON Schema; its own words where they are good enough."""
        pointer = "".join(f"/{escape(str(token))}" for token in error.instance_path)
        kind = error.kind
        if isinstance(kind, _KINDS.AdditionalProperties):
            for key in kind.unexpected:
                known = self._known_keys(error.schema_path)
                yield f"{pointer}/{escape(key)}", f"unknown key {key}{meant(key, known)}"
        elif isinstance(kind, _KINDS.Required):
            yield pointer, f"{kind.property} is missing"
        elif isinstance(kind, _KINDS.Enum):
            yield pointer, f"{_brief(error.instance)} is not known{meant(str(error.instance), map(str, kind.options))}"
        elif isinstance(kind, _KINDS.OneOfNotValid):
            yield from self._of_the_branch_meant(error, pointer)
        else:
            yield pointer, _brief(error.message)

    def _of_the_branch_meant(self, error: Any, pointer: str) -> Iterator[tuple[str, str]]:
        """Of the forms that a value may have, the errors of the one that it comes nearest to."""
        branches = [branch for branch in error.kind.context if branch]
        nearest_branch = max(branches, key=lambda branch: len(branch[0].instance_path))
        if len(nearest_branch[0].instance_path) > len(error.instance_path):
            for inner in nearest_branch:
                yield from self._in_words(inner)
            return
        words = [branch[0] for branch in branches if isinstance(branch[0].kind, _KINDS.Enum)]
        if words and isinstance(error.instance, str):
            yield from self._in_words(words[0])
        else:
            known = "docs/rules.md shows those that are"
            yield pointer, f"{_brief(error.instance)} has no form that is known here; {known}"

    def _known_keys(self, schema_path: Iterable[Any]) -> list[str]:
        schema: Any = self.schema
        for step in list(schema_path)[:-1]:
            schema = self._referred(schema["$ref"]) if step == "$ref" else schema[step]
        return list(schema.get("properties", ()))

    def _referred(self, reference: str) -> Any:
        schema: Any = self.schema
        for step in reference.removeprefix("#/").split("/"):
            schema = schema[step]
        return schema


def _brief(value: Any, limit: int = 160) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
