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
from dataclasses import dataclass
from typing import Any, cast

from bench import traffic
from bench.framing import FrameReader, WireFrame, encode

CONNECT_TIMEOUT_S = 30.0
DRAIN_TIMEOUT_S = 10.0
IDLE_S = 0.1


class LostConnectionError(Exception):
    """The relay dropped a station or refused it: the figures would mean nothing."""


def _unheard(_: WireFrame) -> None: ...


class Station(asyncio.Protocol):
    """One connection. `answered` is called with each frame that came in; it is there to be set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answered: Callable[[WireFrame], None] = _unheard
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._head = b""
        self._reader: FrameReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        user = base64.b64encode(f"{self.name}:0123456789abcdef".encode()).decode()
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write((
            f"GET /ocpp/{self.name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
            f"User-Agent: bench/1\r\nAuthorization: Basic {user}\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.ready.set_exception(LostConnectionError(f"{self.name} was answered {head[:60]!r}"))
                return
            self._reader = FrameReader()
            self.ready.set_result(None)
        for frame in self._reader.feed(data):
            self.answered(frame)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(LostConnectionError(f"{self.name} got no answer to its handshake"))
        if not self.lost.done():
            self.lost.set_result(None)

    def send(self, payload: bytes) -> None:
        self.transport.write(encode(payload, masked=True))

    async def ask(self, payload: bytes) -> WireFrame:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answered = answer.set_result
        self.send(payload)
        await asyncio.wait([answer, self.lost], timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        self.answered = _unheard
        if not answer.done():
            raise LostConnectionError(f"{self.name} got no answer to {payload[:60]!r}")
        frame: WireFrame = answer.result()
        return frame


async def connect(port: int, name: str) -> Station:
    """A station whose handshake is done. Raises LostConnectionError."""
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
    """`round_trips` in `elapsed_s`, each one's latency in `latencies_ns`. `cpu_s`: what the relay spent on them,
    also after the last was through (`drain_s`): work put off is work."""

    round_trips: int
    elapsed_s: float
    cpu_s: float
    drain_s: float
    latencies_ns: list[int]


class Load:
    """While it runs, each station asks again `pause_s` after its answer, or at once: then it has one MeterValues
    request open at all times."""

    def __init__(self, stations: list[Station], pause_s: float) -> None:
        self.latencies_ns: list[int] = []
        self.running = False
        self.timestamp = traffic.timestamp()
        self._askers = [_Asker(station, self, pause_s) for station in stations]

    async def run(self, seconds: float) -> float:
        """Returns the seconds from the first request to the last; the last answers may still be on their way."""
        self.running = True
        began = time.perf_counter()
        for number, asker in enumerate(self._askers):
            asker.start(number / len(self._askers))
        while (left := began + seconds - time.perf_counter()) > 0:
            self.timestamp = traffic.timestamp()
            await asyncio.sleep(min(left, 0.25))
        self.running = False
        return time.perf_counter() - began


class _Asker:
    def __init__(self, station: Station, load: Load, pause_s: float) -> None:
        self._station, self._load, self._pause_s = station, load, pause_s
        self._prefix = station.name.encode() + b"-"
        self._number = 0
        self._asked_ns = 0
        station.answered = self._answered

    def start(self, share: float) -> None:
        """Begin `share` of a pause from now, so that the stations do not march in step."""
        self._later(self._pause_s * share)

    def _later(self, pause_s: float) -> None:
        if pause_s:
            asyncio.get_running_loop().call_later(pause_s, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        if not self._load.running:
            return
        self._number += 1
        message_id = self._prefix + b"%d" % self._number
        frame = encode(traffic.meter_values(message_id, self._load.timestamp, self._number * 10), masked=True)
        self._asked_ns = time.perf_counter_ns()
        self._station.transport.write(frame)

    def _answered(self, _: WireFrame) -> None:
        self._load.latencies_ns.append(time.perf_counter_ns() - self._asked_ns)
        self._later(self._pause_s)


async def measure(port: int, prefix: str, count: int, pause_s: float, *, warm_up_s: float, measure_s: float,
                  cpu: Callable[[], float]) -> Measured:
    """What a relay on `port` makes of `count` stations under load. Raises LostConnectionError."""
    stations = await connect_all(port, prefix, count)
    for station in stations:
        for payload in traffic.opening(station.name):
            await station.ask(payload)
    load = Load(stations, pause_s)
    await load.run(warm_up_s)
    await drained(cpu)
    load.latencies_ns.clear()
    gc.collect()
    gc.disable()
    cpu_before = cpu()
    elapsed_s = await load.run(measure_s)
    gc.enable()
    ended = time.perf_counter()
    cpu_after = await drained(cpu)
    lost = [station.name for station in stations if station.lost.done()]
    await hang_up(stations)
    if lost:
        raise LostConnectionError(f"{len(lost)} of {count} stations were dropped, first {lost[0]}")
    if not load.latencies_ns:
        raise LostConnectionError(f"no answer came within {measure_s:g} s")
    return Measured(len(load.latencies_ns), elapsed_s, cpu_after - cpu_before,
                    time.perf_counter() - ended - IDLE_S, load.latencies_ns)


async def drained(cpu: Callable[[], float]) -> float:
    """Wait until the relay uses less than a fiftieth of a core; the processor time it has spent by then."""
    deadline = time.perf_counter() + DRAIN_TIMEOUT_S
    before = cpu()
    while True:
        await asyncio.sleep(IDLE_S)
        used = cpu()
        if used - before <= IDLE_S / 50 or time.perf_counter() > deadline:
            return used
        before = used
