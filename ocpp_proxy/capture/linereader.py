"""Reads the lines of a capture's JSONL form, also those that people write by hand.

Decides which lines can be read, what a line may leave out, and what its writer is told otherwise. Refuses to know
about files (`reader`) and about what a frame means. Every key and every type that is not known here is kept, so that
a newer writer's capture passes through unharmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ocpp_proxy.capture import fields
from ocpp_proxy.capture.fields import Reader, UnfitError, shown
from ocpp_proxy.capture.jsontext import loads, member_text
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Closed, Entry, FrameRecord, Gap, Opened, Record

VERSION = 1  # of the capture format; the database has a version of its own besides
MADE_UP_START_US = Instant.parse("2000-01-01T00:00:00Z").utc_us
MADE_UP_STEP_US = 1000

_HEADER: Mapping[str, Reader] = {"version": fields.integer(1), "tool": fields.text, "time_scale": fields.positive}
_OPENED: Mapping[str, Reader] = {
    "station": fields.text, "station_address": fields.text, "target": fields.text,
    "offered": fields.each(fields.text, "texts"), "subprotocol": fields.text, "extensions": fields.text,
    "status": fields.integer(), "refused_by": fields.sender, "dial_ms": fields.number,
    "station_headers": fields.each(fields.header, "headers"), "csms_headers": fields.each(fields.header, "headers"),
    "tls": fields.mapping,
}
_FRAME: Mapping[str, Reader] = {
    "seq": fields.integer(0), "sender": fields.sender, "to": fields.side, "opcode": fields.opcode,
    "origin": fields.origin, "fragments": fields.each(fields.integer(0), "sizes in bytes"),
    "incomplete": fields.boolean, "masked": fields.each(fields.mask, "masks"), "held_ms": fields.number,
}
_GAP: Mapping[str, Reader] = {"first_seq": fields.integer(0), "lost": fields.integer(0), "reason": fields.text}
_CLOSED: Mapping[str, Reader] = {"by": fields.sender, "code": fields.integer(), "reason": fields.text,
                                 "echo": fields.echo}
_KEEPS_NULL = frozenset({"status"})  # whose default is not null
TYPES = ("capture", "opened", "frame", "gap", "closed", "finding", "act", "note", "prompt", "script")


class LineReader:
    """Reads the lines of one capture in their order and fills in what a hand-written one leaves out: `connection`
    "1", `seq` the next of its connection, `at` a millisecond after the line before. `times_made_up` tells that the
    last was needed, and that rules over clocks and timers have nothing to stand on."""

    def __init__(self, file: str | None = None) -> None:
        self.times_made_up = False
        self._file = file
        self._at_us = MADE_UP_START_US - MADE_UP_STEP_US
        self._seq: dict[str, int] = {}

    def read(self, line: str | bytes, number: int) -> CaptureHeader | Record | None:
        """The record of line `number` (from 1), None for a blank one. Raises BadInput."""
        try:
            text = line if isinstance(line, str) else line.decode()
            return self._record(text) if text.strip() else None
        except UnicodeDecodeError as error:
            what = f"expected UTF-8, found the byte 0x{error.object[error.start]:02x} at {error.start}"
        except RecursionError:
            what = "nested too deeply"
        except UnfitError as error:
            what = f"expected {error.expected}"
        except ValueError as error:
            what = f"expected a JSON object, found none: {error}"
        raise BadInput(what, self._file, number)

    def _record(self, text: str) -> CaptureHeader | Record:
        line = loads(text)
        if not isinstance(line, dict):
            raise UnfitError(f"a JSON object, found {shown(line)}")
        kind = line.pop("type", None)
        if kind is None:
            if "sender" not in line:
                raise UnfitError(f'"type" (one of {", ".join(TYPES)}), or a frame with at least "sender" and "data"')
            kind = "frame"
        if not isinstance(kind, str):
            raise UnfitError(f'a text in "type", found {shown(kind)}')
        read = self._READERS.get(kind)
        return self._entry(kind, line) if read is None else read(self, line, text)

    def _header(self, line: dict[str, Any], _: str) -> CaptureHeader:
        known = _take(line, _HEADER)
        if known.get("version", 1) > VERSION:
            raise UnfitError(f"a capture of version {VERSION} at most, found version {known['version']}; "
                        "a newer ocpp-proxy reads it")
        return CaptureHeader(**known, extra=line)

    def _opened(self, line: dict[str, Any], _: str) -> Opened:
        return Opened(connection=_connection(line), at=self._at(line), **_take(line, _OPENED), extra=line)

    def _frame(self, line: dict[str, Any], text: str) -> FrameRecord:
        connection = _connection(line)
        at = self._at(line)
        known = _take(line, _FRAME, "sender")
        sender = known["sender"]
        seq = known.setdefault("seq", self._seq.get(connection, 0) + 1)
        self._seq[connection] = seq
        if "to" not in known:
            if sender == "proxy":
                raise UnfitError('"to" where the sender is proxy, one of station, csms')
            known["to"] = OTHER_SIDE[sender]
        known.setdefault("opcode", "text")
        data = _bytes(line, "data", text)
        if data is None:
            raise UnfitError('"data" (the payload as text or as a JSON array) or "data_base64"')
        original = _bytes(line, "original", text)
        return FrameRecord(connection=connection, at=at, data=data, original=original, **known, extra=line)

    def _gap(self, line: dict[str, Any], _: str) -> Gap:
        return Gap(connection=_connection(line), at=self._at(line),
                   **{"reason": "", **_take(line, _GAP, "first_seq", "lost")}, extra=line)

    def _closed(self, line: dict[str, Any], _: str) -> Closed:
        echo = line.get("echo") or {}
        closed = Closed(connection=_connection(line), at=self._at(line),
                        **{"code": 1005, **_take(line, _CLOSED, "by")}, extra=line)
        if more := {key: echo[key] for key in echo if key not in ("code", "reason")}:
            line["echo"] = more
        return closed

    def _entry(self, kind: str, line: dict[str, Any]) -> Entry:
        """Types without a shape of their own: whatever does not fit our notion of a key stays in `fields`."""
        connection = line.get("connection")
        if connection is None or isinstance(connection, str):
            line.pop("connection", None)
        else:
            connection = None
        try:
            at = self._at(line) if line.get("at") is not None else None
        except UnfitError:
            at = None
        return Entry(type=kind, connection=connection, at=at, fields=line)

    def _at(self, line: dict[str, Any]) -> Instant:
        mono_ns = line.get("mono_ns")
        at = line.get("at")
        if at is None:
            self._at_us += MADE_UP_STEP_US
            self.times_made_up = True
        else:
            self._at_us = _read("at", fields.utc_us, at)
        if mono_ns is not None:
            mono_ns = _read("mono_ns", fields.integer(), mono_ns)
        line.pop("at", None)
        line.pop("mono_ns", None)
        return Instant(self._at_us, mono_ns)

    _READERS: Mapping[str, Callable[[LineReader, dict[str, Any], str], CaptureHeader | Record]] = {
        "capture": _header, "opened": _opened, "frame": _frame, "gap": _gap, "closed": _closed,
    }


def _take(line: dict[str, Any], known: Mapping[str, Reader], *needed: str) -> dict[str, Any]:
    """Move the known keys out of `line`; null counts as absent."""
    found = {}
    for key in [key for key in known if key in line]:
        value = line.pop(key)
        if value is not None or key in _KEEPS_NULL:
            found[key] = None if value is None else _read(key, known[key], value)
    for key in needed:
        if key not in found:
            raise UnfitError(f'"{key}"')
    return found


def _read(key: str, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except UnfitError as error:
        raise UnfitError(f'{error.expected} in "{key}", found {shown(value)}') from None


def _connection(line: dict[str, Any]) -> str:
    name = line.pop("connection", None)
    if name is None:
        return "1"
    read: str = _read("connection", fields.text, name)
    return read


def _bytes(line: dict[str, Any], name: str, text: str) -> bytes | None:
    """The payload in `name` or in its base64 form; an array counts exactly as it is spelled."""
    encoded = line.pop(f"{name}_base64", None)
    value = line.pop(name, None)
    if encoded is not None:
        if value is not None:
            raise UnfitError(f'either "{name}" or "{name}_base64", found both')
        read: bytes = _read(f"{name}_base64", fields.base64_bytes, encoded)
        return read
    if isinstance(value, list):
        return member_text(text, name).encode()
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-8", "surrogatepass")
    raise UnfitError(f'a text or a JSON array in "{name}", found {shown(value)}')
