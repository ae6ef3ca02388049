"""What a JSON Schema cannot say about a rule file.

Decides whether the names in a rule mean anything: defects, remarks, actions, words of a message, regular expressions.
Takes a document that is valid by rules/rule.schema.json, and refuses to read files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from string import Formatter
from typing import Any, TypeAlias

from ocpp_proxy.core.defects import DEFECTS
from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.rules import checks
from ocpp_proxy.rules.bound import WORDS
from ocpp_proxy.rules.judge import SEND_ANSWERED
from ocpp_proxy.rules.model import VERSIONS

Complaint: TypeAlias = tuple[str, str]  # JSON Pointer and what is wrong there

REMARKS = frozenset({"answered-twice", "late", "orphan", "retry", "id-reuse", "overlap", SEND_ANSWERED})
SCHEMA_ERRORS = frozenset((
    "schema-required", "schema-type", "schema-enum", "schema-max-length", "schema-additional", "schema-format",
    "schema-multiple-of", "schema-other",
))  # fmt: skip


def lint(rule_id: str, document: Mapping[str, Any]) -> list[Complaint]:
    """Everything that is wrong in the document of the rule, in no particular order."""
    return [
        *_by_kind(rule_id, document),
        *_versions(document),
        *_messages(document),
        *_patterns(document),
        *_sites(document),
        *_cases(document),
    ]


def lint_overrides(document: Mapping[str, Any], known: Iterable[str]) -> list[Complaint]:
    """What is wrong in a file that changes other rules; `known`: the ids that there are."""
    ids = frozenset(known)
    return [(f"/{rule_id}", f"there is no rule {rule_id}{meant(rule_id, ids)}")
            for rule_id in document if rule_id not in ids]


def meant(word: str, known: Iterable[str]) -> str:
    """A hint at what was meant, to be appended to a complaint."""
    names = sorted(known)
    near = nearest(word, names)
    if near is not None:
        return f"; did you mean {near}?"
    return f"; known: {', '.join(names)}" if len(names) <= 12 else ""


def _by_kind(rule_id: str, document: Mapping[str, Any]) -> Iterator[Complaint]:
    given = document["given"]
    kind = given["kind"]
    allowed, required = _KEYS[kind]
    for key in sorted(given.keys() - allowed - {"kind"}):
        yield f"/given/{key}", f"a rule of kind {kind} takes no {key}"
    for key in sorted(required - given.keys()):
        yield "/given", f"a rule of kind {kind} needs {key}"
    if kind == "python" and "message" in document:
        yield "/message", "a rule of kind python says its sentences in its function"
    if kind == "sequence" and "message" not in document:
        yield "", "a rule of kind sequence needs a message"
    if kind in ("call", "exchange"):
        if "checks" not in document:
            yield "", f"a rule of kind {kind} needs checks"
        if "message" not in document and any("message" not in check for check in document.get("checks", ())):
            yield "", "message is missing, and not every check has its own"
    elif "checks" in document:
        yield "/checks", f"a rule of kind {kind} takes no checks"
    yield from _MEANT[kind](rule_id, document)


def _known_actions(document: Mapping[str, Any], at: str, words: Any) -> Iterator[Complaint]:
    versions = document.get("versions", VERSIONS)
    known = {action for version in versions for action in ACTIONS[version]}
    for pointer, action in _words_at(at, words):
        if action not in known:
            yield pointer, f"{' and '.join(versions)} know no action {action}{meant(action, known)}"


def _frame(rule_id: str, document: Mapping[str, Any]) -> Iterator[Complaint]:
    yield from _remarks(document)
    if rule_id not in DEFECTS.values():
        yield "/given/kind", f"no defect leads to {rule_id}{meant(rule_id, DEFECTS.values())}"


def _schema(rule_id: str, _: Mapping[str, Any]) -> Iterator[Complaint]:
    if rule_id not in SCHEMA_ERRORS:
        yield "/given/kind", f"no schema error is called {rule_id}{meant(rule_id, SCHEMA_ERRORS)}"


def _correlation(_: str, document: Mapping[str, Any]) -> Iterator[Complaint]:
    if "message" not in document:
        yield "", "a rule of kind correlation needs a message"
    yield from _remarks(document)


def _remarks(document: Mapping[str, Any]) -> Iterator[Complaint]:
    for pointer, remark in _words_at("/given/remark", document["given"].get("remark", [])):
        if remark not in REMARKS:
            yield pointer, f"there is no remark {remark}{meant(remark, REMARKS)}"


def _call(_: str, document: Mapping[str, Any]) -> Iterator[Complaint]:
    yield from _known_actions(document, "/given/action", document["given"].get("action", []))
    if document["given"]["kind"] == "call":
        for pointer, check in _checks(document):
            if check["in"] != "request":
                yield f"{pointer}/in", "a rule of kind call sees the request only; exchange sees the answer too"


def _python(rule_id: str, _: Mapping[str, Any]) -> Iterator[Complaint]:
    if rule_id not in checks.ids():
        yield "/given/kind", f"no function is called {rule_id}{meant(rule_id, checks.ids())}"


def _sequence(_: str, document: Mapping[str, Any]) -> Iterator[Complaint]:
    given = document["given"]
    if "expect" not in given and "forbid" not in given:
        yield "/given", "a rule of kind sequence needs expect or forbid"
    if "expect" in given and "within_s" not in given:
        yield "/given", "what is expected needs within_s"
    if "forbid" in given and "within_s" not in given and "until" not in given:
        yield "/given", "what is forbidden needs until or within_s"
    for name in ("after", "expect", "forbid", "until", "unless"):
        patterns = given.get(name, [])
        several = isinstance(patterns, list)
        for number, pattern in enumerate(patterns if several else [patterns]):
            pointer = f"/given/{name}/{number}" if several else f"/given/{name}"
            for kind in ("call", "answer"):
                yield from _known_actions(document, f"{pointer}/{kind}", pattern.get(kind, []))
            if kind_without_answer := [one["in"] for one in pattern.get("where", ()) if "call" in pattern
                                       and one["in"] != "request"]:
                yield f"{pointer}/where", f"a call has no {kind_without_answer[0]}; answer sees it"


# Kind → the keys that `given` may have and must have, and what they have to mean.
_KEYS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "frame": (frozenset({"remark"}), frozenset()),
    "schema": (frozenset(), frozenset()),
    "correlation": (frozenset({"remark"}), frozenset({"remark"})),
    "call": (frozenset({"action", "caller"}), frozenset({"action"})),
    "exchange": (frozenset({"action", "caller"}), frozenset({"action"})),
    "sequence": (
        frozenset({"after", "expect", "within_s", "already_s", "forbid", "until", "unless", "same", "across",
                   "at_fault"}),
        frozenset({"after"}),
    ),
    "python": (frozenset(), frozenset()),
}
_MEANT: Mapping[str, Callable[[str, Mapping[str, Any]], Iterator[Complaint]]] = {
    "frame": _frame, "schema": _schema, "correlation": _correlation, "call": _call, "exchange": _call,
    "sequence": _sequence, "python": _python,
}  # fmt: skip


def _versions(document: Mapping[str, Any]) -> Iterator[Complaint]:
    versions = tuple(document.get("versions", VERSIONS))
    severity = document["severity"]
    if isinstance(severity, Mapping) and set(severity) != set(versions):
        yield "/severity", f"names {', '.join(severity)}, while the rule is about {', '.join(versions)}"
    for kind in ("checks", "references", "tests"):
        for number, entry in enumerate(document.get(kind, ())):
            named = [entry["version"]] if "version" in entry else entry.get("versions", ())
            if foreign := [version for version in named if version not in versions]:
                yield f"/{kind}/{number}", f"is about {', '.join(foreign)}, and the rule is not"


def _messages(document: Mapping[str, Any]) -> Iterator[Complaint]:
    known = WORDS[document["given"]["kind"]]
    messages = [("/message", document.get("message", ""))]
    messages += [(f"{pointer}/message", check.get("message", "")) for pointer, check in _checks(document)]
    for pointer, message in messages:
        try:
            fields = [field for _, field, _, _ in Formatter().parse(message) if field is not None]
        except ValueError as error:
            yield pointer, f"{error}; a brace as such is written twice"
            continue
        for field in fields:
            if field not in known:
                yield pointer, f"there is no word {{{field}}} here{meant(field, known)}"


def _patterns(document: Mapping[str, Any]) -> Iterator[Complaint]:
    for pointer, expectation in _expectations(document):
        pattern = expectation["expect"].get("matches") if isinstance(expectation["expect"], Mapping) else None
        try:
            re.compile(pattern or "")
        except re.error as error:
            yield f"{pointer}/expect/matches", f"is not a regular expression: {error}"


def _sites(document: Mapping[str, Any]) -> Iterator[Complaint]:
    known = document.get("unless", {}).get("site", [])
    for number, test in enumerate(document["tests"]):
        for key in test.get("site", ()):
            if key not in known:
                yield f"/tests/{number}/site", f"the rule does not ask for {key}{meant(key, known)}"


def _cases(document: Mapping[str, Any]) -> Iterator[Complaint]:
    known = document.get("cases", {})
    for pointer, check in _checks(document):
        if "case" in check and check["case"] not in known:
            yield f"{pointer}/case", f"the rule has no case {check['case']}{meant(check['case'], known)}"


def _checks(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, check in enumerate(document.get("checks", ())):
        yield f"/checks/{number}", check


def _expectations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for pointer, check in _checks(document):
        yield pointer, check
        for number, condition in enumerate(check.get("when", ())):
            yield f"{pointer}/when/{number}", condition


def _words_at(pointer: str, words: Any) -> Iterator[tuple[str, str]]:
    if isinstance(words, str):
        yield pointer, words
        return
    for number, word in enumerate(words):
        yield f"{pointer}/{number}", word
