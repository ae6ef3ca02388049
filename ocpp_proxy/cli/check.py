"""`ocpp-proxy check`: everything the rules and schemas have to say about captures."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click
from rich.text import Text

from ocpp_proxy.cli.output import Stdout
from ocpp_proxy.core.finding import SEVERITIES
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import VERSIONS
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.report import as_json, as_text
from ocpp_proxy.report.analysis import Analysis, analyse, quoted

EPILOG = """\b
Examples:
  ocpp-proxy check captures/2026-11-21T090000Z.db
  ocpp-proxy check yesterday.jsonl --site no-sim --fail-on warning
  ocpp-proxy check *.jsonl --format json | jq .counts
\b
Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 a file that cannot
be used. Frames that a capture says are missing are told of, and change
nothing else.
"""

FOUND = 1
WIDEST = 100


@click.command("check", epilog=EPILOG)
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE…", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="text for people; json: one object a capture, a line each.")
@click.option("--fail-on", type=click.Choice([*SEVERITIES, "never"]), default="error", show_default=True,
              help="The least severity that makes the exit code 1.")
@click.option("--rules", "rules_folder", type=click.Path(path_type=Path), metavar="DIR",
              help="Rules of your own, added to the bundled ones; those of the same name replace them.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME",
              help="Wishes of a CSMS or site to judge by, besides default; none switches that off. Repeatable.")
@click.option("--site", multiple=True, metavar="KEY", help="What is known of the site, e.g. no-sim. Repeatable.")
@click.option("--ocpp-version", type=click.Choice(VERSIONS),
              help="Of connections whose subprotocol does not tell.  [default: guessed from the frames]")
def command(
    captures: tuple[Path, ...], form: str, fail_on: str, rules_folder: Path | None, profiles: tuple[str, ...],
    site: tuple[str, ...], ocpp_version: Version | None,
) -> None:  # fmt: skip
    """Check captures against the specification, the schemas and the wishes of CSMSs and sites, and say what is wrong,
    whose fault it is and what to do about it."""
    rules = load_rules(rules_folder, profiles=profiles)
    make = partial(Pipeline, rules, Schemas(load_schema), site=frozenset(site), default_version=ocpp_version)
    failed = False
    for path in captures:
        analysis = analyse(path, make, _progress)
        _progress(None)
        if form == "json":
            click.echo(as_json.line(analysis))
        else:
            print_report(path, analysis, last=path == captures[-1])
        failed |= fails(analysis, fail_on)
    raise SystemExit(FOUND if failed else 0)


def fails(analysis: Analysis, fail_on: str) -> bool:
    """Whether there is a finding of that severity or worse."""
    worse = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on in SEVERITIES else ()
    return any(analysis.counts[severity] for severity in worse)


def print_report(path: Path, analysis: Analysis, *, last: bool = True) -> None:
    """The report in words, on stdout."""
    console = Stdout()
    found = as_text.deviations(analysis.findings)
    frames = quoted(path, {frame for deviation in found for frame in deviation.evidence})
    for text, style in as_text.report(analysis, found, frames, min(console.width, WIDEST)):
        console.print(Text(text, style), soft_wrap=True)
    if not last:
        console.print()


def _progress(done: int | None) -> None:
    """How far a long capture is read, on a terminal only; None wipes it."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K" + (f"{done:,} records read …" if done is not None else ""), nl=False, err=True)
