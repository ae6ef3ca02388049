"""Receives one caller: from the first byte on a listening port to a joined pair, or to an answer that says why not.

Decides what is answered by the proxy itself: TLS on a plain port and the reverse, what is no HTTP, HTTP that wants no
WebSocket, a station that may not connect, a CSMS that cannot be reached. Everything else is the CSMS's to answer,
before the station hears a word.

Each caller is on record with the outcome, except one who connects and leaves in silence (a port check).

Source: RFC 6455 section 4.2; RFC 9110 sections 15.5.4 (403), 15.5.22 (426), 15.6.3 (502) and 15.6.5 (504);
RFC 8446 section 6.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response

from ocpp_proxy.clock import now
from ocpp_proxy.core.record import Closed
from ocpp_proxy.relay.caller import Caller, RefusedError
from ocpp_proxy.relay.dial import Dial, UnreachableError
from ocpp_proxy.relay.ledger import Ledger
from ocpp_proxy.relay.leg import GOODBYE_S, Leg
from ocpp_proxy.relay.pair import Pair
from ocpp_proxy.relay.routes import Route
from ocpp_proxy.relay.scribe import Scribe
from ocpp_proxy.relay.settings import RelaySettings
from ocpp_proxy.relay.sockets import peek, tune
from ocpp_proxy.wire import deflate, opening
from ocpp_proxy.wire.client_hello import HELLO_BYTES, read_client_hello
from ocpp_proxy.wire.happening import LOST, Message, NoMessage
from ocpp_proxy.wire.link import StationLink
from ocpp_proxy.wire.tls import describe_offer, explain
from ocpp_proxy.wire.tls_trouble import explain_hello

_TLS_HANDSHAKE = b"\x16"
IDENTITY_SHOWN = 64  # characters
_ALERT_HANDSHAKE_FAILURE = bytes((21, 3, 1, 0, 2, 2, 40))
_NO_UPGRADE = "this is a WebSocket port for OCPP stations: connect to it with a WebSocket client (Upgrade: websocket)"
_NOT_ALLOWED = "{!r} is not among the stations that may connect: add it to allow in ocpp-proxy.toml, or with --allow"
_PLAIN_ON_TLS = "this port speaks TLS: set wss:// in place of ws:// in the station's backend URL"


class Reception:
    """`route` says for an identity how its CSMS is dialled, None where it may not connect; `turned_away`: why it gets
    no connection now, if so. `on_open` gets each pair before its first frame is forwarded, `on_end` when both legs are
    gone."""

    def __init__(
        self,
        settings: RelaySettings,
        ledger: Ledger,
        *,
        route: Callable[[str], Route | None],
        on_open: Callable[[Pair], None],
        on_end: Callable[[Pair], None],
        turned_away: Callable[[str], str | None] | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._route = route
        self._on_open = on_open
        self._on_end = on_end
        self._turned_away = turned_away

    async def receive(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """Deal with an accepted connection; returns when it is open or refused."""
        host, port = address[:2]
        spelt = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        caller = Caller(spelt, host, self._settings.keep_secrets)
        patience_s = self._settings.linger_s + 1
        try:
            await self._welcome(caller, sock)
        except RefusedError as refusal:
            self._refuse(caller, refusal)
        except asyncio.CancelledError:  # by a stop, or because the station is gone
            if caller.station is None:
                sock.close()
            if caller.station is None or not (caller.station.eof or caller.station.gone):
                if caller.station is not None and caller.station.secure:
                    patience_s = min(patience_s, GOODBYE_S)
                if caller.spoke:
                    self._refuse(caller, RefusedError("the proxy was stopped", 503 if caller.station else None))
                raise
            _own_task().uncancel()
            self._refuse(caller, RefusedError("the station hung up before the CSMS had answered", None, None))
        except OSError:
            sock.close()  # gone before it was received
        finally:
            await self._see_out(caller, patience_s)

    async def _welcome(self, caller: Caller, sock: socket.socket) -> None:
        first = await self._first_bytes(sock)
        if not first:
            sock.close()
            return
        caller.spoke = True
        tls, speaks_tls = self._settings.station_tls, first.startswith(_TLS_HANDSHAKE)
        offer = describe_offer(read_client_hello(first)) if speaks_tls else {}
        caller.station_tls = offer or None
        if speaks_tls and tls is None:
            await self._turn_tls_away(sock, first)
        leg = Leg("station", StationLink(max_message=self._settings.max_message, opaque=self._ledger.opaque))
        await self._attach(leg, sock, tls if speaks_tls else None, first)
        caller.station = leg
        caller.station_tls = {**agreed, **offer} if (agreed := leg.tls()) is not None else None
        message = await self._request(caller, leg)
        if message is None:
            leg.close()
            return
        if tls is not None and not speaks_tls:
            raise RefusedError(_PLAIN_ON_TLS, 400)
        if not opening.is_upgrade(message.http):  # type: ignore[arg-type]  # on this leg it is a Request
            raise RefusedError(_NO_UPGRADE, 426)
        await self._connect(caller, leg, message)

    # -- the caller's side

    async def _first_bytes(self, sock: socket.socket) -> bytes:
        tune(sock, self._settings.keepalive)
        try:
            async with asyncio.timeout(self._settings.greeting_timeout_s):
                return await peek(sock, HELLO_BYTES)
        except TimeoutError:
            sock.close()
            raise RefusedError(f"it said nothing for {self._settings.greeting_timeout_s:g} s", None) from None

    async def _turn_tls_away(self, sock: socket.socket, first: bytes) -> None:
        loop = asyncio.get_running_loop()
        with sock, suppress(OSError):  # a TimeoutError is one
            async with asyncio.timeout(self._settings.linger_s):
                await loop.sock_sendall(sock, _ALERT_HANDSHAKE_FAILURE)
                sock.shutdown(socket.SHUT_WR)
                # Closing with unread bytes would reset the connection and take the alert with it.
                while await loop.sock_recv(sock, HELLO_BYTES):
                    pass
        raise RefusedError(explain_hello(first), None)

    async def _attach(self, leg: Leg, sock: socket.socket, tls: ssl.SSLContext | None, first: bytes) -> None:
        loop = asyncio.get_running_loop()
        limit_s = self._settings.greeting_timeout_s if tls is not None else None
        try:
            await loop.connect_accepted_socket(lambda: leg, sock, ssl=tls, ssl_handshake_timeout=limit_s)
        except (OSError, ssl.SSLError) as error:
            if tls is None:
                raise
            raise RefusedError(explain(error, "station", read_client_hello(first)), None) from error

    async def _request(self, caller: Caller, leg: Leg) -> Message | None:
        """None where he leaves without a word."""
        try:
            async with asyncio.timeout(self._settings.greeting_timeout_s):
                message = await leg.message()
        except TimeoutError:
            raise RefusedError(f"no complete request within {self._settings.greeting_timeout_s:g} s", 408) from None
        if isinstance(message, NoMessage):
            if not message.reason:
                return None
            caller.head = message.raw[:16]
            # What the library quotes after the colon may hold a credential.
            reason = message.reason.partition(":")[0] if message.raw else message.reason
            raise RefusedError(f"no HTTP request that could be read: {reason}", message.status or None)
        assert isinstance(message.http, Request)
        caller.request = message.http
        return message

    # -- the CSMS's side

    async def _connect(self, caller: Caller, leg: Leg, message: Message) -> None:
        assert caller.request is not None
        if leg.eof or leg.gone:
            raise RefusedError("the station hung up right after its request", None, None)
        who = caller.identity
        route = self._route(who)
        if route is None:
            raise RefusedError(_NOT_ALLOWED.format(who[:IDENTITY_SHOWN]), 403)
        if self._turned_away is not None and (reason := self._turned_away(who)) is not None:
            raise RefusedError(reason, 503)
        target = route.upstream.target(caller.request.path, who)
        onward = opening.onward(message.raw, target, route.upstream.authority)
        caller.struck = onward.struck
        dial = Dial(route, self._settings)
        leg.on_lost = _own_task().cancel  # type: ignore[assignment]  # its answer is of no interest
        try:
            answer = await self._answer(caller, dial, onward.head)
            self._join(caller, dial, answer, onward.offers)
        except BaseException:
            dial.abandon()
            raise
        finally:
            leg.on_lost = None

    async def _answer(self, caller: Caller, dial: Dial, head: bytes) -> Message:
        started = time.perf_counter()
        try:
            answer = await dial.ask(head, self._ledger.opaque)
        except UnreachableError as trouble:
            raise RefusedError(trouble.reason, trouble.status) from trouble
        finally:
            caller.dial_ms = round((time.perf_counter() - started) * 1000, 3)
            caller.csms, caller.csms_tls = dial.leg, dial.tls
        assert isinstance(answer.http, Response)
        caller.response = answer.http
        if answer.http.status_code != 101:
            said = f"HTTP {answer.http.status_code} {answer.http.reason_phrase}".rstrip()
            raise RefusedError(said, answer.http.status_code, "csms", answer.raw)
        return answer

    def _join(self, caller: Caller, dial: Dial, answer: Message, offers: bool) -> None:
        assert caller.station is not None
        assert dial.leg is not None
        headers = answer.http.headers
        try:
            compression = deflate.chosen(headers.get_all(deflate.HEADER), offers)
        except NegotiationError as error:
            raise RefusedError(f"the CSMS's 101 cannot be carried: {error}", 502) from error
        connection = self._ledger.next_connection()
        pair = Pair(
            caller.station, dial.leg,
            identity=caller.identity,
            subprotocol=opening.chosen_subprotocol(headers),
            since=now(),
            ledger=self._ledger,
            scribe=Scribe(connection, self._settings.keep_secrets, self._ledger.on_notice),
            settings=self._settings,
            on_end=self._on_end,
        )  # fmt: skip
        self._on_open(pair)
        self._ledger.notices.forget(caller.identity)
        opened = [] if self._ledger.opaque else [caller.opened(connection, 101, None)]
        self._ledger.step(opened, partial(pair.open, answer.raw, compression))

    async def _see_out(self, caller: Caller, patience_s: float) -> None:
        """Nobody who was refused lingers on after this, not even where a mistake of ours kept him from an answer."""
        for leg in (caller.station, caller.csms):
            if leg is not None and leg.pair is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await leg.until_gone()

    # -- on record

    def _refuse(self, caller: Caller, refusal: RefusedError) -> None:
        if not self._ledger.opaque:
            connection = self._ledger.next_connection()
            opened = caller.opened(connection, refusal.status, refusal.by, refusal.reason)
            by = refusal.by or "station"
            closed = Closed(connection=connection, at=opened.at, by=by, code=LOST, reason=refusal.reason)
            self._ledger.step([opened, closed], partial(self._dismiss, caller.station, refusal))
        else:
            self._dismiss(caller.station, refusal)
        if refusal.by == "proxy":
            who = caller.identity if caller.request else caller.host
            self._ledger.notices.say(who, refusal.reason, f"{caller.address}: ")

    def _dismiss(self, station: Leg | None, refusal: RefusedError) -> None:
        if station is None or station.gone:
            return
        if refusal.answer is not None:
            station.write(refusal.answer)
        elif refusal.status is not None:
            station.write(_own_answer(station, refusal))
        station.finish(self._settings.linger_s)


def _own_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _own_answer(station: Leg, refusal: RefusedError) -> bytes:
    assert isinstance(station.link, StationLink)
    assert refusal.status is not None
    response = station.link.reject(refusal.status, f"ocpp-proxy: {refusal.reason}\n")
    if refusal.status == 426:
        response.headers["Upgrade"] = "websocket"
    return response.serialize()
