"""What is compared: each way from a station to the CSMS, started as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import process

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Running:
    """`pid` is None where nothing stands between the station and the CSMS."""

    pid: int | None
    port: int


class NotInstalledError(Exception):
    """The peer is not on this machine; its row says so."""


@contextmanager
def direct(csms_port: int) -> Iterator[Running]:
    yield Running(None, csms_port)


@contextmanager
def bare(csms_port: int) -> Iterator[Running]:
    with process.printing_port("bench.bare", f"ws://127.0.0.1:{csms_port}") as (pid, port):
        yield Running(pid, port)


@contextmanager
def mitmproxy(csms_port: int) -> Iterator[Running]:
    command = mitmdump()
    if command is None:
        raise NotInstalledError("name mitmdump with OCPP_PROXY_MITMDUMP, or install mitmproxy into .venv-mitmproxy")
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="ocpp-bench-") as folder, process.running(
        [command, "-q", "--mode", f"reverse:http://127.0.0.1:{csms_port}", "--listen-host", "127.0.0.1",
         "--listen-port", str(port), "--set", f"confdir={folder}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as child:
        process.wait_until(lambda: _listens(port), child, "mitmdump")
        yield Running(child.pid, port)


@contextmanager
def relaying(csms_port: int) -> Iterator[Running]:
    with process.printing_port("bench.relaying", f"ws://127.0.0.1:{csms_port}") as (pid, port):
        yield Running(pid, port)


@contextmanager
def everything(csms_port: int) -> Iterator[Running]:
    with (tempfile.TemporaryDirectory(prefix="ocpp-bench-") as folder,
          running_proxy(csms_port, Path(folder)) as proxy):
        yield proxy


@contextmanager
def running_proxy(csms_port: int, folder: Path) -> Iterator[Running]:
    """The command as a user starts it; its capture is `folder`/capture.db."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    with process.running(
        [sys.executable, "-m", "ocpp_proxy", "run", "--upstream", f"ws://127.0.0.1:{csms_port}/",
         "--listen", "127.0.0.1:0", "--ready-file", str(ready), "--capture", str(folder / "capture.db"),
         "--view", "quiet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as child:
        process.wait_until(ready.exists, child, "ocpp-proxy run")
        told = json.loads(ready.read_text())
        yield Running(told["pid"], int(told["listen"].rstrip("/").rsplit(":", 1)[1]))


@dataclass(frozen=True, slots=True)
class Subject:
    """`short` heads its column, in two lines so that the table fits."""

    name: str
    short: str
    title: str
    start: Callable[[int], AbstractContextManager[Running]]


SUBJECTS = (
    Subject("direct", "direct", "direct", direct),
    Subject("bare", "bare\nrelay", "bare relay, a task per direction", bare),
    Subject("mitmproxy", "mitm-\nproxy", "mitmproxy in reverse mode", mitmproxy),
    Subject("relaying", "relaying\nonly", "ocpp-proxy, relaying only", relaying),
    Subject("everything", "everything\non", "ocpp-proxy with recording, validation and rules", everything),
)


def mitmdump() -> str | None:
    """Its pins are narrow, so it may live in an environment of its own."""
    own = ROOT / ".venv-mitmproxy" / "bin" / "mitmdump"
    named = os.environ.get("OCPP_PROXY_MITMDUMP") or shutil.which("mitmdump")
    return named or (str(own) if own.exists() else None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
