"""Serves the API in the relay's own event loop, from a socket that was bound before anything was relayed.

Decides when it listens, how many may be connected, and how it ends. Refuses to disturb the relay: no signal handler, no
logging, no connection that only takes up a file descriptor, and whatever fails here ends the API and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ocpp_proxy.control.app import guarded
from ocpp_proxy.control.subject import Subject
from ocpp_proxy.relay.sockets import listen
from ocpp_proxy.tasks import Tasks

CONNECTIONS_MOST = 128
IDLE_S = 10.0  # without a request, or in the middle of its head
LAST_ANSWERS_S = 1  # for requests that are under way when the run ends


class _Connection(H11Protocol):
    """Anybody on this machine can connect: who asks for nothing does not stay, and nobody comes where it is full."""

    _look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MOST:
            transport.abort()
        else:
            self._look = self.loop.call_later(IDLE_S, self._look_for_life)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _look_for_life(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            self._look = self.loop.call_later(IDLE_S, self._look_for_life)


class _Server(uvicorn.Server):
    """Without uvicorn's signal handlers, and asleep until it is to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.end = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.end.wait()


class ControlServer:
    """Bound at once; raises BadInput where the place cannot be had. `on_notice` hears of what goes wrong later."""

    def __init__(self, host: str, port: int, on_notice: Callable[[str], None]) -> None:
        self._given = host
        self._sockets = listen(host, port, "--control")
        self._on_notice = on_notice
        self._tasks = Tasks(self._failed)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        host, port = self._sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def is_loopback(self) -> bool:
        return all(host == "::1" or host.startswith("127.") for host in self._addresses())

    def start(self, subject: Subject, token: str) -> None:
        """Answer from now on."""
        hosts = frozenset({self._given.lower(), *self._addresses()} - {""})
        self._server = _Server(uvicorn.Config(
            guarded(subject, token, hosts, self._mistaken), http=_Connection, ws="none", lifespan="off", loop="none",
            log_config=None, log_level="critical", access_log=False, proxy_headers=False, server_header=False,
            date_header=False, timeout_graceful_shutdown=LAST_ANSWERS_S,
        ))  # fmt: skip
        self._serving = self._tasks.spawn(self._server.serve(self._sockets), "control API")

    async def stop(self) -> None:
        """Let what is under way be answered, for a moment; a second time does nothing."""
        if self._server is not None and self._serving is not None:
            self._server.end.set()
            await asyncio.wait([self._serving], timeout=LAST_ANSWERS_S + 2)
            await self._tasks.cancel()
        for sock in self._sockets:
            sock.close()

    def _addresses(self) -> list[str]:
        return [str(sock.getsockname()[0]).lower() for sock in self._sockets]

    def _mistaken(self, error: BaseException) -> None:
        self._on_notice(f"a mistake in the control API: {type(error).__name__} at {_place(error)}; the relay goes on")

    def _failed(self, error: BaseException) -> None:
        self._on_notice(f"the control API has ended: {type(error).__name__} at {_place(error)}; the relay goes on")


def _place(error: BaseException) -> str:
    """Where it happened; its text stays out, since it may quote what a peer or a caller sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}" if trace is not None else "?"

