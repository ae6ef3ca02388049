"""Whoever may not ask is turned away, early and without a word about anything else."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from control_parts import Served, served

from ocpp_proxy.control.guard import BODY_MOST


def refused(answer: httpx.Response, status: int, why: str) -> None:
    assert (answer.status_code, answer.json()["why"]) == (status, why), answer.text
    assert set(answer.json()) == {"why", "reason", "errors"}
    guarded(answer)


def guarded(answer: httpx.Response) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "server" not in answer.headers


async def raw(api: Served, head: str, parts: list[bytes]) -> tuple[str, str, int]:
    """(the answer's head, its body, how many bytes were sent by then): stops sending when the answer is there."""
    reader, writer = await asyncio.open_connection(api.client.base_url.host, api.client.base_url.port)
    answer = asyncio.get_running_loop().create_task(answered(reader), name="answer")
    sent = 0
    with suppress(ConnectionError):
        writer.write(head.replace("\n", "\r\n").encode())
        for part in parts:
            if answer.done():
                break
            writer.write(part)
            await writer.drain()
            sent += len(part)
    said = await asyncio.wait_for(answer, 20)
    writer.transport.abort()
    return *said, sent


async def answered(reader: asyncio.StreamReader) -> tuple[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.splitlines() if line.startswith("content-length:"))
    return head, (await reader.readexactly(int(length.partition(":")[2]))).decode()


def test_without_the_token_nothing_is_said(tmp_path: Path) -> None:
    given = ("", "Bearer wrong", "Bearer", "Basic {token}", "{token}", "Bearer {token}x", "Bearer \xfc")
    paths = ("/v1/stations", "/metrics", "/openapi.json", "/nowhere", "/health/")

    async def story() -> None:
        async with served(tmp_path) as api:
            token = api.api.token_file.read_text().strip()
            for value, path in product(given, paths):
                header = value.format(token=token).encode("latin-1")
                answer = await api.client.get(path, headers={"Authorization": header})
                refused(answer, 401, "token")
                assert answer.headers["www-authenticate"].startswith("Bearer")

    asyncio.run(story())


OURS = ("127.0.0.1", "127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}",
        "127.0.0.1:1")  # the last as through a tunnel
FOREIGN = ("evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "", "192.0.2.1", "[::2]")


def test_only_our_own_names_are_answered(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            for host, path in product((*OURS, *FOREIGN), ("/v1/stations", "/health")):
                answer = await api.client.get(path, headers={"Host": host.format(port=api.client.base_url.port)})
                if host in OURS:
                    assert answer.status_code == 200
                else:
                    refused(answer, 421, "host")

    asyncio.run(story())


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "{own}"])
def test_a_page_in_a_browser_is_refused_wherever_it_comes_from(tmp_path: Path, origin: str) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            headers = {"Origin": origin.format(own=api.api.url)}
            for method, path in product(("GET", "POST", "OPTIONS"), ("/v1/stations", "/v1/panic", "/health")):
                refused(await api.client.request(method, path, headers=headers), 403, "origin")
            assert not api.parts.controls.panicked

    asyncio.run(story())


@pytest.mark.parametrize(("content", "headers"), [
    (b"by=me", {"Content-Type": "application/x-www-form-urlencoded"}),
    (b'{"by":"me"}', {"Content-Type": "text/plain"}),
    (b'{"by":"me"}', {}),
    (b'--x\r\n\r\n{}\r\n--x--', {"Content-Type": "multipart/form-data; boundary=x"}),
])
def test_a_form_is_no_order(tmp_path: Path, content: bytes, headers: dict[str, str]) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            refused(await api.client.post("/v1/panic", content=content, headers=headers), 415, "content-type")
            assert not api.parts.controls.panicked

    asyncio.run(story())


@pytest.mark.parametrize(("content", "says"), [
    (b"{", "line 1 column 2"), (b'{"by":"\xff"}', "UTF-8"), (b'{"by":NaN}', "NaN"), (b'{"by":1e999}', "too large"),
    (b'{"by":"a","by":"b"}', "twice"), (b"[" * 30_000, "deep"), (b"[" * 100 + b"]" * 100, "deep"),
    (b'{"by":"\\ud800"}', "surrogate"), (b'{"by":' + b"1" * 5000 + b"}", "too long"),
])
def test_what_is_no_sound_json_is_said_to_be_so(tmp_path: Path, content: bytes, says: str) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            answer = await api.client.post("/v1/panic", content=content, headers={"Content-Type": "application/json"})
            refused(answer, 400, "json")
            assert says in answer.json()["reason"]

    asyncio.run(story())


HEAD = ("POST /v1/notes HTTP/1.1\nHost: localhost\nAuthorization: Bearer {token}\nContent-Type: application/json\n"
        "{length}\n\n")
MEGABYTE = b"x" * 1_000_000


@pytest.mark.parametrize(("length", "parts"), [
    ("Content-Length: 100000000", [MEGABYTE] * 100),
    ("Transfer-Encoding: chunked", [b"f4240\r\n" + MEGABYTE + b"\r\n"] * 100),
    ("Content-Length: 100000000", []),  # nothing of it was sent: the head is enough
    ("Content-Length: 100000000\nExpect: 100-continue", []),
    (f"Content-Length: {BODY_MOST + 1}", [b"x" * (BODY_MOST + 1)]),
])
def test_a_hundred_megabytes_are_refused_at_their_beginning(tmp_path: Path, length: str, parts: list[bytes]) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            token = api.api.token_file.read_text().strip()
            head, body, sent = await raw(api, HEAD.format(token=token, length=length), parts)
            assert head.startswith("http/1.1 413 "), head
            assert "connection: close" in head
            assert '"why":"too-large"' in body
            assert sent < 20 * len(MEGABYTE)  # what the buffers in between take
            assert (await api.get("/v1/stations"))["stations"] == []  # and it goes on

    asyncio.run(story())


def test_a_body_of_the_full_size_is_taken(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            body = json.dumps({"action": "DataTransfer", "payload": {"data": "x" * (BODY_MOST - 60)}})
            assert BODY_MOST - 20 < len(body) <= BODY_MOST
            answer = await api.client.post("/v1/stations/CP1/inject", content=chunks(body.encode()),
                                           headers={"Content-Type": "application/json; charset=utf-8"})
            assert answer.status_code == 200, answer.text

    asyncio.run(story())


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start:start + 1000]


def test_a_mistake_of_ours_says_nothing_of_what_was_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            def fail(*_: Any, **__: Any) -> None:
                raise ValueError("geheim")

            api.parts.controls.note = fail  # type: ignore[method-assign]
            answer = await api.client.post("/v1/notes", json={"text": "geheim"})
            refused(answer, 500, "mistake")
            assert "geheim" not in answer.text
            assert (await api.get("/v1/stations"))["stations"] == []
        [notice] = api.notices
        assert notice.startswith("a mistake in the control API: ValueError at test_guard:")
        assert "geheim" not in notice

    asyncio.run(story())


def test_the_token_is_this_users_alone_and_goes_with_the_run(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            file = api.api.token_file
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert len(file.read_text().strip()) >= 43
        assert list(file.parent.iterdir()) == []

    asyncio.run(story())


def test_no_page_is_served_that_loads_from_elsewhere(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as api:
            for path in ("/docs", "/redoc", "/"):
                refused(await api.client.get(path), 404, "unknown-path")
            answer = await api.client.get("/openapi.json")
            guarded(answer)
            assert answer.json()["info"]["title"] == "ocpp-proxy"

    asyncio.run(story())
