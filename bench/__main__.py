"""python -m bench [--quick] [--json FILE]     the table
python -m bench kill [--times N]            kill -9 under load, and what the capture then lacks
python -m bench check [--frames N]          `check` over a long capture: speed and memory
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench import compare, table, targets

ANALYSED_STATIONS, ANALYSIS_ROUNDS = 20, 5


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Shorter and rougher: about half a minute.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write all figures there as well.")
@click.pass_context
def main(context: click.Context, quick: bool, json_file: Path | None) -> None:
    """Speed and memory of ocpp-proxy beside its peers, in one run on this machine, over loopback only."""
    if context.invoked_subcommand is not None:
        return
    report(compare.QUICK if quick else compare.Settings(), json_file)


@main.command("kill")
@click.option("--times", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--stations", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--seed", type=int, help="Of the moments of the kills.  [default: the time]")
def kill_command(times: int, stations: int, seed: int | None) -> None:
    """kill -9 under load, again and again, and what each capture then lacks; exit 1 if it lacks anything."""
    from bench import kill
    seed = time.time_ns() if seed is None else seed
    kills = []
    for number, one in enumerate(kill.kill(times, stations, seed), 1):
        kills.append(one)
        click.echo(f"{number:4} after {one.after_s * 1000:5.0f} ms: {one.got:6} received, {one.recorded:6} recorded, "
                   f"{one.lost} missing, {one.said} owned up to")
        for example in one.examples:
            click.echo(f"     missing: {example}")
    lost = sum(one.lost for one in kills)
    click.echo(f"{times} kills (seed {seed}): {sum(one.got for one in kills)} frames received, "
               f"{lost} of them not recorded")
    raise SystemExit(1 if lost else 0)


@main.command("check")
@click.option("--frames", type=click.IntRange(min=100), default=1_000_000, show_default=True)
@click.option("--stations", type=click.IntRange(min=1), default=20, show_default=True)
def check_command(frames: int, stations: int) -> None:
    """`ocpp-proxy check` over a capture of so many frames, and over a tenth of them: frames a second, peak memory."""
    from bench import checking
    with tempfile.TemporaryDirectory() as folder:
        for number in (max(frames // 10, 100), frames):
            one = checking.measure(Path(folder), number, stations)
            click.echo(f"{one.frames:9,} frames of {one.stations} stations: {one.seconds:6.1f} s, "
                       f"{one.frames_per_s:7,.0f} frames/s, {one.cpu_us:5.1f} µs of CPU a frame, "
                       f"{one.peak_mib:5.0f} MiB at most; {one.errors} errors, {one.warnings} warnings")


def report(settings: compare.Settings, json_file: Path | None, *, analysed_stations: int = ANALYSED_STATIONS,
           analysis_rounds: int = ANALYSIS_ROUNDS) -> dict[str, Any]:
    """Measure, print the table, write the JSON; returns what the JSON says."""
    progress = Console(stderr=True)
    with progress.status("starting") as status:
        found = compare.compare(settings, status.update)
        status.update("analysis alone")
        analysis = _analysis(analysed_stations, analysis_rounds)
    aims = targets.targets(found, analysis)
    table.show(found, analysis, aims, Console())
    told = table.as_json(found, analysis, aims)
    if json_file is not None:
        json_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def _analysis(stations: int, rounds: int) -> dict[str, Any] | None:
    done = subprocess.run([sys.executable, "-m", "bench.analysis", str(stations), str(rounds)], text=True,
                          stdout=subprocess.PIPE, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


if __name__ == "__main__":
    main()
