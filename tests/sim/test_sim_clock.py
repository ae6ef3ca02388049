import asyncio
import time

import pytest

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.sim.clock import Pulse, ScaledClock


def test_a_minute_passes_in_a_fraction_of_it():
    async def story():
        clock = ScaledClock(600)
        began, real = clock.seconds(), time.monotonic()
        await clock.sleep(60)
        assert 0.09 < time.monotonic() - real < 2
        assert clock.seconds() - began > 55

    asyncio.run(story())


def test_timestamps_are_utc_and_never_go_back():
    clock = ScaledClock(100)
    told = [clock.timestamp() for _ in range(200)]
    assert told == sorted(told)
    assert told[0].endswith("Z")
    assert len(told[0]) == len("2026-11-21T09:00:00.000Z")
    ahead = Instant.parse(clock.timestamp(3600)).seconds_since(Instant.parse(clock.timestamp()))
    assert ahead == pytest.approx(3600, abs=5)


def test_a_clock_that_is_set_goes_on_from_there():
    clock = ScaledClock(1)
    before = clock.seconds()
    clock.set(Instant.parse("2030-01-01T00:00:00Z"))
    assert clock.timestamp().startswith("2030-01-01T00:00:0")
    assert clock.seconds() - before < 1


def test_waiting_tells_whether_it_came():
    async def story():
        clock = ScaledClock(1000)
        event = asyncio.Event()
        assert await clock.wait(event, 5) is False
        assert await clock.wait(event, -5) is False
        event.set()
        assert await clock.wait(event, float("inf")) is True

    asyncio.run(story())


def test_a_pulse_wakes_only_those_who_wait():
    async def story():
        clock, pulse = ScaledClock(1000), Pulse()
        waiting = asyncio.create_task(pulse.wait(clock, float("inf")))
        await asyncio.sleep(0)
        pulse()
        assert await waiting is True
        assert await pulse.wait(clock, 5) is False

    asyncio.run(story())


@pytest.mark.parametrize("scale", [0, -1])
def test_time_cannot_stand_still(scale):
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(scale)
