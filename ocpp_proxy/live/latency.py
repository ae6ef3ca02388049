"""Latencies in little memory: a histogram whose buckets grow by two percent.

Decides how exact a percentile is: within one percent of the true one, whatever the number of samples; the least and
the greatest are exact. Refuses to keep the samples.

Source: own decision; nearest-rank percentiles.
"""

from __future__ import annotations

import math

_GROWTH = math.log(1.02)
_LEAST_MS = 0.001


class Latencies:
    """Of one kind of answer, in milliseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.min_ms = math.inf
        self.max_ms = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, ms: float) -> None:
        """Below a microsecond counts as one: a clock set back must not give a negative latency."""
        ms = max(ms, _LEAST_MS)
        self.count += 1
        self.min_ms = min(self.min_ms, ms)
        self.max_ms = max(self.max_ms, ms)
        bucket = int(math.log(ms / _LEAST_MS) / _GROWTH)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def percentile_ms(self, percent: float) -> float:
        """The smallest latency that `percent` of all do not exceed; 0 without samples."""
        rank = math.ceil(self.count * percent / 100)
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return max(self.min_ms, min(_LEAST_MS * math.exp((bucket + 0.5) * _GROWTH), self.max_ms))
        return self.max_ms
