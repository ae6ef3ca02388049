"""Hands what happens to everybody who listens, as it happens.

Decides what becomes of a listener that reads too slowly: it loses what does not fit into its queue, and is told how
much; nobody waits for it. Refuses to keep anything for those who come later.

Keeps QUEUE_KEPT events and TEXT_KEPT characters a listener, and has SUBSCRIBERS_MOST listeners.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.capture.jsontext import dumps

QUEUE_KEPT = 1_000
TEXT_KEPT = 2 * 1024 * 1024
SUBSCRIBERS_MOST = 32
KINDS = ("frame", "finding", "opened", "closed", "gap", "act", "note")


@dataclass(frozen=True, slots=True)
class Item:
    """`number` counts all events of the run; `text`: its `fields` as JSON on one line."""

    number: int
    kind: str
    fields: dict[str, Any]
    text: str


@dataclass(slots=True, eq=False)
class Subscriber:
    """Iterating it gives the events that came since; it ends with the run. A "lost" item says how many did not fit."""

    station: str | None
    kinds: frozenset[str]
    queue: deque[Item] = field(default_factory=deque)
    lost: int = 0
    ended: bool = False
    _characters: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, kind: str, station: str | None) -> bool:
        return kind in self.kinds and (self.station is None or self.station == station)

    def put(self, item: Item) -> None:
        if len(self.queue) >= QUEUE_KEPT or self._characters + len(item.text) > TEXT_KEPT:
            self.lost += 1
        else:
            self.queue.append(item)
            self._characters += len(item.text)
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    async def next(self, patience_s: float) -> Item | None:
        """The next one; None where nothing came for so long, or nothing will come any more (`ended`)."""
        if not (self.queue or self.lost or self.ended):
            self._news.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._news.wait()
            except TimeoutError:
                return None
        if self.queue:
            item = self.queue.popleft()
            self._characters -= len(item.text)
            return item
        if self.lost:
            lost, self.lost = self.lost, 0
            return Item(0, "lost", {"lost": lost}, dumps({"lost": lost}))
        return None

    async def __aiter__(self) -> AsyncIterator[Item]:
        while (item := await self.next(3600.0)) is not None or not self.ended:
            if item is not None:
                yield item


class Hub:
    """One for a run."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()
        self._number = 0
        self._ended = False

    @property
    def is_full(self) -> bool:
        return len(self._subscribers) >= SUBSCRIBERS_MOST

    def publish(self, kind: str, station: str | None, make: Callable[[], dict[str, Any]]) -> None:
        """Tell everybody who wants it; `make` is only called where somebody does."""
        self._number += 1
        if not self._subscribers:
            return
        wanting = [one for one in self._subscribers if one.wants(kind, station)]
        if wanting:
            fields = make()
            item = Item(self._number, kind, fields, dumps(fields))
            for subscriber in wanting:
                subscriber.put(item)

    @contextmanager
    def subscribed(self, station: str | None, kinds: frozenset[str]) -> Iterator[Subscriber]:
        """Listen as long as the context lasts."""
        subscriber = Subscriber(station, kinds)
        if self._ended:
            subscriber.end()
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def end(self) -> None:
        """Nothing happens any more."""
        self._ended = True
        for subscriber in self._subscribers:
            subscriber.end()
