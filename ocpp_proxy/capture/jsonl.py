"""The JSONL form of a capture: one JSON object a line, the same facts as the database holds.

Decides how each record is spelled as a line: keys in the order of the interface description, defaults omitted, keys
and types that are not known here as they came. Refuses to know about files (`reader`), and about what a line may
leave out (`linereader`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.capture.linereader import LineReader
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Closed, Entry, FrameRecord, Gap, Mask, Opened, Record

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_WHOLE = 2**53  # up to here a float without a fraction is written as an integer

def encode(record: CaptureHeader | Record) -> str:
    """The line of `record`, without line end."""
    return dumps(_WRITERS[type(record)](record))


def decode(line: str | bytes) -> CaptureHeader | Record:
    """The record of one line on its own. Raises BadInput."""
    record = LineReader().read(line, 1)
    if record is None:
        raise BadInput("expected a JSON object, found an empty line")
    return record


def _header_line(header: CaptureHeader) -> dict[str, Any]:
    return {"type": "capture", "version": header.version, "tool": header.tool,
            "time_scale": short(header.time_scale), **header.extra}


def _opened_line(record: Opened) -> dict[str, Any]:
    return {
        "type": "opened", "connection": record.connection, "station": record.station, "at": record.at.isoformat(),
        "station_address": record.station_address, "target": record.target, "offered": record.offered,
        "subprotocol": record.subprotocol, "extensions": record.extensions, "status": record.status,
        "refused_by": record.refused_by, "dial_ms": short(record.dial_ms),
        "station_headers": record.station_headers, "csms_headers": record.csms_headers, "tls": record.tls,
        **_mono(record.at), **record.extra,
    }


def _frame_line(record: FrameRecord) -> dict[str, Any]:
    line: dict[str, Any] = {"type": "frame", "connection": record.connection, "seq": record.seq,
                            "at": record.at.isoformat(), "sender": record.sender}
    if record.sender == "proxy" or record.to != OTHER_SIDE[record.sender]:
        line["to"] = record.to
    if record.origin != "relayed":
        line["origin"] = record.origin
    line["opcode"] = record.opcode
    line |= _payload("data", record.data, record.opcode == "text")
    if record.original is not None:
        line |= _payload("original", record.original, record.opcode == "text")
    if record.fragments is not None:
        line["fragments"] = record.fragments
    if record.incomplete:
        line["incomplete"] = True
    if record.masked:
        line["masked"] = [mask_object(mask) for mask in record.masked]
    if record.held_ms is not None:
        line["held_ms"] = short(record.held_ms)
    return line | _mono(record.at) | dict(record.extra)


def _gap_line(record: Gap) -> dict[str, Any]:
    return {"type": "gap", "connection": record.connection, "at": record.at.isoformat(),
            "first_seq": record.first_seq, "lost": record.lost, "reason": record.reason,
            **_mono(record.at), **record.extra}


def _closed_line(record: Closed) -> dict[str, Any]:
    extra = dict(record.extra)
    echo = record.echo and {"code": record.echo[0], "reason": record.echo[1], **extra.pop("echo", {})}
    return {"type": "closed", "connection": record.connection, "at": record.at.isoformat(), "by": record.by,
            "code": record.code, "reason": record.reason, "echo": echo, **_mono(record.at), **extra}


def _entry_line(record: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {"type": record.type}
    if record.connection is not None:
        line["connection"] = record.connection
    if record.at is not None:
        line["at"] = record.at.isoformat()
        line |= _mono(record.at)
    return line | {key: value for key, value in record.fields.items() if key not in line}


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    CaptureHeader: _header_line, Opened: _opened_line, FrameRecord: _frame_line, Gap: _gap_line,
    Closed: _closed_line, Entry: _entry_line,
}


def mask_object(mask: Mask) -> dict[str, Any]:
    """`mask` as it stands in a line and in the database."""
    return {"pointer": mask.pointer, "length": mask.length, "form": mask.form, **mask.extra}


def _payload(name: str, data: bytes, is_text: bool) -> dict[str, str]:
    if is_text or not _CONTROL.search(data):
        try:
            return {name: data.decode()}
        except UnicodeDecodeError:
            pass
    return {f"{name}_base64": b64encode(data).decode()}


def _mono(at: Instant) -> dict[str, int]:
    return {} if at.mono_ns is None else {"mono_ns": at.mono_ns}


def short(number: float | None) -> float | None:
    """`number` as an integer where it is one, so that it is written without a fraction."""
    return int(number) if number is not None and abs(number) < _WHOLE and number == int(number) else number
