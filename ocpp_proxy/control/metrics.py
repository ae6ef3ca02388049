"""The figures of a run in Prometheus's text format.

Decides names, labels and help texts. Refuses to count (`figures`): a scrape reads, and costs nothing in between. No
label holds anything that a peer chose.

Source: Prometheus text exposition format 0.0.4; its conventions for names and base units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ocpp_proxy import __version__
from ocpp_proxy.control.board import Board
from ocpp_proxy.control.figures import BOUNDS_S
from ocpp_proxy.core.finding import SEVERITIES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "ocpp_proxy"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a scrape has to ask for. `recorded`: nothing is missing in the capture; `faults`: those in force."""

    recorded: bool
    panicked: bool
    faults: int
    capture_bytes: int


class _Reader(Collector):
    def __init__(self, board: Board, standing: Callable[[], Standing]) -> None:
        self._board = board
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily(_PREFIX, "The program that is measured here.", value={"version": __version__})
        yield from self._counters()
        yield from self._gauges()
        yield self._latency()

    def _counters(self) -> Iterator[Metric]:
        figures = self._board.figures
        yield _counted("frames", "Frames that passed, by who sent them and what they were.", ("sender", "kind"),
                       figures.frames)
        yield _counted("altered_frames", "Frames injected, modified or withheld by this program.", ("origin",),
                       {(origin,): figures.origins[origin] for origin in ("injected", "modified", "withheld")})
        yield _counted("findings", "What rules and schemas said, repetitions included.", ("severity",),
                       {(severity,): figures.findings[severity] for severity in SEVERITIES})
        yield _counted("answers", "Answered Calls, by caller and kind of answer.", ("caller", "kind"), figures.answers)
        for name, text, value in (
            ("malformed_frames", "Frames whose type or message id could not be read.", figures.malformed),
            ("held_frames", "Frames that this program held up.", figures.held),
            ("held_seconds", "For how long it held them, all together.", figures.held_s),
            ("gaps", "Gaps in the capture.", figures.gaps),
            ("lost_frames", "Frames that were forwarded but could not be recorded.", figures.lost),
            ("connections", "Connections opened.", figures.connections),
            ("refused_handshakes", "Handshakes that led to no connection.", figures.refused),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value=value)

    def _gauges(self) -> Iterator[Metric]:
        standing = self._standing()
        for name, text, value in (
            ("open_connections", "Connections open now.", self._board.stations.open_connections),
            ("known_stations", "Stations heard of.", self._board.stations.count),
            ("fully_recorded", "1 as long as nothing is missing in the capture.", standing.recorded),
            ("panicked", "1 while a panic keeps everything from altering traffic.", standing.panicked),
            ("faults", "Faults in force.", standing.faults),
            ("capture_bytes", "Size of the capture's files.", standing.capture_bytes),
        ):
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=float(value))

    def _latency(self) -> Metric:
        family = HistogramMetricFamily(f"{_PREFIX}_answer_seconds", "From a Call to its answer, by caller.",
                                       labels=("caller",))
        for caller, latency in self._board.figures.latency.items():
            total, buckets = 0, list[tuple[str, float]]()
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), latency.buckets, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric((caller,), buckets, latency.sum_s)
        return family


def _counted(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, int]
) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def reading(board: Board, standing: Callable[[], Standing]) -> Callable[[], bytes]:
    """Something that gives the figures as they are when it is called."""
    registry = CollectorRegistry()
    registry.register(_Reader(board, standing))
    return lambda: generate_latest(registry)
