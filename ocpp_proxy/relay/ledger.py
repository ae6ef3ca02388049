"""Record, then forward, then think: the order in which everything that happens on all connections is dealt with.

Decides when: what one tick of the loop brings in is written down together, in one commit, then forwarded, each in the
order it came, and then handed to whoever watches. Refuses to know what any of it means: a pair notes and acts.

A commit that fails stops nothing: the recorder keeps the gap. Nor does a watcher that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ocpp_proxy.clock import now
from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Record, Writable
from ocpp_proxy.relay.notices import Notices

if TYPE_CHECKING:
    from ocpp_proxy.relay.leg import Leg, LegEvent

# A tick may bring in megabytes: so much is enough, or back-pressure would come too late.
BATCH_BYTES = 262144

Seen: TypeAlias = "tuple[Record, Frame | None]"
Observer: TypeAlias = "Callable[[list[Seen]], None]"


class Recorder(Protocol):
    """What the relay wants of a capture."""

    def next_connection(self) -> str: ...

    def write(self, records: Sequence[Writable]) -> bool: ...


class Actor(Protocol):
    """Who notes and acts, in that order, with the commit in between: a pair, or a `Step`. `abort`: after a mistake."""

    def note(self, leg: Leg, event: LegEvent, at: Instant, records: list[Writable], seen: list[Seen], /) -> None: ...

    def act(self, leg: Leg, event: LegEvent, /) -> None: ...

    def abort(self) -> None: ...


class Step:
    """Something to do once its records are written."""

    __slots__ = ("_do", "_records")

    def __init__(self, records: Sequence[Record], do: Callable[[], None]) -> None:
        self._records = records
        self._do = do

    def note(self, _leg: Any, _event: Any, _at: Any, records: list[Writable], seen: list[Seen]) -> None:
        records += self._records
        seen += [(record, None) for record in self._records]

    def act(self, _leg: Any, _event: Any) -> None:
        self._do()

    def abort(self) -> None: ...


class Page:
    """What one turn brings: what is to be written down, shown, and sent after the commit. `sends`: to which leg, which
    bytes, and how many of them a second (None: all at once)."""

    __slots__ = ("at", "records", "seen", "sends")

    def __init__(self, at: Instant, records: list[Writable], seen: list[Seen]) -> None:
        self.at = at
        self.records = records
        self.seen = seen
        self.sends: list[tuple[Leg, bytes, int | None]] = []


class Turn:
    """Something that is decided in its turn, between what others do: `decide` fills a page, and once that is written
    `carry_out` gets it."""

    __slots__ = ("_carry_out", "_decide", "_page")

    def __init__(self, decide: Callable[[Page], None], carry_out: Callable[[Page], None]) -> None:
        self._decide = decide
        self._carry_out = carry_out
        self._page: Page | None = None

    def note(self, _leg: Any, _event: Any, at: Instant, records: list[Writable], seen: list[Seen]) -> None:
        self._page = Page(at, records, seen)
        self._decide(self._page)

    def act(self, _leg: Any, _event: Any) -> None:
        if self._page is not None:
            self._carry_out(self._page)

    def abort(self) -> None: ...


class Ledger:
    """One for all connections. Without recorder and observer it forwards at once and keeps nothing."""

    def __init__(
        self, recorder: Recorder | None, observer: Observer | None, on_notice: Callable[[str], None]
    ) -> None:
        self.recorder = recorder
        self.observer = observer
        self.on_notice = on_notice
        self.notices = Notices(on_notice)  # for what may come again and again
        self.opaque = recorder is None and observer is None
        self._loop = asyncio.get_running_loop()
        self._batch: list[tuple[Actor, Any, Any, Any]] = []
        self._batch_bytes = 0
        self._scheduled = False
        self._connections = 0

    def next_connection(self) -> str:
        """A fresh connection id."""
        if self.recorder is not None:
            return self.recorder.next_connection()
        self._connections += 1
        return f"c{self._connections}"

    def receive(self, leg: Leg, happened: Sequence[LegEvent], size_bytes: int = 0) -> None:
        """Take what happened on a leg, in order; `size_bytes`: how much came in with it."""
        pair = leg.pair
        assert pair is not None
        if self.opaque:
            for event in happened:
                pair.act(leg, event)
            return
        at = now()
        self._batch += [(pair, leg, event, at) for event in happened]
        self._batch_bytes += size_bytes
        if self._batch_bytes > BATCH_BYTES:
            self.flush()
        else:
            self._schedule()

    def step(self, records: Sequence[Record], act: Callable[[], None]) -> None:
        """Do something in its turn, after its records are written."""
        if self.opaque:
            act()
            return
        self._batch.append((Step(records, act), None, None, None))
        self._schedule()

    def turn(self, decide: Callable[[Page], None], carry_out: Callable[[Page], None]) -> None:
        """Decide something in its turn, and carry it out after its records are written."""
        self._batch.append((Turn(decide, carry_out), None, None, now()))
        self._schedule()

    def flush(self) -> None:
        """Write down, forward and show what was received so far."""
        self._scheduled = False
        self._batch_bytes = 0
        batch, self._batch = self._batch, []
        records: list[Writable] = []
        seen: list[Seen] = []
        for item in batch:
            try:
                item[0].note(item[1], item[2], item[3], records, seen)
            except Exception as error:  # our own mistake must not keep a frame from its way
                self._confess("what happened could not be recorded", error)
        if records and self.recorder is not None:
            try:
                self.recorder.write(records)
            except Exception as error:  # as above
                self._confess("the recorder failed", error)
        for item in batch:
            try:
                item[0].act(item[1], item[2])
            except Exception as error:  # as above, for everybody else
                self._confess("a connection had to be dropped", error)
                item[0].abort()
        if seen and self.observer is not None:
            try:
                self.observer(seen)
            except Exception as error:  # as above
                self._confess("what watches the relay failed", error)

    def _confess(self, what: str, error: Exception) -> None:
        self.on_notice(f"a mistake in the proxy itself, {what}: {error!r}; other traffic is not affected")

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)
