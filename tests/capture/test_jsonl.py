"""Records as lines and back."""

from __future__ import annotations

import pytest
from capture_records import after, closed, frame, opened, some_header, some_record
from hypothesis import given

from ocpp_proxy.capture import jsonl
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Entry, Gap, Mask, Record

# The lines of the interface description, spelled as they are written.
LINES = [
    '{"type":"capture","version":1,"tool":"ocpp-proxy 0.1.0","time_scale":1}',
    '{"type":"opened","connection":"c1","station":"CP001","at":"2026-11-21T09:00:00.000000Z",'
    '"station_address":"192.0.2.7:40112","target":"/ocpp/CP001","offered":["ocpp1.6"],"subprotocol":"ocpp1.6",'
    '"extensions":null,"status":101,"refused_by":null,"dial_ms":41.2,"station_headers":[["Host","…"]],'
    '"csms_headers":[["Upgrade","websocket"]],"tls":{"station":null,"csms":{"version":"TLSv1.3","cipher":"…"}}}',
    '{"type":"frame","connection":"c1","seq":1,"at":"2026-11-21T09:00:00.120000Z","sender":"station",'
    '"opcode":"text","data":"[2,\\"1\\",\\"Heartbeat\\",{}]"}',
    '{"type":"frame","connection":"c1","seq":2,"at":"2026-11-21T09:00:01.000000Z","sender":"proxy","to":"station",'
    '"origin":"injected","opcode":"text","data":"[2,\\"9f0c\\",\\"TriggerMessage\\",{}]"}',
    '{"type":"frame","connection":"c1","seq":3,"at":"2026-11-21T09:00:01.000000Z","sender":"station",'
    '"opcode":"ping","data_base64":"AAE="}',
    '{"type":"gap","connection":"c1","at":"2026-11-21T09:00:01.000000Z","first_seq":4,"lost":3,"reason":"disk full"}',
    '{"type":"closed","connection":"c1","at":"2026-11-21T09:00:01.000000Z","by":"station","code":1000,"reason":"",'
    '"echo":{"code":1000,"reason":""}}',
    '{"type":"note","connection":"c1","at":"2026-11-21T09:00:01.000000Z","text":"plug pulled"}',
    '{"type":"from-the-future","payload":{"a":[1,2.50,null]}}',
]


@pytest.mark.parametrize("line", LINES)
def test_the_described_lines_are_written_as_they_are_read(line: str) -> None:
    assert jsonl.encode(jsonl.decode(line)) == line.replace("2.50", "2.5")


@given(some_record)
def test_every_record_survives(record: Record) -> None:
    line = jsonl.encode(record)
    assert jsonl.decode(line) == record
    assert jsonl.encode(jsonl.decode(line)) == line
    assert jsonl.decode(line.encode()) == record


@given(some_header)
def test_every_header_survives(header: CaptureHeader) -> None:
    assert jsonl.decode(jsonl.encode(header)) == header


@pytest.mark.parametrize(("record", "part"), [
    (frame(1), '"opcode":"text","data":"[2,'),
    (frame(1, b"\xff"), '"data_base64":"/w=="'),
    (frame(1, b"a\x00b"), '"data":"a\\u0000b"'),
    (frame(1, b"\x00", opcode="binary"), '"data_base64":"AA=="'),
    (frame(1, b"hello", opcode="ping"), '"data":"hello"'),
    (frame(1, b"", opcode="pong"), '"data":""'),
    (frame(1, origin="modified", original=b"\xfe"), '"origin":"modified","opcode":"text","data":'),
    (frame(1, origin="modified", original=b"\xfe"), '"original_base64":"/g=="'),
    (frame(1, original=b"was"), '"original":"was"'),
    (frame(1, to="station"), '"sender":"station","to":"station"'),
    (frame(1, sender="proxy", to="csms"), '"sender":"proxy","to":"csms"'),
    (frame(1, fragments=(10, 12), incomplete=True), '"fragments":[10,12],"incomplete":true'),
    (frame(1, held_ms=250.0), '"held_ms":250,'),
    (frame(1, masked=(Mask("/3/value", 16, "hex"),)), '"masked":[{"pointer":"/3/value","length":16,"form":"hex"}]'),
    (frame(1, at=Instant(0, 7)), '"at":"1970-01-01T00:00:00.000000Z","sender"'),
    (frame(1, at=Instant(0, 7)), '"mono_ns":7}'),
    (frame(1, extra={"signed": True}), '"signed":true}'),
    (opened(status=None), '"status":null'),
    (closed(echo=(1001, "bye")), '"echo":{"code":1001,"reason":"bye"}'),
    (closed(), '"echo":null'),
    (Gap(connection="c1", at=after(0), first_seq=1, lost=2, reason="disk full"), '"first_seq":1,"lost":2,'),
])
def test_how_it_is_spelled(record: Record, part: str) -> None:
    line = jsonl.encode(record)
    assert part in line
    assert jsonl.decode(line) == record


def test_defaults_are_left_out() -> None:
    for key in ("to", "origin", "fragments", "incomplete", "masked", "held_ms", "original"):
        assert f'"{key}"' not in jsonl.encode(frame(1))


def test_keys_inside_masks_and_echoes_are_kept_too() -> None:
    for line in (
        '{"type":"frame","connection":"1","seq":1,"at":"2026-11-21T09:00:00.000000Z","sender":"csms","opcode":"text",'
        '"data":"*","masked":[{"pointer":null,"length":1,"form":"text","by":"pattern"}]}',
        '{"type":"closed","connection":"1","at":"2026-11-21T09:00:00.000000Z","by":"csms","code":1000,"reason":"",'
        '"echo":{"code":1000,"reason":"","after_ms":3},"why":null}',
    ):
        assert jsonl.encode(jsonl.decode(line)) == line


def test_a_finding_that_names_its_connection_twice_says_it_once() -> None:
    record = Entry(type="finding", connection="c1", at=after(0), fields={"rule": "r", "connection": "c1"})
    assert jsonl.encode(record).count('"connection"') == 1


def test_an_empty_line_is_no_record() -> None:
    with pytest.raises(BadInput, match="empty line"):
        jsonl.decode("  ")
