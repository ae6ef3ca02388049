"""Whether a CSMS has accepted a station, and when the station may ask again.

Decides when a BootNotification is sent and with which reason. Refuses to know what it says and what follows.

Source: OCPP 1.6 section 4.2; OCPP 2.0.1 B01 to B03 (a wait that was imposed counts for the next connection, too).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.endpoint import CONNECTION_LOST, CallFailed, Payload, dig

RETRY_S = 60.0  # until the next BootNotification where the CSMS names no interval


class Registration:
    """`status` is what the CSMS last said since the boot; `reason` why a boot is due, None where none is."""

    def __init__(self, clock: ScaledClock) -> None:
        self.status: str | None = None
        self.reason: str | None = "PowerUp"
        self._clock = clock
        self._asked_for = asyncio.Event()
        self._due_s = 0.0

    @property
    def accepted(self) -> bool:
        return self.status == "Accepted" and self.reason is None

    def boot(self, reason: str) -> None:
        """The station boots: what was said before counts no longer."""
        self.status, self.reason, self._due_s = None, reason, 0.0

    def ask_now(self) -> None:
        """Send the next BootNotification without waiting for its time, as a trigger asks."""
        self._asked_for.set()

    async def obtain(self, ask: Callable[[str], Awaitable[Payload]]) -> Payload | None:
        """Send BootNotifications (`ask` does, with their reason) until one is Accepted; its response. None if the
        connection is lost before."""
        while True:
            self._asked_for.clear()
            triggered = await self._clock.wait(self._asked_for, self._due_s - self._clock.seconds())
            interval_s = 0
            try:
                response = await ask("Triggered" if triggered else self.reason or "PowerUp")
            except CallFailed as failure:
                if failure.code == CONNECTION_LOST:
                    return None
            else:
                self.status = dig(response, str, "status")
                if self.status == "Accepted":
                    self.reason = None
                    return response
                interval_s = dig(response, int, "interval") or 0
            self._due_s = self._clock.seconds() + (interval_s if interval_s > 0 else RETRY_S)
