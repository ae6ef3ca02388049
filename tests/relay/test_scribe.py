"""What is kept of a frame."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ocpp_proxy.core.frame import Call
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord, Part
from ocpp_proxy.relay import scribe
from ocpp_proxy.relay.scribe import Scribe
from ocpp_proxy.wire.happening import BINARY, CONT, PING, TEXT, Received

SECRET = b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"canary-0123456789"}]'


class Desk:
    """A scribe with its paper."""

    def __init__(self, keep_secrets: bool = False) -> None:
        self.notices: list[str] = []
        self.scribe = Scribe("c1", keep_secrets, self.notices.append)
        self.records: list[Any] = []
        self.seen: list[Any] = []

    def take(self, opcode: int, data: bytes, *, fin: bool = True, sender: Any = "station", at: int = 0) -> None:
        received = Received(opcode, fin, data, b"")
        self.scribe.write_down(sender, received, Instant(at), self.records, self.seen)


def test_the_frame_that_was_read_is_shown_with_its_record() -> None:
    desk = Desk()
    desk.take(TEXT, b'[2,"1","Heartbeat",{}]')
    ((record, frame),) = desk.seen
    assert desk.records == [record]
    assert isinstance(frame, Call)
    assert (record.connection, record.seq, record.sender, record.to) == ("c1", 1, "station", "csms")


def test_control_frames_are_not_read() -> None:
    desk = Desk()
    desk.take(PING, b"\xff", sender="csms")
    ((record, frame),) = desk.seen
    assert (record.opcode, record.data, record.to, frame) == ("ping", b"\xff", "station", None)


@pytest.mark.parametrize("keep_secrets", [False, True])
def test_secrets(keep_secrets: bool) -> None:
    desk = Desk(keep_secrets)
    desk.take(TEXT, SECRET)
    desk.take(TEXT, SECRET[:70], fin=False)
    desk.take(CONT, SECRET[70:], fin=False)
    desk.take(CONT, b"")
    whole, first, part, replaced = desk.records
    for data in (whole.data, first.data + part.data, replaced.data):
        assert (b"canary" in data) == keep_secrets
        assert len(data) == len(SECRET)
    assert bool(whole.masked) == bool(replaced.masked) == (not keep_secrets)


def test_a_gate_that_fails_costs_neither_the_frame_nor_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("our own mistake")

    monkeypatch.setattr(scribe, "admit", broken)
    desk = Desk()
    desk.take(TEXT, SECRET)
    (record,) = desk.records
    assert record.data == f"{len(SECRET)} bytes, SHA-256 {hashlib.sha256(SECRET).hexdigest()}".encode()
    assert record.extra["not_recorded"]["length"] == len(SECRET)
    assert "c1" in desk.notices[0]
    assert "our own mistake" in desk.notices[0]


def test_fragments_of_both_directions_at_once() -> None:
    desk = Desk()
    desk.take(TEXT, b"[1", fin=False, at=1)
    desk.take(BINARY, b"[2", fin=False, sender="csms", at=2)
    desk.take(CONT, b"]", at=3)
    desk.take(CONT, b"]", sender="csms", at=4)
    whole = [one for one in desk.records if isinstance(one, FrameRecord) and not one.incomplete]
    assert [(one.seq, one.sender, one.opcode, one.data, one.at.utc_us) for one in whole] == [
        (1, "station", "text", b"[1]", 1), (2, "csms", "binary", b"[2]", 2),
    ]  # fmt: skip
    assert [record for record, _ in desk.seen] == whole
    assert desk.scribe.broken_off() == []


def test_who_watches_gets_everything_in_the_order_of_the_numbers() -> None:
    desk = Desk()
    desk.take(TEXT, b"[1", fin=False)
    desk.take(PING, b"2")
    desk.take(TEXT, b"[3]", sender="csms")
    desk.take(TEXT, b"[4", fin=False, sender="csms")
    assert desk.seen == []
    desk.take(CONT, b"]")
    assert desk.seen == []
    desk.take(CONT, b"]", sender="csms")
    desk.take(PING, b"5")
    assert [(record.seq, record.data) for record, _ in desk.seen] == [
        (1, b"[1]"), (2, b"2"), (3, b"[3]"), (4, b"[4]"), (5, b"5"),
    ]  # fmt: skip


def test_nobody_waits_for_ever_for_the_end_of_a_message() -> None:
    desk = Desk()
    desk.take(TEXT, b"[1", fin=False)
    for _ in range(scribe.SHOWN_LATER_MAX):
        desk.take(PING, b"", sender="csms")
    assert desk.seen == []
    desk.take(PING, b"", sender="csms")
    assert [record.seq for record, _ in desk.seen] == list(range(2, scribe.SHOWN_LATER_MAX + 3))
    desk.take(PING, b"", sender="csms")
    assert [record.seq for record, _ in desk.scribe.broken_off()] == [1, scribe.SHOWN_LATER_MAX + 3]


def test_a_message_that_broke_off() -> None:
    desk = Desk()
    desk.take(TEXT, b"[1,", fin=False)
    desk.take(CONT, b"2,", fin=False)
    assert [type(one) for one in desk.records] == [FrameRecord, Part]
    ((record, frame),) = desk.scribe.broken_off()
    assert (record.data, record.fragments, record.incomplete, frame) == (b"[1,2,", (3, 2), True, None)
