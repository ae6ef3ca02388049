"""Options of both legs' sockets, and a look at first bytes."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from relay_peers import LOOPS, joined, run

from ocpp_proxy.relay.settings import Keepalive
from ocpp_proxy.relay.sockets import peek

every_loop = pytest.mark.parametrize("loop", LOOPS)


@every_loop
def test_both_legs_send_at_once_and_look_for_dead_peers(loop: str) -> None:
    async def main() -> None:
        async with joined(keepalive=Keepalive(7, 5, 3)) as both:
            (pair,) = both.relay.proxy.connections.values()
            for leg in (pair.station, pair.csms):
                sock = leg.transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                if sys.platform == "linux":
                    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                    got = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
                    assert got == [7, 5, 3]

    run(loop, main())


@every_loop
def test_a_look_takes_nothing_away(loop: str) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            looking = asyncio.create_task(peek(ours, 3))
            await asyncio.sleep(0)
            theirs.send(b"abcdef")
            assert await looking == b"abc"
            assert await peek(ours, 10) == b"abcdef"
            assert ours.recv(10) == b"abcdef"
            theirs.close()
            assert await peek(ours, 10) == b""

    run(loop, main())
