"""What can be asked to be done: how requests become orders, and refusals answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, get_args

from control_parts import Parts, served

from ocpp_proxy.control.answers import STATUS
from ocpp_proxy.relay.acts import FaultOrder, Injection, Outcome, RefusedActError, Why


def test_an_injection_with_all_its_fields(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            answer = await api.client.post("/v1/stations/CP1/inject", json={
                "action": "Reset", "payload": {"type": "Hard"}, "to": "station", "connection": "c1", "timeout_s": 5,
                "wait_s": 0, "confirm": True, "force": True, "hasten": True, "by": "me"})
            assert answer.status_code == 200
            assert answer.json() == {
                "outcome": "result", "connection": "c1", "message_id": "m", "seq": 3, "latency_ms": 1.5, "held_ms": 0.0,
                "response": {"status": "Accepted"}, "error": None, "followed": []}
            assert api.parts.controls.asked == [Injection(
                station="CP1", action="Reset", payload={"type": "Hard"}, connection="c1", timeout_s=5, wait_s=0,
                confirmed=True, force=True, hasten=True, by="me")]

    asyncio.run(story())


def test_the_usual_injection_is_short(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            await api.client.post("/v1/stations/CP1/inject", json={"action": "ClearCache"})
            assert api.parts.controls.asked == [Injection(station="CP1", action="ClearCache", payload={})]

    asyncio.run(story())


def test_what_follows_the_answer_is_told_on_request(tmp_path: Path) -> None:
    parts = Parts()
    parts.open()

    async def injected(order: Injection) -> Outcome:
        parts.say('[2,"h","Heartbeat",{}]')  # on its way before
        parts.say('[2,"m","TriggerMessage",{"requestedMessage":"Heartbeat"}]', "proxy", to="station", origin="injected")
        parts.say('[3,"m",{"status":"Accepted"}]', origin="withheld")
        asyncio.get_running_loop().call_soon(parts.say, '[2,"i","Heartbeat",{}]')
        return Outcome(outcome="result", connection="c1", message_id="m", seq=2, response={"status": "Accepted"})

    parts.controls.inject = injected  # type: ignore[method-assign]

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            answer = await api.client.post("/v1/stations/CP1/inject",
                                           json={"action": "TriggerMessage", "follow_s": 0.3})
            assert [(one["seq"], one["action"]) for one in answer.json()["followed"]] == [(4, "Heartbeat")]

    asyncio.run(story())


def test_each_refusal_has_its_status(tmp_path: Path) -> None:
    errors = [{"pointer": "/type", "message": "type is missing", "rule": "schema-required"}]

    async def story() -> None:
        async with served(tmp_path) as api:
            for why, status in STATUS.items():
                api.parts.controls.refusal = RefusedActError(why, "because", errors)
                answer = await api.client.post("/v1/stations/CP1/inject", json={"action": "Reset"})
                assert answer.status_code == status
                needed = {"needed": {"confirm": True}} if why == "confirm" else {}
                assert answer.json() == {"why": why, "reason": "because", "errors": errors, **needed}
            assert set(STATUS) == set(get_args(Why))

    asyncio.run(story())


NONSENSE: list[tuple[Any, str]] = [
    ({}, "/action"), ({"action": 1}, "/action"), ({"action": "Reset", "payload": []}, "/payload"),
    ({"action": "Reset", "colour": "red"}, "/colour"), ({"action": "Reset", "timeout_s": 0}, "/timeout_s"),
    ({"action": "Reset", "timeout_s": "5"}, "/timeout_s"), ({"action": "Reset", "to": "proxy"}, "/to"),
    ({"action": "Reset", "confirm": "yes"}, "/confirm"), ({"action": "Reset", "follow_s": 1e9}, "/follow_s"),
    ({"action": ""}, "/action"), ([], ""),
]


def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            for body, pointer in NONSENSE:
                answer = await api.client.post("/v1/stations/CP1/inject", json=body)
                assert (answer.status_code, answer.json()["why"]) == (422, "bad-request")
                assert pointer in [error["pointer"] for error in answer.json()["errors"]]
            assert api.parts.controls.asked == []

    asyncio.run(story())


def test_faults_come_and_go(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            order = {"kind": "answer", "station": "CP*", "action": "Authorize", "part": "call", "count": 2,
                     "error": {"code": "InternalError"}, "confirm": True}
            made = await api.client.post("/v1/faults", json=order)
            assert made.status_code == 201
            assert made.json()["order"]["error"] == {"code": "InternalError", "description": "", "details": {}}
            assert api.parts.controls.asked == [FaultOrder(
                kind="answer", station="CP*", action="Authorize", part="call", count=2, confirmed=True,
                error={"code": "InternalError", "description": "", "details": {}})]
            await api.client.post("/v1/faults", json={"kind": "drop"})
            assert [one["id"] for one in (await api.get("/v1/faults"))["faults"]] == ["f1", "f2"]
            gone = await api.client.delete("/v1/faults/f1")
            assert [one["id"] for one in gone.json()["faults"]] == ["f1"]
            missing = await api.client.delete("/v1/faults/f1")
            assert (missing.status_code, missing.json()["why"]) == (404, "unknown-fault")
            await api.client.delete("/v1/faults")
            assert (await api.get("/v1/faults"))["faults"] == []

    asyncio.run(story())


def test_panic_calm_note_and_stop(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            assert (await api.client.post("/v1/panic")).status_code == 200
            assert (await api.get("/v1/run"))["panicked"]
            assert (await api.client.request("DELETE", "/v1/panic", json={"by": "me"})).status_code == 200
            assert not (await api.get("/v1/run"))["panicked"]
            assert (await api.client.post("/v1/notes", json={"text": "now", "station": "CP1"})).status_code == 201
            assert api.parts.controls.asked == [("now", "CP1", "api")]
            assert api.parts.ended == []
            assert (await api.client.post("/v1/stop")).status_code == 202
            assert api.parts.ended == [True]

    asyncio.run(story())
