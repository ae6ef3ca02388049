"""Runs the peers side by side: the same load on each in turn, round by round, so that a noisy moment hits all.

Decides what is measured and how rounds become one figure: the median over the rounds; a ratio of processor
time is taken within each round first. Refuses to judge (`bench.targets`) and to print (`bench.table`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median

from bench import loop, process, stations, traffic
from bench.stations import LostConnectionError, Measured
from bench.subjects import SUBJECTS, NotInstalledError, Running, Subject

BASELINE, YARDSTICK = "direct", "bare"
OPEN_FILES = 8192
SETTLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """`stations` that ask again `pause_s` after each answer; 0: at once, as fast as the way lets them."""

    name: str
    title: str
    stations: int
    pause_s: float = 0.0


ONE, BUSY, CALM = "1", "20", "20-calm"
LOADS = (
    Load(ONE, "1 station", 1),
    Load(BUSY, "20 stations", 20),
    Load(CALM, "20, resting", 20, 0.05),
)


@dataclass(frozen=True, slots=True)
class Settings:
    rounds: int = 5
    warm_up_s: float = 0.3
    measure_s: float = 1.0
    idle_stations: int = 1000


QUICK = Settings(rounds=2, warm_up_s=0.2, measure_s=0.5, idle_stations=250)


@dataclass(slots=True)
class Row:
    """Figures of one peer. `rounds` holds the measurements by load; `trouble` says why some are missing."""

    subject: Subject
    rounds: dict[str, list[Measured]]
    idle_bytes: float | None = None
    trouble: str | None = None

    @property
    def idle_kib(self) -> float | None:
        return None if self.idle_bytes is None else self.idle_bytes / 1024


@dataclass(frozen=True, slots=True)
class Figures:
    """Under one load. `cpu_ratio`: to the bare relay; `added_*`: beyond the direct way."""

    messages_per_s: float
    p50_us: float
    p99_us: float
    added_p50_us: float | None
    added_p99_us: float | None
    cpu_us: float | None
    cpu_ratio: float | None
    drain_s: float


@dataclass(slots=True)
class Comparison:
    settings: Settings
    rows: dict[str, Row] = field(default_factory=dict)

    def figures(self, name: str, load: str) -> Figures | None:
        """None where this peer could not be measured."""
        taken = self.rows[name].rounds[load]
        if not taken:
            return None
        direct, bare = (self.rows[of].rounds[load] for of in (BASELINE, YARDSTICK))
        p50, p99 = ([percentile_us(one, share) for one in taken] for share in (0.50, 0.99))
        cpu = [one.cpu_s / one.round_trips * 1e6 for one in taken]
        bare_cpu = [one.cpu_s / one.round_trips * 1e6 for one in bare]
        relay = name != BASELINE
        return Figures(
            messages_per_s=median(2 * one.round_trips / one.elapsed_s for one in taken),
            p50_us=median(p50),
            p99_us=median(p99),
            added_p50_us=_added(p50, [percentile_us(one, 0.50) for one in direct]) if relay else None,
            added_p99_us=_added(p99, [percentile_us(one, 0.99) for one in direct]) if relay else None,
            cpu_us=median(cpu) if relay else None,
            cpu_ratio=median(ours / theirs for ours, theirs in zip(cpu, bare_cpu, strict=False))
            if relay and bare_cpu else None,
            drain_s=median(one.drain_s for one in taken),
        )


def percentile_us(measured: Measured, share: float) -> float:
    ordered = sorted(measured.latencies_ns)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1000


def _added(ours: list[float], direct: list[float]) -> float | None:
    """Beyond the direct way's quietest round: a noisy one of its own would make a relay look fast."""
    return median(ours) - min(direct) if direct else None


def compare(settings: Settings, say: Callable[[str], None]) -> Comparison:
    """Everything, in one run. `say` hears what is going on."""
    process.allow_many_files(OPEN_FILES)
    found = Comparison(settings, {subject.name: Row(subject, {load.name: [] for load in LOADS})
                                  for subject in SUBJECTS})
    with process.printing_port("bench.csms") as (_, csms_port):
        _under_load(found, csms_port, say)
        for row in found.rows.values():
            if row.trouble is None and row.subject.name != BASELINE:
                say(f"{settings.idle_stations} idle stations: {row.subject.title}")
                with _guarded(row):
                    _idle(row, csms_port, settings.idle_stations)
    return found


def _under_load(found: Comparison, csms_port: int, say: Callable[[str], None]) -> None:
    with ExitStack() as stack:
        started: dict[str, Running] = {}
        for name, row in found.rows.items():
            with _guarded(row):
                started[name] = stack.enter_context(row.subject.start(csms_port))
        for number in range(found.settings.rounds):
            for name, running in started.items():
                row = found.rows[name]
                say(f"round {number + 1} of {found.settings.rounds}: {row.subject.title}")
                if row.trouble is None:
                    with _guarded(row):
                        _round(row, running, found.settings, number)


@contextmanager
def _guarded(row: Row) -> Iterator[None]:
    """A peer that is absent or fails keeps its row, which says why."""
    try:
        yield
    except NotInstalledError as absent:
        row.trouble = f"not installed: {absent}"
    except (LostConnectionError, OSError, RuntimeError) as failure:
        row.trouble = f"failed: {failure}"


def _round(row: Row, running: Running, settings: Settings, number: int) -> None:
    def cpu() -> float:
        return 0.0 if running.pid is None else process.cpu_s(running.pid)

    for load in LOADS:
        row.rounds[load.name].append(loop.run(stations.measure(
            running.port, f"{row.subject.name}-{number}-{load.name}", load.stations, load.pause_s,
            warm_up_s=settings.warm_up_s, measure_s=settings.measure_s, cpu=cpu)))


def _idle(row: Row, csms_port: int, count: int) -> None:
    """Memory of a fresh relay with `count` stations that have booted and are silent, less that with one."""
    async def fill(running: Running) -> float:
        assert running.pid is not None
        first = await _booted(running.port, "first", 1)
        await asyncio.sleep(SETTLE_S)
        before = process.rss_bytes(running.pid)
        rest = await _booted(running.port, "idle", count)
        await asyncio.sleep(SETTLE_S)
        grown = process.rss_bytes(running.pid) - before
        await stations.hang_up(first + rest)
        return grown / count

    with row.subject.start(csms_port) as running:
        row.idle_bytes = loop.run(fill(running))


async def _booted(port: int, prefix: str, count: int) -> list[stations.Station]:
    connected = await stations.connect_all(port, prefix, count)
    for station in connected:
        await station.ask(traffic.opening(station.name)[0])
    return connected
