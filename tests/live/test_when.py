from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.live.when import LocalTime, counted, duration, milliseconds


@pytest.mark.parametrize(("ms", "text"), [
    (0.04, "0.0 ms"), (3.14, "3.1 ms"), (9.96, "10 ms"), (41.3, "41 ms"), (999.4, "999 ms"), (999.6, "1.0 s"),
    (12_340, "12.3 s"), (100_000, "1 min 40 s")])
def test_latencies(ms: float, text: str) -> None:
    assert milliseconds(ms) == text


@pytest.mark.parametrize(("seconds", "text"), [
    (0.4, "0.4 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3_599, "59 min 59 s"), (3_660, "1 h 1 min"),
    (90_000, "1 d 1 h"), (-1, "-1.0 s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert counted(1, "frame") == "1 frame"
    assert counted(1_234_567, "frame") == "1 234 567 frames"
    assert counted(2, "entry", "entries") == "2 entries"


def test_the_distance_from_utc_follows_summer_time() -> None:
    berlin = LocalTime(ZoneInfo("Europe/Berlin"))
    assert berlin.date(Instant.parse("2026-10-25T00:59:59Z")) == "2026-10-25 Sun, UTC+02:00"
    assert berlin.time(Instant.parse("2026-10-25T00:59:59.999999Z")) == "02:59:59.999"
    assert berlin.date(Instant.parse("2026-10-25T01:00:00Z")) == "2026-10-25 Sun, UTC+01:00"
    assert berlin.stamp(Instant.parse("2026-10-25T01:00:00Z")) == "2026-10-25 02:00:00.000"
