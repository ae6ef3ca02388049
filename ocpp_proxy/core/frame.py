"""RPC frames of OCPP-J as values.

Decides what a frame is once it has been read: one class a message type, each with the bytes it was read from and
the defects found on the way. Refuses to know how bytes become frames (`reader`) and who answers whom (`exchange`).

Source: OCPP-J 1.6 section 4; OCPP 2.0.1 Part 4 section 4; OCPP 2.1 Part 4 section 4 (types 5 and 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias

Side: TypeAlias = Literal["station", "csms"]
Sender: TypeAlias = Literal["station", "csms", "proxy"]
Opcode: TypeAlias = Literal["text", "binary", "ping", "pong"]
Version: TypeAlias = Literal["1.6", "2.0.1", "2.1"]

# A number is an int, a float whose shortest spelling is the one on the wire, or else a Decimal: always exact.
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | Decimal | bool | None"

OTHER_SIDE: dict[Side, Side] = {"station": "csms", "csms": "station"}


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with the framing of one frame.

    `code` is one of `defects.DEFECTS`; `message` says it in a sentence; `position` is the byte offset in the frame
    where it can be named, else None; `pointer` the JSON Pointer from the frame's top level, else None.
    """

    code: str
    message: str
    position: int | None = None
    pointer: str | None = None


# Frames are values, but not frozen: one is made for each message, and freezing triples what that costs.
@dataclass(slots=True)
class Frame:
    """One WebSocket message. `raw`: its payload bytes, in the masked form where a secret was in it."""

    raw: bytes
    defects: tuple[Defect, ...]


@dataclass(slots=True)
class Call(Frame):
    """Message type 2: asks the other side to do `action`."""

    message_id: str
    action: str
    payload: Any


@dataclass(slots=True)
class CallResult(Frame):
    """Message type 3: the answer to a Call."""

    message_id: str
    payload: Any


@dataclass(slots=True)
class CallError(Frame):
    """Message type 4: a Call that was not carried out. `description` and `details` are None where missing."""

    message_id: str
    code: str
    description: Any
    details: Any


@dataclass(slots=True)
class CallResultError(CallError):
    """Message type 5 (OCPP 2.1): a CallResult that could not be read."""


@dataclass(slots=True)
class Send(Frame):
    """Message type 6 (OCPP 2.1): a message without an answer."""

    message_id: str
    action: str
    payload: Any


@dataclass(slots=True)
class Malformed(Frame):
    """Message type or message id cannot be read; `defects` says why, and is never empty."""


Answer: TypeAlias = CallResult | CallError
