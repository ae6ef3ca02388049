"""The event stream, and what becomes of those who do not read it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from control_parts import Parts, Served, served

from ocpp_proxy.control.hub import QUEUE_KEPT, SUBSCRIBERS_MOST

BEAT = '[2,"1","Heartbeat",{}]'


@asynccontextmanager
async def listening(api: Served, query: str = "") -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """(kind, fields) of each event, once the stream is open."""
    async with api.client.stream("GET", f"/v1/events{query}", timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith(":")
        yield events(lines)


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    kind = ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


def test_everything_is_told_as_it_happens(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api, listening(api) as told:
            api.parts.open()
            assert await anext(told) == ("opened", {
                "station": "CP1", "connection": "c1", "at": "2026-11-18T11:06:40.010000Z", "station_address": None,
                "subprotocol": "ocpp1.6", "status": 101, "refused_by": None})
            api.parts.say('[2,"1","BootNotification",{"chargePointVendor":"V"}]')
            kind, frame = await anext(told)
            assert (kind, frame["action"], frame["seq"]) == ("frame", "BootNotification", 1)
            kind, finding = await anext(told)
            assert (kind, finding["station"], finding["first"]) == ("finding", "CP1", True)
            api.parts.close()
            while (event := await anext(told))[0] == "finding":
                pass
            assert (event[0], event[1]["code"]) == ("closed", 1000)

    asyncio.run(story())


def test_one_may_listen_to_one_station_and_some_kinds(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api, listening(api, "?station=CP2&kinds=frame,closed") as told:
            api.parts.open("CP1", "c1")
            api.parts.open("CP2", "c2")
            api.parts.say(BEAT, connection="c1")
            api.parts.say(BEAT, connection="c2")
            assert (await anext(told))[1]["connection"] == "c2"

    asyncio.run(story())


def test_unknown_kinds_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            answer = await api.client.get("/v1/events?kinds=frames")
            assert answer.status_code == 422
            assert "frame, finding" in answer.json()["reason"]

    asyncio.run(story())


def test_a_slow_reader_loses_events_is_told_so_and_delays_nobody(tmp_path: Path) -> None:
    sent = QUEUE_KEPT * 10
    filler = "x" * 1000

    async def story() -> None:
        async with served(tmp_path) as api, listening(api, "?kinds=frame") as told:
            api.parts.open()
            for _ in range(sent):  # in one go: nobody can read meanwhile
                api.parts.say(f'[2,"1","DataTransfer",{{"vendorId":"{filler}"}}]')
            kept = [event async for event in until_all(told, sent)]
            lost = sum(fields["lost"] for kind, fields in kept if kind == "lost")
            seen = [fields["seq"] for kind, fields in kept if kind == "frame"]
            assert lost > sent / 2
            assert len(seen) + lost == sent
            assert seen == sorted(seen)

    async def until_all(told: AsyncIterator[tuple[str, Any]], wanted: int) -> AsyncIterator[tuple[str, Any]]:
        total = 0
        while total < wanted:
            kind, fields = await anext(told)
            total += fields["lost"] if kind == "lost" else 1
            yield kind, fields

    asyncio.run(story())


def test_the_stream_ends_with_the_run_and_listeners_are_counted(tmp_path: Path) -> None:
    async def story() -> None:
        parts = Parts()
        async with served(tmp_path, parts) as api, listening(api) as told:
            await api.api.close()
            with pytest.raises(StopAsyncIteration):
                await anext(told)

    asyncio.run(story())


def test_no_more_listen_than_there_is_room_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            hub = api.parts.board.hub
            contexts = [hub.subscribed(None, frozenset()) for _ in range(SUBSCRIBERS_MOST)]
            for context in contexts:
                context.__enter__()
            answer = await api.client.get("/v1/events")
            assert (answer.status_code, answer.json()["why"]) == (503, "busy")
            contexts[0].__exit__(None, None, None)
            async with listening(api):
                pass

    asyncio.run(story())
