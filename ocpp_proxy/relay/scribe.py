"""Turns what one connection carried into records.

Decides what is kept of a frame: the gate's masked form, or length and digest where the gate itself fails. Refuses to
know where records go and whether the frame was forwarded.

A fragmented message is on record fragment by fragment, under the number of its first; with the last one the whole
message takes the place of its parts. Who watches gets everything in the order of these numbers, as who reads the
capture does later: what comes between two fragments is shown after the message that they belong to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ocpp_proxy.core.frame import OTHER_SIDE, Frame, Opcode, Side
from ocpp_proxy.core.gate import PartMasker, admit
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord, Part, Writable
from ocpp_proxy.relay.ledger import Seen
from ocpp_proxy.wire.happening import BINARY, CONT, PING, PONG, TEXT, Received

SHOWN_LATER_MAX = 256  # so much may wait for the end of a fragmented message; then it is shown before it
_NAMES: dict[int, Opcode] = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}


class _Unfinished:
    """A fragmented message of which the last fragment has not come."""

    __slots__ = ("at", "masker", "opcode", "parts", "seq", "shown")

    def __init__(self, seq: int, at: Instant, opcode: Opcode) -> None:
        self.seq = seq
        self.at = at
        self.opcode = opcode
        self.parts: list[bytes] = []
        self.shown: list[bytes] = []
        self.masker = PartMasker()


class Scribe:
    """Keeps one connection's numbers: `seq` counts messages and control frames of both directions from 1."""

    __slots__ = ("_keep_secrets", "_later", "_on_notice", "_unfinished", "connection", "seq")

    def __init__(self, connection: str, keep_secrets: bool, on_notice: Callable[[str], None]) -> None:
        self.connection = connection
        self.seq = 0
        self._keep_secrets = keep_secrets
        self._on_notice = on_notice
        self._unfinished: dict[Side, _Unfinished] | None = None
        self._later: list[tuple[FrameRecord, Frame | None]] | None = None

    def write_down(
        self, sender: Side, received: Received, at: Instant, records: list[Writable], seen: list[Seen]
    ) -> tuple[FrameRecord, Frame | None] | None:
        """Append what is to be written before the frame goes on, and what may be shown of it after that. Returns the
        message that is whole with it."""
        opcode = received.opcode
        if opcode == CONT or not received.fin:
            return self._fragment(sender, received, at, records, seen)
        self.seq += 1
        written = self._message(self.seq, sender, _NAMES[opcode], received.data, at)
        records.append(written[0])
        if self._unfinished:
            self._show_later(*written, seen)
        else:
            seen.append(written)
        return written

    def read(self, sender: Side, opcode: int, raw: bytes, at: Instant) -> tuple[FrameRecord, Frame | None]:
        """A whole message that is not written down yet: it has no number before `enter`."""
        return self._message(0, sender, _NAMES[opcode], raw, at)

    def enter(self, record: FrameRecord, frame: Frame | None, records: list[Writable], seen: list[Seen]) -> None:
        """Give a message the next number and append it."""
        self.seq += 1
        record.seq = self.seq
        records.append(record)
        if self._unfinished:
            self._show_later(record, frame, seen)
        else:
            seen.append((record, frame))

    def broken_off(self) -> list[Seen]:
        """For those who watch, when nothing more comes: the messages whose last fragment never came, and what waited
        for them. On record all of it is already."""
        left: list[tuple[FrameRecord, Frame | None]] = [
            (self._incomplete(sender, message), None) for sender, message in (self._unfinished or {}).items()
        ]
        return [*_in_order(left + (self._later or []))]

    def _message(
        self, seq: int, sender: Side, opcode: Opcode, raw: bytes, at: Instant
    ) -> tuple[FrameRecord, Frame | None]:
        frame: Frame | None = None
        record = FrameRecord(
            connection=self.connection, seq=seq, at=at, sender=sender, to=OTHER_SIDE[sender], opcode=opcode, data=raw
        )
        if opcode == "text" or opcode == "binary":
            try:
                admitted = admit(raw, binary=opcode == "binary", keep_secrets=self._keep_secrets)
            except Exception as error:  # our own mistake must neither stop a frame nor leak what it could not mask
                self._substitute(record, raw, error)
            else:
                record.data, record.masked, frame = admitted.data, admitted.masked, admitted.frame
        return record, frame

    def _substitute(self, record: FrameRecord, raw: bytes, error: Exception) -> None:
        digest = hashlib.sha256(raw).hexdigest()
        record.data = f"{len(raw)} bytes, SHA-256 {digest}".encode()
        record.extra = {"not_recorded": {"length": len(raw), "sha256": digest, "reason": repr(error)}}
        self._on_notice(
            f"frame {record.seq} of connection {record.connection} could not be read ({error!r}): forwarded "
            "unharmed, recorded as length and SHA-256"
        )

    def _fragment(
        self, sender: Side, received: Received, at: Instant, records: list[Writable], seen: list[Seen]
    ) -> tuple[FrameRecord, Frame | None] | None:
        unfinished = self._unfinished = self._unfinished or {}
        if received.opcode != CONT:
            self.seq += 1
            message = unfinished[sender] = _Unfinished(self.seq, at, _NAMES[received.opcode])
            self._take_part(message, received.data)
            records.append(self._incomplete(sender, message))
            return None
        message = unfinished[sender]
        self._take_part(message, received.data)
        if not received.fin:
            records.append(Part(connection=self.connection, seq=message.seq, data=message.shown[-1]))
            return None
        del unfinished[sender]
        record, frame = self._message(message.seq, sender, message.opcode, b"".join(message.parts), message.at)
        record.fragments = tuple(map(len, message.parts))
        records.append(record)
        self._show_later(record, frame, seen)
        return record, frame

    def _show_later(self, record: FrameRecord, frame: Frame | None, seen: list[Seen]) -> None:
        later = self._later = self._later or []
        later.append((record, frame))
        if not self._unfinished or len(later) > SHOWN_LATER_MAX:
            seen += _in_order(later)
            self._later = None

    def _take_part(self, message: _Unfinished, part: bytes) -> None:
        message.parts.append(part)
        message.shown.append(part if self._keep_secrets else message.masker.mask(part))

    def _incomplete(self, sender: Side, message: _Unfinished) -> FrameRecord:
        return FrameRecord(
            connection=self.connection, seq=message.seq, at=message.at, sender=sender, to=OTHER_SIDE[sender],
            opcode=message.opcode, data=b"".join(message.shown), fragments=tuple(map(len, message.parts)),
            incomplete=True,
        )  # fmt: skip


def _in_order(shown: list[tuple[FrameRecord, Frame | None]]) -> list[tuple[FrameRecord, Frame | None]]:
    return sorted(shown, key=lambda one: one[0].seq)
