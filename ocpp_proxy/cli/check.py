"""`ocpp-proxy check`: everything the rules and schemas have to say about captures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from rich.text import Text

from ocpp_proxy import __version__
from ocpp_proxy.cli.output import Stdout, notice
from ocpp_proxy.core.finding import SEVERITIES, Severity
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import VERSIONS
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.report import as_json, as_junit, as_markdown, as_text
from ocpp_proxy.report.analysis import Analysis, analyse, digest, quoted
from ocpp_proxy.report.baseline import apart, read_baseline
from ocpp_proxy.report.confidential import Tokens
from ocpp_proxy.report.grouping import deviations
from ocpp_proxy.tasks import collect_seldom

EPILOG = """\b
Examples:
  ocpp-proxy check captures/2026-11-21T090000Z.db
  ocpp-proxy check yesterday.jsonl --site no-sim --fail-on warning
  ocpp-proxy check field.db --format markdown > for-the-maker.md
  ocpp-proxy check field.db --format json > known.json
  ocpp-proxy check *.jsonl --baseline known.json --format junit > check.xml
\b
Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 a file that cannot
be used. Frames that a capture says are missing are told of, and change
nothing else.
"""

FOUND = 1
WIDEST = 100


@click.command("check", epilog=EPILOG)
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE…", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "junit", "markdown"]), default="text",
              show_default=True,
              help="text for people; json: one object a capture, a line each; junit for CI; markdown: a report to send "
                   "to a maker or a CSMS team, without card numbers.")
@click.option("--fail-on", type=click.Choice([*SEVERITIES, "never"]), default="error", show_default=True,
              help="The least severity that makes the exit code 1.")
@click.option("--rules", "rules_folder", type=click.Path(path_type=Path), metavar="DIR",
              help="Rules of your own, added to the bundled ones; those of the same name replace them, and "
                   "overrides.yaml in it changes or switches off others.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME",
              help="Wishes of a CSMS or site to judge by, besides default; none switches that off. Repeatable.")
@click.option("--site", multiple=True, metavar="KEY", help="What is known of the site, e.g. no-sim. Repeatable.")
@click.option("--baseline", "baseline_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Findings that are known and accepted: what --format json wrote earlier. Only new ones are told.")
@click.option("--ocpp-version", type=click.Choice(VERSIONS),
              help="Of connections whose subprotocol does not tell.  [default: guessed from the frames]")
def command(
    captures: tuple[Path, ...], form: str, fail_on: str, rules_folder: Path | None, profiles: tuple[str, ...],
    site: tuple[str, ...], baseline_file: Path | None, ocpp_version: Version | None,
) -> None:  # fmt: skip
    """Check captures against the specification, the schemas and the wishes of CSMSs and sites, and say what is wrong,
    whose fault it is and what to do about it."""
    rules = load_rules(rules_folder, profiles=profiles)
    make = partial(Pipeline, rules, Schemas(load_schema), site=frozenset(site), default_version=ocpp_version,
                   on_mistake=notice)
    collect_seldom()
    baseline = read_baseline(baseline_file) if baseline_file is not None else None
    failing = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on in SEVERITIES else ()
    analyses: list[Analysis] = []
    for path in captures:
        analysis = analyse(path, make, _progress)
        _progress(None)
        if baseline is not None:
            analysis = apart(analysis, baseline)
        if form == "json":
            click.echo(as_json.line(analysis))
        elif form == "markdown":
            print_markdown(path, analysis)
        elif form == "text":
            print_report(path, analysis, last=path == captures[-1])
        analyses.append(analysis)
    if form == "junit":
        click.echo(as_junit.document(analyses, failing))
    raise SystemExit(FOUND if any(fails(analysis, failing) for analysis in analyses) else 0)


def fails(analysis: Analysis, failing: Sequence[Severity]) -> bool:
    """Whether there is a finding of one of these severities."""
    return any(analysis.counts[severity] for severity in failing)


def print_report(path: Path, analysis: Analysis, *, last: bool = True) -> None:
    """The report in words, on stdout."""
    console = Stdout()
    found = deviations(analysis.findings)
    frames = quoted(path, {frame for deviation in found for frame in deviation.evidence})
    for text, style in as_text.report(analysis, found, frames, min(console.width, WIDEST)):
        console.print(Text(text, style), soft_wrap=True)
    if not last:
        console.print()


def print_markdown(path: Path, analysis: Analysis) -> None:
    """The report to send, on stdout."""
    found = deviations(analysis.findings)
    tokens = Tokens()
    frames = quoted(path, as_markdown.wanted(found), tokens.learn)
    source = as_markdown.Source(f"ocpp-proxy {__version__}", digest(path))
    click.echo("\n".join(as_markdown.report(analysis, found, frames, tokens, source)) + "\n")


def _progress(done: int | None) -> None:
    """How far a long capture is read, on a terminal only; None wipes it."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K" + (f"{done:,} records read …" if done is not None else ""), nl=False, err=True)
