"""`ocpp-proxy rules`: lists, explains, tests and lints rules."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.cli.output import Stdout
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.catalogue import Catalogue, load_catalogue
from ocpp_proxy.files.rule_tests import run
from ocpp_proxy.files.rules import RuleFolder, bundled_folder, load_rules, read_folder, with_tests
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.report import catalogue_page
from ocpp_proxy.report.as_text import STYLES
from ocpp_proxy.report.grouping import number
from ocpp_proxy.rules.model import Rule, RuleTest

EPILOG = """\b
Examples:
  ocpp-proxy rules list
  ocpp-proxy rules explain boot-missing-iccid
  ocpp-proxy rules lint my-rules && ocpp-proxy rules test my-rules
"""
FAILED, UNUSABLE = 1, 2
WIDEST = 100
WORTH_TELLING_S = 1.0  # between two steps of an example

_FOLDER = click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
_OWN_RULES = click.option("--rules", "rules_folder", type=click.Path(path_type=Path), metavar="DIR",
                          help="Rules of your own, added to the bundled ones.")


@click.group("rules", epilog=EPILOG)
def command() -> None:
    """The rules that traffic is judged by: files that say what is wrong, why it matters and what to do."""


@command.command("list", epilog="""\b
Example:
  ocpp-proxy rules list --format json | jq '.[].id'
  ocpp-proxy rules list --coverage
""")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True,
              help="text for people, json for programs; markdown, with --coverage, is docs/catalogue.md.")
@click.option("--coverage", is_flag=True,
              help="Instead, how much of the catalogue the rules cover, by section, and why some of it cannot be seen.")
@_OWN_RULES
def list_rules(form: str, coverage: bool, rules_folder: Path | None) -> None:
    """All rules, one a line: id, severity, versions and title."""
    chosen = load_rules(rules_folder)
    rules = chosen.all
    if coverage:
        _print_coverage(load_catalogue(rules), form)
        return
    if form == "markdown":
        raise BadInput("--format markdown goes with --coverage; without it, text or json")
    if form == "json":
        click.echo(dumps([_as_dict(rule) for rule in rules]))
        return
    console = Stdout()
    longest = max(len(rule.id) for rule in rules)
    for rule in rules:
        profile = f" [profile {', '.join(rule.profiles)}]" if rule.profiles else ""
        versions = "all" if len(rule.versions) == 3 else ",".join(rule.versions)
        console.print(
            Text.assemble(f"{rule.id:{longest}}  ", (f"{rule.severity:7}", STYLES[rule.severity]),
                          f"  {versions:3}  {rule.title}{profile}"),
            soft_wrap=True,
        )  # fmt: skip


def _print_coverage(catalogue: Catalogue, form: str) -> None:
    if form == "json":
        click.echo(dumps(_coverage(catalogue)))
        return
    if form == "markdown":
        click.echo("\n".join(catalogue_page.lines(catalogue)))
        return
    console = Stdout()
    width = min(console.width, WIDEST)
    console.print("rows  working  not observable  section", style="bold")
    for section in catalogue.sections:
        console.print(f"{len(section.rows):4}  {section.working:7}  {section.not_observable:14}  "
                      f"{section.number} {section.title}", highlight=False, markup=False)
    total = _coverage(catalogue)
    console.print(f"{total['rows']:4}  {total['working']:7}  {total['not_observable']:14}  in all",
                  style="bold", highlight=False)
    console.print("\nNot observable:", style="bold")
    for row in catalogue.rows():
        if row.reason is not None:
            for text, style in _wrapped(f"{row.id}: {row.reason}", width, "  "):
                console.print(Text(text, style), soft_wrap=True)
    for row_id in catalogue.unaccounted_for:
        console.print(Text(f"unaccounted for: {row_id}", "red"), soft_wrap=True)


def _coverage(catalogue: Catalogue) -> dict[str, Any]:
    sections = [{"section": section.number, "title": section.title, "rows": len(section.rows),
                 "working": section.working, "not_observable": section.not_observable}
                for section in catalogue.sections]
    rows = list(catalogue.rows())
    return {"rows": len(rows), "working": sum(section.working for section in catalogue.sections),
            "not_observable": sum(section.not_observable for section in catalogue.sections), "sections": sections}


def _as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id, "title": rule.title, "severity": rule.severity, "axis": rule.axis,
        "versions": list(rule.versions), "kind": rule.given.kind, "source": rule.source,
        "severities": dict(rule.severities), "profiles": list(rule.profiles),
    }  # fmt: skip


@command.command("explain", epilog="""\b
Example:
  ocpp-proxy rules explain trigger-message-not-implemented
""")
@click.argument("rule_id", metavar="ID")
@_OWN_RULES
def explain(rule_id: str, rules_folder: Path | None) -> None:
    """What a rule looks for, why it matters, its usual cause, what to do about it, its clauses and an example."""
    rule = with_tests(load_rules(rules_folder).find(rule_id))
    console = Stdout()
    width = min(console.width, WIDEST)
    for text, style in _explanation(rule, width):
        console.print(Text(text, style), soft_wrap=True)


def _explanation(rule: Rule, width: int) -> Iterator[tuple[str, str]]:
    yield rule.title, "bold"
    versions = ", ".join(rule.versions)
    yield from _wrapped(f"{rule.id}, {_severity(rule)}, on the {rule.axis} axis, OCPP {versions}", width)
    sections = [
        ("What", [rule.what]), ("Why it matters", [rule.why]),
        ("Usual cause", [rule.cause]), ("What to do", [rule.fix]),
        ("To bear in mind", list(rule.known_problems)), ("When", [_conditions(rule)]),
    ]  # fmt: skip
    for title, texts in sections:
        if any(texts):
            yield "", ""
            yield title, "bold"
            for text in texts:
                yield from _wrapped(text, width, "  ")
    yield "", ""
    yield "Clauses", "bold"
    for reference in (*rule.references, *(one for escalation in rule.escalations for one in escalation.references)):
        versions = f" [OCPP {', '.join(reference.versions)}]" if reference.versions != rule.versions else ""
        yield from _wrapped(f"{reference}{versions}", width, "  ")
    yield from _example(rule, width)


def _severity(rule: Rule) -> str:
    if len(set(rule.severities.values())) == 1:
        return rule.severity
    return ", ".join(f"{severity} in {version}" for version, severity in rule.severities.items())


def _conditions(rule: Rule) -> str:
    parts = []
    if rule.profiles:
        parts.append(f"On with --profile {' or '.join(rule.profiles)}.")
    if rule.profiles == ("default",):
        parts = ["On unless --profile none."]
    if rule.unless_site:
        parts.append(f"Silent with --site {' or '.join(rule.unless_site)}.")
    parts += [f"{case.severity}{f' on the {case.axis} axis' if case.axis else ''} where {case.what}."
              for case in rule.cases.values()]
    parts += [_NEEDS[need] for need in rule.needs]
    parts += [f"{escalation.severity} on the {escalation.axis} axis where the station {_CLAIMS[escalation.condition]} "
              f"{escalation.argument}{f', for {escalation.action}' if escalation.action else ''}."
              for escalation in rule.escalations]
    return " ".join(part[:1].upper() + part[1:] for part in parts)


_NEEDS = {"clock": "Silent where a capture bears no times of its own.",
          "wall-clock": "Silent where a capture's time is not that of the payloads."}
_CLAIMS = {"claims_profile": "claims the feature profile"}


def _example(rule: Rule, width: int) -> Iterator[tuple[str, str]]:
    test = next((test for test in rule.tests if test.findings), None)
    if test is None:
        return
    yield "", ""
    yield f"Example ({test.name}, OCPP {test.version})", "bold"
    for sender, text in _conversation(test):
        line = f"  {sender}: {text}" if sender else f"  {text}"
        yield line if len(line) <= width else line[: width - 1] + "…", "dim"
    for finding in test.findings:
        if "message" in finding:
            yield from _wrapped(f"→ {finding['message']}", width, "  ", "yellow")


def _conversation(test: RuleTest) -> Iterator[tuple[str, str]]:
    for step in test.frames:
        if step.after_s >= WORTH_TELLING_S:
            yield "", f"… {step.after_s:g} s …"
        if step.kind == "nothing":
            continue
        who = step.kind.replace("to_", "proxy to ")
        if isinstance(step.data, dict) and step.kind in ("station", "csms"):
            form, text = next(iter(step.data.items()))
            yield who, f"({form}) {text}"
        else:
            yield who, step.data if isinstance(step.data, str) else dumps(step.data)


def _wrapped(text: str, width: int, indent: str = "", style: str = "") -> Iterator[tuple[str, str]]:
    lines = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return ((line, style) for line in lines)


@command.command("test", epilog="""\b
Example:
  ocpp-proxy rules test my-rules
""")
@_FOLDER
def test_rules(folder: Path | None) -> None:
    """Run the tests inside the rule files of DIR, or of the bundled rules; exit 1 where one fails."""
    content = _read(folder)
    rules = content.rules
    documents = {**read_folder(bundled_folder(), "bundled").profiles, **content.profiles}
    count, failures = run(rules, Schemas(load_schema), documents)
    for failure in failures:
        click.echo(f"{failure.rule}: {failure.test}: {failure.what}")
    click.echo(f"{number(count, 'test')} of {number(len(rules), 'rule')}, {len(failures)} failed")
    raise SystemExit(FAILED if failures else 0)


@command.command("lint", epilog="""\b
Example:
  ocpp-proxy rules lint my-rules
""")
@_FOLDER
def lint_rules(folder: Path | None) -> None:
    """Say everything that is wrong in the rule files of DIR, or of the bundled rules, with line and pointer; exit 2
    where there is anything."""
    _read(folder, and_say="no mistakes")


def _read(folder: Path | None, and_say: str = "") -> RuleFolder:
    content = read_folder(folder or bundled_folder(), None if folder else "bundled")
    for mistake in content.mistakes:
        click.echo(str(mistake))
    if content.mistakes:
        click.echo(f"{number(len(content.mistakes), 'mistake')}; docs/rules.md tells how a rule is written", err=True)
        raise SystemExit(UNUSABLE)
    if and_say:
        click.echo(f"{number(len(content.rules), 'rule')}, {and_say}")
    return content
