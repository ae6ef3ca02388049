"""The server takes nothing from the relay: no file descriptors for idle callers, no long turns of its loop."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path

import pytest
from control_parts import Parts, Served, served

from ocpp_proxy.control import server
from ocpp_proxy.control.answers import listed
from ocpp_proxy.control.board import Board
from ocpp_proxy.core.errors import BadInput


async def connected(api: Served, *said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(api.client.base_url.host, api.client.base_url.port)
    writer.writelines(said)
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends it before long."""
    try:
        return await asyncio.wait_for(reader.read(), 10) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: local"])
def test_who_asks_for_nothing_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0.1)

    async def story() -> None:
        async with served(tmp_path) as api, api.client.stream("GET", "/v1/events") as events:
            reader, writer = await connected(api, said)
            assert await ended(reader)
            writer.close()
            api.parts.open()
            lines = events.aiter_lines()  # who waits for an answer does stay
            while "opened" not in await anext(lines):
                pass

    asyncio.run(story())


def test_nobody_comes_where_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MOST", 2)

    async def story() -> None:
        async with served(tmp_path) as api:
            first, second = await connected(api), await connected(api)
            third = await connected(api, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await ended(third[0])
            for _, writer in (first, second, third):
                writer.close()
            await first[1].wait_closed()
            assert (await api.get("/health"))["recorded"]

    asyncio.run(story())


def test_a_long_list_leaves_the_loop_to_others() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def story() -> None:
        task = asyncio.get_running_loop().create_task(others(), name="others")
        items = [{"n": number, "text": "x" * 1000} for number in range(3000)]
        answer = await listed("items", items, dict, more=[1])
        assert json.loads(bytes(answer.body)) == {"items": items, "more": [1]}
        task.cancel()

    asyncio.run(story())
    assert turns > 3


def test_what_the_board_fails_on_disturbs_nobody() -> None:
    parts = Parts()
    mistakes: list[Exception] = []
    parts.board = Board(parts.pipeline.session, on_mistake=mistakes.append)
    parts.open()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    parts.board.stations.frame = fail  # type: ignore[method-assign]
    parts.say('[2,"1","Heartbeat",{}]')
    parts.close()
    assert [type(error) for error in mistakes] == [ZeroDivisionError]
    assert parts.board.stations.open_connections == 0


def test_signals_and_logs_are_left_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), list(logging.getLogger().handlers)

    async def story() -> None:
        async with served(tmp_path) as api:
            await api.get("/health")
            assert (signal.getsignal(signal.SIGTERM), list(logging.getLogger().handlers)) == before
            assert logging.getLogger("uvicorn").handlers == []

    asyncio.run(story())


def test_a_place_that_is_taken_or_none_is_named() -> None:
    first = server.ControlServer("127.0.0.1", 0, print)
    port = int(first.url.rpartition(":")[2])
    with pytest.raises(BadInput, match=f"--control 127.0.0.1:{port}: .*already in use"):
        server.ControlServer("127.0.0.1", port, print)
    asyncio.run(first.stop())
    both = server.ControlServer("localhost", 0, print)
    assert both.is_loopback
    asyncio.run(both.stop())
    everywhere = server.ControlServer("0.0.0.0", 0, print)
    assert not everywhere.is_loopback
    asyncio.run(everywhere.stop())
    with pytest.raises(BadInput, match=r"--control 192\.0\.2\.1:0: "):
        server.ControlServer("192.0.2.1", 0, print)
