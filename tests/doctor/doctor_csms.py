"""CSMSs byte by byte on loopback sockets, and an examination of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import uvloop
from websockets.utils import accept_key, apply_mask

from ocpp_proxy.doctor.case import Case, CsmsTls
from ocpp_proxy.doctor.examination import examine
from ocpp_proxy.doctor.step import NAMES, Step
from ocpp_proxy.wire.upstream import Upstream

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENCE_S = 30
CANARY = "canary-Pa55word-4711"
CLOSE, PING, PONG = 8, 9, 10


def run(work: Coroutine[Any, Any, Any], loop: str = "uvloop") -> Any:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(work, PATIENCE_S))


@dataclass
class Asked:
    """An upgrade request. `frames`: (opcode, payload) of all that came after it."""

    target: str
    headers: dict[str, str]
    frames: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def offered(self) -> list[str]:
        return self.headers.get("sec-websocket-protocol", "").split(", ")

    @property
    def credentials(self) -> bytes | None:
        """What stands in Basic credentials: user, colon, password."""
        value = self.headers.get("authorization")
        return None if value is None else base64.b64decode(value.removeprefix("Basic "))


Answering = Callable[[Asked], bytes]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(status: str, *headers: str, body: str = "", date: str | None = "now") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers]
    if date is not None:
        lines.append(f"Date: {formatdate(usegmt=True) if date == 'now' else date}")
    if not status.startswith("101"):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode("latin-1")


def switching(asked: Asked, *headers: str, subprotocol: str | None = "first", **more: Any) -> bytes:
    """A 101. `subprotocol`: "first" for the first one offered, None for none."""
    chosen = asked.offered[0] if subprotocol == "first" else subprotocol
    named = [] if chosen is None else [f"Sec-WebSocket-Protocol: {chosen}"]
    key = accept_key(asked.headers["sec-websocket-key"])
    return http("101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {key}",
                *named, *headers, **more)


def always(answer: bytes) -> Answering:
    return lambda _: answer


class Csms:
    """Answers upgrade requests, then pings; `came` holds all requests. `pongs` False: it leaves pings unanswered.
    `first` is sent right behind a 101."""

    def __init__(self, answering: Answering, *, pongs: bool = True, first: bytes = b"") -> None:
        self.came: list[Asked] = []
        self._answering = answering
        self._pongs = pongs
        self._first = first

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head[:-4].split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        asked = Asked(request_line.split(" ")[1], {name.lower(): value for name, _, value in pairs})
        self.came.append(asked)
        answer = self._answering(asked)
        writer.write(answer)
        if not answer.startswith(b"HTTP/1.1 101"):
            return
        writer.write(self._first)
        while True:
            opcode, payload = await _frame(reader)
            asked.frames.append((opcode, payload))
            if opcode == PING and self._pongs:
                writer.write(bytes((0x80 | PONG, len(payload))) + payload)
            if opcode == CLOSE:
                writer.write(bytes((0x80 | CLOSE, len(payload))) + payload)
                return


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    size = second & 127
    assert second & 128
    assert size < 126
    mask = await reader.readexactly(4)
    return first & 15, bytes(apply_mask(await reader.readexactly(size), mask))


def says(data: bytes, *, hear: int = 1, end: bool = True) -> Behaviour:
    """Hears something, says this, and hangs up or not."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if hear:
            await reader.read(65536)
        writer.write(data)
        if not end:
            await reader.read()

    return behaviour


@contextlib.asynccontextmanager
async def listening(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """The port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await behaviour(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@dataclass
class Found:
    """The steps of an examination."""

    steps: list[Step]

    def all(self, name: str) -> list[Step]:
        return [step for step in self.steps if step.name == name]

    def one(self, name: str) -> Step:
        (step,) = self.all(name)
        return step

    @property
    def wrong(self) -> list[str]:
        return [step.name for step in self.steps if step.ok is False]

    def refused(self, name: str, *words: str) -> Step:
        """The one step of this name that is not ok; each of the words stands in it or in its remedy."""
        (step,) = [step for step in self.all(name) if step.ok is False]
        for word in words:
            assert word in f"{step.seen} → {step.remedy}"
        return step

    def not_tried(self, *names: str) -> None:
        for name in names:
            step = self.one(name)
            assert step.ok is None
            assert step.seen.startswith("not tried: ")


async def examined(url: str, *, listen: tuple[str, ...] = ("127.0.0.1:0",), **how: Any) -> Found:
    """`how`: as for Case; `ca` and the like as for CsmsTls."""
    tls = CsmsTls(**{name: how.pop(name) for name in ("ca", "cert", "key", "insecure", "sni") if name in how})
    case = Case(Upstream.parse(url), listen=listen, tls=tls, timeout_s=how.pop("timeout_s", 5), **how)
    steps = await examine(case, case.context(lambda _: None))
    assert {step.name for step in steps} == set(NAMES)
    assert all((step.remedy is not None) is (step.ok is False) for step in steps)
    assert all(step.seen for step in steps)
    return Found(steps)


async def visited(
    answering: Answering, path: str = "/ocpp", *, pongs: bool = True, first: bytes = b"", **how: Any
) -> tuple[Found, list[Asked]]:
    """An examination of a CSMS that answers so, and what it was asked."""
    csms = Csms(answering, pongs=pongs, first=first)
    async with listening(csms) as port:
        found = await examined(f"ws://127.0.0.1:{port}{path}", **how)
    return found, csms.came
