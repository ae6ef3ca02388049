"""The time as a simulator sees it: true, or running faster by a factor.

Decides what a second is inside a simulation. Refuses to know who waits for what. Payload timestamps and intervals
come from the same clock, so that a minute's interval between two messages also stands between their timestamps.
"""

from __future__ import annotations

import asyncio

from ocpp_proxy import clock
from ocpp_proxy.core.instant import Instant


class ScaledClock:
    """Runs `scale` times as fast as the wall clock from the moment it is made; backwards only when it is set."""

    def __init__(self, scale: float = 1.0) -> None:
        if not scale > 0:
            raise ValueError("the scale of a clock must be above 0")
        self.scale = scale
        self._origin = clock.now()

    def seconds(self) -> float:
        """Simulated seconds since the clock was made."""
        return clock.now().seconds_since(self._origin) * self.scale

    def now(self) -> Instant:
        return Instant(self._origin.utc_us + int(self.seconds() * 1_000_000))

    def set(self, at: Instant) -> None:
        """Go on from `at`, as a station does when its CSMS tells it the time."""
        self._origin = Instant(at.utc_us - int(self.seconds() * 1_000_000), self._origin.mono_ns)

    def timestamp(self, offset_s: float = 0.0) -> str:
        """Now, or `offset_s` from now, as every OCPP version takes it: UTC, milliseconds, Z."""
        moment = Instant(self.now().utc_us + int(offset_s * 1_000_000))
        return moment.isoformat()[:-4] + "Z"

    def real_s(self, seconds: float) -> float:
        """How long simulated `seconds` take."""
        return seconds / self.scale

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(self.real_s(seconds))

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for `event`, for simulated `seconds` at most (which may be infinite); whether it came."""
        try:
            async with asyncio.timeout(None if seconds == float("inf") else self.real_s(seconds)):
                await event.wait()
        except TimeoutError:
            return False
        return True


class Pulse:
    """Wakes all who wait now; those who come later wait for the next."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self, clock: ScaledClock, seconds: float) -> bool:
        """Whether it came within simulated `seconds`."""
        return await clock.wait(self._event, seconds)
