"""The event loop every process of the benchmark runs on: uvloop where it exists, as ocpp-proxy itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def _new_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


NEW_LOOP = _new_loop()
NAME = NEW_LOOP.__module__.partition(".")[0]


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
        return runner.run(main)
