"""Background tasks that can neither vanish nor fail in silence, and the loop and the collector they run on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
YOUNG_OBJECTS = 20_000  # a few megabytes


class Tasks:
    """Keeps the reference of every task spawned and hands their exceptions to `on_error`."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` as a task called `name`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)

    def stop(self) -> None:
        """Cancel what still runs, without waiting for its end."""
        for task in self._tasks:
            task.cancel()

    async def cancel(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        running = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def run_on_fast_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run on uvloop where there is one (not on Windows, not on PyPy)."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        # The relay looks at a connection's first bytes before it is read; Windows' proactor loop cannot.
        return asyncio.SelectorEventLoop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def collect_seldom() -> None:
    """To be called once the rules are loaded: they stay, so the garbage collector need not look at them time and again,
    nor at every few hundred frames, which are freed without its help."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
