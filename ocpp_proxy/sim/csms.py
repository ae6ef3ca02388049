"""A simulated CSMS: takes stations of every version on one port.

Decides who is connected and what is kept of them. Refuses to know what is answered (`csms_behaviours`, `answers`).

Source: OCPP-J 1.6 section 3; OCPP 2.0.1 Part 4 section 3 (identity in the path, subprotocol, wrong subprotocol).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim.answers import StationState
from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.csms_behaviours import Accepting, Script, csms_behaviour
from ocpp_proxy.sim.endpoint import CONNECTION_LOST, MUTE, CallFailed, Endpoint, Observer, Payload, Reply
from ocpp_proxy.sim.link import SUBPROTOCOLS
from ocpp_proxy.tasks import Tasks

VERSIONS: dict[str | None, Version] = {name: version for version, name in SUBPROTOCOLS.items()}


class SimulatedCsms:
    """Listens from `start()` to `stop()`, or use `async with`. Port 0 takes a free one.

    `behaviour` is one of `csms_behaviours.CSMS_BEHAVIOURS` or a behaviour's instance; `after_boot` are CALLs that
    each station gets after its boot was accepted. The same `seed` gives the same message ids. `observe` is told
    every frame with its station. `stations` holds what is known of every station seen, by id.
    """

    def __init__(
        self, behaviour: str | Accepting = "accepting", *, host: str = "127.0.0.1", port: int = 0, seed: int = 0,
        scale: float = 1.0, clock: ScaledClock | None = None, after_boot: Script | None = None,
        ping_interval_s: float | None = None, response_timeout_s: float = 30.0,
        observe: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self.behaviour = csms_behaviour(behaviour, after_boot) if isinstance(behaviour, str) else behaviour
        self.clock = clock or ScaledClock(scale)
        self.stations: dict[str, StationState] = {}
        self._host, self._port = host, port
        self._seed = seed
        self._ping_interval_s = ping_interval_s
        self._response_timeout_s = response_timeout_s
        self._observe = observe
        self._transaction_ids = itertools.count(1)
        self._endpoints: dict[str, tuple[Endpoint, ServerConnection]] = {}
        self._ids: dict[str, random.Random] = {}
        self._server: Server | None = None
        self._stopped = asyncio.Event()
        self._news = asyncio.Condition()
        self._failure: BaseException | None = None
        self._tasks = Tasks(self._fail)

    async def start(self) -> str:
        """The URL that stations append their id to. Raises OSError if the address cannot be listened on."""
        self._server = await serve(
            self._serve, self._host, self._port, select_subprotocol=_choose, ping_interval=self._ping_interval_s,
            max_size=None, close_timeout=2, logger=MUTE, server_header=None,
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"ws://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """Close every connection with 1001 and end everything. Raises what went wrong on our side meanwhile."""
        self._stopped.set()
        await self._tasks.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"ws://{f'[{host}]' if ':' in host else host}:{port}"

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something besides, until `stop()`."""
        self._tasks.spawn(work, "csms")

    async def pause(self, seconds: float) -> None:
        """Let simulated seconds pass, or fewer if the CSMS is stopped meanwhile."""
        await self.clock.wait(self._stopped, seconds)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def connection(self, station_id: str) -> ServerConnection | None:
        """The station's connection, the newest if there are two; None where there is none."""
        return self._endpoints[station_id][1] if station_id in self._endpoints else None

    async def call(self, station_id: str, action: str, payload: Payload) -> Payload:
        """Ask a station; its response. Raises CallFailed: not connected, CALLERROR or no answer."""
        if station_id not in self._endpoints:
            raise CallFailed(action, CONNECTION_LOST, f"{station_id} is not connected")
        self.stations[station_id].invite(action, payload)
        return await self._endpoints[station_id][0].call(action, payload)

    async def disconnect(self, station_id: str, code: int, reason: str) -> None:
        """Close a station's connection, if it has one."""
        connection = self.connection(station_id)
        if connection is not None:
            await connection.close(code, reason)

    async def wait_for(
        self, station_id: str, action: str, where: Callable[[Payload], bool] = lambda _request: True, *,
        after: int = 0, timeout_s: float = 10.0,
    ) -> Payload:
        """The first request of that kind, among those received from number `after` on; raises TimeoutError."""
        def found() -> list[Payload]:
            received = self.stations[station_id].received[after:] if station_id in self.stations else []
            return [request for name, request in received if name == action and where(request)]

        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(found)
        return found()[0]

    async def _serve(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        station_id = unquote(urlsplit(request.path).path.rstrip("/").rpartition("/")[2])
        version = VERSIONS.get(connection.subprotocol)
        if version is None:
            await connection.close(1002, "no subprotocol in common")
            return
        station = self._known(station_id, version)
        ids = self._ids.setdefault(station_id, random.Random(f"{self._seed}/{station_id}/csms"))
        observe: Observer | None = None
        if self._observe is not None:
            tell = self._observe

            def observe(direction: str, text: str) -> None:
                tell(station_id, direction, text)

        async def answer(action: str, payload: Payload) -> Reply:
            return await self._answer(station, action, payload)

        endpoint = Endpoint(
            station_id, version, connection, answer, observe=observe, timeout_s=self._response_timeout_s,
            new_id=lambda: uuid.UUID(int=ids.getrandbits(128), version=4),
        )
        self._endpoints[station_id] = (endpoint, connection)
        try:
            await endpoint.serve()
        except Exception as error:  # the library beneath would only log it
            self._fail(error)
            raise
        finally:
            if self._endpoints.get(station_id, (None,))[0] is endpoint:
                del self._endpoints[station_id]

    def _known(self, station_id: str, version: Version) -> StationState:
        station = self.stations.get(station_id)
        if station is None or station.version != version:
            station = StationState(station_id, version, self.clock, self._transaction_ids)
            self.stations[station_id] = station
        return station

    async def _answer(self, station: StationState, action: str, request: Payload) -> Reply:
        if action == "BootNotification":
            station.boots += 1
            station.boot = request
        reply = await self.behaviour.answer(self, station, action, request)
        station.received.append((action, request))
        async with self._news:
            self._news.notify_all()
        return reply


def _choose(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The first that we speak; None where there is none, and `_serve` then closes as OCPP-J wants."""
    return next((name for name in offered if name in VERSIONS), None)
