"""A running `ocpp-proxy run`, and `ocpp-proxy check` of what it leaves."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_TIMEOUT_S, EXIT_TIMEOUT_S = 20.0, 15.0


@dataclass
class RunningProxy:
    """`exit_code` and `stderr` are there once it has ended."""

    url: str
    capture: Path
    exit_code: int | None = None
    stderr: str = ""


@asynccontextmanager
async def running_proxy(upstream: str, folder: Path) -> AsyncIterator[RunningProxy]:
    """The command as a user starts it, ended with SIGTERM when the block is left."""
    ready, capture = folder / "ready.json", folder / "capture.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ocpp_proxy", "run", "--upstream", upstream, "--listen", "127.0.0.1:0",
        "--ready-file", str(ready), "--capture", str(capture), "--view", "quiet",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    reading = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not ready.exists() and process.returncode is None:
                await asyncio.sleep(0.02)
        assert process.returncode is None, (await reading).decode()
        proxy = RunningProxy(json.loads(ready.read_text())["listen"].rstrip("/"), capture)
        yield proxy
        process.terminate()
        async with asyncio.timeout(EXIT_TIMEOUT_S):
            proxy.exit_code = await process.wait()
        proxy.stderr = (await reading).decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await reading


async def check(capture: Path) -> dict[str, Any]:
    """What `ocpp-proxy check` says of a capture; fails on anything but a clean exit."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ocpp_proxy", "check", str(capture), "--format", "json", "--fail-on", "never",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "Traceback" not in err.decode()
    return json.loads(out)
