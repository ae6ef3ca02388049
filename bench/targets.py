"""What ocpp-proxy sets out to reach, beside what was seen: information, no test, for machines differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.compare import BUSY, CALM, Comparison


@dataclass(frozen=True, slots=True)
class Target:
    """`seen` is None where it could not be measured."""

    what: str
    limit: float
    seen: float | None

    @property
    def met(self) -> bool | None:
        return None if self.seen is None else self.seen <= self.limit


def targets(found: Comparison, analysis: Mapping[str, Any] | None) -> list[Target]:
    def figure(name: str, load: str, what: str) -> float | None:
        figures = found.figures(name, load)
        return None if figures is None else getattr(figures, what)

    def against(name: str, other: str, load: str, what: str) -> float | None:
        ours, theirs = figure(name, load, what), figure(other, load, what)
        return ours / theirs if ours is not None and theirs is not None and theirs > 0 else None

    return [
        Target("CPU at 20 stations, relaying only / bare", 0.8, figure("relaying", BUSY, "cpu_ratio")),
        Target("CPU at 20 stations, everything / bare", 2.0, figure("everything", BUSY, "cpu_ratio")),
        Target("CPU at 20 stations, everything / mitmproxy", 0.25, against("everything", "mitmproxy", BUSY, "cpu_us")),
        Target("added p99 at 20 stations, relaying only / bare", 2.0,
               against("relaying", "bare", BUSY, "added_p99_us")),
        Target("added p99 at 20 stations, everything / bare", 2.0,
               against("everything", "bare", BUSY, "added_p99_us")),
        Target("added p99 at 20 resting stations, everything / bare", 2.0,
               against("everything", "bare", CALM, "added_p99_us")),
        Target("CPU a frame, analysis / ocpp's validation", 1.0, None if analysis is None else analysis["ratio"]),
        Target("KiB an idle station, relaying only", 40.0, found.rows["relaying"].idle_kib),
        Target("KiB an idle station, everything on", 40.0, found.rows["everything"].idle_kib),
    ]
