"""The commands that talk to a running proxy: what they send, print and exit with. The API is real, its controls are
not; see test_controlled for all of it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from control_parts import Parts, Served, served

from ocpp_proxy.__main__ import main
from ocpp_proxy.cli import inject
from ocpp_proxy.control.client import Client
from ocpp_proxy.control.discovery import Target
from ocpp_proxy.relay.acts import FaultOrder, Injection, Outcome, RefusedActError

Say = Callable[..., Awaitable[tuple[int, str, str]]]
TRIGGER = ("inject", "CP1", "TriggerMessage", "requestedMessage=Heartbeat")


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Plays a story with an API before it and a way to give commands: (exit code, stdout, stderr)."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr(inject, "FOLLOW_S", 0.0)

    def play(story: Callable[[Served, Say], Awaitable[None]]) -> None:
        async def played() -> None:
            parts = Parts()
            parts.open()
            parts.open("CP2", "c2", subprotocol="ocpp2.0.1")
            for connection in ("c1", "c2"):
                parts.say('[2,"1","Heartbeat",{}]', connection=connection)
            async with served(tmp_path, parts) as api:
                monkeypatch.setenv("OCPP_PROXY_PROXY", api.api.url)
                monkeypatch.setenv("OCPP_PROXY_TOKEN", api.api.token_file.read_text().strip())

                async def say(*words: str) -> tuple[int, str, str]:
                    capsys.readouterr()
                    code = await asyncio.to_thread(commanded, words)
                    return code, *capsys.readouterr()

                await story(api, say)

        asyncio.run(played())

    return play


def commanded(words: tuple[str, ...]) -> int:
    try:
        return main(words)
    except SystemExit as left:
        return int(str(left.code))


def test_an_injection_is_sent_as_the_schema_has_it_and_its_answer_printed(
    said: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(api: Served, say: Say) -> None:
        code, out, err = await say(*TRIGGER, "connectorId=1", "--timeout", "5", "--wait", "1", "--now")
        assert (code, err) == (0, "")
        assert out.splitlines() == ["TriggerMessage → station (CP1 c1 #3): Accepted after 1.5 ms",
                                    '  {"status":"Accepted"}']
        monkeypatch.setattr(inject, "FOLLOW_S", 0.01)
        _, out, _ = await say(*TRIGGER)
        assert out.splitlines()[2:] == ["  nothing followed within 0.01 s"]
        api.parts.controls.asked.pop()
        [order] = api.parts.controls.asked
        assert order == Injection(station="CP1", action="TriggerMessage", timeout_s=5.0, wait_s=1.0, hasten=True,
                                  payload={"requestedMessage": "Heartbeat", "connectorId": 1}, by="command line")
        code, out, _ = await say(*TRIGGER, "--format", "json")
        assert json.loads(out) == {"outcome": "result", "connection": "c1", "message_id": "m", "seq": 3,
                                   "latency_ms": 1.5, "held_ms": 0.0, "response": {"status": "Accepted"},
                                   "error": None, "followed": []}

    said(story)


def test_a_payload_may_be_one_json_object_and_the_version_is_the_stations(
    said: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(api: Served, say: Say) -> None:
        payload = '{"requestedMessage":"Heartbeat","evse":{"id":1}}'
        assert (await say("inject", "CP2", "TriggerMessage", payload))[0] == 0
        assert (await say("inject", "CP2", "Heartbeat", "--to", "csms"))[0] == 0
        assert [order.payload for order in api.parts.controls.asked] == [
            {"requestedMessage": "Heartbeat", "evse": {"id": 1}}, {}]
        monkeypatch.setattr("sys.stdin", io.StringIO('{"requestedMessage":"Heartbeat"}\n'))
        assert (await say("inject", "CP1", "TriggerMessage", "-"))[0] == 0
        assert api.parts.controls.asked[-1].payload == {"requestedMessage": "Heartbeat"}
        code, _, err = await say("inject", "CP2", "RemoteStartTransaction", "idTag=1")
        assert code == 2
        assert "OCPP 2.0.1 has no action RemoteStartTransaction" in err

    said(story)


OUTCOMES: list[tuple[Outcome, tuple[str, ...], int, str]] = [
    (Outcome(outcome="result", response={"status": "Rejected"}), (), 0, "Rejected"),
    (Outcome(outcome="result", response={"status": "Rejected"}), ("--require-accepted",), 8, "Rejected"),
    (Outcome(outcome="result", response={"status": "Accepted"}), ("--require-accepted",), 0, "Accepted"),
    (Outcome(outcome="result", response={}), ("--require-accepted",), 8, "answered"),
    (Outcome(outcome="error", error={"code": "NotSupported", "description": "no\x1b[31m", "details": {"a": 1}}), (), 4,
     'CALLERROR NotSupported: no\\x1b[31m {"a":1}'),
    (Outcome(outcome="timeout", error={"reason": "no answer within 30 s"}), (), 5, "no answer in time: no answer with"),
    (Outcome(outcome="disconnected"), (), 6, "the connection was lost"),
    (Outcome(outcome="refused", error={"reason": "a Call was open all the time"}), (), 7, "not sent: a Call was open"),
    (Outcome(outcome="result", response=[], held_ms=12.0), (), 0, "Calls of the csms waited for 12.0 ms"),
]


def test_each_outcome_has_its_exit_code_and_its_words(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        for outcome, options, expected, words in OUTCOMES:
            api.parts.controls.answer = outcome
            code, out, err = await say(*TRIGGER, *options)
            assert (code, err) == (expected, "")
            assert words in out
            assert "\x1b" not in out

    said(story)


REFUSALS: list[tuple[RefusedActError, int, str]] = [
    (RefusedActError("not-allowed", "it runs without --allow-injection"), 7, "it runs without --allow-injection"),
    (RefusedActError("panicked", "a panic is on"), 7, "a panic is on"),
    (RefusedActError("confirm", "Reset Hard may end charging"), 7, "may end charging; --yes says that it is meant"),
    (RefusedActError("unknown-connection", "no connection c9"), 2, "no connection c9"),
    (RefusedActError("bad-order", "no"), 2, "no"),
    (RefusedActError("schema", "the payload breaks its schema",
                     [{"pointer": "/type", "message": "type is missing", "rule": "schema-required"}]), 2,
     "  /type: type is missing\n"),
]


def test_each_refusal_has_its_exit_code(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        for refusal, expected, words in REFUSALS:
            api.parts.controls.refusal = refusal
            code, out, err = await say(*TRIGGER)
            assert (code, out) == (expected, "")
            assert words in err

    said(story)


def test_what_breaks_the_schema_is_told_before_anything_is_sent(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        code, _, err = await say("inject", "CP1", "TriggerMessage", '{"requestedMessage":"Hartbeat","connector":1}')
        assert code == 2
        lines = err.splitlines()
        assert lines[0].startswith("  /connector: ")
        assert lines[1].startswith('  /requestedMessage: requestedMessage is "Hartbeat" (did you mean Heartbeat?)')
        assert "allowed: BootNotification, " in lines[1]
        assert "--force sends it" in lines[2]
        for words, says in (
            (("inject", "CP1", "TrigerMessage"), "did you mean TriggerMessage?"),
            (("inject", "CP1", "BootNotification"), "goes to the csms in OCPP 1.6: use --to csms"),
            (("inject", "CP1", "TriggerMessage", "requestedMesage=x"), "did you mean requestedMessage?"),
            (("inject", "CP1", "TriggerMessage", "{"), "the payload is no JSON"),
            (("inject", "CPX", "TriggerMessage"), "no station CPX has connected (did you mean CP1?); known: CP1, CP2"),
        ):
            code, _, err = await say(*words)
            assert code == 2
            assert says in err
        assert api.parts.controls.asked == []
        assert (await say("inject", "CP1", "Frobnicate", "a=1", "--force"))[0] == 0
        assert api.parts.controls.asked[0].payload == {"a": 1}

    said(story)


def test_something_dangerous_is_confirmed_with_yes_or_on_a_terminal(
    said: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    answers = iter([False, True])
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return next(answers)

    async def story(api: Served, say: Say) -> None:
        heard = api.parts.controls._hear

        def careful(order: Any) -> None:
            heard(order)
            if not order.confirmed:
                raise RefusedActError("confirm", "Reset Hard may end charging")

        api.parts.controls._hear = careful  # type: ignore[method-assign]
        reset = ("inject", "CP1", "Reset", "type=Hard")
        assert (await say(*reset))[0] == 7
        assert (await say(*reset, "--yes"))[0] == 0
        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr("click.confirm", confirm)
        assert (await say(*reset))[0] == 7
        assert (await say(*reset))[0] == 0
        assert [order.confirmed for order in api.parts.controls.asked] == [False, True, False, False, True]
        assert asked == ["Reset Hard may end charging\nGo on?"] * 2

    said(story)


def test_what_followed_is_shown(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        async def injected(_: Injection) -> Outcome:
            api.parts.say('[2,"m","TriggerMessage",{}]', "proxy", to="station", origin="injected")
            api.parts.say('[3,"m",{"status":"Accepted"}]', origin="withheld")
            asyncio.get_running_loop().call_soon(api.parts.say, '[2,"9","Heartbeat",{}]')
            return Outcome(outcome="result", connection="c1", message_id="m", seq=2, response={"status": "Accepted"})

        api.parts.controls.inject = injected  # type: ignore[method-assign]
        _, out, _ = await say(*TRIGGER, "--follow", "0.2")
        assert out.splitlines()[2:] == ["  followed within 0.2 s:",
                                        '  #4 station → csms Heartbeat  [2,"9","Heartbeat",{}]']

    said(story)


def test_a_proxy_that_goes_away_leaves_an_open_call(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        async def injected(_: Injection) -> Outcome:
            asyncio.get_running_loop().call_soon(lambda: closing.append(asyncio.ensure_future(api.api.close())))
            await asyncio.sleep(60)
            raise AssertionError

        closing: list[Any] = []
        api.parts.controls.inject = injected  # type: ignore[method-assign]
        code, _, err = await say(*TRIGGER)
        assert code == 6
        assert "went away before it answered" in err
        await closing[0]
        code, _, err = await say("note", "x")
        assert code == 2
        assert "cannot be reached" in err

    said(story)


FAULTS: list[tuple[tuple[str, ...], FaultOrder]] = [
    (("CP1", "delay", "--seconds", "40", "--sender", "csms", "--count", "1"),
     FaultOrder(kind="delay", station="CP1", seconds=40.0, sender="csms", count=1)),
    (("CP*", "drop", "--action", "Heartbeat", "--part", "answer", "--for", "60"),
     FaultOrder(kind="drop", station="CP*", action="Heartbeat", part="answer", for_s=60.0)),
    (("*", "modify", "--set", "/interval=10", "--set", "/status=Pending", "--remove", "/a", "--patch",
      '[{"op":"test","path":"/b","value":1}]'),
     FaultOrder(kind="modify", patch=[
         {"op": "test", "path": "/b", "value": 1}, {"op": "remove", "path": "/a"},
         {"op": "add", "path": "/interval", "value": 10}, {"op": "add", "path": "/status", "value": "Pending"}])),
    (("CP1", "answer", "--action", "Authorize", "--error", "InternalError: busy"),
     FaultOrder(kind="answer", station="CP1", action="Authorize",
                error={"code": "InternalError", "description": "busy", "details": {}})),
    (("CP1", "answer", "--result", '{"a":1}'), FaultOrder(kind="answer", station="CP1", result={"a": 1})),
    (("CP1", "answer", "--no-answer"), FaultOrder(kind="answer", station="CP1")),
    (("CP1", "drip", "--bytes-per-s", "10"), FaultOrder(kind="drip", station="CP1", bytes_per_s=10)),
    (("CP1", "disconnect", "--code", "1012", "--reason", "restart"),
     FaultOrder(kind="disconnect", station="CP1", code=1012, reason="restart")),
]


def test_every_field_of_a_fault_has_its_option(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        for words, order in FAULTS:
            code, _, err = await say("fault", "add", *words)
            assert (code, err) == (0, "")
            given = api.parts.controls.asked[-1]
            assert {name: getattr(given, name) for name in FaultOrder.__slots__ if name != "by"} == {
                name: getattr(order, name) for name in FaultOrder.__slots__ if name != "by"}

    said(story)


def test_faults_are_listed_and_cleared(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        assert (await say("fault", "list"))[1:] == ("", "no fault is in force\n")
        _, out, _ = await say("fault", "add", "CP1", "delay", "--seconds", "4", "--sender", "csms", "--yes")
        assert out == "f1  delay  CP1  sender=csms seconds=4.0  since 2026-11-21T09:00:00.000000Z, 0 so far\n"
        await say("fault", "add", "CP2", "hold")
        _, out, _ = await say("fault", "list", "--format", "json")
        assert [one["id"] for one in json.loads(out)] == ["f1", "f2"]
        code, _, err = await say("fault", "clear", "f9")
        assert (code, err) == (2, "ocpp-proxy: there is no fault f9\n")
        assert (await say("fault", "clear", "f1"))[1].startswith("f1  delay")
        assert (await say("fault", "clear"))[1].startswith("f2  hold")

    said(story)


def test_a_fault_that_cannot_be_meant_names_the_option(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        for words, says in (
            (("answer",), "say with what: --result, --error or --no-answer"),
            (("answer", "--no-answer", "--error", "X"), "use one of them"),
            (("delay", "--set", "/a=1"), "only for modify"), (("delay", "--no-answer"), "only for answer"),
            (("reset", "--code", "1001"), "only for disconnect"),
            (("modify", "--set", "a=1"), "expected a JSON Pointer"), (("modify", "--set", "/a"), "expected /pointer=v"),
            (("modify", "--patch", "nowhere.json"), "nowhere.json: --patch: cannot be read"),
            (("modify", "--patch", "[1]"), "expected a list of JSON Patch operations"),
            (("answer", "--result", "[]"), "expected a JSON object"), (("answer", "--error", ":x"), "expected CODE"),
            (("explode",), "'delay', 'drop'"), (("delay", "--count", "0"), "--count"),
        ):
            code, _, err = await say("fault", "add", "CP1", *words)
            assert code == 2
            assert says in err
        assert api.parts.controls.asked == []

    said(story)


def test_panic_note_and_stop(said: Callable[..., None]) -> None:
    async def story(api: Served, say: Say) -> None:
        assert (await say("panic"))[0] == 0
        assert api.parts.controls.panicked
        assert (await say("panic", "--over"))[0] == 0
        assert not api.parts.controls.panicked
        assert (await say("note", "plugged in", "--station", "CP1"))[0] == 0
        code, _, err = await say("note", " ")
        assert (code, "a note needs a text" in err) == (2, True)
        assert api.parts.controls.asked == [("plugged in", "CP1", "command line")]
        assert (await say("stop"))[0] == 0
        assert api.parts.ended == [True]
        code, _, err = await say("stop", "--wait", "--patience", "0.1")
        assert code == 1
        assert "has not ended within 0.1 s" in err

    said(story)


def test_the_token_goes_to_nobody_else(said: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment is asked, and whoever is no ocpp-proxy is said to be none."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def story(_: Served, say: Say) -> None:
        assert (await say("fault", "list"))[0] == 0
        monkeypatch.setenv("OCPP_PROXY_TOKEN", "wrong")
        code, _, err = await say("fault", "list")
        assert code == 2
        assert "this run's token" in err

    said(story)
    with Client(Target("http://127.0.0.1:9", "t")) as client:
        assert not client._http.trust_env
