"""One charging session, whatever the OCPP version.

Decides how long the car draws and when a sample is due. Refuses to know which messages tell of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.meter import Meter


@dataclass(slots=True, eq=False)
class Session:
    """`transaction_id` is the CSMS's in 1.6 (None until it answered), the station's own in 2.x. `paused`: the car
    is connected and authorised no longer, or held back, and draws nothing."""

    connector: int
    token: str
    meter_start_wh: int
    started_at: str
    transaction_id: int | str | None = None
    paused: bool = False
    reason: str | None = None
    stopping: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self, reason: str) -> None:
        """End the session. The first reason counts."""
        if not self.stopping:
            self.reason, self.stopping = reason, True
            self.news.set()

    def look_again(self) -> None:
        """What the session depends on has changed: the limit, the sample interval."""
        self.news.set()


async def draw(
    session: Session, meter: Meter, clock: ScaledClock, *, interval_s: Callable[[], float],
    sample: Callable[[], Awaitable[None]], seconds: float | None, energy_wh: float | None,
) -> None:
    """Let the car draw until the session is stopped, `seconds` have passed or `energy_wh` has flowed; call
    `sample` at the end of every full interval (0 or less: never)."""
    left_s = float("inf") if seconds is None else seconds
    end_wh = float("inf") if energy_wh is None else meter.register_wh + energy_wh
    interval = until_sample_s = 0.0
    while not session.stopping and left_s > 0 and meter.register_wh < end_wh:
        if session.paused:
            meter.idle()
        else:
            meter.charge()
        if interval != interval_s() or until_sample_s <= 0:
            interval = interval_s()
            until_sample_s = interval if interval > 0 else float("inf")
        until_full_s = (end_wh - meter.register_wh) * 3600 / meter.power_w if meter.power_w else float("inf")
        step_s = min(until_sample_s, left_s, until_full_s)
        began_s = clock.seconds()
        session.news.clear()
        woken = await clock.wait(session.news, step_s)
        passed_s = min(clock.seconds() - began_s, step_s) if woken else step_s
        meter.run(passed_s)
        left_s -= passed_s
        until_sample_s -= passed_s
        if not woken and step_s == until_full_s:
            meter.register_wh = end_wh
        if not session.stopping and until_sample_s <= 0:
            await sample()
    meter.idle()
