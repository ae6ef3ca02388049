"""Calls of our own: each answer reaches exactly who asked, and nobody else sees a thing."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
from relay_peers import (
    CONT,
    LOOPS,
    OTHER,
    PING,
    TEXT,
    Closed,
    Entry,
    FrameRecord,
    Joined,
    close_payload,
    joined,
    request,
    run,
)  # fmt: skip
from test_relay_deflate import OFFER, Deflater, chose

from ocpp_proxy.relay import injector
from ocpp_proxy.relay.acts import Injection, Outcome, RefusedActError
from ocpp_proxy.relay.controls import NOT_ALLOWED, PANICKED

every_loop = pytest.mark.parametrize("loop", LOOPS)
each_receiver = pytest.mark.parametrize("to", ["station", "csms"])
HEARTBEAT = {"station": ("TriggerMessage", {"requestedMessage": "Heartbeat"}), "csms": ("Heartbeat", {})}


def order(to: str = "station", **more: Any) -> Injection:
    action, payload = HEARTBEAT[to]
    wanted: dict[str, Any] = {"station": "CP1", "action": action, "payload": payload, "to": to, "hasten": True}
    return Injection(**(wanted | more))


def call(message_id: str, action: str = "Heartbeat", **payload: Any) -> bytes:
    return json.dumps([2, message_id, action, payload]).encode()


def result(message_id: str, **payload: Any) -> bytes:
    return json.dumps([3, message_id, payload]).encode()


class Live(Joined):
    """A joined pair whose proxy may take part."""

    def injects(self, to: str = "station", **more: Any) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.relay.controls.inject(order(to, **more)))

    async def gets(self, side: str) -> list[Any]:
        found = json.loads((await self.side(side).frame()).payload)
        assert isinstance(found, list)
        return found

    async def nothing_for(self, side: str) -> None:
        """What is sent now is the next that arrives: nothing was on its way before it."""
        self.sends(OTHER[side], PING, b"next")
        assert (await self.side(side).frame()).payload == b"next"

    def origins(self) -> list[tuple[str, str, str]]:
        return [(one.sender, one.to, one.origin) for one in self.recording.of(FrameRecord) if one.opcode == "text"]


@asynccontextmanager
async def live(*handshake: bytes, **settings: Any):  # type: ignore[no-untyped-def]
    async with joined(*handshake, allowed=True, **settings) as both:
        yield Live(both.relay, both.station, both.csms, both.csms_listener)


@every_loop
@each_receiver
def test_the_answer_comes_back_and_goes_no_further(loop: str, to: str) -> None:
    async def main() -> None:
        async with live() as both:
            asked = both.injects(to, by="a test")
            kind, message_id, action, payload = await both.gets(to)
            assert (kind, action, payload) == (2, *HEARTBEAT[to])
            assert len(message_id) <= 36
            both.sends(to, TEXT, result(message_id, status="Accepted"))
            outcome = await asked
            assert (outcome.outcome, outcome.message_id, outcome.seq) == ("result", message_id, 1)
            assert outcome.response == {"status": "Accepted"}
            assert outcome.latency_ms is not None
            assert outcome.latency_ms >= 0
            await both.nothing_for(OTHER[to])
            assert both.origins() == [("proxy", to, "injected"), (to, OTHER[to], "withheld")]
            (act,) = both.recording.of(Entry)
            assert act.type == "act"
            assert act.fields == {"act": "inject", "by": "a test", "to": to, "action": action,
                                  "message_id": message_id, "seq": 1}

    run(loop, main())


def test_an_error_comes_back_as_one() -> None:
    async def main() -> None:
        async with live() as both:
            asked = both.injects()
            _, message_id, *_ = await both.gets("station")
            both.sends("station", TEXT, json.dumps([4, message_id, "NotImplemented", "no", {"a": 1}]).encode())
            outcome = await asked
            assert (outcome.outcome, outcome.response) == ("error", None)
            assert outcome.error == {"code": "NotImplemented", "description": "no", "details": {"a": 1}}
            await both.nothing_for("csms")

    run("asyncio", main())


@each_receiver
def test_it_waits_for_open_calls_in_both_directions(to: str) -> None:
    async def main() -> None:
        async with live() as both:
            both.sends("station", TEXT, call("s1"))
            both.sends("csms", TEXT, call("c1"))
            await both.gets("csms")
            await both.gets("station")
            asked = both.injects(to)
            await both.nothing_for(to)
            both.sends("csms", TEXT, result("s1"))
            assert await both.gets("station") == [3, "s1", {}]
            await both.nothing_for(to)
            both.sends("station", TEXT, result("c1"))
            assert await both.gets("csms") == [3, "c1", {}]
            _, message_id, *_ = await both.gets(to)
            both.sends(to, TEXT, result(message_id))
            assert (await asked).outcome == "result"

    run("asyncio", main())


@every_loop
@each_receiver
def test_the_calls_of_the_side_we_speak_for_wait_and_nothing_else_does(loop: str, to: str) -> None:
    async def main() -> None:
        async with live() as both:
            we, other = OTHER[to], to
            asked = both.injects(to)
            _, message_id, *_ = await both.gets(to)
            both.sends(other, TEXT, call("theirs"))  # of the receiver: passes at once
            assert (await both.gets(we))[1] == "theirs"
            both.sends(we, TEXT, call("held 1"))
            both.sends(we, TEXT, call("held 2"))
            both.sends(we, TEXT, result("theirs"))  # an answer overtakes
            assert await both.gets(other) == [3, "theirs", {}]
            await both.nothing_for(other)  # and so does a ping
            both.sends(other, TEXT, result(message_id))
            assert [(await both.gets(other))[1] for _ in range(2)] == ["held 1", "held 2"]
            outcome = await asked
            assert outcome.held_ms > 0
            held = [one for one in both.recording.of(FrameRecord) if one.held_ms is not None]
            assert [json.loads(one.data)[1] for one in held] == ["held 1", "held 2"]
            assert all(one.sender == we and one.origin == "relayed" and one.held_ms > 0 for one in held)
            assert [one.seq for one in both.recording.of(FrameRecord)] == list(range(1, 8))

    run(loop, main())


@each_receiver
def test_the_same_id_on_both_sides(to: str) -> None:
    async def main() -> None:
        async with live() as both:
            we = OTHER[to]
            asked = both.injects(to)
            _, message_id, *_ = await both.gets(to)
            both.sends(we, TEXT, call(message_id))  # the very id that we have chosen
            both.sends(to, TEXT, call(message_id))  # and the receiver uses it, too
            assert await both.gets(we) == [2, message_id, "Heartbeat", {}]
            both.sends(we, TEXT, result(message_id, whose="the receiver's"))
            assert await both.gets(to) == [3, message_id, {"whose": "the receiver's"}]
            both.sends(to, TEXT, result(message_id, whose="ours"))
            assert (await asked).response == {"whose": "ours"}
            assert await both.gets(to) == [2, message_id, "Heartbeat", {}]
            both.sends(to, TEXT, result(message_id, whose="theirs"))
            assert await both.gets(we) == [3, message_id, {"whose": "theirs"}]

    run("asyncio", main())


def test_late_and_second_answers_reach_nobody() -> None:
    async def main() -> None:
        async with live() as both:
            asked = both.injects(timeout_s=0.05)
            _, message_id, *_ = await both.gets("station")
            both.sends("csms", TEXT, call("held"))
            outcome = await asked
            assert (outcome.outcome, outcome.error) == ("timeout", {"reason": "no answer within 0.05 s"})
            assert (await both.gets("station"))[1] == "held"
            both.sends("station", TEXT, result(message_id))  # late
            both.sends("station", TEXT, result("held"))
            both.sends("station", TEXT, result(message_id))  # and once more
            assert await both.gets("csms") == [3, "held", {}]
            await both.nothing_for("csms")
            assert both.origins().count(("station", "csms", "withheld")) == 2
            assert [one.fields.get("outcome") for one in both.recording.of(Entry)] == [None, "timeout"]

    run("asyncio", main())


def test_an_id_that_the_csms_uses_after_us_is_its_own() -> None:
    async def main() -> None:
        async with live() as both:
            asked = both.injects(timeout_s=0.05)
            _, message_id, *_ = await both.gets("station")
            await asked
            both.sends("csms", TEXT, call(message_id))
            await both.gets("station")
            both.sends("station", TEXT, result(message_id))
            assert await both.gets("csms") == [3, message_id, {}]

    run("asyncio", main())


def test_a_side_that_never_answers_holds_the_other_up_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injector, "HOLD_MOST_S", 0.05)

    async def main() -> None:
        async with live() as both:
            asked = both.injects()
            _, message_id, *_ = await both.gets("station")
            both.sends("csms", TEXT, call("1"))
            assert (await both.gets("station"))[1] == "1"
            both.sends("csms", TEXT, call("2"))  # no longer held at all
            assert (await both.gets("station"))[1] == "2"
            both.sends("station", TEXT, result(message_id))
            assert (await asked).outcome == "result"

    run("asyncio", main())


def test_a_call_that_nobody_answers_does_not_bar_the_way_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injector, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(injector, "LOOK_S", 0.02)

    async def main() -> None:
        async with live() as both:
            both.sends("csms", TEXT, call("lost"))
            await both.gets("station")
            asked = both.injects()
            _, message_id, *_ = await both.gets("station")
            both.sends("station", TEXT, result(message_id))
            assert (await asked).outcome == "result"

    run("asyncio", main())


def test_no_moment_within_its_time() -> None:
    async def main() -> None:
        async with live() as both:
            both.sends("csms", TEXT, call("open"))
            await both.gets("station")
            outcome = await both.injects(wait_s=0.05)
            assert (outcome.outcome, outcome.message_id) == ("refused", None)
            assert outcome.error == {
                "reason": "no moment for it within 0.05 s: Calls were open all the time (1 of the csms)"}
            await both.nothing_for("station")

    run("asyncio", main())


@pytest.mark.parametrize("began", ["StartTransaction", "TransactionEvent"])
def test_the_station_is_left_alone_after_a_transaction_has_begun(monkeypatch: pytest.MonkeyPatch, began: str) -> None:
    monkeypatch.setattr(injector, "QUIET_S", 0.1)

    async def main() -> None:
        async with live() as both:
            both.sends("station", TEXT, call("s1", began, eventType="Started"))
            await both.gets("csms")
            both.sends("csms", TEXT, result("s1"))
            await both.gets("station")
            began_at = asyncio.get_running_loop().time()
            slow, fast = both.injects(hasten=False), both.injects()
            for _ in range(2):
                _, message_id, *_ = await both.gets("station")
                both.sends("station", TEXT, result(message_id))
                await asyncio.wait([slow, fast], return_when=asyncio.FIRST_COMPLETED)
                assert fast.done()
            await slow
            assert asyncio.get_running_loop().time() - began_at >= 0.09

    run("asyncio", main())


def test_a_rest_between_two_calls_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injector, "PACE_S", 0.1)

    async def main() -> None:
        async with live() as both:
            times = []
            for _ in range(2):
                asked = both.injects(hasten=False)
                _, message_id, *_ = await both.gets("station")
                times.append(asyncio.get_running_loop().time())
                both.sends("station", TEXT, result(message_id))
                await asked
            assert times[1] - times[0] >= 0.09

    run("asyncio", main())


@every_loop
@pytest.mark.parametrize("who", ["station", "csms"])
@pytest.mark.parametrize("how", ["close", "loss"])
def test_a_connection_that_ends_meanwhile(loop: str, who: str, how: str) -> None:
    async def main() -> None:
        async with live() as both:
            first, second = both.injects(), both.injects()
            _, message_id, *_ = await both.gets("station")
            both.sends("csms", TEXT, call("held"))
            await both.nothing_for("station")
            if how == "close":
                both.sends(who, 8, close_payload(1000, "bye"))
            else:
                both.side(who).hang_up()
            outcome, waiting = await first, await second
            assert (outcome.outcome, outcome.message_id) == ("disconnected", message_id)
            words = "closed the connection with 1000 (bye)" if how == "close" else "lost the connection"
            assert outcome.error == {"reason": f"the {'CSMS' if who == 'csms' else who} {words}"}
            assert (waiting.outcome, waiting.message_id) == ("disconnected", None)
            await both.recording.until(FrameRecord, 3)
            last = both.recording.of(FrameRecord)[-1]
            assert json.loads(last.data)[1] == "held"
            if (who, how) == ("station", "loss"):
                assert last.origin == "withheld"
            else:
                assert last.origin == "relayed"
                if who == "csms" or how == "close":
                    assert (await both.gets("station"))[1] == "held"
            if how == "close":
                both.sends(OTHER[who], 8, close_payload(1000))
            closed = await both.recording.until(Closed)
            assert both.recording.records.index(closed) > both.recording.records.index(last)
            late = await both.injects(wait_s=0.1) if both.relay.proxy.connections else None
            assert late is None or late.outcome == "disconnected"

    run(loop, main())


def test_a_fragmented_answer_is_kept_back_whole() -> None:
    async def main() -> None:
        async with live() as both:
            asked = both.injects()
            _, message_id, *_ = await both.gets("station")
            whole = result(message_id, status="Accepted")
            both.sends("station", TEXT, whole[:10], fin=False)
            both.sends("station", PING, b"in between")
            both.sends("station", CONT, whole[10:])
            assert (await asked).response == {"status": "Accepted"}
            assert (await both.csms.frame()).payload == b"in between"
            await both.nothing_for("csms")
            record = next(one for one in both.recording.of(FrameRecord) if one.origin == "withheld")
            assert (record.data, record.fragments) == (whole, (10, len(whole) - 10))
            parts = [call("1")[:5], call("1")[5:]]
            sent = [both.sends("station", TEXT, parts[0], fin=False), both.sends("station", CONT, parts[1])]
            assert [(await both.csms.frame()).raw for _ in sent] == sent

    run("asyncio", main())


def test_where_messages_are_compressed_the_rest_of_the_direction_is_not() -> None:
    async def main() -> None:
        async with live(request("/CP1", OFFER), chose()) as both:
            deflate = Deflater()
            before = both.sends("station", TEXT, deflate(call("1")), rsv=4)
            assert (await both.csms.frame()).raw == before
            both.sends("csms", TEXT, result("1"))
            await both.gets("station")
            asked = both.injects()
            sent = await both.station.frame()
            assert sent.rsv == 0  # ours go uncompressed
            message_id = json.loads(sent.payload)[1]
            both.sends("station", TEXT, deflate(result(message_id, status="Accepted")), rsv=4)
            assert (await asked).response == {"status": "Accepted"}
            both.sends("station", TEXT, deflate(call("2")), rsv=4)
            after = await both.csms.frame()
            assert (after.rsv, after.payload) == (0, call("2"))
            assert after.mask is not None

    run("asyncio", main())


def test_a_secret_in_it_is_on_record_masked() -> None:
    async def main() -> None:
        async with live() as both:
            secret = "0123456789abcdef0123"
            asked = both.injects(action="ChangeConfiguration", confirmed=True,
                                 payload={"key": "AuthorizationKey", "value": secret})
            _, message_id, _, payload = await both.gets("station")
            assert payload["value"] == secret
            listed = {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": secret}]}
            both.sends("station", TEXT, result(message_id, **listed))
            outcome = await asked
            assert secret not in repr(outcome)
            assert secret.encode() not in repr(both.recording.records).encode()

    run("asyncio", main())


# -- what is not even tried


REFUSED = {
    "unknown station": ({"station": "CP9"}, "unknown-station", "CP9 is not connected; connected: CP1"),
    "unknown connection": ({"connection": "c7"}, "unknown-connection", "CP1 has no connection c7; open: c1"),
    "unknown action": ({"action": "TrigerMessage"}, "schema",
                       "no csms sends TrigerMessage in 1.6; did you mean TriggerMessage? --force sends it"),
    "an action of the other side": ({"action": "BootNotification"}, "schema", "no csms sends BootNotification in 1.6"),
    "a wrong payload": ({"payload": {"requestedMessage": "Heartbeet"}}, "schema",
                        "the payload breaks the schema of TriggerMessage in OCPP 1.6; --force sends it"),
    "dangerous": ({"action": "Reset", "payload": {"type": "Hard"}}, "confirm",
                  "Reset needs a confirmation: charging sessions that are going on end"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_sent(case: str) -> None:
    more, why, words = REFUSED[case]

    async def main() -> None:
        async with live() as both:
            with pytest.raises(RefusedActError) as refused:
                await both.injects(**more)
            assert refused.value.why == why
            assert refused.value.reason.startswith(words)
            await both.nothing_for("station")
            if case == "a wrong payload":
                (error,) = refused.value.errors
                assert error["pointer"] == "/requestedMessage"
                assert "did you mean Heartbeat?" in error["message"]

    run("asyncio", main())


@pytest.mark.parametrize("more", [
    {"action": "TrigerMessage", "force": True},
    {"payload": {"requestedMessage": "Heartbeet"}, "force": True},
    {"action": "Reset", "payload": {"type": "Hard"}, "confirmed": True},
], ids=["unknown action", "wrong payload", "dangerous"])  # fmt: skip
def test_sent_all_the_same_where_it_is_meant(more: dict[str, Any]) -> None:
    async def main() -> None:
        async with live() as both:
            both.injects(**more)
            sent = order(**more)
            assert (await both.gets("station"))[2:] == [sent.action, sent.payload]
            assert both.recording.of(Entry)[0].fields.get("forced", False) is sent.force

    run("asyncio", main())


def test_without_leave_nothing_alters_traffic() -> None:
    async def main() -> None:
        async with joined() as both:
            with pytest.raises(RefusedActError, match=NOT_ALLOWED[:30]):
                await both.relay.controls.inject(order())
            assert next(iter(both.relay.proxy.connections.values())).part is None

    run("asyncio", main())


def test_a_panic_lets_everything_go_and_bars_what_comes() -> None:
    async def main() -> None:
        async with live() as both:
            first, second = both.injects(), both.injects()
            _, message_id, *_ = await both.gets("station")
            both.sends("csms", TEXT, call("held"))
            await both.nothing_for("station")
            both.relay.controls.panic("a test")
            assert (await both.gets("station"))[1] == "held"
            assert (await second).error == {"reason": PANICKED}
            with pytest.raises(RefusedActError, match="panic"):
                await both.injects()
            both.sends("station", TEXT, result(message_id))  # still nobody else's
            assert (await first).outcome == "result"
            await both.nothing_for("csms")
            both.relay.controls.calm("a test")
            both.sends("station", TEXT, result("held"))
            await both.gets("csms")
            both.injects()
            assert (await both.gets("station"))[2] == "TriggerMessage"
            assert [one.fields["act"] for one in both.recording.of(Entry)] == [
                "inject", "panic", "inject", "calm", "inject"]  # the second was refused

    run("asyncio", main())
