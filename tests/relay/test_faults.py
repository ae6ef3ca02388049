"""Faults on a live link: what each side sees of them, and what is on record."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from relay_peers import (
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
    Opened,
    close_payload,
    request,
    run,
    switching,
)  # fmt: skip
from test_injection import Live, call, live, order, result
from test_relay_deflate import OFFER, Deflater, chose

from ocpp_proxy.relay import drip, meeting
from ocpp_proxy.relay.acts import Fault, FaultOrder, RefusedActError

every_loop = pytest.mark.parametrize("loop", LOOPS)
each_side = pytest.mark.parametrize("sender", ["station", "csms"])


def puts(both: Live, kind: Any, **more: Any) -> Fault:
    return both.relay.controls.add_fault(FaultOrder(kind=kind, **more))


def last(both: Live) -> FrameRecord:
    found = both.recording.of(FrameRecord)[-1]
    assert isinstance(found, FrameRecord)
    return found


@every_loop
@each_side
def test_drop(loop: str, sender: str) -> None:
    async def main() -> None:
        async with live() as both:
            fault = puts(both, "drop", sender=sender, action="Heartbeat", count=1)
            both.sends(sender, TEXT, call("1"))
            both.sends(sender, TEXT, call("2"))
            assert (await both.gets(OTHER[sender]))[1] == "2"
            first = both.recording.of(FrameRecord)[0]
            assert (first.origin, first.extra, fault.hits) == ("withheld", {"fault": fault.id}, 1)

    run(loop, main())


def test_the_answer_alone_can_be_chosen_by_its_calls_action() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "drop", action="StartTransaction", part="answer", confirmed=True)
            both.sends("station", TEXT, call("1", "StartTransaction"))
            await both.gets("csms")
            both.sends("csms", TEXT, result("1"))
            both.sends("csms", TEXT, result("other"))
            assert (await both.gets("station"))[1] == "other"

    run("asyncio", main())


@every_loop
def test_delay_is_told_and_overtaken(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "delay", sender="station", action="Heartbeat", seconds=0.05)
            both.sends("station", TEXT, call("late"))
            both.sends("station", TEXT, call("soon", "Authorize", idTag="A"))
            assert [(await both.gets("csms"))[1] for _ in range(2)] == ["soon", "late"]
            record = last(both)
            assert record.origin == "relayed"
            assert record.held_ms is not None
            assert record.held_ms >= 40  # a loop may be a little early
            assert [one.seq for one in both.recording.of(FrameRecord)] == [1, 2]

    run(loop, main())


def test_a_delay_of_everything_keeps_the_order() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "delay", seconds=0.05)
            sent = [both.sends("station", TEXT, call(str(number))) for number in range(20)]
            assert [(await both.csms.frame()).raw for _ in sent] == sent

    run("asyncio", main())


@every_loop
def test_hold_until_it_is_cleared(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            fault = puts(both, "hold", sender="csms", part="answer")
            both.sends("station", TEXT, call("1"))
            await both.gets("csms")
            both.sends("csms", TEXT, result("1"))
            await both.nothing_for("station")
            assert both.relay.controls.faults() == [fault]
            assert both.relay.controls.clear_faults(fault.id, by="a test") == [fault]
            assert await both.gets("station") == [3, "1", {}]
            assert last(both).held_ms
            acts = [one.fields for one in both.recording.of(Entry)]
            assert acts == [
                {"act": "fault", "by": "api", "fault": fault.id, "kind": "hold", "station": "*", "sender": "csms",
                 "part": "answer"},
                {"act": "fault-end", "by": "a test", "fault": fault.id, "hits": 1},
            ]

    run(loop, main())


def test_it_ends_by_itself_after_its_time() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "hold", for_s=0.05)
            both.sends("station", TEXT, call("1"))
            assert (await both.gets("csms"))[1] == "1"
            assert both.relay.controls.faults() == []

    run("asyncio", main())


@every_loop
@each_side
def test_modify(loop: str, sender: str) -> None:
    async def main() -> None:
        async with live() as both:
            patch = [{"op": "replace", "path": "/status", "value": "Rejected"},
                     {"op": "add", "path": "/limits/0", "value": 0.1}]
            fault = puts(both, "modify", sender=sender, patch=patch)
            original = b'[3,"1",{"status":"Accepted","limits":[16.0,  1e400],"big":12345678901234567890123}]'
            both.sends(sender, TEXT, original)
            changed = b'[3,"1",{"status":"Rejected","limits":[0.1,16.0,1E+400],"big":12345678901234567890123}]'
            got = await both.side(OTHER[sender]).frame()
            assert got.payload == changed
            record = last(both)
            assert (record.origin, record.data, record.original) == ("modified", changed, original)
            assert (record.sender, record.extra) == (sender, {"fault": fault.id})

    run(loop, main())


def test_a_patch_that_does_not_fit_leaves_the_message_alone() -> None:
    async def main() -> None:
        async with live() as both:
            fault = puts(both, "modify", patch=[{"op": "replace", "path": "/nowhere/1", "value": 1}], count=1)
            sent = both.sends("station", TEXT, call("1"))
            assert (await both.csms.frame()).raw == sent
            sent = both.sends("station", TEXT, b"no JSON")
            assert (await both.csms.frame()).raw == sent
            assert fault.hits == 0
            assert [notice.split(":")[0] for notice in both.relay.notices] == [
                f"fault {fault.id} does not fit Heartbeat, which goes on as it is",
                f"fault {fault.id} does not fit a message, which goes on as it is"]

    run("asyncio", main())


def test_a_modified_secret_is_masked_in_both_forms() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "modify", patch=[{"op": "add", "path": "/x", "value": 1}])
            secret = "0123456789abcdef0123"
            both.sends("csms", TEXT, call("1", "ChangeConfiguration", key="AuthorizationKey", value=secret))
            assert (await both.gets("station"))[3] == {"key": "AuthorizationKey", "value": secret, "x": 1}
            record = last(both)
            assert secret.encode() not in record.data
            assert record.original is not None
            assert secret.encode() not in record.original

    run("asyncio", main())


ANSWERS = {
    "result": ({"result": {"status": "Rejected"}}, [3, "1", {"status": "Rejected"}]),
    "error": ({"error": {"code": "InternalError", "description": "no"}}, [4, "1", "InternalError", "no", {}]),
}


@each_side
@pytest.mark.parametrize("what", ANSWERS)
def test_answer_in_the_other_sides_stead(sender: str, what: str) -> None:
    more, expected = ANSWERS[what]

    async def main() -> None:
        async with live() as both:
            puts(both, "answer", sender=sender, **more)
            both.sends(sender, TEXT, call("1"))
            assert await both.gets(sender) == expected
            await both.nothing_for(OTHER[sender])
            assert both.origins() == [(sender, OTHER[sender], "withheld"), ("proxy", sender, "injected")]

    run("asyncio", main())


def test_no_answer_at_all() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "answer", sender="station")
            both.sends("station", TEXT, call("1"))
            await both.nothing_for("csms")
            await both.nothing_for("station")

    run("asyncio", main())


@every_loop
@each_side
def test_duplicate(loop: str, sender: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "duplicate", sender=sender, count=1)
            both.sends(sender, TEXT, call("1"))
            both.sends(sender, TEXT, call("2"))
            assert [(await both.gets(OTHER[sender]))[1] for _ in range(3)] == ["1", "1", "2"]
            assert both.origins() == [
                (sender, OTHER[sender], "relayed"), ("proxy", OTHER[sender], "injected"),
                (sender, OTHER[sender], "relayed")]

    run(loop, main())


@every_loop
@each_side
def test_drip(loop: str, sender: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "drip", sender=sender, action="Heartbeat", bytes_per_s=100)
            peer = both.side(OTHER[sender])
            first = both.sends(sender, TEXT, call("1"))
            behind = both.sends(sender, TEXT, call("2", "Authorize", idTag="A")) + both.sends(sender, PING, b"p")
            pieces: list[bytes] = []
            while sum(map(len, pieces)) < len(first + behind):
                pieces.append(await peer.reader.read(1000))
            assert b"".join(pieces) == first + behind
            assert len(pieces[0]) <= 10
            assert len(pieces) >= 3

    run(loop, main())


def test_no_more_is_held_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "HELD_MAX", 2)

    async def main() -> None:
        async with live() as both:
            puts(both, "hold")
            for number in range(3):
                both.sends("station", TEXT, call(str(number)))
            assert (await both.gets("csms"))[1] == "0"
            both.relay.controls.clear_faults()
            assert [(await both.gets("csms"))[1] for _ in range(2)] == ["1", "2"]

    run("asyncio", main())


def test_no_more_drips_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drip, "QUEUE_MOST_BYTES", 100)

    async def main() -> None:
        async with live() as both:
            puts(both, "drip", sender="station", bytes_per_s=1)
            sent = b"".join(both.sends("station", TEXT, call(str(number))) for number in range(5))
            got = await both.csms.read(len(sent) - 100)  # a byte a second would take minutes
            assert sent.startswith(got)

    run("asyncio", main())


def test_a_close_frame_does_not_wait_for_the_drip() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "drip", sender="station", bytes_per_s=1)
            sent = both.sends("station", TEXT, call("1"))
            sent += both.sends("station", CLOSE, close_payload(1000))
            assert await both.csms.read(len(sent)) == sent

    run("asyncio", main())


@every_loop
def test_disconnect_with_a_code(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            assert puts(both, "disconnect", code=1011, reason="a test").hits == 1
            for side in ("station", "csms"):
                got = await both.side(side).frame()
                assert (got.opcode, got.payload) == (CLOSE, close_payload(1011, "a test"))
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.reason) == ("proxy", 1011, "a test")
            assert both.relay.controls.faults() == []

    run(loop, main())


@every_loop
def test_reset(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "reset", station="CP?")
            for side in ("station", "csms"):
                assert await both.side(side).end() is ConnectionResetError
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == ("proxy", 1006)

    run(loop, main())


def test_disconnect_when_a_message_comes() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "reset", action="StartTransaction", part="call")
            both.sends("station", TEXT, call("1"))
            await both.gets("csms")
            both.sends("station", TEXT, call("2", "StartTransaction"))
            assert await both.csms.end() is ConnectionResetError
            await both.recording.until(Closed)
            assert last(both).origin == "withheld"

    run("asyncio", main())


@every_loop
@each_side
def test_half_open(loop: str, sender: str) -> None:
    async def main() -> None:
        async with live() as both:
            fault = puts(both, "half-open", sender=sender)
            both.sends(OTHER[sender], PING, b"alive?")
            assert (await both.side(sender).frame()).payload == b"alive?"
            both.sends(sender, PONG, b"alive?")
            both.sends(sender, TEXT, call("1"))
            assert (await both.side(OTHER[sender]).frame()).opcode == TEXT
            both.sends(OTHER[sender], PONG, b"the other way")
            assert (await both.side(sender).frame()).payload == b"the other way"
            pong = next(one for one in both.recording.of(FrameRecord) if one.opcode == "pong")
            assert (pong.origin, fault.hits) == ("withheld", 1)

    run(loop, main())


@every_loop
def test_offline_for_one_station(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "offline", station="CP1", seconds=0.3)
            assert await both.station.end() is ConnectionResetError
            again = await both.relay.ask(request())
            assert (await again.head()).startswith(b"HTTP/1.1 503 ")
            other = await both.relay.ask(request("/ocpp/CP2"))
            (await both.csms_listener.accept()).send(switching())
            assert (await other.head()).startswith(b"HTTP/1.1 101 ")
            refused = [one for one in both.recording.of(Opened) if one.status == 503]
            assert [(one.station, one.refused_by) for one in refused] == [("CP1", "proxy")]
            while both.relay.controls.faults():
                await asyncio.sleep(0.01)
            back = await both.relay.ask(request())
            (await both.csms_listener.accept()).send(switching())
            assert (await back.head()).startswith(b"HTTP/1.1 101 ")

    run(loop, main())


@every_loop
def test_offline_for_all(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "offline", seconds=0.3)
            assert await both.station.end() is ConnectionResetError
            with pytest.raises(ConnectionRefusedError):
                await both.relay.dial()
            while both.relay.controls.faults():
                await asyncio.sleep(0.01)
            back = await both.relay.ask(request())
            (await both.csms_listener.accept()).send(switching())
            assert (await back.head()).startswith(b"HTTP/1.1 101 ")

    run(loop, main())


@every_loop
def test_offline_is_over_with_a_panic(loop: str) -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "offline", seconds=1000)
            with pytest.raises(ConnectionRefusedError):
                await both.relay.dial()
            both.relay.controls.panic()
            await both.relay.dial()

    run(loop, main())


def test_fragments_and_compression() -> None:
    async def main() -> None:
        async with live(request("/CP1", OFFER), chose()) as both:
            deflate = Deflater()
            puts(both, "drop", sender="station", action="Heartbeat", count=1)
            whole = call("1")
            both.sends("station", TEXT, deflate(whole[:9], end=False), rsv=4, fin=False)
            both.sends("station", CONT, deflate(whole[9:]))
            both.sends("station", TEXT, deflate(call("2")), rsv=4)
            got = await both.csms.frame()
            assert (got.rsv, got.payload) == (0, call("2"))
            assert both.recording.of(FrameRecord)[0].fragments == (9, len(whole) - 9)

    run("asyncio", main())


def test_a_message_that_breaks_off_while_it_is_collected() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "drop", action="Nothing")
            begun = both.sends("station", TEXT, b'[2,"1","Hea', fin=False)
            both.station.hang_up()
            assert await both.csms.end() == begun
            await both.recording.until(Closed)
            record = last(both)
            assert (record.data, record.incomplete) == (b'[2,"1","Hea', True)

    run("asyncio", main())


def test_a_delayed_call_meets_one_of_ours() -> None:
    async def main() -> None:
        async with live() as both:
            puts(both, "delay", sender="csms", seconds=0.05)
            both.sends("csms", TEXT, call("late"))
            await both.nothing_for("station")
            asked = asyncio.create_task(both.relay.controls.inject(order()))
            _, message_id, *_ = await both.gets("station")
            await asyncio.sleep(0.1)
            await both.nothing_for("station")  # its delay is over, but ours is open
            both.sends("station", TEXT, result(message_id))
            assert (await both.gets("station"))[1] == "late"
            assert (await asked).held_ms > 0

    run("asyncio", main())


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "delay without seconds": ({"kind": "delay"}, "seconds has to be given"),
    "seconds elsewhere": ({"kind": "drop", "seconds": 1}, "seconds belongs to delay and offline"),
    "drip without a pace": ({"kind": "drip"}, "bytes_per_s has to be given"),
    "modify without a patch": ({"kind": "modify"}, "patch has to be given"),
    "a patch that is none": ({"kind": "modify", "patch": [{"op": "turn"}]}, "patch is no JSON Patch"),
    "a patch elsewhere": ({"kind": "drop", "patch": []}, "patch belongs to modify"),
    "two answers": ({"kind": "answer", "result": {}, "error": {"code": "x"}}, "result, error is one of them"),
    "an error without a code": ({"kind": "answer", "error": {}}, "result, error needs a code"),
    "a close code that is none": ({"kind": "disconnect", "code": 1006}, "code 1006 cannot stand in a close frame"),
    "no count": ({"kind": "drop", "count": 0}, "count has to be at least 1"),
    "no time": ({"kind": "drop", "for_s": 0}, "for_s has to be more than 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_order_that_cannot_be_carried_out(case: str) -> None:
    more, words = WRONG[case]

    async def main() -> None:
        async with live() as both:
            with pytest.raises(RefusedActError) as refused:
                both.relay.controls.add_fault(FaultOrder(**more))
            assert refused.value.why == "bad-order"
            assert words in refused.value.reason
            assert both.relay.controls.faults() == []

    run("asyncio", main())


def test_what_costs_money_wants_a_confirmation() -> None:
    async def main() -> None:
        async with live() as both:
            with pytest.raises(RefusedActError) as refused:
                puts(both, "answer", action="StartTransaction", result={})
            assert refused.value.why == "confirm"
            puts(both, "answer", action="StartTransaction", result={}, confirmed=True)
            with pytest.raises(RefusedActError) as unknown:
                both.relay.controls.clear_faults("f9")
            assert (unknown.value.why, unknown.value.reason) == (
                "unknown-fault", "there is no fault f9; in force: f1")

    run("asyncio", main())
