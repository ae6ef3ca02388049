"""`ocpp-proxy run` as a process of its own: ready line and file, views, signals, exit codes, continued captures."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

BOOT = '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
ACCEPTED = '"status":"Accepted"'


def accepted() -> str:
    """The answer to BOOT, with the time that it is."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f'[3,"1",{{{ACCEPTED},"currentTime":"{time}","interval":300}}]'


@dataclass
class Running:
    """A started proxy; `out` and `err` are complete once `end` has returned the exit code."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    out: str = ""
    err: str = ""
    lines: list[str] = field(default_factory=list)

    async def end(self, by: signal.Signals) -> int:
        self.process.send_signal(by)
        out, err = await asyncio.wait_for(self.process.communicate(), 30)
        self.out, self.err = out.decode(), "\n".join(self.lines) + err.decode()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def running(upstream: str, folder: Path, *arguments: str, **environment: str) -> AsyncIterator[Running]:
    """`run` in `folder` on a free port. The ready line is awaited; by then the ready file has to be there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ocpp_proxy", "run", "--upstream", upstream, "--listen", "127.0.0.1:0",
        "--ready-file", "ready.json", *arguments, cwd=folder, env={**os.environ, **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        lines = []
        while not (lines and lines[-1].startswith("listening on ")):
            line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
            assert line, f"ended before it was ready: {lines}"
            lines.append(line.rstrip("\n"))
        while not (folder / "ready.json").exists():
            await asyncio.sleep(0.01)
        yield Running(process, json.loads((folder / "ready.json").read_text()), lines=lines)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def csms() -> AsyncIterator[str]:
    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            assert message == BOOT
            await connection.send(accepted())

    async with serve(answer, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"ws://{host}:{port}/ocpp"


async def boot(url: str) -> str:
    async with connect(f"{url}/CP1", subprotocols=["ocpp1.6"], proxy=None) as station:
        await station.send(BOOT)
        return str(await station.recv())


def ocpp_proxy(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ocpp_proxy", *arguments], capture_output=True, text=True, cwd=cwd,
                          timeout=60, check=False)


def test_ready_line_and_file_say_where_it_listens_and_records(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms() as upstream, running(upstream, tmp_path, "--capture", "x.db", "--view", "quiet") as proxy:
            url = proxy.ready["listen"]
            assert proxy.lines[-1] == f"listening on {url} → {upstream}"
            assert not url.endswith(":0")
            control, token_file = proxy.ready["control"], proxy.ready["token_file"]
            assert proxy.lines == [
                f"control API on {control}, token in {token_file}; it may not alter traffic (--allow-injection)",
                f"listening on {url} → {upstream}"]
            assert proxy.ready == {"listen": url, "control": control, "token_file": token_file, "capture": "x.db",
                                   "view": "quiet", "pid": proxy.process.pid}
            assert ACCEPTED in await boot(url)
            assert await proxy.end(signal.SIGTERM) == 0
            assert proxy.out == ""
            assert sorted(file.name for file in tmp_path.iterdir()) == ["ready.json", "x.db"]

    asyncio.run(story())


def test_ctrl_c_ends_with_a_summary_and_everything_saved(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            csms() as upstream, running(upstream, tmp_path, "--capture", "x.db") as proxy,
            connect(f"{proxy.ready['listen']}/CP1", subprotocols=["ocpp1.6"], proxy=None, compression=None) as station,
        ):
            await station.send(BOOT)
            assert ACCEPTED in str(await station.recv())
            code = await proxy.end(signal.SIGINT)
            await station.wait_closed()
            assert (station.close_code, code) == (1001, 130)
        for said in ("BootNotification", "boot-missing-iccid", "No ICCID (field absent)", "Summary", "CP1", "x.db"):
            assert said in proxy.out, said
        assert "\x1b" not in proxy.out

    asyncio.run(story())
    checked = ocpp_proxy("check", "x.db", "--format", "json", cwd=tmp_path)
    report = json.loads(checked.stdout)
    assert checked.returncode == 0
    assert report["counts"]["frames"] == 2
    assert [finding["rule"] for finding in report["findings"]] == ["boot-missing-iccid"]
    shown = ocpp_proxy("capture", "show", "x.db", "--format", "json", cwd=tmp_path).stdout.splitlines()
    closed = [line for line in map(json.loads, shown) if line["type"] == "closed"]
    assert [(line["by"], line["code"]) for line in closed] == [("proxy", 1001)]


def test_a_capture_is_continued_and_belongs_to_one_proxy_at_a_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms() as upstream:
            for _ in range(2):
                (tmp_path / "ready.json").unlink(missing_ok=True)
                async with running(upstream, tmp_path, "--capture", "x.db", "--view", "quiet") as proxy:
                    await boot(proxy.ready["listen"])
                    second = await asyncio.to_thread(
                        ocpp_proxy, "run", "--upstream", upstream, "--listen", "127.0.0.1:0", "--capture", "x.db",
                        cwd=tmp_path)
                    assert second.returncode == 2
                    assert "x.db" in second.stderr
                    assert await proxy.end(signal.SIGTERM) == 0

    asyncio.run(story())
    shown = ocpp_proxy("capture", "show", "x.db", "--format", "json", cwd=tmp_path).stdout.splitlines()
    assert [line["connection"] for line in map(json.loads, shown) if line["type"] == "opened"] == ["c1", "c2"]


def test_default_capture_lies_in_captures(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms() as upstream, running(upstream, tmp_path, "--view", "quiet") as proxy:
            assert Path(proxy.ready["capture"]).parent == Path("captures")
            assert (tmp_path / proxy.ready["capture"]).exists()

    asyncio.run(story())


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk_stops_no_traffic_is_said_at_once_and_ends_with_3(tmp_path: Path) -> None:
    """The limit stands in for the disk: writes beyond it fail as on a full one."""
    limited = ("import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
               "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); "
               "from ocpp_proxy.__main__ import main; sys.exit(main(sys.argv[1:]))")
    big = f'[2,"1","DataTransfer",{{"vendorId":"V","data":"{"x" * 300_000}"}}]'

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def story() -> tuple[int, str]:
        async with serve(echo, "127.0.0.1", 0, max_size=None, compression=None) as server:
            host, port = server.sockets[0].getsockname()[:2]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", limited, "run", "--upstream", f"ws://{host}:{port}", "--listen", "127.0.0.1:0",
                "--ready-file", "ready.json", "--capture", "x.db", "--view", "quiet", cwd=tmp_path,
                stderr=subprocess.PIPE)
            assert process.stderr is not None
            while not (tmp_path / "ready.json").exists():
                await asyncio.sleep(0.01)
            url = json.loads((tmp_path / "ready.json").read_text())["listen"]
            async with connect(f"{url}/CP1", max_size=None, compression=None, proxy=None) as station:
                for _ in range(5):
                    await station.send(big)
                    assert await station.recv() == big
            process.send_signal(signal.SIGTERM)
            err = (await asyncio.wait_for(process.communicate(), 30))[1]
            assert process.returncode is not None
            return process.returncode, err.decode()

    code, err = asyncio.run(story())
    assert code == 3, err
    assert "recording into x.db has stopped" in err
    shown = ocpp_proxy("capture", "show", "x.db", "--format", "json", cwd=tmp_path).stdout.splitlines()
    lines = [json.loads(line) for line in shown]
    recorded = sum(line["type"] == "frame" for line in lines)
    assert recorded < 10
    assert sum(line["lost"] for line in lines if line["type"] == "gap") == 10 - recorded


def test_a_token_in_the_upstream_is_not_printed(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms() as upstream:
            async with running(f"{upstream}?token=hunter2hunter2", tmp_path, "--capture", "x.db") as proxy:
                await boot(proxy.ready["listen"])
                assert await proxy.end(signal.SIGINT) == 130
            assert "hunter2" not in proxy.err + proxy.out
            assert b"hunter2" not in (tmp_path / "x.db").read_bytes()

    asyncio.run(story())
