"""Stations and CSMSs byte by byte, and a proxy between them that keeps what it wrote and said."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop
from websockets.utils import accept_key, apply_mask

from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Opened, Part, Record, Writable
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.relay.controls import Controls
from ocpp_proxy.relay.proxy import Proxy, RelaySettings

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
PATIENCE_S = 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x11\x22\x33\x44"


def run(loop: str, work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(work, PATIENCE_S))


# -- frames


@dataclass(frozen=True)
class Wire:
    """A frame as it came. `raw`: its bytes."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    mask: bytes | None = None
    raw: bytes = field(default=b"", compare=False)


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = None, wide: int = 0
) -> bytes:
    """`wide`: bytes of the length field, 0 for the shortest."""
    size = len(payload)
    wide = wide or (0 if size < 126 else 2 if size < 65536 else 8)
    short = {0: size, 2: 126, 8: 127}[wide]
    length = size.to_bytes(wide, "big") if wide else b""
    head = bytes((fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short)) + length
    return head + payload if mask is None else head + mask + apply_mask(payload, mask)


def from_station(opcode: int, payload: bytes = b"", **more: Any) -> bytes:
    return frame(opcode, payload, mask=more.pop("mask", MASK), **more)


def close_payload(code: int | None, reason: str = "") -> bytes:
    return b"" if code is None else code.to_bytes(2, "big") + reason.encode()


class Peer:
    """One end of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def frame(self) -> Wire:
        first = await self.read(2)
        raw, size = first, first[1] & 127
        if size > 125:
            wide = await self.read(2 if size == 126 else 8)
            raw, size = raw + wide, int.from_bytes(wide, "big")
        mask = await self.read(4) if first[1] & 128 else None
        payload = await self.read(size)
        raw += (mask or b"") + payload
        plain = payload if mask is None else apply_mask(payload, mask)
        return Wire(first[0] & 15, plain, bool(first[0] & 128), first[0] >> 4 & 7, mask, raw)

    async def end(self) -> bytes | type[OSError]:
        """Everything until the connection ends: the bytes, or the kind of error where it was reset."""
        try:
            return await self.reader.read()
        except OSError as error:
            return type(error)

    def hang_up(self) -> None:
        """End the connection without a close frame: with a FIN."""
        self.writer.close()

    def reset(self) -> None:
        """End the connection with a RST where this system can."""
        self.writer.transport.abort()


# -- handshakes


def request(
    target: str = "/ocpp/CP1", *more: str, subprotocols: str | None = "ocpp1.6", host: str = "proxy.example:9000"
) -> bytes:
    lines = [
        f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {subprotocols}"] if subprotocols else []), *more,
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def switching(*more: str, subprotocol: str | None = "ocpp1.6") -> bytes:
    lines = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(KEY)}",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []), *more,
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Csms:
    """Listens; hands each connection over with the head of its request read."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []
        self.port = 0

    async def accept(self) -> Peer:
        peer = await self.came.get()
        peer.request = await peer.head()
        return peer

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(peer := Peer(reader, writer))
        self.came.put_nowait(peer)


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext | None = None) -> AsyncIterator[Csms]:
    csms = Csms()
    server = await asyncio.start_server(csms._take, "127.0.0.1", 0, ssl=context, limit=2**26)
    csms.port = server.sockets[0].getsockname()[1]
    try:
        yield csms
    finally:
        server.close()
        for peer in csms.peers:
            peer.writer.transport.abort()


# -- the proxy


class Recording:
    """A recorder in memory. `before` is called with each batch while it is written."""

    def __init__(self) -> None:
        self.records: list[Writable] = []
        self.writes: list[list[Writable]] = []
        self.before: Callable[[Sequence[Writable]], None] = lambda _: None
        self.works = True
        self._connections = 0
        self._more = asyncio.Event()

    def next_connection(self) -> str:
        self._connections += 1
        return f"c{self._connections}"

    def write(self, records: Sequence[Writable]) -> bool:
        self.before(records)
        self.writes.append(list(records))
        self.records += records
        self._more.set()
        return self.works

    def of(self, kind: type[Any], connection: str | None = None) -> list[Any]:
        return [one for one in self.records if isinstance(one, kind) and connection in (None, one.connection)]

    async def until(self, kind: type[Any], count: int = 1) -> Any:
        """The `count`th record of a kind, as soon as it is there."""
        while len(self.of(kind)) < count:
            self._more.clear()
            await self._more.wait()
        return self.of(kind)[count - 1]

    def frames(self) -> list[tuple[int, str, str, bytes]]:
        """What is on record in the end: a whole message replaces its parts."""
        found: dict[tuple[str, int], tuple[int, str, str, bytes]] = {}
        for one in self.records:
            if isinstance(one, FrameRecord):
                found[one.connection, one.seq] = (one.seq, one.sender, one.opcode, one.data)
            elif isinstance(one, Part):
                seq, sender, opcode, data = found[one.connection, one.seq]
                found[one.connection, one.seq] = (seq, sender, opcode, data + one.data)
        return [found[key] for key in sorted(found)]


@dataclass
class Relay:
    proxy: Proxy
    url: str
    recording: Recording
    seen: list[tuple[Record, Frame | None]]
    notices: list[str]
    controls: Controls
    stations: list[Peer] = field(default_factory=list)  # who forgets a stream closes it

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def dial(self, context: ssl.SSLContext | None = None, name: str | None = None) -> Peer:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=name, limit=2**26
        )
        self.stations.append(peer := Peer(reader, writer))
        return peer

    async def ask(self, data: bytes) -> Peer:
        """A station that has sent this."""
        station = await self.dial()
        station.send(data)
        return station


@contextlib.asynccontextmanager
async def relaying(upstream: str | int, **settings: Any) -> AsyncIterator[Relay]:
    """A proxy in front of `upstream`, a URL or a local port. `allowed`: it may take part."""
    url = upstream if isinstance(upstream, str) else f"ws://127.0.0.1:{upstream}"
    recording, seen, notices = Recording(), [], []
    opaque, allowed, routes = (settings.pop(name, None) for name in ("opaque", "allowed", "routes"))
    made = replace(RelaySettings(upstream=url, listen=("127.0.0.1:0",), linger_s=0.2), **settings)
    proxy = Proxy(made, None if opaque else recording, None if opaque else seen.extend, notices.append, routes,
                  on_open=lambda pair: controls.attach(pair),
                  turned_away=lambda identity: controls.turned_away(identity))
    controls = Controls(proxy, Schemas(load_schema), allowed=bool(allowed), version_of=lambda _: None,
                        write=recording.write, on_notice=notices.append)
    (bound,) = await proxy.start()
    relay = Relay(proxy, bound, recording, seen, notices, controls)
    try:
        yield relay
    finally:
        await proxy.stop()
        for station in relay.stations:
            station.writer.transport.abort()


@dataclass
class Joined:
    """A station and a CSMS with the relay between them, right after the 101."""

    relay: Relay
    station: Peer
    csms: Peer
    csms_listener: Csms

    @property
    def recording(self) -> Recording:
        return self.relay.recording

    def side(self, name: str) -> Peer:
        return self.station if name == "station" else self.csms

    def sends(self, name: str, opcode: int, payload: bytes = b"", **more: Any) -> bytes:
        """Let one side send a frame; returns its bytes."""
        data = from_station(opcode, payload, **more) if name == "station" else frame(opcode, payload, **more)
        self.side(name).send(data)
        return data


@contextlib.asynccontextmanager
async def joined(
    asked: bytes | None = None, answered: bytes | None = None, **settings: Any
) -> AsyncIterator[Joined]:
    async with listening() as csms, relaying(csms.port, **settings) as relay:
        station = await relay.ask(asked or request())
        upstream = await csms.accept()
        upstream.send(answered or switching())
        await station.head()
        yield Joined(relay, station, upstream, csms)


OTHER = {"station": "csms", "csms": "station"}

__all__ = [
    "BINARY", "CLOSE", "CONT", "KEY", "LOOPS", "MASK", "OTHER", "PING", "PONG", "TEXT", "Closed", "Csms", "Entry",
    "FrameRecord", "Joined", "Opened", "Part", "Peer", "Recording", "Relay", "Wire", "close_payload", "frame",
    "from_station", "joined", "listening", "relaying", "request", "run", "switching",
]  # fmt: skip
