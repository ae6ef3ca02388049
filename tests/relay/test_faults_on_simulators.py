"""Each fault between a simulated station and a simulated CSMS: what they notice of it, and what the capture says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocpp_proxy.capture import Recorder, open_capture
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.record import Closed, FrameRecord, Opened, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.acts import Fault, FaultOrder, Injection
from ocpp_proxy.relay.service import Service
from ocpp_proxy.relay.settings import RelaySettings
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.endpoint import CallFailed
from ocpp_proxy.sim.station import SimulatedStation

both_versions = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
SCHEMAS = Schemas(load_schema)
SCALE = 20.0  # of the simulators' clock, so that a station that was cut off is back soon
PATIENCE_S = 30


@dataclass
class Scene:
    service: Service
    csms: SimulatedCsms
    station: SimulatedStation
    capture: Path
    pipeline: Pipeline
    heard: dict[str, list[Any]] = field(default_factory=lambda: {"station": [], "csms": []})

    def puts(self, kind: Any, **more: Any) -> Fault:
        return self.service.controls.add_fault(FaultOrder(kind=kind, station="CP1", **more))

    def calls(self, hearer: str, action: str) -> int:
        return sum(frame[0] == 2 and frame[2] == action for frame in self.heard[hearer])

    async def clear_cache(self) -> Any:
        return await self.csms.call("CP1", "ClearCache", {})

    def records(self, kind: type[Record]) -> list[Any]:
        with open_capture(self.capture) as capture:
            return [record for record in capture.records() if isinstance(record, kind)]

    def frames(self, origin: str) -> list[FrameRecord]:
        return [one for one in self.records(FrameRecord) if one.origin == origin]


@asynccontextmanager
async def scene(folder: Path, version: Version, **csms_options: Any) -> AsyncIterator[Scene]:
    notices: list[str] = []
    heard: dict[str, list[Any]] = {"station": [], "csms": []}

    def at_the_station(direction: str, text: str) -> None:
        if direction == "received":
            heard["station"].append(json.loads(text))

    def at_the_csms(_station: str, direction: str, text: str) -> None:
        if direction == "received":
            heard["csms"].append(json.loads(text))

    pipeline = Pipeline(load_rules(), SCHEMAS, on_mistake=notices.append)
    capture = folder / "capture.db"
    recorder = Recorder.create(capture, "test", on_trouble=notices.append)
    async with SimulatedCsms(scale=SCALE, observe=at_the_csms, **csms_options) as csms:
        service = Service(RelaySettings(upstream=csms.url, listen=("127.0.0.1:0",), linger_s=0.2), recorder, pipeline,
                          on_notice=notices.append, schemas=SCHEMAS, allow_injection=True)
        [url] = await service.start()
        try:
            async with SimulatedStation(url, "CP1", version, scale=SCALE, observe=at_the_station,
                                        response_timeout_s=10) as station:
                await station.until_ready()
                yield Scene(service, csms, station, capture, pipeline, heard)
        finally:
            await service.stop()
    assert [notice for notice in notices if "kept offline for a test" not in notice] == []


def play(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_injection_both_ways_counts_against_nobody(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            before = on.calls("csms", "Heartbeat")
            trigger = Injection(station="CP1", action="TriggerMessage", payload={"requestedMessage": "Heartbeat"},
                                hasten=True)
            assert (await on.service.controls.inject(trigger)).response["status"] == "Accepted"
            beat = Injection(station="CP1", action="Heartbeat", payload={}, to="csms", wait_s=20)
            assert "currentTime" in (await on.service.controls.inject(beat)).response
            assert on.calls("station", "TriggerMessage") == 1
            assert (await on.clear_cache())["status"] == "Accepted"
            async with asyncio.timeout(10):
                while on.calls("csms", "Heartbeat") < before + 2:  # the one asked for, and ours
                    await asyncio.sleep(0.01)
            ours = json.loads(on.frames("injected")[0].data)[1]
            assert ours not in [frame[1] for frame in on.heard["csms"]]
        assert [one for one in on.pipeline.findings() if one.severity != "info"] == []
        assert [(one.sender, one.to) for one in on.frames("injected")] == [("proxy", "station"), ("proxy", "csms")]
        assert [one.sender for one in on.frames("withheld")] == ["station", "csms"]

    play(main())


@both_versions
def test_drop(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version, response_timeout_s=4) as on:
            on.puts("drop", sender="csms", action="ClearCache", count=1)
            with pytest.raises(CallFailed):
                await on.clear_cache()
            assert on.calls("station", "ClearCache") == 0
            assert (await on.clear_cache())["status"] == "Accepted"
        (dropped,) = on.frames("withheld")
        assert (dropped.sender, json.loads(dropped.data)[2]) == ("csms", "ClearCache")

    play(main())


@both_versions
def test_delay(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            on.puts("delay", action="ClearCache", part="answer", seconds=0.2)
            began = time.perf_counter()
            assert (await on.clear_cache())["status"] == "Accepted"
            assert time.perf_counter() - began >= 0.2
        (late,) = [one for one in on.frames("relayed") if one.held_ms is not None]
        assert late.sender == "station"
        assert late.held_ms is not None
        assert late.held_ms >= 200

    play(main())


@both_versions
def test_hold(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            fault = on.puts("hold", action="ClearCache", part="answer")
            asked = asyncio.create_task(on.clear_cache())
            async with asyncio.timeout(10):
                while not fault.hits:
                    await asyncio.sleep(0.01)
            assert not asked.done()
            on.service.controls.clear_faults()
            assert (await asked)["status"] == "Accepted"
        assert [one.sender for one in on.frames("relayed") if one.held_ms is not None] == ["station"]

    play(main())


@both_versions
def test_modify(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            on.puts("modify", action="ClearCache", part="answer",
                    patch=[{"op": "replace", "path": "/status", "value": "Rejected"}])
            assert (await on.clear_cache())["status"] == "Rejected"
        (changed,) = on.frames("modified")
        assert json.loads(changed.data)[2]["status"] == "Rejected"
        assert changed.original is not None
        assert json.loads(changed.original)[2]["status"] == "Accepted"

    play(main())


@both_versions
def test_answer(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            before = on.calls("csms", "Heartbeat")
            on.puts("answer", sender="station", action="Heartbeat", error={"code": "InternalError", "description": "x"})
            with pytest.raises(CallFailed, match="InternalError"):
                await on.station.call("Heartbeat", {})
            on.puts("answer", sender="csms", action="ClearCache", result={"status": "Rejected"})
            assert (await on.clear_cache())["status"] == "Rejected"
            assert (on.calls("csms", "Heartbeat"), on.calls("station", "ClearCache")) == (before, 0)
        assert [one.sender for one in on.frames("withheld")][:1] == ["station"]
        assert {(one.sender, one.to) for one in on.frames("injected")} == {("proxy", "station"), ("proxy", "csms")}

    play(main())


@both_versions
def test_duplicate(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            on.puts("duplicate", sender="csms", action="ClearCache", part="call", count=1)
            assert (await on.clear_cache())["status"] == "Accepted"
            assert on.calls("station", "ClearCache") == 2
        (second,) = on.frames("injected")
        assert (second.sender, second.to) == ("proxy", "station")

    play(main())


@both_versions
def test_drip(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            on.puts("drip", sender="station", part="answer", action="ClearCache", bytes_per_s=200)
            began = time.perf_counter()
            assert (await on.clear_cache())["status"] == "Accepted"
            assert time.perf_counter() - began >= 0.1
        assert on.frames("withheld") == on.frames("modified") == []

    play(main())


@both_versions
def test_half_open(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            link = on.csms.connection("CP1")
            assert link is not None
            await (await link.ping())
            on.puts("half-open", sender="station")
            unheard = await link.ping()
            assert (await on.clear_cache())["status"] == "Accepted"
            assert not unheard.done()
            unheard.cancel()
        assert [one.opcode for one in on.frames("withheld")] == ["pong"]

    play(main())


@both_versions
def test_disconnect_and_back(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            link = on.csms.connection("CP1")
            assert link is not None
            on.puts("disconnect", code=1012, reason="a test")
            await link.wait_closed()
            assert (link.close_code, link.close_reason) == (1012, "a test")
            await back(on, link)
        assert (on.records(Closed)[0].by, on.records(Closed)[0].code) == ("proxy", 1012)

    play(main())


@both_versions
def test_reset_and_back(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            link = on.csms.connection("CP1")
            assert link is not None
            on.puts("reset")
            await link.wait_closed()
            assert link.close_code == 1006
            await back(on, link)
        assert (on.records(Closed)[0].by, on.records(Closed)[0].code) == ("proxy", 1006)

    play(main())


@both_versions
def test_offline_and_back(tmp_path: Path, version: Version) -> None:
    async def main() -> None:
        async with scene(tmp_path, version) as on:
            link = on.csms.connection("CP1")
            fault = on.puts("offline", seconds=0.5)
            await back(on, link)
            assert fault.hits >= 2  # cut off, and refused at least once
        statuses = [one.status for one in on.records(Opened)]
        assert statuses[0] == statuses[-1] == 101
        assert set(statuses[1:-1]) == {503}

    play(main())


async def back(on: Scene, gone: Any) -> None:
    """The station is connected again, and answers."""
    async with asyncio.timeout(20):
        while on.csms.connection("CP1") in (None, gone):
            await asyncio.sleep(0.01)
    assert (await on.clear_cache())["status"] == "Accepted"
