"""Against a bare WebSocket, so that every frame is ours to choose."""

import asyncio
import itertools
import json
import uuid
from contextlib import asynccontextmanager

import pytest
from ocpp.exceptions import OCPPError
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from ocpp_proxy.sim.endpoint import CONNECTION_LOST, TIMED_OUT, CallFailed, Endpoint, Reply, dig


@asynccontextmanager
async def endpoint(version="1.6", handle=None, timeout_s=5.0):
    """(the endpoint, the bare peer, what was handled)."""
    handled, made = [], asyncio.get_running_loop().create_future()
    numbers = itertools.count(1)

    async def answer(action, payload):
        handled.append((action, payload))
        return handle(action, payload) if handle else Reply({})

    async def accept(connection):
        ours = Endpoint("CP1", version, connection, answer, new_id=lambda: uuid.UUID(int=next(numbers)),
                        timeout_s=timeout_s)
        made.set_result(ours)
        await ours.serve()

    async with serve(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as peer:
            yield await made, peer, handled


def answer_to(version, frame, handle=None):
    async def story():
        async with endpoint(version, handle) as (_, peer, _handled):
            await peer.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
            return json.loads(await peer.recv())

    return asyncio.run(story())


def test_a_call_is_answered_with_the_handlers_payload():
    handle = lambda action, payload: Reply({"currentTime": "2026-11-21T10:00:00.000Z"})  # noqa: E731
    assert answer_to("1.6", [2, "7", "Heartbeat", {}], handle) == [3, "7", {"currentTime": "2026-11-21T10:00:00.000Z"}]


@pytest.mark.parametrize(("version", "frame", "code"), [
    ("1.6", [2, "1", "Heartbeet", {}], "NotImplemented"),
    ("1.6", [2, "1", "../../v201/schemas/HeartbeatRequest", {}], "NotImplemented"),
    ("2.0.1", [2, "1", "StartTransaction", {}], "NotImplemented"),
    ("2.1", [2, "1", "Nonsense", {}], "NotImplemented"),
    ("1.6", [2, "1", "Reset", {}], "ProtocolError"),
    ("1.6", [2, "1", "Reset", {"type": "Gentle"}], "FormationViolation"),
    ("2.0.1", [2, "1", "Reset", {"type": "Gentle"}], "FormatViolation"),
    ("1.6", [2, "1", "Reset", {"type": 1}], "TypeConstraintViolation"),
    ("1.6", [2, 5, "Heartbeat", {}], "PropertyConstraintViolation"),
    ("1.6", [2, "1", "Heartbeat", []], "TypeConstraintViolation"),
])
def test_a_bad_call_is_refused(version, frame, code):
    kind, message_id, seen, description, details = answer_to(version, frame)
    assert (kind, message_id, seen, details) == (4, str(frame[1]), code, {})
    assert description


def test_a_handlers_mistake_is_an_internal_error():
    def handle(action, payload):
        raise KeyError("what")

    assert answer_to("1.6", [2, "1", "Heartbeat", {}], handle)[2] == "InternalError"
    assert answer_to("1.6", [2, "1", "Heartbeat", {}], lambda *_: Reply({"wrong": 1}))[2] == "InternalError"


@pytest.mark.parametrize("garbage", [
    "", "{}", "[]", "[2]", "nonsense", "\ufeff[2,\"1\",\"Heartbeat\",{}]", "[3,\"unasked\",{}]", "[4,\"unasked\"]",
    "[2,\"1\",\"Heartbeat\",{},5]", "[9,\"1\",{}]", "[6,\"1\",\"NotifyPeriodicEventStream\",{}]", "[" * 100_000,
    b"\xff\xfe", "[[]]", "[2,[],{},3]", "[4,\"1\",\"x\",\"y\",{}]", "[3,[],{}]",
])
def test_garbage_neither_ends_the_connection_nor_is_answered_as_a_call(garbage):
    async def story():
        async with endpoint(handle=lambda *_: Reply({"currentTime": "2026-11-21T10:00:00.000Z"})) as (_, peer, handled):
            await peer.send(garbage)
            await peer.send('[2,"last","Heartbeat",{}]')
            answers = []
            while not answers or answers[-1][1] != "last":
                answers.append(json.loads(await peer.recv()))
            assert all(answer[0] == 4 for answer in answers[:-1])
            assert [action for action, _ in handled] == ["Heartbeat"]

    asyncio.run(story())


def test_a_call_left_unanswered_stays_so():
    async def story():
        replies = iter([Reply(None), Reply({"currentTime": "2026-11-21T10:00:00.000Z"})])
        async with endpoint(handle=lambda *_: next(replies)) as (_, peer, _handled):
            await peer.send('[2,"1","Heartbeat",{}]')
            await peer.send('[2,"2","Heartbeat",{}]')
            assert json.loads(await peer.recv())[1] == "2"

    asyncio.run(story())


def test_what_follows_an_answer_comes_after_it():
    async def story():
        seen = []
        reply = Reply({"status": "Accepted"}, lambda: seen.append("then"))
        async with endpoint(handle=lambda *_: reply) as (_, peer, _handled):
            await peer.send('[2,"1","ClearCache",{}]')
            await peer.recv()
            await (await peer.ping())
            assert seen == ["then"]

    asyncio.run(story())


def test_calls_wait_for_each_other():
    async def story():
        async with endpoint() as (ours, peer, _):
            calls = [asyncio.create_task(ours.call("Heartbeat", {})) for _ in range(2)]
            first = json.loads(await peer.recv())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await peer.recv()
            await peer.send(json.dumps([3, "not this", {}]))
            for frame in (first, None):
                frame = frame or json.loads(await peer.recv())
                await peer.send(json.dumps([3, frame[1], {"currentTime": frame[1]}]))
            assert [await call for call in calls] == [
                {"currentTime": str(uuid.UUID(int=1))}, {"currentTime": str(uuid.UUID(int=2))}]

    asyncio.run(story())


@pytest.mark.parametrize(("answer", "code"), [
    ([4, None, "NotSupported", "no", {}], "NotSupported"), (None, TIMED_OUT), ("close", CONNECTION_LOST)])
def test_a_call_without_a_result_fails_with_its_reason(answer, code):
    async def story():
        async with endpoint(timeout_s=0.2) as (ours, peer, _):
            call = asyncio.create_task(ours.call("Heartbeat", {}))
            frame = json.loads(await peer.recv())
            if answer == "close":
                await peer.close()
            elif answer:
                await peer.send(json.dumps([4, frame[1], *answer[2:]]))
            with pytest.raises(CallFailed) as failed:
                await call
            assert failed.value.code == code
            if answer == "close":
                with pytest.raises(CallFailed, match=CONNECTION_LOST):
                    await ours.call("Heartbeat", {})

    asyncio.run(story())


def test_our_own_broken_payload_is_not_sent():
    async def story():
        async with endpoint() as (ours, peer, _):
            with pytest.raises(OCPPError):
                await ours.call("Authorize", {"idTag": "x" * 21})
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await peer.recv()

    asyncio.run(story())


def test_a_send_is_taken_in_21_alone_and_never_answered():
    async def story(version):
        now = Reply({"currentTime": "2026-11-21T10:00:00.000Z"})
        async with endpoint(version, lambda *_: now) as (_, peer, handled):
            await peer.send('[6,"1","NotifyPeriodicEventStream",{"id":1}]')
            await peer.send('[2,"2","Heartbeat",{}]')
            assert json.loads(await peer.recv())[1] == "2"
            return [action for action, _ in handled]

    assert asyncio.run(story("2.1")) == ["NotifyPeriodicEventStream", "Heartbeat"]
    assert asyncio.run(story("2.0.1")) == ["Heartbeat"]


def test_digging_never_raises():
    assert dig({"a": {"b": 1}}, int, "a", "b") == 1
    assert dig({"a": [1]}, int, "a", "b") is None
    assert dig({"a": "1"}, int, "a") is None
    assert dig(None, int, "a") is None
