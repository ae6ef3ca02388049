"""Finds the running proxy that a command is meant for.

Decides which one counts: the one that was named, else the only one there is. Refuses to guess among several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from ocpp_proxy.control.runs import Run, clear, is_alive, read_run, running
from ocpp_proxy.core.errors import BadInput

PROXY, TOKEN = "OCPP_PROXY_PROXY", "OCPP_PROXY_TOKEN"
HEALTH_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """`pid`: None where the proxy is on another machine, as far as is known."""

    url: str
    token: str
    pid: int | None = None


def find(named: str | None, environment: Mapping[str, str], folder: Path) -> Target:
    """`named`: a URL or a ready file, as --proxy has it; `folder`: where runs leave word. Raises BadInput."""
    named = named or environment.get(PROXY) or None
    if named is None:
        return _only(folder)
    if named.startswith(("http://", "https://")):
        return _by_url(named.rstrip("/"), environment, folder)
    return _by_file(Path(named))


def _only(folder: Path) -> Target:
    runs = [run for run in running(folder) if run.control is not None and _answers(run)]
    if not runs:
        raise BadInput("no ocpp-proxy of yours is running here: start one with ocpp-proxy run, or name it with --proxy "
                       "URL or --proxy READY-FILE")
    if len(runs) > 1:
        lines = "".join(f"\n  --proxy {run.control}  {run.listen}  {run.capture}  since {run.started}" for run in runs)
        raise BadInput(f"{len(runs)} are running; name one of them:{lines}")
    return _target(runs[0])


def _by_url(url: str, environment: Mapping[str, str], folder: Path) -> Target:
    known = next((run for run in running(folder) if run.control == url), None)
    token = environment.get(TOKEN, "").strip() or (known.token() if known is not None else None)
    if not token or not token.isascii():
        raise BadInput(f"{url}: its token is not known here: put it into {TOKEN}; the ready file of that run says "
                       "where it is kept")
    return Target(url, token, known.pid if known is not None else None)


def _by_file(file: Path) -> Target:
    run = read_run(file)
    if run is None:
        raise BadInput("is no ready file of a running ocpp-proxy; expected a URL or such a file", str(file))
    if run.control is None:
        raise BadInput("that proxy runs with --no-control: it cannot be asked or told anything", str(file))
    if not is_alive(run.pid):
        raise BadInput(f"that proxy (process {run.pid}) is not running any more", str(file))
    return _target(run)


def _target(run: Run) -> Target:
    token = run.token()
    if run.control is None or token is None:
        raise BadInput(f"cannot be read; the proxy's token is kept there (process {run.pid})", str(run.token_file))
    return Target(run.control, token, run.pid)


def answers(url: str) -> bool:
    """Whether anybody takes connections there."""
    try:
        httpx.get(f"{url}/health", timeout=HEALTH_TIMEOUT_S, trust_env=False)
    except httpx.ConnectError:
        return False
    except httpx.HTTPError:
        pass
    return True


def _answers(run: Run) -> bool:
    """Whether that very run is there. One that refuses connections is gone, whoever has its process id now."""
    try:
        health = httpx.get(f"{run.control}/health", timeout=HEALTH_TIMEOUT_S, trust_env=False).json()
        return isinstance(health, dict) and health.get("tool") == "ocpp-proxy" and health.get("pid") == run.pid
    except httpx.ConnectError:
        clear(run.file)
    except (httpx.HTTPError, ValueError):
        pass
    return False
