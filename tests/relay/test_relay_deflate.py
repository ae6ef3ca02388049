"""permessage-deflate: offered and chosen by the two ends, carried with those very parameters."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from relay_peers import (
    BINARY,
    CONT,
    LOOPS,
    OTHER,
    PING,
    TEXT,
    Closed,
    Entry,
    FrameRecord,
    Opened,
    from_station,
    joined,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

every_loop = pytest.mark.parametrize("loop", LOOPS)
each_side = pytest.mark.parametrize("sender", ["station", "csms"])

TEXTS = [f'[2,"{number}","MeterValues",{{"connectorId":{number % 3},"meterValue":[]}}]' for number in range(60)]
_RANDOM = random.Random(7)
TEXTS += ["".join(_RANDOM.choices("abcdefgh ", k=40000)), "", TEXTS[0]]

VARIANTS: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "as peers do": ({"client_max_window_bits": True}, {"server_max_window_bits": 12, "client_max_window_bits": 12}),
    "default windows": ({}, {}),
    "no takeover by the csms": ({"server_no_context_takeover": True}, {}),
    "no takeover at all": ({"server_no_context_takeover": True, "client_no_context_takeover": True},
                           {"server_no_context_takeover": True, "client_no_context_takeover": True}),
    "small windows": ({"server_max_window_bits": 9, "client_max_window_bits": 9},
                      {"server_max_window_bits": 9, "client_max_window_bits": 9}),
    "window chosen by the csms": ({"client_max_window_bits": True}, {"client_max_window_bits": 10}),
    "declined": ({"client_max_window_bits": True}, None),
    "not offered": (None, {}),
}  # fmt: skip


@every_loop
@pytest.mark.parametrize("variant", VARIANTS)
def test_with_real_peers(loop: str, variant: str) -> None:
    offer, accept = VARIANTS[variant]

    async def main() -> None:
        async def echo(csms: ServerConnection) -> None:
            async for message in csms:
                await csms.send(message)
                await csms.send([message[: len(message) // 2], message[len(message) // 2 :]])

        factories = [] if accept is None else [ServerPerMessageDeflateFactory(**accept)]
        async with (
            serve(echo, "127.0.0.1", 0, extensions=factories, compression=None, ping_interval=None) as server,
            relaying(next(iter(server.sockets)).getsockname()[1]) as relay,
        ):
            ours = [] if offer is None else [ClientPerMessageDeflateFactory(**offer)]
            url = relay.url + "/CP1"
            async with connect(url, extensions=ours, compression=None, ping_interval=None, proxy=None) as ws:
                assert bool(ws.protocol.extensions) == (variant not in ("declined", "not offered"))
                for text in TEXTS:
                    await ws.send(text)
                    assert await ws.recv() == text
                    assert await ws.recv() == text
            opened = await relay.recording.until(Opened)
            chosen = dict(opened.csms_headers).get("Sec-WebSocket-Extensions")
            assert opened.extensions == chosen
            data = [one.data for one in relay.recording.of(FrameRecord) if not one.incomplete]
            assert data == [text.encode() for text in TEXTS for _ in range(3)]

    run(loop, main())


# -- byte by byte

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


def chose(parameters: str = "") -> bytes:
    return switching(f"Sec-WebSocket-Extensions: permessage-deflate{parameters}")


class Deflater:
    """Compresses as one end of a connection would."""

    def __init__(self, bits: int = 15, afresh: bool = False) -> None:
        self.bits, self.afresh = bits, afresh
        self.stream = zlib.compressobj(wbits=-bits)

    def __call__(self, data: bytes, *, end: bool = True) -> bytes:
        if self.afresh:
            self.stream = zlib.compressobj(wbits=-self.bits)
        packed = self.stream.compress(data) + self.stream.flush(zlib.Z_SYNC_FLUSH)
        return packed[:-4] if end else packed


@every_loop
@each_side
def test_compressed_and_uncompressed_messages_stay_what_they_are(loop: str, sender: str) -> None:
    async def main() -> None:
        async with joined(request("/CP1", OFFER), chose()) as both:
            deflate = Deflater()
            sent = [
                both.sends(sender, TEXT, deflate(b"hello hello hello"), rsv=4),
                both.sends(sender, TEXT, b"plain"),
                both.sends(sender, TEXT, deflate(b"hello ", end=False), rsv=4, fin=False),
                both.sends(sender, PING, b"raw"),
                both.sends(sender, CONT, deflate(b"hello hello")),
                both.sends(sender, BINARY, b"pl", fin=False),
                both.sends(sender, CONT, b"ain"),
                both.sends(sender, TEXT, deflate(b""), rsv=4),
                both.sends(sender, BINARY, deflate(bytes(100000)), rsv=4),
            ]
            assert [(await both.side(OTHER[sender]).frame()).raw for _ in sent] == sent
            assert [one[2:] for one in both.recording.frames()] == [
                ("text", b"hello hello hello"), ("text", b"plain"), ("text", b"hello hello hello"), ("ping", b"raw"),
                ("binary", b"plain"), ("text", b""), ("binary", bytes(100000)),
            ]  # fmt: skip
            whole = [one for one in both.recording.of(FrameRecord) if one.fragments and not one.incomplete]
            assert [sum(one.fragments) for one in whole] == [17, 5]

    run(loop, main())


@each_side
def test_each_side_has_its_own_window_and_takeover(sender: str) -> None:
    answer = chose("; server_no_context_takeover; client_max_window_bits=9; server_max_window_bits=15")

    async def main() -> None:
        async with joined(request("/CP1", OFFER), answer) as both:
            deflate = Deflater(9) if sender == "station" else Deflater(15, afresh=True)
            for _ in range(5):
                both.sends(sender, TEXT, deflate(b"again and again " * 100), rsv=4)
                await both.side(OTHER[sender]).frame()
            assert {one[3] for one in both.recording.frames()} == {b"again and again " * 100}

    run("uvloop", main())


def test_a_window_of_eight_bits_is_carried_too() -> None:
    """zlib cannot compress with it, but nothing is compressed here."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"

    async def main() -> None:
        async with joined(request("/CP1", offer), chose("; server_max_window_bits=8")) as both:
            both.sends("csms", TEXT, Deflater(9)(b"short"), rsv=4)
            await both.station.frame()
            assert both.recording.frames()[0][3] == b"short"

    run("uvloop", main())


@pytest.mark.parametrize(
    ("offered", "arrives", "struck"),
    [
        ("permessage-deflate;client_max_window_bits", "permessage-deflate;client_max_window_bits", []),
        ("x-webkit-deflate-frame, permessage-deflate", "permessage-deflate", ["x-webkit-deflate-frame"]),
        ("permessage-bzip2", None, ["permessage-bzip2"]),
        ("permessage-deflate; odd=1", None, ["permessage-deflate; odd=1"]),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", "permessage-deflate",
         ["permessage-deflate; server_max_window_bits=7"]),
        ("=broken", None, ["=broken"]),
    ],
)  # fmt: skip
def test_offers_that_cannot_be_carried_are_struck_and_recorded(
    offered: str, arrives: str | None, struck: list[str]
) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            await relay.ask(request("/CP1", f"Sec-WebSocket-Extensions: {offered}"))
            upstream = await csms.accept()
            lines = upstream.request.decode().split("\r\n")
            got = [line.partition(": ")[2] for line in lines if line.startswith("Sec-WebSocket-Extensions")]
            assert got == ([] if arrives is None else [arrives])
            upstream.send(switching())
            opened = await relay.recording.until(Opened)
            assert opened.extra.get("struck", []) == struck

    run("uvloop", main())


def test_a_declined_offer_leaves_the_reserved_bits_forbidden() -> None:
    async def main() -> None:
        async with joined(request("/CP1", OFFER)) as both:
            both.sends("station", TEXT, Deflater()(b"hello"), rsv=4)
            assert (await both.recording.until(Closed)).code == 1002

    run("uvloop", main())


BROKEN = {
    "not deflated": [(TEXT, b"\xff\xff\xff\xff", {"rsv": 4})],
    "rsv1 on a continuation": [(TEXT, Deflater()(b"a", end=False), {"rsv": 4, "fin": False}), (CONT, b"", {"rsv": 4})],
    "rsv1 on a ping": [(PING, b"", {"rsv": 4})],
    "rsv2": [(TEXT, b"", {"rsv": 2})],
}


@each_side
@pytest.mark.parametrize("sort", BROKEN)
def test_broken_compression_is_a_breach(sender: str, sort: str) -> None:
    async def main() -> None:
        async with joined(request("/CP1", OFFER), chose()) as both:
            for opcode, payload, more in BROKEN[sort]:
                last = both.sends(sender, opcode, payload, **more)
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == ("proxy", 1002)
            assert both.recording.of(Entry)[0].fields["head"] == last[: len(last) - len(payload)].hex()

    run("uvloop", main())


def test_a_limit_holds_for_the_inflated_message() -> None:
    async def main() -> None:
        async with joined(request("/CP1", OFFER), chose(), max_message=100000) as both:
            deflate = Deflater()
            both.sends("station", TEXT, deflate(bytes(100000)), rsv=4)
            await both.csms.frame()
            both.sends("station", TEXT, deflate(bytes(100001)), rsv=4)
            assert (await both.recording.until(Closed)).code == 1009

    run("uvloop", main())


@every_loop
def test_relaying_only_looks_into_nothing(loop: str) -> None:
    async def main() -> None:
        async with joined(request("/CP1", OFFER), chose(), opaque=True) as both:
            sent = [from_station(TEXT, b"\xff", rsv=4), from_station(TEXT, b"\xff", rsv=4, fin=False),
                    from_station(CONT, b"\xff")]  # fmt: skip
            for data in sent:
                both.station.send(data)
                assert (await both.csms.frame()).raw == data

    run(loop, main())
