"""What a person sees of a running proxy: the stream while it runs, the summary when it ends.

Decides which of the two is shown; refuses to know how either looks (`stream`, `summary`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, TypeAlias

from rich.console import Console

from ocpp_proxy.core.event import Event
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry
from ocpp_proxy.live.names import Names
from ocpp_proxy.live.stream import StreamView
from ocpp_proxy.live.summary import Summary

ViewName: TypeAlias = Literal["stream", "quiet"]


class Face:
    """A listener of the running proxy. `quiet` shows nothing on stdout and keeps no summary."""

    def __init__(self, view: ViewName, capture: Path, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._capture = capture
        self._view = StreamView(self._console) if view == "stream" else None
        self._summary = Summary()

    def use_names(self, names: Names) -> None:
        """What people call the stations, from now on."""
        self._summary.names = names
        if self._view is not None:
            self._view.use_names(names)

    def show(self, events: list[Event]) -> None:
        if self._view is not None:
            self._view.show(events)
            self._summary.add(events)

    def act(self, entry: Entry) -> None:
        """Something was done to the link."""
        if self._view is not None:
            self._view.act(entry)

    def tick(self, at: Instant) -> None:
        if self._view is not None:
            self._view.tick(at)

    def close(self, *, summary: bool = True) -> None:
        """Draw what is left, and the summary; nothing more can be shown afterwards."""
        if self._view is None:
            return
        view, self._view = self._view, None
        view.close()
        if summary and not view.broken:
            self._summary.render(self._console, self._capture, lines_dropped=view.lines_dropped)
