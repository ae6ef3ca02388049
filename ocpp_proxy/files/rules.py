"""Reads rule files.

Decides where the bundled rules lie, which files of a folder are rules, and what is wrong in them: all of it at once,
each mistake with path, line and pointer. Refuses to know what a rule means (`ocpp_proxy.rules`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.yaml import Document, Mistake, escape, parse
from ocpp_proxy.rules.lint import lint, meant
from ocpp_proxy.rules.model import Rule, rule_from
from ocpp_proxy.rules.ruleset import RuleSet

SUFFIX = ".yaml"
SCHEMA_NAME = "rule.schema.json"
BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class RuleFolder:
    """What a folder holds: the sound rules, and everything that is wrong with the others."""

    rules: tuple[Rule, ...]
    mistakes: tuple[Mistake, ...]


def bundled_folder() -> Path:
    """Where the rules of this program lie: inside the package when installed, else at the top of the checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_bundled" / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def load_rules(folder: Path | None = None, *, profiles: Iterable[str] = ()) -> RuleSet:
    """The bundled rules, and those of `folder`, which replace bundled ones of the same id.

    Raises BadInput: a rule file with mistakes (the first is named), or a profile that there is not.
    """
    rules = {rule.id: rule for rule in _sound(read_folder(bundled_folder(), BUNDLED), bundled_folder())}
    if folder is not None:
        rules.update((rule.id, rule) for rule in _sound(read_folder(folder), folder))
    return RuleSet(rules.values(), profiles)


def read_folder(folder: Path, source: str | None = None) -> RuleFolder:
    """The rule files in `folder` and below. `source`: what to call where they are from, None for each its own path.

    Raises BadInput where there is no such folder, or no rule in it.
    """
    if not folder.is_dir():
        raise BadInput("is not a folder; rules are files <rule-id>.yaml in it or below", str(folder))
    rules: dict[str, Rule] = {}
    mistakes: list[Mistake] = []
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (SUFFIX, ".yml") and path.is_file())
    if not paths:
        raise BadInput(f"holds no rule; rules are files <rule-id>{SUFFIX} in it or below", str(folder))
    for path in paths:
        rule, wrong = read_rule(path, source)
        if rule is not None and rule.id in rules:
            wrong.append(Mistake(str(path), None, "", f"there is another file for rule {rule.id} in this folder"))
        elif rule is not None:
            rules[rule.id] = rule
        mistakes += wrong
    return RuleFolder(tuple(rules.values()), tuple(mistakes))


def read_rule(path: Path, source: str | None = None) -> tuple[Rule | None, list[Mistake]]:
    """The rule in the file at `path`, None where there are mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return None, [Mistake(str(path), None, "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return None, [Mistake(str(path), None, "", "is not UTF-8 text")]
    document = parse(text, str(path))
    mistakes = list(document.mistakes)
    if not mistakes or document.value is not None:
        mistakes += _wrong(path, document)
    if mistakes:
        return None, sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.pointer))
    return rule_from(path.stem, document.value, source or str(path)), []


def _sound(folder: RuleFolder, path: Path) -> tuple[Rule, ...]:
    if folder.mistakes:
        first, *others = folder.mistakes
        more = f" (and {len(others)} more: `ocpp-proxy rules lint {path}`)" if others else ""
        place = f"{first.pointer}: " if first.pointer else ""
        raise BadInput(f"{place}{first.what}{more}", first.path, first.line)
    return folder.rules


def _wrong(path: Path, document: Document) -> Iterator[Mistake]:
    if path.suffix != SUFFIX:
        yield document.mistake("", f"a rule file's name ends in {SUFFIX}")
    if not _is_id(path.stem):
        yield document.mistake("", f"the file's name is the rule's id: a-z, 0-9 and hyphens, not {path.stem!r}")
    by_schema = [document.mistake(pointer, what) for error in _validator().iter_errors(document.value)
                 for pointer, what in _in_words(error)]
    yield from by_schema
    if not by_schema:
        for pointer, what in lint(path.stem, document.value):
            yield document.mistake(pointer, what)


def _is_id(name: str) -> bool:
    return all(part.isascii() and part.isalnum() and part == part.lower() for part in name.split("-"))


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((bundled_folder() / SCHEMA_NAME).read_text(encoding="utf-8"))
    return schema


@cache
def _validator() -> Any:
    return jsonschema_rs.validator_for(_schema())


def _in_words(error: Any) -> Iterator[tuple[str, str]]:
    """Pointers and sentences of an error of the JSON Schema; its own words where they are good enough."""
    pointer = "".join(f"/{escape(str(token))}" for token in error.instance_path)
    kinds, kind = jsonschema_rs.ValidationErrorKind, error.kind
    if isinstance(kind, kinds.AdditionalProperties):
        for key in kind.unexpected:
            yield f"{pointer}/{escape(key)}", f"unknown key {key}{meant(key, _known_keys(error.schema_path))}"
    elif isinstance(kind, kinds.Required):
        yield pointer, f"{kind.property} is missing"
    elif isinstance(kind, kinds.Enum):
        yield pointer, f"{_brief(error.instance)} is not known{meant(str(error.instance), map(str, kind.options))}"
    elif isinstance(kind, kinds.OneOfNotValid):
        yield from _of_the_branch_meant(error, pointer)
    else:
        yield pointer, _brief(error.message)


def _of_the_branch_meant(error: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Of the forms that a value may have, the errors of the one that it comes nearest to."""
    branches = [branch for branch in error.kind.context if branch]
    nearest_branch = max(branches, key=lambda branch: len(branch[0].instance_path))
    if len(nearest_branch[0].instance_path) > len(error.instance_path):
        for inner in nearest_branch:
            yield from _in_words(inner)
        return
    words = [branch[0] for branch in branches if isinstance(branch[0].kind, jsonschema_rs.ValidationErrorKind.Enum)]
    if words and isinstance(error.instance, str):
        yield from _in_words(words[0])
    else:
        yield pointer, f"{_brief(error.instance)} has no form that is known here; docs/rules.md shows those that are"


def _known_keys(schema_path: list[Any]) -> list[str]:
    schema: Any = _schema()
    for token in schema_path[:-1]:
        schema = schema[token]
    return list(schema.get("properties", ()))


def _brief(value: Any, limit: int = 160) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
