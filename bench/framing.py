"""Just enough of RFC 6455 to drive a load: the same cheap ends for every relay, so that only the relay differs.

Decides how the load's two ends read and write frames. Refuses to check anything: that is the relay's affair.

Source: RFC 6455 section 5.2.
"""

from __future__ import annotations

from typing import NamedTuple

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # there the C version is chosen

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

MASK = b"\x37\xfa\x21\x3d"  # one key for all: choosing one is no work of the relay's


class WireFrame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool


def encode(payload: bytes, *, masked: bool, opcode: int = TEXT, fin: bool = True) -> bytes:
    """One frame, masked as a station has to."""
    first, size, mask_bit = opcode | (0x80 if fin else 0), len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((first, mask_bit | size))
    elif size < 65536:
        head = bytes((first, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, mask_bit | 127)) + size.to_bytes(8, "big")
    return head + MASK + apply_mask(payload, MASK) if masked else head + payload


class FrameReader:
    """Collects bytes, gives whole frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[WireFrame]:
        buffer = self._rest + data if self._rest else data
        frames: list[WireFrame] = []
        start = 0
        while (end := _frame_end(buffer, start, frames)) is not None:
            start = end
        self._rest = buffer[start:]
        return frames


def _frame_end(buffer: bytes, start: int, frames: list[WireFrame]) -> int | None:
    """Append the frame that begins at `start` and return where it ends; None if it is not all there yet."""
    body = start + 2
    if len(buffer) < body:
        return None
    first, second = buffer[start], buffer[start + 1]
    size = second & 0x7F
    if size >= 126:
        width = 2 if size == 126 else 8
        size = int.from_bytes(buffer[body:body + width], "big")
        body += width
    if second & 0x80:
        body += 4
    end = body + size
    if len(buffer) < end:
        return None
    payload = buffer[body:end]
    if second & 0x80:
        payload = apply_mask(payload, buffer[body - 4:body])
    frames.append(WireFrame(first & 0x0F, payload, bool(first & 0x80)))
    return end
