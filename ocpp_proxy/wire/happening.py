"""What happens on a leg: its handshake message, its frames, its breaches of the protocol.

Decides what is known of each. Refuses to judge any of it.

Source: RFC 6455 sections 5.2 (opcodes) and 7.4 (close codes).
"""

from __future__ import annotations

from typing import TypeAlias

from websockets.frames import Opcode
from websockets.http11 import Request, Response

CONT, TEXT, BINARY, CLOSE, PING, PONG = (int(opcode) for opcode in Opcode)
NO_STATUS, LOST = 1005, 1006


class Message:
    """The handshake message, with the exact bytes it was read from (a refusal's body included)."""

    __slots__ = ("http", "raw")

    def __init__(self, http: Request | Response, raw: bytes) -> None:
        self.http = http
        self.raw = raw


class NoMessage:
    """Instead of a handshake message something unreadable came. `status` is what a server answers to it."""

    __slots__ = ("raw", "reason", "status")

    def __init__(self, reason: str, status: int, raw: bytes) -> None:
        self.reason = reason
        self.status = status
        self.raw = raw


class Received:
    """One frame. `data`: the payload, unmasked and inflated; b"" where nobody looks into messages. `raw`: the frame as
    it was on the wire."""

    __slots__ = ("data", "fin", "opcode", "raw")

    def __init__(self, opcode: int, fin: bool, data: bytes, raw: bytes) -> None:
        self.opcode = opcode
        self.fin = fin
        self.data = data
        self.raw = raw


class Breach:
    """A breach of RFC 6455, or a message over the limit: the code to close with, and the frame's header."""

    __slots__ = ("code", "head", "reason")

    def __init__(self, code: int, reason: str, head: bytes) -> None:
        self.code = code
        self.reason = reason
        self.head = head


Happening: TypeAlias = Received | Breach


def payload_of(code: int, reason: str) -> bytes | None:
    """The payload of a close frame that code and reason stand for; None where they stand for no close frame at all."""
    if code == LOST:
        return None
    return b"" if code == NO_STATUS and not reason else code.to_bytes(2, "big") + reason.encode()


def close_of(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame, whatever is in it; 1005 for none."""
    if len(payload) < 2:
        return NO_STATUS, ""
    return int.from_bytes(payload[:2], "big"), payload[2:].decode("utf-8", "backslashreplace")
