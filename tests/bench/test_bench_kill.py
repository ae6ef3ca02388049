"""What the kill test calls lost: without this, a kill test that finds nothing would prove nothing."""

from __future__ import annotations

from collections import Counter

from bench.kill import Kill, Received, compare
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord, Gap, Opened

AT = Instant(0)
OPENED = Opened(connection="c1", at=AT, target="/ocpp/s")


def _frame(seq: int, data: bytes, *, incomplete: bool = False) -> FrameRecord:
    return FrameRecord(connection="c1", seq=seq, at=AT, sender="station", to="csms", opcode="text", data=data,
                       incomplete=incomplete)


def _compare(whole: list[bytes], *records: FrameRecord | Gap, begun: bytes | None = None) -> Kill:
    received = Received(Counter(("text", data) for data in whole), begun)
    return compare({("/ocpp/s", "csms"): received}, [OPENED, *records], 0.0)


def test_what_is_recorded_is_not_lost() -> None:
    kill = _compare([b"a", b"b"], _frame(1, b"a"), _frame(2, b"b"), _frame(3, b"never arrived"))
    assert (kill.got, kill.recorded, kill.lost, kill.said) == (2, 3, 0, 0)


def test_what_arrived_and_is_not_recorded_is_lost() -> None:
    kill = _compare([b"a", b"b"], _frame(1, b"a"))
    assert (kill.lost, kill.unexplained) == (1, 1)
    assert "b'b'" in kill.examples[0]


def test_the_same_payload_twice_wants_two_records() -> None:
    assert _compare([b"a", b"a"], _frame(1, b"a")).lost == 1


def test_a_hole_and_a_gap_line_own_up() -> None:
    gap = Gap(connection="c1", at=AT, first_seq=4, lost=1, reason="disk full")
    kill = _compare([b"a", b"b", b"c"], _frame(1, b"a"), _frame(3, b"x"), gap, _frame(5, b"y"))
    assert (kill.lost, kill.said, kill.unexplained) == (2, 2, 0)


def test_a_begun_message_has_to_be_there_as_far_as_it_came() -> None:
    assert _compare([], _frame(1, b"first part", incomplete=True), begun=b"first").lost == 0
    assert _compare([], _frame(1, b"first part and the rest"), begun=b"first").lost == 0
    assert _compare([], _frame(1, b"fir", incomplete=True), begun=b"first").lost == 1
    assert _compare([], begun=b"first").lost == 1
