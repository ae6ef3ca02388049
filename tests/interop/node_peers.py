"""The peers on npm's ocpp-rpc, strict both ways, as processes of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ocpp_peers import TIMEOUT_S, Transcript

HERE = Path(__file__).parent
LINE_BYTES = 1 << 20


async def station(node: str, url: str, identity: str, password: str, *subprotocols: str) -> Transcript:
    """A whole conversation as a station; closes with 1000."""
    async with _running(node, "station.mjs", url, identity, password, *subprotocols) as process:
        return Transcript(**await _line(process))


@asynccontextmanager
async def csms(node: str, password: str) -> AsyncIterator[tuple[int, asyncio.Future[Transcript]]]:
    """A CSMS for one station: (port, future of its transcript)."""
    async with _running(node, "csms.mjs", password) as process:
        port = (await _line(process))["port"]
        done = asyncio.create_task(_transcript(process))
        try:
            yield port, done
        finally:
            done.cancel()
            await asyncio.wait({done})


async def _transcript(process: asyncio.subprocess.Process) -> Transcript:
    return Transcript(**await _line(process))


@asynccontextmanager
async def _running(node: str, script: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        node, str(HERE / script), *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, limit=LINE_BYTES)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line(process: asyncio.subprocess.Process) -> dict:
    async with asyncio.timeout(TIMEOUT_S):
        line = await process.stdout.readline()
    assert line, (await process.stderr.read()).decode()
    return json.loads(line)
