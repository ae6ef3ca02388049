"""`ocpp-proxy demo`: the whole chain at work, and a check of what it left."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ocpp_proxy.cli.check import print_report
from ocpp_proxy.cli.output import Stdout, notice
from ocpp_proxy.cli.run import GAP
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.demo import EXPECTED, play
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.report.analysis import analyse
from ocpp_proxy.tasks import run_on_fast_loop

EPILOG = """\b
Example:
  ocpp-proxy demo --out demo-out
  ocpp-proxy check demo-out/demo.db
"""


@click.command("demo", epilog=EPILOG)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-out"), show_default=True,
              metavar="DIR", help="Where the capture is left.")
def command(out: Path) -> None:
    """Simulated station, proxy and simulated CSMS on free loopback ports: a boot, statuses, a charging session, a
    TriggerMessage that is not implemented. Ends by itself in under a minute, with a check of the capture."""
    console = Stdout(soft_wrap=True)
    outcome = run_on_fast_loop(play(out, console, notice))
    click.echo(f"\n$ ocpp-proxy check {outcome.capture}")
    again = analyse(outcome.capture, partial(Pipeline, load_rules(), Schemas(load_schema)), lambda _: None)
    print_report(outcome.capture, again)
    if not outcome.complete:
        raise SystemExit(GAP)
    if (found := {finding.rule for finding in again.findings}) != outcome.rules:
        notice(f"the check of the capture differs from the live run: {', '.join(sorted(found ^ outcome.rules))}")
        raise SystemExit(1)
    if missing := EXPECTED - outcome.rules:
        notice(f"the demo should have shown {' and '.join(sorted(missing))}")
        raise SystemExit(1)
