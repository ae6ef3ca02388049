"""Thinks after the bytes have left: feeds the pipeline behind the running relay.

Decides when the analysis runs: in slices between the relay's own work, so that it never stands before a frame. Once a
second it passes the time on, to rules with deadlines, to views, and to the recorder, which may have a gap to mend.
Refuses to know what the analysis says: events go to the listeners, findings into the capture.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ocpp_proxy.capture import Recorder
from ocpp_proxy.clock import now
from ocpp_proxy.core.event import Event, FindingRaised
from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, FrameRecord, Record
from ocpp_proxy.pipeline import Pipeline

SLICE_S = 0.001   # a slice ends after this long, so that received bytes wait for no more than that
BACKLOG_MOST = 20_000  # records; beyond that the slices are longer, or a flood would fill the memory
CATCH_UP_S = 0.05
TICK_S = 1.0
LAG_US = 250_000  # what has been received but not handed over yet is no older than that



class Listener(Protocol):
    """Somebody who wants to hear what came out of the pipeline, and of the time where nothing comes."""

    def show(self, events: list[Event]) -> None: ...

    def tick(self, at: Instant) -> None: ...


class Analysis:
    """`observe` is called by the relay with what it has just forwarded; `on_notice` hears of our own mistakes."""

    def __init__(
        self, pipeline: Pipeline, recorder: Recorder, listeners: Sequence[Listener], on_notice: Callable[[str], None]
    ) -> None:
        self._pipeline = pipeline
        self._recorder = recorder
        self._listeners = listeners
        self._on_notice = on_notice
        self._waiting: deque[tuple[Record, Frame | None]] = deque()
        self._scheduled = False
        self._ticker: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick: rules with deadlines hear of the time once a second."""
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def observe(self, batch: list[tuple[Record, Frame | None]]) -> None:
        """Take what was forwarded; returns at once."""
        self._waiting.extend(batch)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._slice)

    def finish(self) -> None:
        """Analyse everything that still waits."""
        if self._ticker is not None:
            self._ticker.cancel()
        self._think(float("inf"))
        self._tell(self._guarded(self._pipeline.finish, "the end"))

    def _slice(self) -> None:
        self._scheduled = False
        self._think(SLICE_S if len(self._waiting) < BACKLOG_MOST else CATCH_UP_S)
        if self._waiting:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._slice)

    def _think(self, budget_s: float) -> None:
        events: list[Event] = []
        waiting, feed = self._waiting, self._pipeline.feed
        end = time.perf_counter() + budget_s
        while waiting:
            record, frame = waiting.popleft()
            try:
                events += feed(record, frame)
            except Exception as error:  # our own mistake must not end a charging session
                self._on_notice(f"the analysis failed on {_place(record)}: {error!r}; the frame itself was forwarded "
                                "and recorded")
            if time.perf_counter() > end:
                break
        self._tell(events)

    def _tick(self) -> None:
        at = now()
        self._recorder.retry()
        if not self._waiting:  # else these go first, and bring the time with them
            lately = Instant(at.utc_us - LAG_US, at.mono_ns - LAG_US * 1000 if at.mono_ns is not None else None)
            self._tell(self._guarded(lambda: self._pipeline.tick(lately), "the clock"))
        for listener in self._listeners:
            listener.tick(at)
        self.start()

    def _guarded(self, ask: Callable[[], list[Event]], what: str) -> list[Event]:
        try:
            return ask()
        except Exception as error:  # as above
            self._on_notice(f"the analysis failed on {what}: {error!r}")
            return []

    def _tell(self, events: list[Event]) -> None:
        if not events:
            return
        first = [event.finding for event in events if isinstance(event, FindingRaised) and event.first]
        if first:
            at = now()
            self._recorder.write([Entry(type="finding", connection=finding.connection, at=at,
                                        fields=finding.as_dict()) for finding in first])
        for listener in self._listeners:
            listener.show(events)


def _place(record: Record) -> str:
    if isinstance(record, FrameRecord):
        return f"frame {record.seq} of connection {record.connection}"
    return f"a {type(record).__name__} record of connection {record.connection}"
