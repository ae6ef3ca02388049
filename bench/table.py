"""The one table, readable at 80 columns, and the same as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench import loop
from bench.compare import LOADS, Comparison, Row
from bench.targets import Target

Analysis = Mapping[str, Any]

# Line of the table, figure, digits after the point.
LINES = (
    ("messages/s", "messages_per_s", 0),
    ("p50, µs", "p50_us", 0),
    ("p99, µs", "p99_us", 0),
    ("added p50, µs", "added_p50_us", 0),
    ("added p99, µs", "added_p99_us", 0),
    ("CPU, µs", "cpu_us", 1),
    ("CPU, × bare", "cpu_ratio", 2),
)


def show(found: Comparison, analysis: Analysis | None, aims: list[Target], console: Console) -> None:
    console.print("A MeterValues request and its reply over loopback; each station asks again as soon as it is "
                  "answered, a resting one 50 ms later. Added: beyond the direct way. CPU: the relay's, a round trip.")
    console.print(_ways(found))
    for row in found.rows.values():
        if row.trouble is not None:
            console.print(f"{row.subject.title}: {row.trouble}", style="yellow", markup=False)
    console.print(_analysis(analysis))
    console.print(_aims(aims))
    console.print(" · ".join(f"{key} {value}" for key, value in machine().items()), style="dim", highlight=False)


def _ways(found: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for row in found.rows.values():
        table.add_column(row.subject.short, justify="right")
    for load in LOADS:
        table.add_section()
        table.add_row(f"[bold]{load.title}[/]")
        figures = {name: found.figures(name, load.name) for name in found.rows}
        for title, figure, digits in LINES:
            table.add_row(f"  {title}", *(
                _cell(row, None if figures[name] is None else getattr(figures[name], figure), digits)
                for name, row in found.rows.items()))
    table.add_row(f"[bold]{found.settings.idle_stations} idle[/]")
    table.add_row("  KiB a station", *(_cell(row, row.idle_kib, 1) for row in found.rows.values()))
    return table


def _cell(row: Row, value: float | None, digits: int) -> str:
    if value is not None:
        return _number(value, digits)
    return "" if row.trouble is None else row.trouble.partition(":")[0]


def _analysis(analysis: Analysis | None) -> str:
    if analysis is None:
        return "Analysis alone: failed\n"
    return (f"Analysis alone, on {analysis['frames']} frames of a mixed day, CPU a frame: ours "
            f"{analysis['ours_us']:.1f} µs,\nocpp's unpack and validate {analysis['ocpp_us']:.1f} µs; ratio "
            f"{analysis['ratio']:.2f}\n")


def _aims(aims: list[Target]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("aim")
    table.add_column("at most", justify="right")
    table.add_column("seen", justify="right")
    table.add_column("met")
    for aim in aims:
        met = {True: "[green]yes[/]", False: "[red]no[/]", None: "not measured"}[aim.met]
        table.add_row(aim.what, f"{aim.limit:g}", "–" if aim.seen is None else _number(aim.seen, 2), met)
    return table


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def as_json(found: Comparison, analysis: Analysis | None, aims: list[Target]) -> dict[str, Any]:
    rows = []
    for name, row in found.rows.items():
        figures = {load.name: found.figures(name, load.name) for load in LOADS}
        rows.append({
            "name": name, "title": row.subject.title, "trouble": row.trouble, "idle_kib": row.idle_kib,
            "loads": {load: None if of is None else asdict(of) for load, of in figures.items()},
        })
    return {"version": 1, "machine": machine(), "settings": asdict(found.settings), "rows": rows,
            "analysis": analysis, "aims": [{**asdict(aim), "met": aim.met} for aim in aims]}


def machine() -> dict[str, str]:
    return {"Python": platform.python_version(), "on": f"{platform.system()} {platform.machine()}",
            "cores": str(os.cpu_count()), "loop": loop.NAME,
            **{name: metadata.version(name) for name in ("websockets", "ocpp", "jsonschema-rs")}}
