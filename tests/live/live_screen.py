"""Consoles that remember what was written on them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta, timezone

from rich.console import Console

from ocpp_proxy.core.event import Event
from ocpp_proxy.live.stream import StreamView

ZONE = timezone(timedelta(hours=1))


@dataclass
class Screen:
    """A stream view and what it wrote."""

    view: StreamView
    file: io.StringIO

    def draw(self, *events: Iterable[Event]) -> Screen:
        for batch in events:
            self.view.show(list(batch))
        return self

    def text(self) -> str:
        assert self.view.close()
        return self.file.getvalue()

    def lines(self) -> list[str]:
        """Without the legend and the dates."""
        return [line for line in self.text().splitlines()[1:] if not line.startswith("──")]


def console_of(width: int | None, *, colour: bool = False) -> Console:
    """`width` None: a pipe."""
    return Console(file=io.StringIO(), force_terminal=width is not None, width=width, legacy_windows=False,
                   color_system="truecolor" if colour else None)
