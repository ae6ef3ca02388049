"""One connection of the doctor's to the CSMS: TCP, TLS, one request, perhaps a ping, and a close with 1000.

Decides how long each of these may take and which step is to blame where one fails. Refuses to judge an answer, and to
send anything but its request, a ping and a close.

Source: RFC 6455 sections 5.5.1 to 5.5.3 and 7.1; RFC 8446 section 6.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from typing import TYPE_CHECKING, Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

from ocpp_proxy.clock import now
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.doctor.request import Answer, Request
from ocpp_proxy.doctor.step import Quotes, Trouble
from ocpp_proxy.relay.dial import Address, attach, connect_to, refusal, spell
from ocpp_proxy.relay.leg import Leg
from ocpp_proxy.relay.settings import Keepalive
from ocpp_proxy.wire.happening import CLOSE, PONG, Breach, Message, NoMessage, close_of
from ocpp_proxy.wire.link import CsmsLink
from ocpp_proxy.wire.tls_trouble import explain_apart

if TYPE_CHECKING:
    from ocpp_proxy.doctor.case import Case

NORMAL = 1000
_GOODBYE_S = 2.0
_LINGER_S = 0.5
_MESSAGE_MOST = 2**20  # nothing is waited for that could be longer
_HTTP, _TLS_ALERT = b"HTTP/", b"\x15\x03"
_ASK_ABOUT_TLS = "ask the CSMS's operator what its TLS demands"


class Line(Leg):
    """A leg that belongs to no pair. `trouble`: what ended it, where that was an error; `broke`: a frame of the CSMS's
    broke RFC 6455."""

    def __init__(self) -> None:
        super().__init__("csms", CsmsLink(opaque=True, max_message=_MESSAGE_MOST))
        self.trouble: BaseException | None = None
        self.broke = False
        self._ping = b""
        self._pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.on_lost = lambda: self._end_with("it ended the connection without a close frame")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.trouble = exc
        super().connection_lost(exc)
        self._end_with("the connection was lost")

    def open(self, compression: PerMessageDeflate | None) -> None:
        """The 101 was good: frames from here on."""
        self.link.release(compression)
        self._look()

    async def ping(self, limit_s: float) -> float:
        """Seconds until the pong. Raises Trouble."""
        self._ping = os.urandom(8)
        asked = time.perf_counter()
        self.write(Frame(Opcode.PING, self._ping).serialize(mask=True))
        either: list[asyncio.Future[Any]] = [self._pong, self._ended]
        await asyncio.wait(either, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if self._pong.done():
            return time.perf_counter() - asked
        if self.broke:
            raise Trouble("ping", f"no pong: {self._ended.result()}",
                          "that is a fault in the CSMS's WebSocket library, or something in between damages its frames")
        if self._ended.done():
            raise Trouble("ping", f"no pong: {self._ended.result()}",
                          "the CSMS opens the connection and then ends it, before anything is said: usual causes are a "
                          "station that is unknown or blocked there, and no subprotocol in common; its log says which")
        raise Trouble("ping", f"no pong within {limit_s:g} s",
                      "a WebSocket peer has to answer pings: ask the CSMS's operator, and whoever runs the load "
                      "balancer in between; stations that ping (WebSocketPingInterval) will reconnect again and again",
                      late=True)

    async def close_normally(self, limit_s: float) -> None:
        """Say goodbye where a WebSocket is open, and see the connection end in any case."""
        if not self.link.held and not self._ended.done():
            self.write(self.link.close_frame(NORMAL))
            await asyncio.wait([self._ended], timeout=min(limit_s, _GOODBYE_S))
        self.drop(_LINGER_S)
        await self.until_gone()

    def _look(self) -> None:
        happened, self.link.happened = self.link.happened, []
        for one in happened:
            if isinstance(one, Breach):
                self.broke = not self._ended.done()
                self._end_with(f"it broke the WebSocket protocol: {one.reason}")
            elif one.opcode == PONG and one.data == self._ping and not self._pong.done():
                self._pong.set_result(None)
            elif one.opcode == CLOSE:
                self._end_with(f"it closed with {close_of(one.data)[0]}")

    def _end_with(self, how: str) -> None:
        if not self._ended.done():
            self._ended.set_result(how)


async def reach(case: Case, family: int, address: Address, tls: ssl.SSLContext | None) -> Line:
    """TCP, and TLS where there is a context. Raises Trouble; its cause is the exception beneath."""
    place, limit_s = spell(address), case.timeout_s
    try:
        async with asyncio.timeout(limit_s):
            sock = await connect_to(family, address, Keepalive())
    except OSError as error:
        raise no_tcp(place, error, limit_s) from error
    line = Line()
    try:
        async with asyncio.timeout(limit_s):
            await attach(line, sock, tls, case.server_name)
    except (OSError, ValueError) as error:  # ValueError: a name of the URL's that TLS cannot ask for
        if tls is None and isinstance(error, OSError):
            raise no_tcp(place, error, limit_s) from error
        cause, remedy = explain_apart(error, "csms")
        late = isinstance(error, TimeoutError)
        if late:
            cause = f"the CSMS took the connection and did not finish the TLS handshake within {limit_s:g} s"
        raise Trouble("tls", cause, remedy or _ASK_ABOUT_TLS, late=late) from error
    finally:
        if not hasattr(line, "transport"):
            sock.close()
    return line


def no_tcp(place: str, error: OSError, limit_s: float) -> Trouble:
    if isinstance(error, TimeoutError) and error.errno is None:
        return Trouble("tcp", f"{place} does not answer within {limit_s:g} s",
                       "something on the way drops the packets: check address and port, the firewalls on both sides, "
                       "and whether a VPN or the station's own network (SIM, APN) is needed", late=True)
    return Trouble("tcp", f"{place}: {refusal(error)}",
                   "check host and port of the URL, whether the CSMS runs, and the network of this computer")


async def ask(case: Case, line: Line, request: Request, quotes: Quotes) -> Answer:
    """Send the request, return the answer, with as much of its body as comes in time. Raises Trouble."""
    asked = now()
    line.write(request.head)
    try:
        async with asyncio.timeout(case.timeout_s):
            message = await line.message()
    except TimeoutError:
        link = line.link
        so_far = link.answer_so_far() if isinstance(link, CsmsLink) else None
        if so_far is None:
            raise _silence(line, case.timeout_s) from None
        message = so_far
    if isinstance(message, NoMessage):
        raise _no_answer(line, message, quotes)
    return _answer(message, asked)


def _answer(message: Message, asked: Instant) -> Answer:
    response = message.http
    assert isinstance(response, Response)
    return Answer(response, message.raw.partition(b"\r\n\r\n")[2], asked, now())


def _silence(line: Line, limit_s: float) -> Trouble:
    begun = line.link.opening
    if begun and not _HTTP.startswith(begun[: len(_HTTP)]):
        return _foreign("something that is not HTTP, and no end of it")
    how = ", only the beginning of one" if begun else ""
    return Trouble("upgrade", f"no answer to the upgrade request within {limit_s:g} s{how}",
                   "the CSMS, or the load balancer before it, took the connection and keeps silent: check that the "
                   "port is that of its WebSocket service, and ask its operator whether that runs", late=True)


def _no_answer(line: Line, message: NoMessage, quotes: Quotes) -> Trouble:
    trouble = line.trouble
    if isinstance(trouble, ssl.SSLError) and not isinstance(trouble, ssl.SSLEOFError):
        cause, remedy = explain_apart(trouble, "csms")  # with TLS 1.3 a client certificate is refused only now
        return Trouble("tls", cause, remedy or _ASK_ABOUT_TLS)
    if message.raw.startswith(_TLS_ALERT):
        return _foreign("a TLS alert")
    if message.raw:
        kind = "broken HTTP" if message.raw.startswith(_HTTP) else "something that is not HTTP"
        return _foreign(f"{kind} ({quotes.quote(message.reason)})")
    return Trouble("upgrade", f"no answer to the upgrade request: {quotes.quote(message.reason, 300)}",
                   "check that the port is that of the CSMS's WebSocket service, and whether it lets this computer's "
                   "address in (firewall, VPN)")


def _foreign(what: str) -> Trouble:
    return Trouble("upgrade", f"the answer to the upgrade request is {what}",
                   "another service seems to listen on that port: check host and port of the URL")


async def quietly(line: Line, case: Case) -> None:
    """Close, whatever comes of it: nothing depends on it any more."""
    with contextlib.suppress(OSError):
        await line.close_normally(case.timeout_s)
