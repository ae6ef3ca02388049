"""What one side sends the other gets: every frame in its own bytes, every end as an end."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from relay_peers import (
    BINARY,
    CLOSE,
    CONT,
    LOOPS,
    OTHER,
    PING,
    PONG,
    TEXT,
    Closed,
    Entry,
    FrameRecord,
    Part,
    close_payload,
    frame,
    from_station,
    joined,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip

every_loop = pytest.mark.parametrize("loop", LOOPS)
each_side = pytest.mark.parametrize("sender", ["station", "csms"])

PAYLOADS = {
    "call": b'[2,"1","Heartbeat",{}]',
    "broken": b'[2,"1","Heartbeat",{',
    "bom": b"\xef\xbb\xbf[]",
    "nul": b'[2,"\x00"]',
    "no utf-8": b"[2,\xff\xfe\xc3\x28]",
    "half a character": b"[\xe2\x82",
    "empty": b"",
    "125": b"x" * 125,
    "126": b"x" * 126,
    "65535": b"x" * 65535,
    "65536": b"x" * 65536,
}


@every_loop
@each_side
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_payloads_byte_for_byte(loop: str, sender: str, payload: str, opcode: int) -> None:
    async def main() -> None:
        async with joined() as both:
            sent = both.sends(sender, opcode, PAYLOADS[payload])
            got = await both.side(OTHER[sender]).frame()
            assert got.raw == sent
            kind = "text" if opcode == TEXT else "binary"
            assert both.recording.frames() == [(1, sender, kind, PAYLOADS[payload])]

    run(loop, main())


@every_loop
@each_side
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_twenty_mebibytes(loop: str, sender: str, opcode: int) -> None:
    payload = bytes(range(256)) * 4096 * 20

    async def main() -> None:
        async with joined() as both:
            sent = both.sends(sender, opcode, payload)
            got = await both.side(OTHER[sender]).frame()
            assert got.raw == sent
            assert both.recording.frames()[0][3] == payload

    run(loop, main())


@each_side
def test_a_length_longer_than_needed_stays_as_it_is(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            for wide in (2, 8):
                sent = both.sends(sender, TEXT, b"[]", wide=wide)
                assert (await both.side(OTHER[sender]).frame()).raw == sent

    run("uvloop", main())


def test_the_stations_masks_stay_its_own() -> None:
    async def main() -> None:
        async with joined() as both:
            for mask in (b"\0\0\0\0", b"abcd"):
                both.sends("station", TEXT, b"[]", mask=mask)
                assert (await both.csms.frame()).mask == mask

    run("uvloop", main())


@every_loop
@each_side
def test_fragments_as_sent_with_control_frames_in_between(loop: str, sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            parts = [
                (TEXT, b'[2,"1",', False), (CONT, b"", False), (PING, b"p", True), (CONT, b'"Heartbeat"', False),
                (PONG, b"q", True), (CONT, b",{}]", True),
            ]  # fmt: skip
            sent = [both.sends(sender, opcode, data, fin=fin) for opcode, data, fin in parts]
            got = [(await both.side(OTHER[sender]).frame()).raw for _ in parts]
            assert got == sent
            assert both.recording.frames() == [
                (1, sender, "text", b'[2,"1","Heartbeat",{}]'), (2, sender, "ping", b"p"), (3, sender, "pong", b"q"),
            ]  # fmt: skip
            whole = both.recording.of(FrameRecord)[-1]
            assert (whole.seq, whole.fragments, whole.incomplete) == (1, (7, 0, 11, 4), False)

    run(loop, main())


@each_side
def test_each_fragment_is_on_record_before_it_is_forwarded(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends(sender, TEXT, b"[2,", fin=False)
            await both.side(OTHER[sender]).frame()
            first = both.recording.of(FrameRecord)[-1]
            assert (first.data, first.incomplete, first.fragments) == (b"[2,", True, (3,))
            both.sends(sender, CONT, b'"1"', fin=False)
            await both.side(OTHER[sender]).frame()
            assert both.recording.of(Part)[-1].data == b'"1"'
            both.side(sender).hang_up()
            await both.recording.until(Closed)
            assert both.recording.frames() == [(1, sender, "text", b'[2,"1"')]
            broken = [one for one, _ in both.relay.seen if isinstance(one, FrameRecord)]
            assert [(one.data, one.incomplete, one.fragments) for one in broken] == [(b'[2,"1"', True, (3, 3))]

    run("uvloop", main())


@every_loop
@each_side
def test_pings_and_pongs_are_forwarded_and_none_are_made(loop: str, sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            sent = [both.sends(sender, PING, b"\x00\x01"), both.sends(sender, PONG, b"unasked"),
                    both.sends(sender, PING)]  # fmt: skip
            other = both.side(OTHER[sender])
            assert [(await other.frame()).raw for _ in sent] == sent
            echo = both.sends(OTHER[sender], PONG, b"\x00\x01")
            assert (await both.side(sender).frame()).raw == echo  # and no pong of the proxy before it
            assert [one[1:] for one in both.recording.frames()] == [
                (sender, "ping", b"\x00\x01"), (sender, "pong", b"unasked"), (sender, "ping", b""),
                (OTHER[sender], "pong", b"\x00\x01"),
            ]  # fmt: skip

    run(loop, main())


@every_loop
def test_what_comes_right_behind_the_request_waits_for_the_101(loop: str) -> None:
    early = from_station(PING, b"early") + from_station(TEXT, b'[2,"1","BootNotification",{}]')

    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            station = await relay.ask(request() + early[:9])
            upstream = await csms.accept()
            station.send(early[9:])
            await asyncio.sleep(0.05)  # were it answered or forwarded before the 101, it would be by now
            assert upstream.reader._buffer == b""  # type: ignore[attr-defined]
            upstream.send(switching() + frame(TEXT, b"glued") + frame(PING, b"too"))
            assert await station.head() == switching()
            assert await upstream.read(len(early)) == early
            assert (await station.frame()).payload == b"glued"
            assert (await station.frame()).opcode == PING

    run(loop, main())


def test_both_directions_share_one_count() -> None:
    async def main() -> None:
        async with joined() as both:
            for number, side in enumerate(["station", "csms", "csms", "station"]):
                both.sends(side, PING if number == 2 else TEXT, b"%d" % number)
                await both.side(OTHER[side]).frame()
            assert [one[:2] for one in both.recording.frames()] == [
                (1, "station"), (2, "csms"), (3, "csms"), (4, "station"),
            ]  # fmt: skip

    run("uvloop", main())


# -- closes

CLOSES: list[tuple[int | None, str]] = [
    (1000, ""), (1001, "going"), (1011, "Fehler äöü"), (3000, "registered"), (4999, "x" * 123), (None, ""),
    (999, "no such code"), (1005, "never on the wire"), (65535, ""),
]  # fmt: skip


@every_loop
@each_side
@pytest.mark.parametrize(("code", "reason"), CLOSES)
def test_close_and_echo_are_mirrored(loop: str, sender: str, code: int | None, reason: str) -> None:
    async def main() -> None:
        async with joined() as both:
            closer, other = both.side(sender), both.side(OTHER[sender])
            sent = both.sends(sender, CLOSE, close_payload(code, reason))
            assert (await other.frame()).raw == sent
            echo = both.sends(OTHER[sender], CLOSE, close_payload(1000, "echo"))
            assert (await closer.frame()).raw == echo
            assert await both.station.end() == b""
            both.csms.hang_up()
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.reason) == (sender, code or 1005, reason)
            assert closed.echo == (1000, "echo")

    run(loop, main())


@each_side
@pytest.mark.parametrize(
    ("payload", "odd"),
    [
        (b"\x03", True), (b"\x03\xe8\xff\xfe", True), (b"\x03\xed", True), (b"\x03\xee", True),
        (b"", False), (b"\x03\xe8", False), (b"\x03\xe8\xc3\xbc", False), (b"\x03\xe8\\xff", False),
    ],
)  # fmt: skip
def test_close_payloads_are_passed_on_and_kept_where_they_are_odd(sender: str, payload: bytes, odd: bool) -> None:
    async def main() -> None:
        async with joined() as both:
            sent = both.sends(sender, CLOSE, payload)
            assert (await both.side(OTHER[sender]).frame()).raw == sent
            both.sends(OTHER[sender], CLOSE, payload)
            closed = await both.recording.until(Closed)
            kept = base64.b64encode(payload).decode()
            assert closed.extra == ({"payload_base64": kept, "echo_payload_base64": kept} if odd else {})

    run("uvloop", main())


def test_closes_that_cross() -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends("station", CLOSE, close_payload(1000))
            both.sends("csms", CLOSE, close_payload(1001))
            assert (await both.csms.frame()).payload == close_payload(1000)
            assert (await both.station.frame()).payload == close_payload(1001)
            closed = await both.recording.until(Closed)
            assert {(closed.by, closed.code), (OTHER[closed.by], closed.echo[0])} == {("station", 1000), ("csms", 1001)}

    run("uvloop", main())


@each_side
def test_the_other_side_may_finish_speaking_before_it_echoes(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            other = both.side(OTHER[sender])
            both.sends(sender, CLOSE, close_payload(1000))
            assert (await other.frame()).opcode == CLOSE
            last = both.sends(OTHER[sender], TEXT, b"last words")
            assert (await both.side(sender).frame()).raw == last
            assert both.recording.frames()[-1][3] == b"last words"

    run("uvloop", main())


@each_side
def test_an_echo_that_never_comes(sender: str) -> None:
    async def main() -> None:
        async with joined(close_timeout_s=0.1) as both:
            both.sends(sender, CLOSE, close_payload(1000, "bye"))
            assert (await both.side(OTHER[sender]).frame()).opcode == CLOSE
            assert await both.side(OTHER[sender]).end() == b""
            assert await both.side(sender).end() == b""
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.reason, closed.echo) == (sender, 1000, "bye", None)

    run("uvloop", main())


@each_side
def test_who_closes_and_leaves_at_once_still_gets_its_echo_recorded(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends(sender, CLOSE, close_payload(1000))
            both.side(sender).hang_up()
            assert (await both.side(OTHER[sender]).frame()).opcode == CLOSE
            both.sends(OTHER[sender], CLOSE, close_payload(1000, "still here"))
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.echo) == (sender, 1000, (1000, "still here"))

    run("uvloop", main())


@each_side
def test_what_is_said_to_one_who_left_is_not_on_record_as_relayed(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends(sender, CLOSE, close_payload(1000))
            both.side(sender).hang_up()
            other = both.side(OTHER[sender])
            assert (await other.frame()).opcode == CLOSE
            (pair,) = both.relay.proxy.connections.values()
            while not (pair.station if sender == "station" else pair.csms).gone:
                await asyncio.sleep(0)
            both.sends(OTHER[sender], TEXT, b"to nobody")
            both.sends(OTHER[sender], CLOSE, close_payload(1000))
            assert (await both.recording.until(Closed)).echo == (1000, "")
            assert both.recording.frames() == []

    run("uvloop", main())


@each_side
def test_the_other_side_drops_instead_of_an_echo(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends(sender, CLOSE, close_payload(1000))
            assert (await both.side(OTHER[sender]).frame()).opcode == CLOSE
            both.side(OTHER[sender]).hang_up()
            assert await both.side(sender).end() == b""
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.echo) == (sender, 1000, None)

    run("uvloop", main())


@every_loop
@each_side
@pytest.mark.parametrize("how", ["hang_up", "reset"])
def test_a_lost_connection_drops_the_other_without_a_close_frame(loop: str, sender: str, how: str) -> None:
    async def main() -> None:
        async with joined() as both:
            last = both.sends(sender, TEXT, b"before the end")
            if how == "reset":
                await both.side(OTHER[sender]).frame()
                last = b""
            getattr(both.side(sender), how)()
            assert await both.side(OTHER[sender]).end() in (last, ConnectionResetError)
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.echo) == (sender, 1006, None)

    run(loop, main())


@each_side
def test_nothing_is_on_record_after_the_end(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.side(sender).hang_up()
            both.sends(OTHER[sender], TEXT, b"too late")
            await both.recording.until(Closed)
            await both.side(OTHER[sender]).end()
            assert isinstance(both.recording.records[-1], Closed)

    run("uvloop", main())


# -- breaches of RFC 6455

BREACHES: dict[str, dict[str, Any]] = {
    "rsv1": {"opcode": TEXT, "rsv": 4},
    "rsv2": {"opcode": TEXT, "rsv": 2},
    "rsv3": {"opcode": TEXT, "rsv": 1},
    "reserved data opcode": {"opcode": 3},
    "reserved control opcode": {"opcode": 11},
    "continuation of nothing": {"opcode": CONT},
    "fragmented ping": {"opcode": PING, "fin": False},
    "long ping": {"opcode": PING, "payload": b"x" * 126},
}


@every_loop
@each_side
@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_ends_both_legs_and_is_on_record_with_its_head(loop: str, sender: str, breach: str) -> None:
    async def main() -> None:
        async with joined() as both:
            good = both.sends(sender, TEXT, b"good")
            frame: dict[str, Any] = {"payload": b"bad", **BREACHES[breach]}
            bad = both.sends(sender, **frame)
            answer = await both.side(sender).frame()
            assert (answer.opcode, answer.payload[:2]) == (CLOSE, (1002).to_bytes(2, "big"))
            assert await both.side(OTHER[sender]).end() == good
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == ("proxy", 1002)
            (entry,) = both.recording.of(Entry)
            assert entry.type == "breach"
            header = bad[: len(bad) - len(frame["payload"])]  # and nothing of the payload, which may hold a secret
            assert (entry.fields["sender"], entry.fields["head"]) == (sender, header.hex())
            assert entry.fields["reason"] == closed.reason != ""

    run(loop, main())


def test_a_wrong_mask_is_a_breach_on_either_side() -> None:
    async def main(sender: str) -> None:
        async with joined() as both:
            both.side(sender).send(frame(TEXT, b"[]", mask=None if sender == "station" else b"abcd"))
            answer = await both.side(sender).frame()
            assert (answer.opcode, answer.payload[:2]) == (CLOSE, (1002).to_bytes(2, "big"))
            assert (answer.mask is None) == (sender == "station")
            assert "mask" in (await both.recording.until(Closed)).reason

    for sender in ("station", "csms"):
        run("uvloop", main(sender))


def test_a_new_message_within_a_fragmented_one_is_a_breach() -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends("station", TEXT, b"[", fin=False)
            both.sends("station", TEXT, b"[]")
            assert (await both.csms.frame()).payload == b"["
            assert (await both.recording.until(Closed)).code == 1002

    run("uvloop", main())


@each_side
def test_a_breach_is_judged_by_its_header_before_the_payload_is_there(sender: str) -> None:
    async def main() -> None:
        async with joined() as both:
            both.side(sender).send((from_station if sender == "station" else frame)(TEXT, bytes(70000), rsv=4)[:14])
            assert (await both.side(sender).frame()).opcode == CLOSE

    run("uvloop", main())


@each_side
@pytest.mark.parametrize("pieces", [[1001], [600, 401]])
def test_a_message_over_the_limit(sender: str, pieces: list[int]) -> None:
    async def main() -> None:
        async with joined(max_message=1000) as both:
            both.sends(sender, TEXT, b"x" * 1000)
            await both.side(OTHER[sender]).frame()
            for number, size in enumerate(pieces):
                last = number == len(pieces) - 1
                both.sends(sender, CONT if number else TEXT, b"x" * size, fin=last)
            answer = await both.side(sender).frame()
            assert answer.payload[:2] == (1009).to_bytes(2, "big")
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == ("proxy", 1009)

    run("uvloop", main())


# -- without recorder and observer


@every_loop
def test_relaying_only(loop: str) -> None:
    async def main() -> None:
        async with joined(opaque=True) as both:
            for side in ("station", "csms"):
                sent = [both.sends(side, TEXT, b"[", fin=False), both.sends(side, PING, b"p"),
                        both.sends(side, CONT, b"]"), both.sends(side, BINARY, bytes(70000))]  # fmt: skip
                assert [(await both.side(OTHER[side]).frame()).raw for _ in sent] == sent
            both.sends("csms", CLOSE, close_payload(4000, "x"))
            assert (await both.station.frame()).payload == close_payload(4000, "x")
            both.sends("station", CLOSE, close_payload(4000))
            assert (await both.csms.frame()).payload == close_payload(4000)
            assert await both.station.end() == b""

    run(loop, main())
