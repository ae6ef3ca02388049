"""The queue of transaction messages: what must reach the CSMS, in order, whenever the link allows.

Decides what is sent next, what is tried again and what is given up. Refuses to know what the messages say: a payload
is built when it is sent, since a transaction's id may only then be known.

Source: OCPP 1.6 sections 3.7 and 3.7.1 (chronological order, attempts, growing wait); OCPP 2.0.1 E04 and E13.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.endpoint import CONNECTION_LOST, CallFailed, Payload


@dataclass(slots=True, eq=False)
class Entry:
    """`on_response` is told the response once there is one; `released` is set when nobody need wait any longer:
    delivered, given up, or the link is down."""

    action: str
    build: Callable[[], Payload]
    on_response: Callable[[Payload], None]
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Outbox:
    """`keeps` False: a message that cannot be sent at once is lost, as in stations without a memory for them."""

    def __init__(
        self, send: Callable[[str, Payload], Awaitable[Payload]], clock: ScaledClock, *, keeps: bool,
        attempts: Callable[[], int], retry_interval_s: Callable[[], float],
    ) -> None:
        self._send = send
        self._clock = clock
        self._keeps = keeps
        self._attempts = attempts
        self._retry_interval_s = retry_interval_s
        self._entries: deque[Entry] = deque()
        self._arrived = asyncio.Event()
        self.online = False

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, action: str, build: Callable[[], Payload], on_response: Callable[[Payload], None]) -> Entry:
        entry = Entry(action, build, on_response)
        if not self.online:
            entry.released.set()
            if not self._keeps:
                return entry
        self._entries.append(entry)
        self._arrived.set()
        return entry

    async def deliver(self) -> None:
        """Send what is queued and what will be, until the connection is lost or the task cancelled."""
        while True:
            while self._entries:
                if not await self._deliver(self._entries[0]):
                    return
                self._entries.popleft().released.set()
            self._arrived.clear()
            await self._arrived.wait()

    async def _deliver(self, entry: Entry) -> bool:
        """Whether the entry is done with: answered, or given up after all attempts."""
        for attempt in range(1, max(1, self._attempts()) + 1):
            try:
                response = await self._send(entry.action, entry.build())
            except CallFailed as failure:
                if failure.code == CONNECTION_LOST:
                    return False
                await self._clock.sleep(self._retry_interval_s() * attempt)
            else:
                entry.on_response(response)
                return True
        return True

    def link_lost(self) -> None:
        """Let nobody wait for what cannot be sent now."""
        self.online = False
        for entry in self._entries:
            entry.released.set()
        if not self._keeps:
            self._entries.clear()
