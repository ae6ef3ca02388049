"""Counts what passes a running proxy, for `/metrics` and `/health`.

Decides what is counted: whole numbers under names that no peer can choose, so that memory does not grow with stations
or actions. Refuses to know how they are published (`metrics`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from ocpp_proxy.core.event import Event, FindingRaised, FrameSeen, GapSeen
from ocpp_proxy.core.frame import CallError, CallResult, Malformed, Sender, Side

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Latency:
    """How long answers took, as a histogram: `buckets[n]` took at most BOUNDS_S[n], the last one longer."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """A clock set back must not give a negative latency."""
        seconds = max(seconds, 0.0)
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class Figures:
    """`frames`: by sender and "message" or "control"; `origins`: those not merely relayed; `findings`: occurrences by
    severity; `answers`: "result" and "error" by caller; `latency`: of the answers, by caller."""

    def __init__(self) -> None:
        self.frames: Counter[tuple[Sender, str]] = Counter()
        self.origins: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.answers: Counter[tuple[Side, str]] = Counter()
        self.latency: dict[Side, Latency] = {"station": Latency(), "csms": Latency()}
        self.malformed = self.held = self.gaps = self.lost = self.connections = self.refused = 0
        self.held_s = 0.0

    def add(self, event: Event) -> None:
        """Count a frame, a finding or a gap; connections are counted by `opened`."""
        if isinstance(event, FrameSeen):
            self._frame(event)
        elif isinstance(event, FindingRaised):
            self.findings[event.finding.severity] += 1
        elif isinstance(event, GapSeen):
            self.gaps += 1
            self.lost += event.record.lost

    def opened(self, status: int | None) -> None:
        """A handshake, successful or not."""
        if status == 101:
            self.connections += 1
        else:
            self.refused += 1

    def _frame(self, event: FrameSeen) -> None:
        record, frame = event.record, event.frame
        self.frames[record.sender, "control" if record.opcode in ("ping", "pong") else "message"] += 1
        if record.origin != "relayed":
            self.origins[record.origin] += 1
        if record.held_ms is not None:
            self.held += 1
            self.held_s += record.held_ms / 1000
        if isinstance(frame, Malformed):
            self.malformed += 1
        elif isinstance(frame, CallResult | CallError):
            self._answer(event, frame)

    def _answer(self, event: FrameSeen, frame: CallResult | CallError) -> None:
        exchange = event.exchange
        if exchange is None or exchange.answer is not frame:  # a stray one, or one too many
            return
        self.answers[exchange.caller, "error" if isinstance(frame, CallError) else "result"] += 1
        if exchange.latency_ms is not None:
            self.latency[exchange.caller].add(exchange.latency_ms / 1000)
