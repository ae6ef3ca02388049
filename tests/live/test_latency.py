from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.live.latency import Latencies


@given(st.lists(st.floats(0.001, 1e7), min_size=1), st.sampled_from([50, 95, 99, 100]))
def test_percentiles_are_within_one_percent_of_the_nearest_rank(samples: list[float], percent: float) -> None:
    kept = Latencies()
    for sample in samples:
        kept.add(sample)
    true = sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]
    assert kept.percentile_ms(percent) == pytest.approx(true, rel=0.0101)
    assert kept.max_ms == max(samples)


def test_one_sample_is_exact_and_none_is_zero() -> None:
    kept = Latencies()
    assert kept.percentile_ms(50) == 0
    kept.add(41.3)
    assert [kept.percentile_ms(percent) for percent in (50, 99)] == [41.3, 41.3]


def test_a_clock_set_back_gives_no_negative_latency() -> None:
    kept = Latencies()
    kept.add(-5.0)
    assert kept.percentile_ms(50) == 0.001


def test_a_million_samples_take_no_more_room_than_a_few() -> None:
    kept = Latencies()
    for n in range(100_000):
        kept.add(1 + n / 1000)
    assert len(kept._buckets) < 250
    assert kept.count == 100_000
