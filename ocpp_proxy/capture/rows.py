"""Records as rows of the database and back.

Decides what stands in which column. Refuses to know about files and transactions (`store`, `reader`). Texts stand as
TEXT, and as BLOB where they are no UTF-8: a payload of any bytes, or a name that a hand-written capture spelled with
half a surrogate pair. Lists and objects stand as JSON, defaults as NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ocpp_proxy.capture import fields
from ocpp_proxy.capture.jsonl import mask_object
from ocpp_proxy.capture.jsontext import dumps, loads
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Gap, Opened, Record

Row: TypeAlias = tuple[Any, ...]
Names: TypeAlias = Mapping[int, str]

COLUMNS: dict[str, tuple[str, ...]] = {
    "opened": ("n", "connection", "at_us", "mono_ns", "station", "station_address", "target", "offered",
               "subprotocol", "extensions", "status", "refused_by", "dial_ms", "station_headers", "csms_headers",
               "tls", "extra"),
    "frame": ("n", "connection", "seq", "at_us", "mono_ns", "sender", "receiver", "opcode", "origin", "incomplete",
              "held_ms", "fragments", "masked", "extra", "original", "data"),
    "part": ("n", "frame", "data"),
    "gap": ("n", "connection", "at_us", "mono_ns", "first_seq", "lost", "reason", "extra"),
    "closed": ("n", "connection", "at_us", "mono_ns", "by", "code", "reason", "echo", "extra"),
    "entry": ("n", "connection", "at_us", "mono_ns", "type", "fields"),
}
# Python's SQLite binding takes microseconds for each None and bool; the usual frame is written without any.
_PLAIN_FRAME = ("n", "connection", "seq", "at_us", "mono_ns", "sender", "receiver", "opcode", "data")


def _insert(table: str, columns: tuple[str, ...]) -> str:
    # REPLACE, since the whole of a fragmented message takes the place of its first part.
    places = ", ".join("?" * len(columns))
    return f'INSERT OR REPLACE INTO "{table}" ({", ".join(columns)}) VALUES ({places})'  # noqa: S608 — our own names


INSERT: dict[str, str] = {table: _insert(table, columns) for table, columns in COLUMNS.items()}
INSERT_PLAIN_FRAME = _insert("frame", _PLAIN_FRAME)


def sql_text(text: str | None) -> str | bytes | None:
    """`text` as SQLite can hold it."""
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_sql_text(value: str | bytes | None) -> str | None:
    """The reverse of `sql_text`."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def is_plain(record: FrameRecord) -> bool:
    """Whether `plain_frame_row` holds all of it."""
    return not (
        record.incomplete or record.masked or record.extra or record.origin != "relayed"
        or record.fragments is not None or record.held_ms is not None or record.original is not None
        or record.at.mono_ns is None
    )


def plain_frame_row(n: int, connection: int, record: FrameRecord) -> Row:
    """The hot path: one of these a frame."""
    at = record.at
    return (n, connection, record.seq, at.utc_us, at.mono_ns, record.sender, record.to, record.opcode,
            _payload(record.data))


def frame_row(n: int, connection: int, record: FrameRecord) -> Row:
    fragments = record.fragments
    return (
        n, connection, record.seq, record.at.utc_us, record.at.mono_ns, record.sender, record.to, record.opcode,
        record.origin, int(record.incomplete), record.held_ms,
        None if fragments is None else dumps(fragments),
        dumps([mask_object(mask) for mask in record.masked]) if record.masked else None,
        _extra(record.extra), record.original, _payload(record.data),
    )


def _payload(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def frame_record(row: Row, names: Names) -> FrameRecord:
    """The reverse of `frame_row`."""
    (_, connection, seq, at_us, mono_ns, sender, receiver, opcode, origin, incomplete, held_ms, fragments, masked,
     extra, original, data) = row
    record = FrameRecord(
        connection=names[connection], seq=seq, at=Instant(at_us, mono_ns), sender=sender, to=receiver, opcode=opcode,
        data=data.encode() if type(data) is str else data, origin=origin,
    )
    if incomplete:
        record.incomplete = True
    if held_ms is not None:
        record.held_ms = held_ms
    if fragments is not None:
        record.fragments = tuple(loads(fragments))
    if masked is not None:
        record.masked = tuple(map(fields.mask, loads(masked)))
    if extra is not None:
        record.extra = loads(extra)
    if original is not None:
        record.original = original.encode() if type(original) is str else original
    return record


def opened_row(n: int, connection: int, record: Opened) -> Row:
    return (
        n, connection, record.at.utc_us, record.at.mono_ns, sql_text(record.station),
        sql_text(record.station_address), sql_text(record.target), dumps(record.offered),
        sql_text(record.subprotocol), sql_text(record.extensions), record.status, record.refused_by, record.dial_ms,
        dumps(record.station_headers), dumps(record.csms_headers), dumps(record.tls), _extra(record.extra),
    )


def _opened_record(row: Row, names: Names) -> Opened:
    (_, connection, at_us, mono_ns, station, station_address, target, offered, subprotocol, extensions, status,
     refused_by, dial_ms, station_headers, csms_headers, tls, extra) = row
    return Opened(
        connection=names[connection], at=Instant(at_us, mono_ns), station=from_sql_text(station),
        station_address=from_sql_text(station_address), target=from_sql_text(target), offered=tuple(loads(offered)),
        subprotocol=from_sql_text(subprotocol), extensions=from_sql_text(extensions), status=status,
        refused_by=refused_by, dial_ms=dial_ms, station_headers=tuple(map(fields.header, loads(station_headers))),
        csms_headers=tuple(map(fields.header, loads(csms_headers))), tls=loads(tls), extra=_read_extra(extra),
    )


def gap_row(n: int, connection: int, record: Gap) -> Row:
    return (n, connection, record.at.utc_us, record.at.mono_ns, record.first_seq, record.lost,
            sql_text(record.reason), _extra(record.extra))


def _gap_record(row: Row, names: Names) -> Gap:
    _, connection, at_us, mono_ns, first_seq, lost, reason, extra = row
    return Gap(connection=names[connection], at=Instant(at_us, mono_ns), first_seq=first_seq, lost=lost,
               reason=from_sql_text(reason) or "", extra=_read_extra(extra))


def closed_row(n: int, connection: int, record: Closed) -> Row:
    echo = None if record.echo is None else dumps(record.echo)
    return (n, connection, record.at.utc_us, record.at.mono_ns, record.by, record.code, sql_text(record.reason),
            echo, _extra(record.extra))


def _closed_record(row: Row, names: Names) -> Closed:
    _, connection, at_us, mono_ns, by, code, reason, echo, extra = row
    code_and_reason = None if echo is None else loads(echo)
    return Closed(connection=names[connection], at=Instant(at_us, mono_ns), by=by, code=code,
                  reason=from_sql_text(reason) or "", echo=code_and_reason and tuple(code_and_reason),
                  extra=_read_extra(extra))


def entry_row(n: int, connection: int | None, record: Entry) -> Row:
    at_us, mono_ns = (None, None) if record.at is None else (record.at.utc_us, record.at.mono_ns)
    return n, connection, at_us, mono_ns, sql_text(record.type), dumps(record.fields)


def _entry_record(row: Row, names: Names) -> Entry:
    _, connection, at_us, mono_ns, kind, content = row
    return Entry(type=from_sql_text(kind) or "", connection=None if connection is None else names[connection],
                 at=None if at_us is None else Instant(at_us, mono_ns), fields=loads(content))


READERS: dict[str, Callable[[Row, Names], Record]] = {
    "opened": _opened_record, "frame": frame_record, "gap": _gap_record, "closed": _closed_record,
    "entry": _entry_record,
}


def _extra(extra: Mapping[str, Any]) -> str | None:
    return dumps(extra) if extra else None


def _read_extra(extra: str | None) -> Mapping[str, Any]:
    return loads(extra) if extra else {}
