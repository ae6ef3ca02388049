"""Child processes: started, measured from outside and ended by their own id.

Source: proc(5) on Linux, clock_getcpuclockid(3) for the processor time of another process; ps(1) elsewhere.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LINUX = sys.platform == "linux"


def allow_many_files(wanted: int) -> None:
    """Raise the limit of open files for this process and its children as far as the machine lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def cpu_s(pid: int) -> float:
    """Processor seconds of all threads of `pid`, ended ones included; to the nanosecond on Linux, else 10 ms."""
    if LINUX:
        return time.clock_gettime((~pid << 3) | 2)
    minutes, seconds = _ps("cputime", pid).rsplit(":", 1)
    *hours, minute = (int(part) for part in minutes.split(":"))
    return (sum(hours) * 60 + minute) * 60 + float(seconds)


def rss_bytes(pid: int) -> int:
    if LINUX:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) * 1024
    return int(_ps("rss", pid)) * 1024


def _ps(column: str, pid: int) -> str:
    return subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], check=True, capture_output=True,
                          text=True).stdout.strip()


@contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """`command` as a child that is gone when the block is left, however it is left."""
    child = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


@contextmanager
def printing_port(module: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """A module of this benchmark that prints the port it listens on: (process id, port)."""
    with running([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError(f"{module} did not start: exit {child.wait(STOP_TIMEOUT_S)}")
        yield child.pid, int(line)


def wait_until(ready: Callable[[], bool], child: subprocess.Popen[str], what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if child.poll() is not None:
            raise RuntimeError(f"{what} ended with exit {child.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} was not ready after {START_TIMEOUT_S:g} s")
        time.sleep(0.02)
