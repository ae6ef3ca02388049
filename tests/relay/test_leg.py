"""One leg's TCP: back-pressure, half-open links, the clocks of a machine that slept."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import ssl
import struct
import sys
from typing import Any

import pytest
from relay_peers import (
    LOOPS,
    OTHER,
    PATIENCE_S,
    TEXT,
    Closed,
    Joined,
    Peer,
    frame,
    from_station,
    joined,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip

from ocpp_proxy.relay.leg import Leg, describe_loss
from ocpp_proxy.relay.settings import Keepalive

every_loop = pytest.mark.parametrize("loop", LOOPS)
each_side = pytest.mark.parametrize("sender", ["station", "csms"])

MESSAGE = bytes(20000)
FLOOD = 3000  # messages: more than the kernels' buffers on the way can take


async def flood(both: Joined, sender: str) -> int:
    """Send as long as anything is taken; returns the number of bytes that were not."""
    writer = both.side(sender).writer
    data = (from_station if sender == "station" else frame)(TEXT, MESSAGE) * FLOOD
    writer.write(data)
    transport: Any = writer.transport
    before, left = len(data) + 1, len(data)
    while left < before:
        await asyncio.sleep(0.2)
        before, left = left, transport.get_write_buffer_size()
    return left


def held_bytes(both: Joined) -> int:
    (pair,) = (one for one in both.relay.proxy.connections.values() if one.connection == "c1")
    return sum(leg.transport.get_write_buffer_size() + leg.link.held_bytes for leg in (pair.station, pair.csms))


@every_loop
@each_side
def test_a_slow_reader_slows_the_sender_and_nothing_grows(loop: str, sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.side(OTHER[sender]).writer.transport.pause_reading()  # type: ignore[attr-defined]
            left = await flood(both, sender)
            assert left > 0
            assert held_bytes(both) < 2**20
            both.side(OTHER[sender]).writer.transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(FLOOD):
                assert (await both.side(OTHER[sender]).frame()).payload == MESSAGE

    run(loop, main())


@every_loop
def test_one_stations_trouble_does_not_touch_another(loop: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.csms.writer.transport.pause_reading()  # type: ignore[attr-defined]
            assert await flood(both, "station") > 0
            station = await both.relay.ask(request("/CP2"))
            # Both stations have one CSMS; what it does not read of the one it does of the other.
            second = await both.csms_listener.accept()
            second.send(switching())
            await station.head()
            for _ in range(20):
                station.send(from_station(TEXT, b"[]"))
                assert (await asyncio.wait_for(second.frame(), 1)).payload == b"[]"

    run(loop, main())


# -- half-open links


def go_deaf(peer: Any) -> None:
    """From now on this socket hears nothing, and so acknowledges nothing: a peer that lost its power."""
    never = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: return 0 bytes of every packet
    buffer = ctypes.create_string_buffer(never)
    program = struct.pack("HP", 1, ctypes.addressof(buffer))
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, 26, program)


@pytest.mark.skipif(sys.platform != "linux", reason="packet filters as Linux has them")
@pytest.mark.parametrize("busy", [False, True])
@every_loop
@each_side
def test_a_half_open_link_is_found(loop: str, sender: str, busy: bool) -> None:
    async def main() -> None:
        async with joined(keepalive=Keepalive(1, 1, 2)) as both:
            go_deaf(both.side(sender))
            if busy:
                both.sends(OTHER[sender], TEXT, b"into the void")
            assert await both.side(OTHER[sender]).end() == b""
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == (sender, 1006)
            assert "half-open" in closed.reason

    run(loop, main())


@every_loop
@pytest.mark.parametrize("size", [30_000, 3_000_000], ids=["in-the-kernel", "more-than-that"])
def test_who_lives_but_does_not_read_is_not_taken_for_dead(loop: str, size: int) -> None:
    message = bytes(size)

    async def main() -> None:
        async with listening() as csms, relaying(csms.port, keepalive=Keepalive(1, 1, 1)) as relay:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", relay.port))
            station = Peer(*await asyncio.open_connection(sock=sock, limit=1024))
            station.send(request())
            upstream = await csms.accept()
            upstream.send(switching())
            await station.head()
            station.writer.transport.pause_reading()  # type: ignore[attr-defined]
            upstream.send(frame(TEXT, message))
            await asyncio.sleep(4.5)  # twice the patience
            assert not relay.recording.of(Closed)
            station.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert (await station.frame()).payload == message
            station.reset()

    run(loop, main())


# -- sleep and wake


class Sleeper(asyncio.SelectorEventLoop):
    """A loop on a machine that sleeps: its clock can jump."""

    slept_s = 0.0

    def time(self) -> float:
        return super().time() + self.slept_s


def test_a_night_asleep_ends_no_established_link(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with joined() as both:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Sleeper)
            both.sends("station", TEXT, b"evening")
            assert (await both.csms.frame()).payload == b"evening"
            loop.slept_s = 8 * 3600
            both.sends("station", TEXT, b"morning")
            assert (await both.csms.frame()).payload == b"morning"
            both.sends("csms", TEXT, b"hello")
            assert (await both.station.frame()).payload == b"hello"

    with asyncio.Runner(loop_factory=Sleeper) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (None, ""),
        (ConnectionResetError(104, "Connection reset by peer"), "reset"),
        (TimeoutError(110, "Connection timed out"), "half-open"),
        (OSError("odd"), "odd"),
        (ValueError(), "ValueError"),
    ],
)
def test_how_a_loss_is_told(trouble: BaseException | None, words: str) -> None:
    assert words in describe_loss(trouble, "csms")


def test_a_loss_on_the_tls_level_is_explained() -> None:
    trouble = ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] x")
    trouble.reason = "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
    assert "TLS with the csms failed" in describe_loss(trouble, "csms")


def test_an_idle_leg_is_small() -> None:
    async def main() -> None:
        leg = Leg("station", None)  # type: ignore[arg-type]  # the link is not used
        assert not hasattr(leg, "__dict__")
        assert sys.getsizeof(leg) < 300

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
