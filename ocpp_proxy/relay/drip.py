"""Writes bytes to a leg as a slow link would: a few at a time.

Decides when the next ones go; whatever is written meanwhile queues up behind them, since a TCP stream has one order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

STEP_S = 0.1
QUEUE_MOST_BYTES = 1_048_576  # what is beyond that does not wait


class Drip:
    """`write` sends what has its time."""

    __slots__ = ("_queue", "_queued_bytes", "_timer", "_write")

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._queue: deque[tuple[bytes, int | None]] = deque()
        self._queued_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return bool(self._queue)

    def write(self, data: bytes, pace: int | None) -> None:
        """`pace`: bytes a second; None: as soon as what is before it has gone."""
        self._queue.append((data, pace))
        self._queued_bytes += len(data)
        if self._queued_bytes > QUEUE_MOST_BYTES:
            self.finish()
        elif self._timer is None:
            self._step()

    def finish(self) -> None:
        """No more waiting: everything at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queued_bytes = 0
        while self._queue:
            self._write(self._queue.popleft()[0])

    def _step(self) -> None:
        self._timer = None
        while self._queue:
            data, pace = self._queue.popleft()
            if pace is None:
                self._queued_bytes -= len(data)
                self._write(data)
                continue
            size = min(len(data), max(1, round(pace * STEP_S)))
            self._queued_bytes -= size
            self._write(data[:size])
            if data[size:]:
                self._queue.appendleft((data[size:], pace))
            self._timer = asyncio.get_running_loop().call_later(max(STEP_S, size / pace), self._step)
            return
