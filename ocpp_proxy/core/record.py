"""What a capture holds, as values: the lines of its JSONL form and the rows of its SQLite form.

Decides which facts are kept of a connection. Refuses to know how they are stored (`ocpp_proxy.capture`).

Every record keeps keys it does not know in `extra`, so that a newer writer's capture passes through unharmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ocpp_proxy.core.frame import Opcode, Sender, Side
from ocpp_proxy.core.instant import Instant

Origin: TypeAlias = Literal["relayed", "injected", "modified", "withheld"]
# A header: name and value as sent; the value of a masked one is an object instead, see docs/captures.md.
Header: TypeAlias = tuple[str, "str | Mapping[str, Any]"]


class _NoKeys(dict[str, Any]):
    """Empty, and hashable, since dataclasses take no other dict as a default that all records share."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


NO_EXTRA: Mapping[str, Any] = _NoKeys()


@dataclass(frozen=True, slots=True)
class Mask:
    """A secret that was replaced by as many asterisks. `pointer` is from the frame's top level ("/3/value");
    None where the frame could not be parsed and the mask was put by pattern. `length`: characters masked."""

    pointer: str | None
    length: int
    form: Literal["text", "hex", "bytes"]
    extra: Mapping[str, Any] = field(default=NO_EXTRA, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureHeader:
    """The first line of a capture. `version` is that of the capture format; `time_scale` > 1: simulated, faster."""

    version: int = 1
    tool: str = ""
    time_scale: float = 1
    extra: Mapping[str, Any] = field(default=NO_EXTRA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A handshake, successful (`status` 101) or not. `refused_by`: None, or whose answer `status` was.

    `station` is the identity; `offered` the subprotocols in the order offered; `extensions` the value of the
    CSMS's Sec-WebSocket-Extensions or None; `dial_ms` how long connecting to the CSMS took, None if not tried;
    `tls` holds for each leg ("station", "csms") None or {"version", "cipher", …}.
    """

    connection: str
    at: Instant
    station: str | None = None
    station_address: str | None = None
    target: str | None = None
    offered: tuple[str, ...] = ()
    subprotocol: str | None = None
    extensions: str | None = None
    status: int | None = 101
    refused_by: Sender | None = None
    dial_ms: float | None = None
    station_headers: tuple[Header, ...] = ()
    csms_headers: tuple[Header, ...] = ()
    tls: Mapping[str, Any] = field(default=NO_EXTRA)
    extra: Mapping[str, Any] = field(default=NO_EXTRA)


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for each frame, and freezing triples that cost
class FrameRecord:
    """A data message or a ping or pong. `data` is the payload, masked; `fragments` the sizes in bytes of a
    fragmented message's parts; `held_ms` a delay of our making; `original` what came in when we modified it."""

    connection: str
    seq: int
    at: Instant
    sender: Sender
    to: Side
    opcode: Opcode
    data: bytes
    origin: Origin = "relayed"
    fragments: tuple[int, ...] | None = None
    incomplete: bool = False
    masked: tuple[Mask, ...] = ()
    held_ms: float | None = None
    original: bytes | None = None
    extra: Mapping[str, Any] = field(default=NO_EXTRA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A further fragment of the incomplete FrameRecord with the same connection and seq, to be appended to its data.

    Only writers meet it: the last fragment is written as a whole FrameRecord, which takes the incomplete one's place.
    """

    connection: str
    seq: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """`lost` frames from `first_seq` on were forwarded but could not be recorded, because of `reason`."""

    connection: str
    at: Instant
    first_seq: int
    lost: int
    reason: str
    extra: Mapping[str, Any] = field(default=NO_EXTRA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The end of a connection. `by`: who ended it; `code` 1005 stands for none, 1006 for a lost connection;
    `echo`: code and reason of the other side's answering close frame, None if there was none."""

    connection: str
    at: Instant
    by: Sender
    code: int
    reason: str = ""
    echo: tuple[int, str] | None = None
    extra: Mapping[str, Any] = field(default=NO_EXTRA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Any other line: finding, act, note, prompt, script, and types this version does not know.

    `fields` is the whole object without "type", "connection" and "at".
    """

    type: str
    connection: str | None = None
    at: Instant | None = None
    fields: Mapping[str, Any] = field(default=NO_EXTRA)


Record: TypeAlias = Opened | FrameRecord | Gap | Closed | Entry
Writable: TypeAlias = Record | Part
