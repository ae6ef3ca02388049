"""Plain sockets: listening ones, their options, a look for life, and one at first bytes, which stay where they are.

Source: Linux, include/uapi/linux/tcp.h (struct tcp_info).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from typing import Any

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.relay.settings import Keepalive

BACKLOG = 1024

# tcp_info: retransmits and probes without an answer, then the milliseconds since the last acknowledgement.
_INFO = struct.Struct("=2xBB52xI")
_LOST_MIN = 2  # one may be on its way


def tune(sock: socket.socket, keepalive: Keepalive) -> None:
    """No delay for small frames, and dead links are found, as far as this platform knows how."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    values = {
        "TCP_KEEPIDLE": keepalive.idle_s,
        "TCP_KEEPALIVE": keepalive.idle_s,  # macOS's name for the same
        "TCP_KEEPINTVL": keepalive.interval_s,
        "TCP_KEEPCNT": keepalive.count,
    }
    for name, value in values.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def is_dead(sock: socket.socket, patience_ms: int) -> bool:
    """Whether data waits that nobody has acknowledged for so long, where this platform tells; keepalive sends nothing
    then. TCP_USER_TIMEOUT would not do: it also ends the link of one who lives but does not read."""
    if sys.platform != "linux":
        return False
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    if len(info) < _INFO.size:
        return False
    retransmits, probes, unheard_ms = _INFO.unpack(info)
    return bool(retransmits + probes >= _LOST_MIN and unheard_ms > patience_ms)


def reset_on_close(sock: socket.socket) -> None:
    """Closing will send RST in place of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0))


def listen(host: str, port: int, option: str = "--listen") -> list[socket.socket]:
    """Listening sockets for each address of a host, on one port. Raises BadInput, which names the option."""
    place = f"{option} {host}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or error
        raise BadInput(f"{place}: {words}; expected an address of this machine") from error
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            sockets.append(_listen(family, (address[0], port, *address[2:])))
            port = port or sockets[0].getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise BadInput(f"{place}: cannot listen there: {error.strerror or error}") from error
    return sockets


def _listen(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


async def peek(sock: socket.socket, size: int) -> bytes:
    """The first bytes of a connection, which stay to be read; b"" where it ends without any. Raises OSError."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(sock, on_readable)
    try:
        await readable
    finally:
        loop.remove_reader(sock)
    return sock.recv(size, socket.MSG_PEEK)
