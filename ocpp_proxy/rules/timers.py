"""Deadlines of rules, on the capture's own clock.

Decides when a deadline has passed. They run out in the order of their times, before whatever happens after them, so
that a live run and a later check find the same. Refuses to know what time it is.

Bounded: DEADLINES_MAX a station.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules.now import Deadline, Now, Overdue, Until
from ocpp_proxy.rules.place import Place

if TYPE_CHECKING:
    from ocpp_proxy.rules.bound import BoundRule

DEADLINES_MAX = 256
SHORTEST_S = 0.001  # one that sets itself anew makes headway


class Timer:
    """`connection`: it ends with this one, None if with none; `until`: says until when it has been put off; `held_s`:
    how long this program had kept the station's frames waiting when it was set."""

    __slots__ = ("bound", "connection", "deadline", "due", "held_s", "key", "session", "then", "until", "version")

    def __init__(
        self, bound: BoundRule, session: Session, version: Version, due: float, then: Overdue, deadline: Deadline,
        key: Hashable, connection: str | None, until: Until | None,
    ) -> None:  # fmt: skip
        self.bound = bound
        self.session = session
        self.version = version
        self.due = due
        self.then: Overdue | None = then
        self.deadline = deadline
        self.key = key
        self.connection = connection
        self.until = until
        self.held_s = session.held_s


class Timers:
    """All deadlines of all stations."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._dead = 0

    def set(
        self, now: Now, seconds: float, then: Overdue, key: Hashable, data: Any, across: bool, place: Place,
        until: Until | None = None,
    ) -> None:  # fmt: skip
        session, full_key = now.session, (now.rule.rule.id, key)
        running = session.timers
        if running is None:
            running = session.timers = {}
        self._drop(running.pop(full_key, None))
        if len(running) >= DEADLINES_MAX:
            return
        connection = None if across or now.link is None else now.link.connection
        due = now.time + max(seconds, SHORTEST_S)
        timer = Timer(now.rule, session, now.version, due, then, Deadline(place, data), key, connection, until)
        running[full_key] = timer
        self._push(timer)

    def cancel(self, session: Session, rule_id: str, key: Hashable) -> bool:
        timer = (session.timers or {}).pop((rule_id, key), None)
        self._drop(timer)
        return timer is not None

    def find(self, session: Session, rule_id: str, key: Hashable) -> Deadline | None:
        timer = (session.timers or {}).get((rule_id, key))
        return timer.deadline if timer is not None else None

    def end(self, session: Session, connection: str) -> None:
        """The connection is over, and with it what was expected of it."""
        running = session.timers
        if running:
            for full_key in [key for key, timer in running.items() if timer.connection == connection]:
                self._drop(running.pop(full_key))

    def due(self, time: float) -> Iterator[Timer]:
        """Those that have run out by then, each with `due` as the time that it is."""
        heap = self._heap
        while heap and heap[0][0] <= time:
            timer = heappop(heap)[2]
            if timer.then is None:
                self._dead -= 1
                continue
            held_s = timer.session.held_s - timer.held_s
            if held_s > 0:  # our own doing: it counts against nobody
                timer.due += held_s
                timer.held_s += held_s
                self._push(timer)
                continue
            if timer.until is not None and (due := timer.until(timer.session, timer.deadline)) > timer.due + SHORTEST_S:
                timer.due = due
                self._push(timer)
                continue
            running = timer.session.timers
            if running is not None:
                running.pop((timer.bound.rule.id, timer.key), None)
            yield timer

    def _push(self, timer: Timer) -> None:
        self._count += 1
        heappush(self._heap, (timer.due, self._count, timer))

    def _drop(self, timer: Timer | None) -> None:
        """Leave it in the heap until its time comes, unless there are too many of its kind."""
        if timer is None:
            return
        timer.then = None
        self._dead += 1
        if self._dead > 1000 and self._dead > len(self._heap) // 2:
            self._heap = sorted(entry for entry in self._heap if entry[2].then is not None)
            self._dead = 0
