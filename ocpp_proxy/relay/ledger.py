"""Record, then forward, then think: the order in which everything that happens on all connections is dealt with.

Decides when: what one tick of the loop brings in is written down together, in one commit, then forwarded, each in the
order it came, and then handed to whoever watches. Refuses to know what any of it means: a pair notes and acts.

A commit that fails stops nothing: the recorder keeps the gap. Nor does a watcher that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ocpp_proxy.clock import now
from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Record, Writable

if TYPE_CHECKING:
    from ocpp_proxy.relay.leg import Leg, LegEvent

Seen: TypeAlias = "tuple[Record, Frame | None]"
Observer: TypeAlias = "Callable[[list[Seen]], None]"


class Recorder(Protocol):
    """What the relay wants of a capture."""

    def next_connection(self) -> str: ...

    def write(self, records: Sequence[Writable]) -> bool: ...


class Step:
    """Something to do once its records are written."""

    __slots__ = ("act", "records")

    def __init__(self, records: Sequence[Record], act: Callable[[], None]) -> None:
        self.records = records
        self.act = act


class Ledger:
    """One for all connections. Without recorder and observer it forwards at once and keeps nothing."""

    def __init__(
        self, recorder: Recorder | None, observer: Observer | None, on_notice: Callable[[str], None]
    ) -> None:
        self.recorder = recorder
        self.observer = observer
        self.on_notice = on_notice
        self.opaque = recorder is None and observer is None
        self._loop = asyncio.get_running_loop()
        self._batch: list[tuple[Leg, LegEvent, Instant] | Step] = []
        self._scheduled = False
        self._connections = 0

    def next_connection(self) -> str:
        """A fresh connection id."""
        if self.recorder is not None:
            return self.recorder.next_connection()
        self._connections += 1
        return f"c{self._connections}"

    def receive(self, leg: Leg, happened: Sequence[LegEvent]) -> None:
        """Take what happened on a leg, in order."""
        pair = leg.pair
        assert pair is not None
        if self.opaque:
            for event in happened:
                pair.act(leg, event)
            return
        at = now()
        self._batch += [(leg, event, at) for event in happened]
        self._schedule()

    def step(self, records: Sequence[Record], act: Callable[[], None]) -> None:
        """Do something in its turn, after its records are written."""
        if self.opaque:
            act()
            return
        self._batch.append(Step(records, act))
        self._schedule()

    def flush(self) -> None:
        """Write down, forward and show what was received so far."""
        self._scheduled = False
        batch, self._batch = self._batch, []
        records: list[Writable] = []
        seen: list[Seen] = []
        for item in batch:
            if type(item) is tuple:
                leg, event, at = item
                leg.pair.note(leg, event, at, records, seen)  # type: ignore[union-attr]  # as in receive
            else:
                records += item.records  # type: ignore[union-attr]  # mypy does not narrow by type()
                seen += [(record, None) for record in item.records]  # type: ignore[union-attr]
        if records and self.recorder is not None:
            self.recorder.write(records)
        for item in batch:
            if type(item) is tuple:
                leg, event, _ = item
                leg.pair.act(leg, event)  # type: ignore[union-attr]
            else:
                item.act()  # type: ignore[union-attr]
        if seen and self.observer is not None:
            try:
                self.observer(seen)
            except Exception as error:  # our own mistake must not end a charging session
                self.on_notice(f"what watches the relay failed: {error!r}; the traffic is not affected")

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)
