"""The only place that asks for the time."""

from __future__ import annotations

import time

from ocpp_proxy.core.instant import Instant


def now() -> Instant:
    """The wall clock in UTC and the monotonic clock, read together."""
    return Instant(time.time_ns() // 1000, time.monotonic_ns())
