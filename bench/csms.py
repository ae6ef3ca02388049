"""The CSMS of the benchmark: answers what its stations ask, at next to no cost.

Runs in a process of its own (`python -m bench.csms`, prints its port); the kill test runs it in its own process
and listens in through `heard`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from typing import cast

from bench import loop
from bench.framing import CLOSE, CONTINUATION, PING, PONG, TEXT, FrameReader, WireFrame, encode

ANSWERS = {
    b"BootNotification": b'{"status":"Accepted","currentTime":"2026-11-21T09:00:00.000Z","interval":300}',
    b"Heartbeat": b'{"currentTime":"2026-11-21T09:00:00.000Z"}',
    b"StartTransaction": b'{"transactionId":4711,"idTagInfo":{"status":"Accepted"}}',
}
Heard = Callable[[str, WireFrame], None]
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Csms(asyncio.Protocol):
    """One station's connection. `heard` is told each frame with the request's target."""

    def __init__(self, heard: Heard | None = None) -> None:
        self._heard = heard
        self._request = b""
        self._target = ""
        self._begun = b""
        self._reader: FrameReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            data = self._shake_hands(data)
            if self._reader is None:
                return
        out = [answer for frame in self._reader.feed(data) if (answer := self._answer(frame))]
        if out:
            self._transport.write(b"".join(out))

    def _shake_hands(self, data: bytes) -> bytes:
        self._request += data
        head, end, rest = self._request.partition(b"\r\n\r\n")
        if not end:
            return b""
        lines = head.split(b"\r\n")
        self._target = lines[0].split(b" ")[1].decode("latin-1")
        key = next(line[18:].strip() for line in lines if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self._reader = FrameReader()
        return rest

    def _answer(self, frame: WireFrame) -> bytes:
        if self._heard is not None:
            self._heard(self._target, frame)
        if frame.opcode == PING:
            return encode(frame.payload, masked=False, opcode=PONG)
        if frame.opcode == CLOSE:
            self._transport.write(encode(frame.payload, masked=False, opcode=CLOSE))
            self._transport.close()
            return b""
        if not frame.fin or frame.opcode not in (TEXT, CONTINUATION):
            self._begun += frame.payload if frame.opcode in (TEXT, CONTINUATION) else b""
            return b""
        message, self._begun = self._begun + frame.payload, b""
        parts = message.split(b'"', 4)  # [2,"ID","Action",…
        if parts[0] != b"[2," or len(parts) < 5:
            return b""
        return encode(b'[3,"' + parts[1] + b'",' + ANSWERS.get(parts[3], b"{}") + b"]", masked=False)


async def serve(heard: Heard | None = None) -> asyncio.Server:
    """A CSMS on a free loopback port."""
    return await asyncio.get_running_loop().create_server(lambda: Csms(heard), "127.0.0.1", 0, backlog=1024)


async def main() -> None:
    server = await serve()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    loop.run(main())
