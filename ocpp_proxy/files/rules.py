"""Reads folders of rules: the bundled one, and those of users.

Decides where the bundled rules lie, which files of a folder are rules, which are profiles and which changes others, and
what is wrong in them: all of it at once, each mistake with path, line and pointer. Refuses to know what a rule means
(`ocpp_proxy.rules`).

The bundled rules are sound, which a test sees to; where nobody asks for their tests, these are not even read, and
nothing of them is checked again at each start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.validate import DocumentSchema
from ocpp_proxy.files.yaml import Document, Mistake, parse
from ocpp_proxy.rules.lint import lint, lint_overrides
from ocpp_proxy.rules.model import Rule, rule_from
from ocpp_proxy.rules.ruleset import RuleSet

SUFFIX = ".yaml"
SCHEMA_NAME = "rule.schema.json"
PROFILES = "profiles"  # the folder, in one of rules, that holds profiles
OVERRIDES = "overrides.yaml"
CATALOGUE = "catalogue.yaml"
BUNDLED = "bundled"
_TESTS = "\ntests:\n"


@dataclass(frozen=True, slots=True)
class RuleFolder:
    """What a folder holds: the sound rules, the sound profiles' documents by name, what it changes of other rules by
    their ids, and everything that is wrong with the rest."""

    rules: tuple[Rule, ...]
    mistakes: tuple[Mistake, ...]
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def bundled_folder() -> Path:
    """Where the rules of this program lie: inside the package when installed, else at the top of the checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_bundled" / "rules"
    return installed if installed.is_dir() else package.parent / "rules"


def load_rules(folder: Path | None = None, *, profiles: Iterable[str] = (), tests: bool = False) -> RuleSet:
    """The bundled rules, and those of `folder`, which replace bundled ones of the same id, changed as it wants them
    changed. `tests`: with the tests of the bundled ones.

    Raises BadInput: a file with mistakes (the first is named), or a profile that there is not.
    """
    bundled = _read(bundled_folder(), BUNDLED, tests=tests)
    rules = {rule.id: rule for rule in _sound(bundled, bundled_folder()).rules}
    if folder is None:
        return RuleSet(rules.values(), profiles, documents=bundled.profiles)
    own = _sound(read_folder(folder), folder)
    rules.update((rule.id, rule) for rule in own.rules)
    off = {rule_id: change["reason"] for rule_id, change in own.overrides.items() if change.get("off")}
    for rule_id, change in own.overrides.items():
        if "severity" in change:
            rules[rule_id] = _weighed(rules[rule_id], change)
    return RuleSet(rules.values(), profiles, off=off, documents={**bundled.profiles, **own.profiles})


def with_tests(rule: Rule) -> Rule:
    """The rule with its tests, if it is one of the bundled and was read without them."""
    if rule.tests or rule.source != BUNDLED:
        return rule
    path = next(bundled_folder().rglob(f"{rule.id}{SUFFIX}"))
    found, _ = read_rule(path, BUNDLED)
    return replace(rule, tests=found.tests) if found is not None else rule


def read_folder(folder: Path, source: str | None = None) -> RuleFolder:
    """The rule files in `folder` and below, and what else it holds. `source`: what to call where they are from, None
    for each its own path.

    Raises BadInput where there is no such folder, or nothing in it.
    """
    return _read(folder, source, tests=True)


def read_rule(path: Path, source: str | None = None) -> tuple[Rule | None, list[Mistake]]:
    """The rule in the file at `path`, None where there are mistakes."""
    document, mistakes = _document(path)
    if document is not None:
        mistakes += _wrong(path, document)
    if mistakes or document is None:
        return None, _in_order(mistakes)
    return rule_from(path.stem, document.value, source or str(path)), []


def _read(folder: Path, source: str | None, *, tests: bool) -> RuleFolder:
    if not folder.is_dir():
        raise BadInput("is not a folder; rules are files <rule-id>.yaml in it or below", str(folder))
    rules: dict[str, Rule] = {}
    documents: dict[str, Mapping[str, Any]] = {}
    overrides: Mapping[str, Mapping[str, Any]] = {}
    mistakes: list[Mistake] = []
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (SUFFIX, ".yml") and path.is_file())
    if not paths:
        raise BadInput(f"holds no rule; rules are files <rule-id>{SUFFIX} in it or below", str(folder))
    for path in paths:
        place = path.relative_to(folder)
        if place == Path(CATALOGUE):
            continue
        if place == Path(OVERRIDES):
            overrides, wrong = _read_overrides(path, rules)
        elif place.parts[0] == PROFILES:
            documents[path.stem], wrong = _read_profile(path)
        else:
            rule, wrong = read_rule(path, source) if tests or source != BUNDLED else (_trusted(path), [])
            if rule is not None and rule.id in rules:
                wrong.append(Mistake(str(path), None, "", f"there is another file for rule {rule.id} in this folder"))
            elif rule is not None:
                rules[rule.id] = rule
        mistakes += wrong
    return RuleFolder(tuple(rules.values()), tuple(mistakes), documents, overrides)


def _trusted(path: Path) -> Rule:
    """One of our own rules, without its tests, which stand at the end of the file."""
    text = path.read_text(encoding="utf-8").partition(_TESTS)[0]
    return rule_from(path.stem, parse(text, str(path)).value, BUNDLED)


def _document(path: Path) -> tuple[Document | None, list[Mistake]]:
    """What the file holds, as far as it can be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return None, [Mistake(str(path), None, "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return None, [Mistake(str(path), None, "", "is not UTF-8 text")]
    document = parse(text, str(path))
    mistakes = list(document.mistakes)
    return (None if mistakes and document.value is None else document), mistakes


def _in_order(mistakes: list[Mistake]) -> list[Mistake]:
    return sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.pointer))


def _sound(folder: RuleFolder, path: Path) -> RuleFolder:
    if folder.mistakes:
        first, *others = folder.mistakes
        more = f" (and {len(others)} more: `ocpp-proxy rules lint {path}`)" if others else ""
        place = f"{first.pointer}: " if first.pointer else ""
        raise BadInput(f"{place}{first.what}{more}", first.path, first.line)
    return folder


def _wrong(path: Path, document: Document) -> Iterator[Mistake]:
    if path.suffix != SUFFIX:
        yield document.mistake("", f"a rule file's name ends in {SUFFIX}")
    if not _is_id(path.stem):
        yield document.mistake("", f"the file's name is the rule's id: a-z, 0-9 and hyphens, not {path.stem!r}")
    by_schema = _schema(SCHEMA_NAME).mistakes(document)
    yield from by_schema
    if not by_schema:
        for pointer, what in lint(path.stem, document.value):
            yield document.mistake(pointer, what)


def _is_id(name: str) -> bool:
    return all(part.isascii() and part.isalnum() and part == part.lower() for part in name.split("-"))


# Profiles and changes


def _read_profile(path: Path) -> tuple[Mapping[str, Any], list[Mistake]]:
    document, mistakes = _document(path)
    if document is not None:
        if not _is_id(path.stem):
            mistakes.append(document.mistake("", "the file's name is the profile's: a-z, 0-9 and hyphens, "
                                                 f"not {path.stem!r}"))
        mistakes += _schema("profile.schema.json").mistakes(document)
    sound = document is not None and not mistakes
    return (document.value if sound and document is not None else {}), _in_order(mistakes)


def _read_overrides(path: Path, own: Mapping[str, Rule]) -> tuple[Mapping[str, Mapping[str, Any]], list[Mistake]]:
    """`own`: the rules of the same folder that have been read so far; they may be changed as well."""
    document, mistakes = _document(path)
    if document is not None:
        mistakes += _schema("overrides.schema.json").mistakes(document)
    if mistakes or document is None:
        return {}, _in_order(mistakes)
    known = {*own, *_bundled_ids(), *(one.stem for one in path.parent.rglob(f"*{SUFFIX}"))}
    wrong = [document.mistake(pointer, what) for pointer, what in lint_overrides(document.value, known)]
    return document.value, _in_order(wrong)


def _weighed(rule: Rule, change: Mapping[str, Any]) -> Rule:
    """The rule with one severity for everything that it finds."""
    severity = change["severity"]
    return replace(rule, severities=dict.fromkeys(rule.severities, severity), cases={}, escalations=(),
                   changed=f"{severity} instead of {rule.severity}: {change['reason']}")


@cache
def _bundled_ids() -> frozenset[str]:
    return frozenset(path.stem for path in bundled_folder().rglob(f"*{SUFFIX}") if PROFILES not in path.parts)


@cache
def _schema(name: str) -> DocumentSchema:
    return DocumentSchema(bundled_folder() / name)


