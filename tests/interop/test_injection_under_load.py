"""A thousand Calls of ours among ten thousand that two strict foreign peers exchange, ids colliding all the time."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from node_peers import _line, _running

from ocpp_proxy.capture import Recorder, open_capture
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay import injector
from ocpp_proxy.relay.acts import Injection, Outcome
from ocpp_proxy.relay.service import Service
from ocpp_proxy.relay.settings import RelaySettings

BY_STATION, BY_CSMS, OURS = 5000, 5000, 500  # Calls; ours in each direction
IDS = 300  # as in load.mjs


def injection(to: str, number: int) -> Injection:
    payload = {"vendorId": "load", "data": f"proxy {number}"}
    return Injection(station="CP1", action="DataTransfer", payload=payload, to=to, hasten=True, wait_s=60)  # type: ignore[arg-type]


async def inject(service: Service, to: str) -> list[Outcome]:
    return [await service.controls.inject(injection(to, number)) for number in range(OURS)]


async def play(node: str, capture: Path, notices: list[str]) -> tuple[dict[str, Any], dict[str, Any], list[Outcome]]:
    schemas = Schemas(load_schema)
    recorder = Recorder.create(capture, "test", on_trouble=notices.append)
    pipeline = Pipeline(load_rules(), schemas, on_mistake=notices.append)
    async with _running(node, "load.mjs", "csms", str(BY_CSMS)) as csms:
        upstream = f"ws://127.0.0.1:{(await _line(csms))['port']}"
        service = Service(RelaySettings(upstream=upstream, listen=("127.0.0.1:0",)), recorder, pipeline,
                          on_notice=notices.append, schemas=schemas, allow_injection=True)
        [url] = await service.start()
        async with _running(node, "load.mjs", "station", url, "CP1", str(BY_STATION)) as station:
            try:
                async with asyncio.timeout(10):
                    while not service.proxy.connections:
                        await asyncio.sleep(0.01)
                ours = await asyncio.gather(*(inject(service, to) for to in ("station", "csms")))
                assert [await _line(peer) for peer in (station, csms)] == [{"done": True}] * 2
            finally:
                await service.stop()
            return await _line(station), await _line(csms), [*ours[0], *ours[1]]


@pytest.mark.slow
def test_every_answer_reaches_who_asked(node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    monkeypatch.setattr(injector, "uuid4", lambda: next(numbers) % IDS + 1)
    notices: list[str] = []
    station, csms, ours = asyncio.run(play(node, tmp_path / "capture.db", notices))

    assert notices == []
    assert station["failures"] == csms["failures"] == []
    assert (station["answered"], csms["answered"]) == (BY_STATION, BY_CSMS)
    said = {"station": [f"station {number}" for number in range(BY_STATION)],
            "csms": [f"csms {number}" for number in range(BY_CSMS)],
            "proxy": [f"proxy {number}" for number in range(OURS)]}
    for heard, other in ((station["heard"], "csms"), (csms["heard"], "station")):
        assert [one for one in heard if not one.startswith("proxy")] == said[other]
        assert [one for one in heard if one.startswith("proxy")] == said["proxy"]
    assert {one.outcome for one in ours} == {"result"}
    assert [one.response["data"] for one in ours] == said["proxy"] * 2

    with open_capture(tmp_path / "capture.db") as capture:
        frames = [record for record in capture.records() if isinstance(record, FrameRecord) and record.opcode == "text"]
    origins = [one.origin for one in frames]
    assert len(frames) == 2 * (BY_STATION + BY_CSMS + 2 * OURS)
    assert (origins.count("injected"), origins.count("withheld")) == (2 * OURS, 2 * OURS)
    assert sum(one.message_id is not None and int(one.message_id) <= IDS for one in ours) == 2 * OURS
    held = [one for one in frames if one.held_ms is not None]
    assert held, "no Call ever had to wait for one of ours: nothing was shown"
    assert all(one.origin == "relayed" for one in held)
