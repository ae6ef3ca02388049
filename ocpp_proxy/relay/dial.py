"""Dials the CSMS: name, TCP, TLS, upgrade, each time from the beginning.

Decides how long each step may take and which words a failure gets. Refuses to retry: the station does that, as if
nobody stood in between. Uses no proxy of the system's and adds nothing to the request. `connect_to` and `attach` are
steps by themselves, for whoever (`doctor`) has to tell them apart.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

from ocpp_proxy.relay.leg import Leg, describe_loss
from ocpp_proxy.relay.routes import Route
from ocpp_proxy.relay.settings import Keepalive, RelaySettings
from ocpp_proxy.relay.sockets import tune
from ocpp_proxy.wire.happening import Message, NoMessage
from ocpp_proxy.wire.link import CsmsLink
from ocpp_proxy.wire.tls import describe_refused, explain

Address: TypeAlias = "tuple[Any, ...]"


class UnreachableError(Exception):
    """No answer of the CSMS. `status`: 502, or 504 where it took too long; `reason` names the cause."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Dial:
    """One attempt. `leg` is there once TCP and TLS are; `tls` says what was agreed, None without TLS; where we refused
    the CSMS's certificate, which one."""

    def __init__(self, route: Route, settings: RelaySettings) -> None:
        self._route = route
        self._upstream = route.upstream
        self._settings = settings
        self._step = ""
        self.leg: Leg | None = None
        self.tls: dict[str, Any] | None = None

    async def ask(self, head: bytes, opaque: bool) -> Message:
        """Send the request, return the answer. Raises UnreachableError."""
        limit_s = self._route.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._ask(head, opaque)
        except TimeoutError:
            answer = self._answer_so_far()
            if answer is not None:
                return answer
            slow = f"the CSMS at {self._place} took more than {limit_s:g} s: {self._step}"
            raise UnreachableError(504, slow) from None

    async def _ask(self, head: bytes, opaque: bool) -> Message:
        leg = Leg("csms", CsmsLink(max_message=self._settings.max_message, opaque=opaque))
        sock = await self._connect()
        await self._attach(leg, sock)
        self.leg, self.tls = leg, leg.tls()
        self._step = "no answer to the upgrade request"
        leg.write(head)
        answer = await leg.message()
        if isinstance(answer, NoMessage):
            raise UnreachableError(502, f"the CSMS at {self._place} gave no HTTP answer: {answer.reason}")
        return answer

    async def _connect(self) -> socket.socket:
        addresses = await self._addresses()
        last: OSError | None = None
        deadline = asyncio.get_running_loop().time() + self._route.timeout_s
        for position, (family, address) in enumerate(addresses):
            self._step = f"no TCP connection to {spell(address)}"
            left = deadline - asyncio.get_running_loop().time()
            try:
                # One dead address of several must not use up the time of the others.
                async with asyncio.timeout(left / (len(addresses) - position) if len(addresses) > 1 else None):
                    return await connect_to(family, address, self._settings.keepalive)
            except OSError as error:  # TimeoutError is one
                last = error
        if isinstance(last, TimeoutError) and last.errno is None:
            raise TimeoutError
        raise UnreachableError(502, f"the CSMS at {self._place} cannot be reached: {refusal(last)}") from last

    async def _addresses(self) -> Sequence[tuple[int, Address]]:
        self._step = f"no address for the name {self._upstream.host}"
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._upstream.host, self._upstream.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = f"its name {self._upstream.host} has no address here ({in_words(error)}); check name and DNS"
            raise UnreachableError(502, f"the CSMS at {self._place} cannot be reached: {reason}") from error
        return [(family, address) for family, _, _, _, address in found]

    async def _attach(self, leg: Leg, sock: socket.socket) -> None:
        self._step = "no end of the TLS handshake"
        name = self._route.server_name or self._upstream.host
        try:
            await attach(leg, sock, self._route.tls, name)
        except TimeoutError:
            raise
        except (OSError, ssl.SSLError) as error:
            self.tls = describe_refused(error, name)
            raise UnreachableError(502, explain(error, "csms")) from error

    def abandon(self) -> None:
        """Give the attempt up: whatever there is of a connection ends."""
        if self.leg is not None:
            self.leg.drop(self._settings.linger_s)

    def _answer_so_far(self) -> Message | None:
        link = self.leg.link if self.leg is not None else None
        return link.answer_so_far() if isinstance(link, CsmsLink) else None

    @property
    def _place(self) -> str:
        return f"{self._upstream.host}:{self._upstream.port}"


async def connect_to(family: int, address: Address, keepalive: Keepalive) -> socket.socket:
    """TCP to one address. Raises OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        tune(sock, keepalive)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def attach(leg: Leg, sock: socket.socket, tls: ssl.SSLContext | None, name: str) -> None:
    """Let the leg speak on a connected socket, after TLS where there is any. Raises OSError (SSLError is one)."""
    server_hostname = name if tls is not None else None
    await asyncio.get_running_loop().create_connection(lambda: leg, sock=sock, ssl=tls, server_hostname=server_hostname)


def refusal(error: OSError | None) -> str:
    """Why no TCP connection came about."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there, or a firewall says so"
    return in_words(error) if error else "its name has no address"


def in_words(error: BaseException) -> str:
    """The system's own words for what went wrong, where it has any."""
    strerror = getattr(error, "strerror", None)
    return str(strerror or describe_loss(error, "csms"))


def spell(address: Address) -> str:
    """HOST:PORT, with brackets around IPv6."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
