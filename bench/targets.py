"""What ocpp-proxy sets out to reach, beside what was seen: information, no test, for machines differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.compare import Comparison

AT = 20  # connections: where the relay is busy and waiting for others is the least part


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
    at = max(found.settings.connections) if AT not in found.settings.connections else AT
    of = {name: found.figures(name, at) for name in found.rows}
    idle = {name: row.idle_kib for name, row in found.rows.items()}

    def against(name: str, other: str, figure: str) -> float | None:
        ours, theirs = (None if of[one] is None else getattr(of[one], figure) for one in (name, other))
        return ours / theirs if ours is not None and theirs is not None and theirs > 0 else None

    def cpu(name: str) -> float | None:
        figures = of[name]
        return None if figures is None else figures.cpu_ratio

    return [
        Target(f"CPU at {at} stations, relaying only / bare", 0.8, cpu("relaying")),
        Target(f"CPU at {at} stations, everything / bare", 2.0, cpu("everything")),
        Target(f"CPU at {at} stations, everything / mitmproxy", 0.25,
               against("everything", "mitmproxy", "cpu_us")),
        Target(f"added p99 at {at} stations, relaying only / bare", 2.0,
               against("relaying", "bare", "added_p99_us")),
        Target(f"added p99 at {at} stations, everything / bare", 2.0,
               against("everything", "bare", "added_p99_us")),
        Target("CPU a frame, analysis / ocpp's validation", 1.0,
               None if analysis is None else analysis["ratio"]),
        Target("KiB an idle station, relaying only", 40.0, idle["relaying"]),
        Target("KiB an idle station, everything on", 40.0, idle["everything"]),
    ]
