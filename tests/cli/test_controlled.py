"""A running proxy with its control API, as people use both: `run` and the commands are processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_run import BOOT, Running, accepted, running
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.station import SimulatedStation

unix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


async def ocpp_proxy(*words: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    process = await started(*words, cwd=cwd, **environment)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def started(*words: str, cwd: Path, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ocpp_proxy", *words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "XDG_RUNTIME_DIR": str(cwd), **environment})


@asynccontextmanager
async def chain(
    folder: Path, *options: str, version: Version = "1.6", station: str = "CP1"
) -> AsyncIterator[tuple[Running, SimulatedCsms, SimulatedStation]]:
    """CSMS, proxy with what it leaves in `folder`, and a station that has booted."""
    async with (
        SimulatedCsms(scale=200) as csms,
        running(csms.url, folder, "--capture", "x.db", "--view", "quiet", *options,
                XDG_RUNTIME_DIR=str(folder)) as proxy,
        SimulatedStation(proxy.ready["listen"], station, version, scale=200) as booted,
    ):
        await booted.until_ready()
        yield proxy, csms, booted


def client(proxy: Running) -> httpx.AsyncClient:
    token = Path(proxy.ready["token_file"]).read_text().strip()
    return httpx.AsyncClient(base_url=proxy.ready["control"], headers={"Authorization": f"Bearer {token}"},
                             trust_env=False, timeout=20)


async def shown(folder: Path) -> list[dict[str, Any]]:
    _, out, _ = await ocpp_proxy("capture", "show", "x.db", "--format", "json", cwd=folder)
    return [json.loads(line) for line in out.splitlines()]


def test_a_call_is_injected_and_nobody_else_notices(tmp_path: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path, "--allow-injection") as (proxy, csms, _):
            heard = len(csms.stations["CP1"].received)
            code, out, err = await ocpp_proxy(
                "inject", "CP1", "TriggerMessage", "requestedMessage=StatusNotification", "connectorId=1", "--now",
                "--follow", "5", "--format", "json", cwd=tmp_path)
            assert (code, err) == (0, "")
            outcome = json.loads(out)
            assert (outcome["outcome"], outcome["response"]) == ("result", {"status": "Accepted"})
            followed = [one for one in outcome["followed"] if one["action"] == "StatusNotification"]
            assert [one["sender"] for one in followed] == ["station", "csms"]
            assert ("StatusNotification", 1) in [
                (action, request.get("connectorId")) for action, request in csms.stations["CP1"].received[heard:]]
            assert (await ocpp_proxy("note", "seen", "--station", "CP1", cwd=tmp_path))[0] == 0
            assert (await ocpp_proxy("stop", "--wait", cwd=tmp_path))[0] == 0
            assert await proxy.process.wait() == 0
        lines = await shown(tmp_path)
        injected = [line for line in lines if line.get("origin") == "injected"]
        assert [(line["seq"], line["sender"], line["to"]) for line in injected] == [
            (outcome["seq"], "proxy", "station")]
        assert [line["act"] for line in lines if line["type"] == "act"] == ["inject", "stop"]
        assert [line["text"] for line in lines if line["type"] == "note"] == ["seen"]
        assert [file.name for file in (tmp_path / "ocpp-proxy").iterdir()] == []

    asyncio.run(story())


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_station_of_2x_is_asked_in_its_own_words(tmp_path: Path, version: Version) -> None:
    async def story() -> None:
        async with chain(tmp_path, "--allow-injection", version=version):
            code, out, err = await ocpp_proxy(
                "inject", "CP1", "GetVariables", "getVariableData.0.component.name=OCPPCommCtrlr",
                "getVariableData.0.variable.name=HeartbeatInterval", "--now", "--format", "json", cwd=tmp_path)
            assert (code, err) == (0, "")
            [variable] = json.loads(out)["response"]["getVariableResult"]
            assert variable["attributeStatus"] == "Accepted"
            code, _, err = await ocpp_proxy("inject", "CP1", "GetVariables", "{}", cwd=tmp_path)
            assert code == 2
            assert "/getVariableData: getVariableData is missing" in err

    asyncio.run(story())


def test_without_leave_nothing_is_altered(tmp_path: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path) as (proxy, *_):
            for words in (("inject", "CP1", "ClearCache", "--yes"), ("fault", "add", "CP1", "drop", "--yes")):
                code, out, err = await ocpp_proxy(*words, cwd=tmp_path)
                assert (code, out) == (7, "")
                assert "--allow-injection" in err
            async with client(proxy) as api:
                run = (await api.get("/v1/run")).json()
                assert (run["injection_allowed"], run["pid"]) == (False, proxy.process.pid)
            assert (await ocpp_proxy("note", "still allowed", cwd=tmp_path))[0] == 0

    asyncio.run(story())


def test_a_fault_meets_the_traffic_and_a_panic_ends_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with chain(tmp_path, "--allow-injection") as (_, csms, _station):
            code, out, _ = await ocpp_proxy("fault", "add", "CP1", "answer", "--action", "GetLocalListVersion",
                                            "--result", '{"listVersion":42}', "--format", "json", cwd=tmp_path)
            assert code == 0
            assert (await csms.call("CP1", "GetLocalListVersion", {}))["listVersion"] == 42
            _, out, _ = await ocpp_proxy("fault", "list", "--format", "json", cwd=tmp_path)
            assert [(one["id"], one["hits"]) for one in json.loads(out)] == [("f1", 1)]
            assert (await ocpp_proxy("panic", cwd=tmp_path))[0] == 0
            assert (await csms.call("CP1", "GetLocalListVersion", {}))["listVersion"] != 42
            assert (await ocpp_proxy("fault", "list", "--format", "json", cwd=tmp_path))[1] == "[]\n"
            code, _, err = await ocpp_proxy("fault", "add", "CP1", "drop", cwd=tmp_path)
            assert (code, "panic" in err) == (7, True)
            assert (await ocpp_proxy("panic", "--over", cwd=tmp_path))[0] == 0
            assert (await ocpp_proxy("fault", "add", "CP1", "drop", "--action", "X", cwd=tmp_path))[0] == 0

    asyncio.run(story())


def test_two_proxies_are_told_apart_and_a_killed_one_is_forgotten(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    home = {"XDG_RUNTIME_DIR": str(tmp_path)}

    async def story() -> None:
        async with (
            SimulatedCsms() as csms,
            running(csms.url, one, "--view", "quiet", **home) as first,
            running(csms.url, two, "--view", "quiet", **home) as second,
        ):
            code, out, err = await ocpp_proxy("fault", "list", cwd=tmp_path)
            assert (code, out) == (2, "")
            assert "2 are running" in err
            for proxy in (first, second):
                assert f"--proxy {proxy.ready['control']}  {proxy.ready['listen']}  {tmp_path}/" in err
            for named in (first.ready["control"], str(one / "ready.json")):
                assert (await ocpp_proxy("fault", "list", "--proxy", named, cwd=tmp_path))[0] == 0
            assert (await ocpp_proxy("fault", "list", cwd=tmp_path, OCPP_PROXY_PROXY=str(two / "ready.json")))[0] == 0
            files = sorted((tmp_path / "ocpp-proxy").iterdir())
            assert len(files) == 4
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            first.process.kill()
            await first.process.wait()
            assert (await ocpp_proxy("fault", "list", cwd=tmp_path))[0] == 0
            assert len(list((tmp_path / "ocpp-proxy").iterdir())) == 2
            code, _, err = await ocpp_proxy("stop", "--proxy", str(one / "ready.json"), cwd=tmp_path)
            assert (code, "is not running any more" in err) == (2, True)
            assert (await ocpp_proxy("stop", "--wait", cwd=tmp_path))[0] == 0
            assert await second.process.wait() == 0
            code, _, err = await ocpp_proxy("stop", cwd=tmp_path)
            assert (code, "no ocpp-proxy of yours is running" in err) == (2, True)

    asyncio.run(story())


def test_a_place_that_cannot_be_had_is_exit_2_before_anything_is_relayed(tmp_path: Path) -> None:
    async def story() -> None:
        async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for place, says in ((f"127.0.0.1:{port}", "in use"), ("127.0.0.1", "expected HOST:PORT"),
                                ("192.0.2.1:0", "--control 192.0.2.1:0: ")):
                code, out, err = await ocpp_proxy("run", "--upstream", "ws://127.0.0.1:1", "--listen", "127.0.0.1:0",
                                                  "--control", place, "--ready-file", "ready.json", cwd=tmp_path)
                assert (code, out) == (2, "")
                assert says in err.lower() or says in err
                assert err.count("\n") == 1
                assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == []
        code, _, err = await ocpp_proxy("run", "--upstream", "ws://127.0.0.1:1", "--no-control", "--control", "x:1",
                                        cwd=tmp_path)
        assert (code, "use one of them" in err) == (2, True)

    asyncio.run(story())


def test_no_control_means_none_and_loads_nothing_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with SimulatedCsms() as csms, running(csms.url, tmp_path, "--no-control", "--view", "quiet",
                                                    PYTHONPROFILEIMPORTTIME="1") as proxy:
            assert (proxy.ready["control"], proxy.ready["token_file"]) == (None, None)
            code, _, err = await ocpp_proxy("note", "x", "--proxy", "ready.json", cwd=tmp_path)
            assert (code, "--no-control" in err) == (2, True)
            assert await proxy.end(signal.SIGTERM) == 0
            imported = {line.rpartition("|")[2].strip() for line in proxy.err.splitlines()}
            assert "ocpp_proxy.relay.proxy" in imported
            assert imported & {"fastapi", "uvicorn", "httpx", "prometheus_client", "pydantic"} == set()

    asyncio.run(story())


@asynccontextmanager
async def open_call(folder: Path) -> AsyncIterator[tuple[Running, asyncio.subprocess.Process]]:
    """A run, and an `inject` that waits for an answer: the station gives none."""
    async with (
        SimulatedCsms() as csms,
        running(csms.url, folder, "--capture", "x.db", "--view", "quiet", "--allow-injection",
                XDG_RUNTIME_DIR=str(folder)) as proxy,
        connect(f"{proxy.ready['listen']}/CP1", subprotocols=["ocpp1.6"], proxy=None) as station,  # type: ignore[list-item]
    ):
        await station.send(BOOT)
        await station.recv()
        process = await started("inject", "CP1", "GetLocalListVersion", "--now", cwd=folder)
        assert "GetLocalListVersion" in str(await asyncio.wait_for(station.recv(), 20))
        yield proxy, process


@unix
def test_ctrl_c_leaves_a_command_without_a_word(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_call(tmp_path) as (_, process):
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.wait_for(process.communicate(), 20)
            assert (process.returncode, out, err.strip()) == (130, b"", b"")

    asyncio.run(story())


@unix
def test_a_proxy_that_dies_with_a_call_open_is_exit_6(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_call(tmp_path) as (proxy, process):
            proxy.process.kill()
            _, err = await asyncio.wait_for(process.communicate(), 20)
            assert process.returncode == 6
            assert "went away before it answered" in err.decode()

    asyncio.run(story())


@unix
def test_a_run_that_ends_with_a_call_open_says_what_became_of_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_call(tmp_path) as (proxy, process):
            assert await proxy.end(signal.SIGTERM) == 0
            out, err = await asyncio.wait_for(process.communicate(), 20)
            assert (process.returncode, err) == (6, b"")
            assert b"the connection was lost" in out

    asyncio.run(story())


def test_the_event_stream_of_a_run_shows_frames_and_acts(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            chain(tmp_path, "--allow-injection") as (proxy, csms, _), client(proxy) as api,
            api.stream("GET", "/v1/events?kinds=frame,act,note") as answer,
        ):
            lines = answer.aiter_lines()
            await anext(lines)
            assert (await api.post("/v1/notes", json={"text": "look"})).status_code == 201
            note = await until(lines, "note")
            assert (note["station"], note["text"], note["by"]) == (None, "look", "api")
            await csms.call("CP1", "GetLocalListVersion", {})
            assert (await until(lines, "frame"))["action"] == "GetLocalListVersion"
            done = await api.post("/v1/stations/CP1/inject", json={"action": "GetLocalListVersion", "hasten": True})
            assert done.json()["outcome"] == "result"
            act = await until(lines, "act")
            assert (act["station"], act["act"], act["by"]) == ("CP1", "inject", "api")
            assert await proxy.end(signal.SIGTERM) == 0
            assert [line async for line in lines][-1] == ""  # it ended with the run, not in the middle

    asyncio.run(story())


async def until(lines: AsyncIterator[str], kind: str) -> dict[str, Any]:
    """The fields of the next event of that kind."""
    async for line in lines:
        if line == f"event: {kind}":
            fields: dict[str, Any] = json.loads((await anext(lines)).removeprefix("data: "))
            return fields
    raise AssertionError(f"no {kind} came")


CANARIES = {name: f"canary-{name}-4711" for name in ("header", "csms", "injected", "answer", "query")}


def test_a_secret_is_found_nowhere(tmp_path: Path) -> None:
    """In the Authorization header, the target, a Call of the CSMS, an injected one, and an answer."""
    changed = {"key": "AuthorizationKey", "value": CANARIES["csms"]}
    to_inject = {"key": "AuthorizationKey", "value": CANARIES["injected"]}
    told = {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": CANARIES["answer"]}]}
    heard: list[str] = []

    async def csms(connection: ServerConnection) -> None:
        async for text in connection:
            heard.append(str(text))
            if "BootNotification" in str(text):
                await connection.send(accepted())
                await connection.send(json.dumps([2, "c1", "ChangeConfiguration", changed]))

    async def station(url: str, ready: asyncio.Event) -> None:
        header = "Basic " + b64encode(f"CP1:{CANARIES['header']}".encode()).decode()
        async with connect(f"{url}/CP1?password={CANARIES['query']}", subprotocols=["ocpp1.6"], proxy=None,  # type: ignore[list-item]
                           additional_headers={"Authorization": header}) as link:
            await link.send(BOOT)
            async for text in link:
                frame = json.loads(text)
                heard.append(str(text))
                if frame[0] == 2:
                    payload = told if frame[2] == "GetConfiguration" else {"status": "Accepted"}
                    await link.send(json.dumps([3, frame[1], payload]))
                    ready.set()

    async def story() -> str:
        said: list[str] = []
        async with serve(csms, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
            upstream = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with running(upstream, tmp_path, "--capture", "x.db", "--allow-injection",
                               XDG_RUNTIME_DIR=str(tmp_path)) as proxy, client(proxy) as api:
                ready = asyncio.Event()
                task = asyncio.get_running_loop().create_task(station(proxy.ready["listen"], ready), name="station")
                events = await started_stream(api, said)
                await asyncio.wait_for(ready.wait(), 20)
                for words in (
                    ("inject", "CP1", "ChangeConfiguration", f"key={to_inject['key']}", f"value={to_inject['value']}"),
                    ("inject", "CP1", "ChangeConfiguration", json.dumps(to_inject), "--yes", "--now", "--follow", "1"),
                    ("inject", "CP1", "GetConfiguration", "--now", "--format", "json"),
                ):
                    code, out, err = await ocpp_proxy(*words, cwd=tmp_path)
                    assert code in (0, 7), err
                    said += [out, err]
                inject = "/v1/stations/CP1/inject"
                for path, body in (
                    (inject, {"action": "ChangeConfiguration", "payload": {**to_inject, "valve": 1}}),
                    (inject, {"action": "ChangeConfiguration", "payload": to_inject}),
                    (inject, {"action": "ChangeConfiguration", "payload": to_inject, "connection": "c9"}),
                    (inject, {"action": "ChangeConfiguration", "payload": to_inject, "colour": CANARIES["injected"]}),
                    ("/v1/stations/CP2/inject", {"action": "ChangeConfiguration", "payload": to_inject}),
                    ("/v1/faults", {"kind": "answer", "result": told, "action": "GetConfiguration", "count": 1}),
                ):
                    said.append((await api.post(path, json=body)).text)
                for path in ("/v1/stations", "/v1/stations/CP1", "/v1/stations/CP1/messages", "/v1/findings",
                             "/v1/run", "/v1/captures", "/metrics", "/health"):
                    said.append((await api.get(path)).text)
                assert await proxy.end(signal.SIGINT) == 130
                await events
                task.cancel()
                return "".join([*said, proxy.out, proxy.err])

    everything = asyncio.run(story())
    assert "GetConfiguration" in everything
    assert "AuthorizationKey" in everything
    for canary in CANARIES.values():
        assert canary not in everything
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or canary.encode() not in file.read_bytes(), file
    passed = "".join(heard)  # while the peers got what was theirs
    assert CANARIES["csms"] in passed
    assert CANARIES["injected"] in passed


async def started_stream(api: httpx.AsyncClient, said: list[str]) -> asyncio.Task[None]:
    """Everything that is told from now on goes into `said`."""
    began = asyncio.Event()

    async def listen() -> None:
        async with api.stream("GET", "/v1/events", timeout=60) as answer:
            async for text in answer.aiter_text():
                said.append(text)
                began.set()

    task = asyncio.get_running_loop().create_task(listen(), name="events")
    await asyncio.wait_for(began.wait(), 20)
    return task
