"""The relay as a whole: listens, keeps the open pairs, stops in order.

Decides how many callers are received at once and how a stop is carried out. Refuses to know anything about a single
connection: `reception` opens them, `pair` keeps them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.relay.ledger import Ledger, Observer, Recorder
from ocpp_proxy.relay.pair import Pair
from ocpp_proxy.relay.reception import Reception
from ocpp_proxy.relay.routes import Routes
from ocpp_proxy.relay.settings import Keepalive, RelaySettings, parse_listen
from ocpp_proxy.relay.sockets import listen
from ocpp_proxy.tasks import Tasks

__all__ = ["Keepalive", "Proxy", "RelaySettings"]

RECEIVED_AT_ONCE = 1024  # callers between accept and their answer; more wait in the kernel's queue
_PAUSE_S = 1.0


def _unheard(_: str) -> None: ...


class Proxy:
    """Records to `recorder` before it forwards, shows to `observer` after that; None for none. `on_notice` gets a
    sentence whenever somebody should read it at once. `on_open` gets each pair before its first frame is forwarded;
    `turned_away` says why a station gets no connection, if so. `routes` may be replaced at any time, for those who
    connect from then on; None at the start sends everybody to the settings' upstream. Raises BadInput for settings that
    cannot be used."""

    def __init__(
        self,
        settings: RelaySettings,
        recorder: Recorder | None,
        observer: Observer | None,
        on_notice: Callable[[str], None] = _unheard,
        routes: Routes | None = None,
        on_open: Callable[[Pair], None] | None = None,
        turned_away: Callable[[str], str | None] | None = None,
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._observer = observer
        self._on_notice = on_notice
        self._on_open = on_open
        self._turned_away = turned_away
        self._places = [parse_listen(text) for text in settings.listen]
        self.routes = routes or Routes.single(settings)
        self._pairs: dict[str, Pair] = {}
        self._sockets: list[socket.socket] = []
        self._listening = Tasks(self._unexpected)
        self._receiving = Tasks(self._unexpected)
        self._watching = Tasks(self._unexpected)
        self._stopped = False
        self._free = asyncio.Semaphore(RECEIVED_AT_ONCE)
        self._empty = asyncio.Event()
        self._ledger: Ledger | None = None
        self._reception: Reception | None = None

    @property
    def connections(self) -> Mapping[str, Pair]:
        """The open connections by their ids, oldest first."""
        return self._pairs

    async def start(self) -> list[str]:
        """Listen; the URLs of the addresses bound. Raises BadInput where one cannot be had."""
        ledger = self._ledger = Ledger(self._recorder, self._observer, self._on_notice)
        self._reception = Reception(
            self._settings, ledger,
            route=lambda identity: self.routes.route(identity), on_open=self._opened, on_end=self._ended,
            turned_away=self._turned_away,
        )  # fmt: skip
        self._listen()
        self._places = [sock.getsockname()[:2] for sock in self._sockets]  # the same ports, should it listen again
        self._watching.spawn(self._look_for_life(), "look for dead links")
        return [self._url(sock) for sock in self._sockets]

    def stop_listening(self) -> None:
        """TCP refuses who calls from now on; the open connections stay."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)  # the task that accepts ends a tick later, when its number may be another's
        self._listening.stop()
        self._close_sockets()

    def listen_again(self) -> None:
        """On the same addresses. Says so where one cannot be had any more."""
        if self._sockets or self._ledger is None or self._stopped:
            return
        try:
            self._listen()
        except BadInput as error:
            self._on_notice(f"{error}; trying again")
            asyncio.get_running_loop().call_later(_PAUSE_S, self.listen_again)

    def _listen(self) -> None:
        assert self._reception is not None
        try:
            for host, port in self._places:
                self._sockets += listen(host, port)
        except BaseException:
            self._close_sockets()
            raise
        for sock in self._sockets:
            self._listening.spawn(self._accept(sock, self._reception), f"listen on {sock.getsockname()}")

    async def stop(self) -> None:
        """Close both legs of each connection with 1001 and see everything recorded. Before `start`, and a second time,
        it does nothing."""
        if self._ledger is None:
            return
        self._stopped = True
        await self._watching.cancel()
        await self._listening.cancel()
        self._close_sockets()
        await self._receiving.cancel()
        for pair in list(self._pairs.values()):
            pair.stop()
        self._ledger.flush()
        self._note_if_empty()
        try:
            async with asyncio.timeout(self._settings.linger_s + _PAUSE_S):
                await self._empty.wait()
        except TimeoutError:
            for pair in list(self._pairs.values()):
                pair.abort()
        self._ledger.flush()

    async def _accept(self, listener: socket.socket, reception: Reception) -> None:
        loop = asyncio.get_running_loop()
        assert self._ledger is not None
        notices, place = self._ledger.notices, f"listener {listener.getsockname()}"
        while True:
            await self._free.acquire()
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:
                self._free.release()
                if error.errno != errno.ECONNABORTED:
                    notices.say(place, f"cannot accept connections: {error.strerror or error}; trying again")
                    await asyncio.sleep(_PAUSE_S)
                continue
            except asyncio.CancelledError:
                self._free.release()
                raise
            notices.forget(place)
            task = self._receiving.spawn(reception.receive(sock, address), "reception")
            task.add_done_callback(self._received)

    async def _look_for_life(self) -> None:
        keepalive = self._settings.keepalive
        while True:
            await asyncio.sleep(keepalive.interval_s)
            for pair in list(self._pairs.values()):
                pair.station.look_for_life(keepalive.patience_ms)
                pair.csms.look_for_life(keepalive.patience_ms)

    def _received(self, _: object) -> None:
        self._free.release()

    def _opened(self, pair: Pair) -> None:
        self._pairs[pair.connection] = pair
        if self._on_open is not None:
            self._on_open(pair)

    def _ended(self, pair: Pair) -> None:
        self._pairs.pop(pair.connection, None)
        self._note_if_empty()

    def _note_if_empty(self) -> None:
        if self._pairs:
            self._empty.clear()
        else:
            self._empty.set()

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def _unexpected(self, error: BaseException) -> None:
        self._on_notice(f"a mistake in the proxy itself, one connection is affected: {error!r}")

    def _url(self, sock: socket.socket) -> str:
        host, port = sock.getsockname()[:2]
        scheme = "ws" if self._settings.station_tls is None else "wss"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
