"""The load: stations on raw sockets that ask, wait for the answer and ask again, as OCPP has them do.

Decides how a load is driven and what is counted. Refuses to know what stands between it and the CSMS.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from bench import traffic
from bench.framing import FrameReader, WireFrame, encode

CONNECT_TIMEOUT_S = 30.0


class LostConnection(Exception):
    """The relay dropped a station or refused it: the figures would mean nothing."""


class Station(asyncio.Protocol):
    """One connection. `answered` is called with each frame that came in; set it before asking."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answered: Callable[[WireFrame], None] = lambda frame: None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""
        self._reader: FrameReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        user = base64.b64encode(f"{self.name}:0123456789abcdef".encode()).decode()
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write((
            f"GET /ocpp/{self.name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            f"User-Agent: bench/1\r\nAuthorization: Basic {user}\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.ready.set_exception(LostConnection(f"{self.name} was answered {head[:60]!r}"))
                return
            self._reader = FrameReader()
            self.ready.set_result(None)
        for frame in self._reader.feed(data):
            self.answered(frame)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(LostConnection(f"{self.name} got no answer to its handshake"))
        if not self.lost.done():
            self.lost.set_result(None)

    def send(self, payload: bytes) -> None:
        self.transport.write(encode(payload, masked=True))

    async def ask(self, payload: bytes) -> WireFrame:
        answer: asyncio.Future[WireFrame] = asyncio.get_running_loop().create_future()
        self.answered = lambda frame: answer.done() or answer.set_result(frame)
        self.send(payload)
        done, _ = await asyncio.wait({answer, self.lost}, timeout=CONNECT_TIMEOUT_S,
                                     return_when=asyncio.FIRST_COMPLETED)
        if answer not in done:
            raise LostConnection(f"{self.name} got no answer to {payload[:60]!r}")
        return answer.result()


async def connect(port: int, name: str) -> Station:
    """A station whose handshake is done. Raises LostConnection."""
    loop = asyncio.get_running_loop()
    _, station = await loop.create_connection(lambda: Station(name), "127.0.0.1", port)
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        await station.ready
    return station


async def connect_all(port: int, prefix: str, count: int, *, at_once: int = 50) -> list[Station]:
    stations: list[Station] = []
    for first in range(0, count, at_once):
        names = [f"{prefix}-{number:04d}" for number in range(first, min(first + at_once, count))]
        stations += await asyncio.gather(*(connect(port, name) for name in names))
    return stations


async def hang_up(stations: list[Station]) -> None:
    for station in stations:
        station.transport.abort()
    await asyncio.gather(*(station.lost for station in stations))


@dataclass(slots=True)
class Measured:
    """`round_trips` in `elapsed_s`, each one's latency in `latencies_ns`; `cpu_s` is what `cpu` counted meanwhile."""

    round_trips: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    latencies_ns: list[int] = field(default_factory=list)


class _Asker:
    """Keeps one station asking; `latencies` takes what is measured."""

    def __init__(self, station: Station, load: _Load) -> None:
        self._station, self._load = station, load
        self._prefix = station.name.encode() + b"-"
        self._number = 0
        self._asked_ns = 0
        station.answered = self._answered

    def ask(self) -> None:
        self._number += 1
        payload = traffic.meter_values(self._prefix + b"%d" % self._number, self._load.timestamp, self._number * 10)
        frame = encode(payload, masked=True)
        self._asked_ns = time.perf_counter_ns()
        self._station.transport.write(frame)

    def _answered(self, frame: WireFrame) -> None:
        self._load.latencies_ns.append(time.perf_counter_ns() - self._asked_ns)
        if self._load.running:
            self.ask()


class _Load:
    def __init__(self) -> None:
        self.running = True
        self.latencies_ns: list[int] = []
        self.timestamp = traffic.timestamp()

    async def run(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.timestamp = traffic.timestamp()
            await asyncio.sleep(min(left, 0.25))


async def measure(port: int, prefix: str, connections: int, *, warm_up_s: float, measure_s: float,
                  cpu: Callable[[], float]) -> Measured:
    """Closed loop: each of `connections` stations has one MeterValues request open at all times."""
    stations = await connect_all(port, prefix, connections)
    for station in stations:
        for payload in traffic.opening(station.name):
            await station.ask(payload)
    load = _Load()
    for station in stations:
        _Asker(station, load).ask()
    gc.collect()
    gc.disable()
    await load.run(warm_up_s)
    measured = Measured(latencies_ns=[])
    load.latencies_ns = measured.latencies_ns
    began, cpu_before = time.perf_counter(), cpu()
    await load.run(measure_s)
    measured.cpu_s, measured.elapsed_s = cpu() - cpu_before, time.perf_counter() - began
    measured.round_trips = len(measured.latencies_ns)
    load.latencies_ns = []
    load.running = False
    gc.enable()
    lost = [station.name for station in stations if station.lost.done()]
    await hang_up(stations)
    if lost:
        raise LostConnection(f"{len(lost)} of {connections} stations were dropped, first {lost[0]}")
    return measured
