"""A simulated station: its life from power-up to power-off, whatever the OCPP version.

Decides when it connects, registers, sends heartbeats, reconnects and reboots. Refuses to know what a version's
messages look like (`station16`, `station2x`) and in what a behaviour differs (`behaviours`).

Source: OCPP 1.6 sections 4.2 and 4.6; OCPP 2.0.1 B01 to B04 and G02.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ocpp.exceptions import NotSupportedError, SecurityError
from websockets.asyncio.client import ClientConnection

from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.sim.behaviours import Conformant, station_behaviour
from ocpp_proxy.sim.clock import Pulse, ScaledClock
from ocpp_proxy.sim.endpoint import CONNECTION_LOST, CallFailed, Endpoint, Observer, Payload, Reply, dig
from ocpp_proxy.sim.link import Address, Backoff, Unreachable, dial
from ocpp_proxy.sim.outbox import Outbox
from ocpp_proxy.sim.registration import Registration
from ocpp_proxy.sim.session import Session
from ocpp_proxy.sim.station2x import Station2x
from ocpp_proxy.sim.station16 import Station16
from ocpp_proxy.sim.voice import Voice
from ocpp_proxy.tasks import Tasks

VOICES: dict[Version, Callable[[Any], Voice]] = {"1.6": Station16, "2.0.1": Station2x, "2.1": Station2x}


class SimulatedStation:
    """A station at `url`/`station_id`. Use `async with`, or `run()` until `stop()`.

    `behaviour` is one of `behaviours.STATION_BEHAVIOURS` or a behaviour's instance. The same `seed` gives the same
    message ids and readings. The station's clock goes `scale` times as fast as true and is set at each boot;
    `clock` takes its place, for a station and a CSMS on one clock. `observe` is told every frame. `ready` is set
    once the CSMS has accepted the station and knows all its statuses.
    """

    def __init__(
        self, url: str, station_id: str = "SIM001", version: Version = "1.6",
        behaviour: str | Conformant = "conformant", *, seed: int = 0, scale: float = 1.0,
        clock: ScaledClock | None = None, connectors: int | None = None, user: str | None = None,
        password: str | None = None, ping_interval_s: float | None = None, retry: bool = False,
        response_timeout_s: float = 30.0, observe: Observer | None = None,
    ) -> None:
        self.behaviour = station_behaviour(behaviour, version) if isinstance(behaviour, str) else behaviour
        self.address = Address(url, station_id, version, user, password, ping_interval_s)
        self.version = version
        self.clock = clock or ScaledClock(scale)
        self._own_clock = clock is None
        self.seed = seed
        self.connectors = connectors or self.behaviour.connectors
        self.registration = Registration(self.clock)
        self.ready = asyncio.Event()
        self._turn = Pulse()
        self.settings_changed = Pulse()
        self._ids = random.Random(f"{seed}/{station_id}/ids")
        self._retry = retry
        self._response_timeout_s = response_timeout_s
        self._observe = observe
        self._backoff = Backoff(random.Random(f"{seed}/{station_id}/backoff"))
        self._endpoint: Endpoint | None = None
        self._connection: ClientConnection | None = None
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._off_s = 0.0
        self._failure: BaseException | None = None
        self._stopped = asyncio.Event()
        self._tasks = Tasks(self._fail)
        self.voice = VOICES[version](self)
        self.outbox = Outbox(
            self.call, self.clock, keeps=self.behaviour.keeps_transactions, attempts=self.voice.message_attempts,
            retry_interval_s=self.voice.retry_interval_s,
        )

    # Life

    async def start(self) -> None:
        """Connect for the first time and go on by itself. Raises Unreachable, unless told to retry."""
        first = None if self._retry else await self._dial_once()
        self._tasks.spawn(self._live(first), f"station {self.address.station_id}")
        self._tasks.spawn(self.voice.run_clock(), "clock-aligned values")

    async def run(self) -> None:
        """Live until `stop()`. Raises Unreachable if the first connection fails, and any error of our own making."""
        async with self:
            await self.ended()

    async def until_ready(self) -> None:
        """Wait for the CSMS to accept the station and to know all its statuses. Raises what went wrong on our side
        meanwhile."""
        while not self.ready.is_set():
            if self._failure is not None:
                raise self._failure
            await self._turn.wait(self.clock, float("inf"))

    async def ended(self) -> None:
        """Wait for `stop()`, or for a mistake of ours that ends the station; stop() raises that."""
        await self._stopped.wait()

    async def stop(self) -> None:
        """Close the connection with 1000 and end everything. Raises what went wrong on our side meanwhile."""
        self._stopped.set()
        self.voice.power_lost()
        if self._connection is not None:
            await self._connection.close()
        await self._tasks.cancel()
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._stopped.set()
        self._turn()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Do something besides, for as long as the station lives."""
        self._tasks.spawn(work, name)

    async def _live(self, connection: ClientConnection | None) -> None:
        while not self._stopped.is_set():
            if connection is None:
                connection = await self._dial()
            self._backoff.reset()
            await self._serve(connection)
            connection = None
            if self._off_s:
                await self.clock.sleep(self._off_s)
                self._off_s = 0.0

    async def _dial_once(self) -> ClientConnection:
        return await dial(replace(self.address, ping_interval_s=self.voice.ping_interval_s))

    async def _dial(self) -> ClientConnection:
        while True:
            await self._reachable.wait()
            try:
                return await self._dial_once()
            except Unreachable:
                await self.clock.sleep(self._backoff.next_s())

    async def _serve(self, connection: ClientConnection) -> None:
        endpoint = Endpoint(
            self.address.station_id, self.version, connection, self._answer, new_id=self._new_id,
            observe=self._observe, timeout_s=self._response_timeout_s,
        )
        self._connection, self._endpoint = connection, endpoint
        online = Tasks(self._fail)
        online.spawn(self._speak(online), "what an online station says")
        try:
            await endpoint.serve()
        finally:
            self._connection = self._endpoint = None
            self.ready.clear()
            self.outbox.link_lost()
            await online.cancel()
            await connection.close()

    async def _speak(self, online: Tasks) -> None:
        booted = self.registration.reason
        if booted is not None and not await self._register():
            return
        self.outbox.online = True
        online.spawn(self.outbox.deliver(), "transaction messages")
        await self.voice.report(booted=booted)
        self.ready.set()
        self._turn()
        while True:
            if not await self.settings_changed.wait(self.clock, self.voice.heartbeat_interval_s):
                await self.say("Heartbeat", {})

    async def _register(self) -> bool:
        """Whether the CSMS accepted the boot; False if the connection is lost before."""
        response = await self.registration.obtain(
            lambda reason: self.call("BootNotification", self.voice.boot_request(reason)))
        if response is None:
            return False
        if (interval_s := dig(response, int, "interval") or 0) > 0:
            self.voice.heartbeat_interval_s = interval_s
        if self._own_clock:
            with contextlib.suppress(ValueError):
                self.clock.set(Instant.parse(dig(response, str, "currentTime") or ""))
        return True

    # Messages

    def _new_id(self) -> uuid.UUID:
        return uuid.UUID(int=self._ids.getrandbits(128), version=4)

    @property
    def online(self) -> bool:
        """Connected and accepted: anything may be sent."""
        return self._endpoint is not None and self.registration.accepted

    async def call(self, action: str, payload: Payload) -> Payload:
        """A CALL now, whatever the registration; raises CallFailed."""
        if self._endpoint is None:
            raise CallFailed(action, CONNECTION_LOST)
        return await self._endpoint.call(action, payload)

    async def say(self, action: str, payload: Payload, *, triggered: bool = False) -> Payload | None:
        """A CALL that is not worth keeping: None where it cannot be sent or gets no CALLRESULT. `triggered` ones
        are sent while the registration is pending, too."""
        if not self.online and not (triggered and self.registration.status == "Pending"):
            return None
        try:
            return await self.call(action, payload)
        except CallFailed:
            return None

    async def stream(self, action: str, payload: Payload) -> None:
        """A SEND of OCPP 2.1."""
        if self._endpoint is not None and self.online:
            await self._endpoint.send(action, payload)

    async def _answer(self, action: str, payload: Payload) -> Reply:
        if self.registration.status == "Rejected":
            if self.version == "1.6":
                return Reply(None)
            raise SecurityError("this station is not registered")
        operation = self.voice.operations.get(action)
        if operation is None:
            raise NotSupportedError(f"{action} is not supported by this station")
        reply = operation(self.voice, payload)
        return reply if isinstance(reply, Reply) else await reply

    # What happens to a station

    async def reboot(self, reason: str = "PowerUp", *, abrupt: bool = True) -> None:
        """Drop the link (with a close frame unless `abrupt`), stay off for a while, start again with a
        BootNotification. `reason` is what OCPP 2.x calls it."""
        self._off_s = self.behaviour.reboot_s if self._connection else 0.0
        await self._drop(abrupt=abrupt)
        self.registration.boot(reason)
        self.voice.power_lost()

    async def go_offline(self) -> None:
        """Lose the link, and do not get it back before `go_online()`."""
        self._reachable.clear()
        await self._drop(abrupt=True)

    def go_online(self) -> None:
        self._reachable.set()

    async def _drop(self, *, abrupt: bool) -> None:
        connection, endpoint = self._connection, self._endpoint
        if connection is None or endpoint is None:
            return
        if abrupt:
            connection.transport.abort()
            await connection.wait_closed()
        else:
            await endpoint.quiet()
            await connection.close(1001, "reboot")

    async def charge(
        self, connector: int = 1, id_tag: str = "04A1B2C3D4E5F6", *, seconds: float | None = None,
        energy_wh: float | None = None, unplug: bool = True,
    ) -> Session | None:
        """A whole session at the station itself: card, cable, charging, end, cable out (unless not `unplug`).
        None if it was refused. Without `seconds` and `energy_wh` it lasts until something stops it."""
        return await self.voice.charge(connector, id_tag, seconds=seconds, energy_wh=energy_wh, unplug=unplug)

    async def plug(self, connector: int = 1) -> None:
        """A cable without a card."""
        await self.voice.plug(connector)

    async def unplug(self, connector: int = 1) -> None:
        await self.voice.unplug(connector)

    async def fault(self, connector: int = 1, error: str = "GroundFailure", info: str = "") -> None:
        """`error` is an errorCode of OCPP 1.6; connector 0 is the station itself."""
        await self.voice.fault(connector, error, info)

    async def clear_fault(self, connector: int = 1) -> None:
        await self.voice.clear_fault(connector)
