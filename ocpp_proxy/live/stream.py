"""The stream view: everything that crosses, a line a frame.

Decides when a line is drawn: findings beneath their frame and once, keep-alives folded, a date when the day changes,
a CALL that stays without an answer. Refuses to know the wording (`lines`), the colours (`paint`) and to wait for a
terminal (`writer`).

Source: own decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Any

from rich.console import Console

from ocpp_proxy.core.event import (
    ConnectionClosed,
    ConnectionOpened,
    Event,
    FindingRaised,
    FrameSeen,
    GapSeen,
)
from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import Call, CallError, CallResult
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry
from ocpp_proxy.live import acts, lines
from ocpp_proxy.live.fold import Fold
from ocpp_proxy.live.names import Names, label, nameless, word
from ocpp_proxy.live.paint import STATION_COLOURS, Line, Painter, Segment
from ocpp_proxy.live.safe import safe, width_of
from ocpp_proxy.live.when import LocalTime, duration
from ocpp_proxy.live.writer import LINES_KEPT, Writer

FOLD_AT_MOST_S = 60.0
FOLD_AT_LEAST_S = 10.0
UNANSWERED_S = 30.0
_KEPT = 20_000  # entries of each memory, so that a run of weeks stays small
_WIDE = 110
_MEASURE_EVERY_US = 500_000


class StreamView:
    """Draws events on a console. `show` never waits; `zone` None means the machine's time zone."""

    def __init__(self, console: Console, *, zone: tzinfo | None = None, lines_kept: int = LINES_KEPT) -> None:
        self._paint = Painter(console)
        self._writer = Writer(console.file, console.encoding, lines_kept)
        self._time = LocalTime(zone)
        self._fold = Fold()
        self._findings = _Findings()
        self._open: dict[tuple[str, str, str], tuple[Exchange, str | None]] = {}
        self._opened: dict[str, Instant | None] = {}  # None: refused
        self._stations: dict[str, str | None] = {}
        self._names: Names = nameless
        self._words: dict[str, str] = {}
        self._colours: dict[str | None, str] = {}
        self._drawn_stations: dict[str | None, Segment] = {}
        self._drawn_width: int | None = None
        self._station_cells = 5
        self._date = ""
        self._now: Instant | None = None
        self._measured_us = 0
        self._above: tuple[str, int] | None = None  # connection and seq of the frame drawn last
        self._text: list[str] = []
        self._started = False

    @property
    def broken(self) -> bool:
        """The output is gone (a closed pipe, a lost terminal): nothing is drawn any more."""
        return self._writer.broken

    @property
    def lines_dropped(self) -> int:
        """Lines not shown because the output was too slow."""
        return self._writer.lines_dropped

    def use_names(self, names: Names) -> None:
        """Draw these beside the identities from now on."""
        self._names = names
        self._words.clear()
        self._drawn_stations.clear()

    def show(self, events: Iterable[Event]) -> None:
        """Draw what the pipeline made of one record, or of several; findings follow the frame they are about."""
        if self._writer.broken:
            return
        batch = events if isinstance(events, Sequence) else list(events)
        for index, event in enumerate(batch):
            if isinstance(event, FrameSeen):
                self._frame(event, batch[index + 1] if index + 1 < len(batch) else None)
            elif isinstance(event, FindingRaised):
                self._finding(event)
            elif isinstance(event, ConnectionOpened):
                self._connected(event)
            elif isinstance(event, ConnectionClosed):
                self._disconnected(event)
            elif isinstance(event, GapSeen):
                self._draw(event.record.at, self._stations.get(event.record.connection), lines.gap(event.record))
        self._flush()

    def act(self, entry: Entry) -> None:
        """Draw what was done to the link, and remarks."""
        line = acts.act(entry)
        if line is None or entry.at is None or self._writer.broken:
            return
        self._unfold(FOLD_AT_LEAST_S)
        self._draw(entry.at, self._stations.get(entry.connection or ""), line)
        self._flush()

    def tick(self, at: Instant) -> None:
        """Let time pass where no frame comes: folded keep-alives and missing answers are drawn when due."""
        self._advance(at)
        self._flush()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Draw what was folded and write everything, for at most `timeout_s`. True if all was written."""
        self._unfold(0.0)
        self._flush()
        return self._writer.close(timeout_s)

    # --- events ------------------------------------------------------------------------------------------------

    def _frame(self, event: FrameSeen, following: Event | None) -> None:
        record = event.record
        self._advance(record.at)
        self._follow(event)
        found = isinstance(following, FindingRaised) and following.first
        if self._fold.takes(event) and not found:
            self._fold.add(event)
            return
        self._unfold(FOLD_AT_LEAST_S)
        start = self._start(record.at, event.station, record.seq)
        width = self._paint.width
        cells = None if width is None else width - sum([width_of(text) for _, text in start])
        self._text.append(self._paint.line(start + lines.frame(event, self._head_cells(), cells)))
        self._above = (record.connection, record.seq)

    def _follow(self, event: FrameSeen) -> None:
        exchange = event.exchange
        if event.record.connection not in self._stations:
            _make_room(self._stations)
            self._stations[event.record.connection] = event.station
        if exchange is None:
            return
        key = (exchange.connection, exchange.caller, exchange.message_id)
        if isinstance(event.frame, Call):
            _make_room(self._open)
            self._open[key] = (exchange, event.station)
        elif isinstance(event.frame, CallResult | CallError):
            self._open.pop(key, None)

    def _finding(self, event: FindingRaised) -> None:
        item = event.finding
        at = self._now or Instant(0)
        times = self._findings.due(item)
        if times == 0:
            return
        here = self._above is not None and (item.connection, item.frames[-1:]) == (self._above[0], [self._above[1]])
        if times > 1:
            self._beneath(at, item, [lines.repeated(item, times, indent=self._paint.terminal)])
            return
        place = "" if here or not item.frames else f"{safe(item.station or '', 48)} frame {item.frames[-1]}: "
        told = self._findings.told(item)
        self._beneath(at, item, lines.finding(item, cells=self._paint.width, place=place, brief_only=told))

    def _beneath(self, at: Instant, item: Finding, drawn: list[Line]) -> None:
        if self._paint.terminal:
            self._text += [self._paint.line(line) for line in drawn]
            return
        above = self._above
        for line in drawn:  # each line of a pipe stands alone
            self._draw(at, item.station, line)
        self._above = above

    def _connected(self, event: ConnectionOpened) -> None:
        record = event.record
        self._advance(record.at)
        _make_room(self._opened)
        self._opened[record.connection] = record.at if record.status == 101 else None
        self._draw(record.at, record.station, lines.opened(record))

    def _disconnected(self, event: ConnectionClosed) -> None:
        record = event.record
        self._advance(record.at)
        self._fold.forget(record.connection)
        for key in [key for key in self._open if key[0] == record.connection]:
            exchange, station = self._open.pop(key)
            self._draw(record.at, station, lines.unanswered(exchange, "when the connection closed"))
        station = self._stations.pop(record.connection, event.station)
        if station in self._fold.stations:
            self._unfold(0.0)
        if record.connection not in self._opened:
            self._draw(record.at, station, lines.closed(record, ""))
        elif (since := self._opened.pop(record.connection)) is not None:  # of a refused one, all is said
            lasted = duration(record.at.seconds_since(since))
            self._draw(record.at, station, lines.closed(record, lasted))

    # --- time --------------------------------------------------------------------------------------------------

    def _advance(self, at: Instant) -> None:
        self._now = at
        if abs(at.utc_us - self._measured_us) >= _MEASURE_EVERY_US:
            self._measured_us = at.utc_us
            self._paint.measure()
        while self._open:
            key, (exchange, station) = next(iter(self._open.items()))
            if at.seconds_since(exchange.called_at) < UNANSWERED_S:
                break
            del self._open[key]
            self._draw(at, station, lines.unanswered(exchange, f"for {UNANSWERED_S:.0f} s"))
        self._unfold(FOLD_AT_MOST_S)

    def _unfold(self, age_s: float) -> None:
        """Draw the folded keep-alives if they are that old."""
        fold = self._fold
        if fold.since is None or fold.last is None:
            return
        at = self._now or fold.last
        if at.seconds_since(fold.since) < age_s:
            return
        station = next(iter(fold.stations)) if len(fold.stations) == 1 else None
        self._line(at, station, fold.line(self._time.time(fold.since)[:8]))

    # --- drawing -----------------------------------------------------------------------------------------------

    def _draw(self, at: Instant, station: str | None, line: Line, seq: int | None = None) -> None:
        self._unfold(FOLD_AT_LEAST_S)
        self._line(at, station, line, seq)

    def _line(self, at: Instant, station: str | None, line: Line, seq: int | None = None) -> None:
        self._above = None
        start = self._start(at, station, seq)
        self._text.append(self._paint.line(start + line))

    def _start(self, at: Instant, station: str | None, seq: int | None) -> Line:
        if not self._started:
            self._started = True
            self._text.append(self._paint.line([("dim", self._legend())]))
        if not self._paint.terminal:
            return [("", f"{self._time.stamp(at)} {self._word(station)} ")]
        date = self._time.date(at)
        if date != self._date:
            self._date = date
            self._text.append(self._paint.line(lines.date(f"{date}, local time", self._paint.width or 0)))
        line: Line = [("dim", self._time.time(at) + " "), self._station(station)]
        if self._wide():
            line.insert(1, ("dim", f"{'' if seq is None else f'#{seq}':>6} "))
        return line

    def _station(self, station: str | None) -> Segment:
        drawn = self._drawn_stations.get(station)
        if drawn is None or self._paint.width != self._drawn_width:
            if self._paint.width != self._drawn_width:
                self._drawn_stations.clear()
                self._drawn_width = self._paint.width
            _make_room(self._drawn_stations)
            drawn = self._drawn_stations[station] = self._draw_station(station)
        return drawn

    def _draw_station(self, station: str | None) -> Segment:
        width = self._paint.width or 0
        most = 12 if width < 100 else 20 if width < 140 else 32
        name = label(station, self._names, most) if station else "-"
        cells = width_of(name)
        if cells > self._station_cells:  # the column grows for all
            self._station_cells = cells
            self._drawn_stations.clear()
        self._station_cells = min(self._station_cells, most)
        _make_room(self._colours)
        colour = self._colours.setdefault(station, f"station{len(self._colours) % STATION_COLOURS}")
        return (colour, " " * (self._station_cells - cells) + name + " ")

    def _word(self, station: str | None) -> str:
        if not station:
            return "-"
        drawn = self._words.get(station)
        if drawn is None:
            _make_room(self._words)
            drawn = self._words[station] = word(station, self._names)
        return drawn

    def _wide(self) -> bool:
        return self._paint.width is not None and self._paint.width >= _WIDE

    def _head_cells(self) -> int:
        return 36 if self._wide() else 0

    def _legend(self) -> str:
        return lines.LEGEND[0 if self._paint.width is None or self._paint.width >= len(lines.LEGEND[0]) else 1]

    def _flush(self) -> None:
        if self._text:
            self._writer.put("".join(self._text), len(self._text))
            self._text.clear()


def _make_room(memory: dict[Any, Any]) -> None:
    """Forget the oldest entry of a full memory."""
    if len(memory) >= _KEPT:
        del memory[next(iter(memory))]


class _Findings:
    """Which findings were drawn: each once, then at 10, 100, 1 000 …; what to do once a rule and station."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], list[int]] = {}
        self._told: dict[tuple[str, str | None], None] = {}

    def due(self, item: Finding) -> int:
        """0: not to be drawn; 1: new; else the round number that was reached."""
        key = (item.rule, item.connection, item.at_fault, item.pointer, item.connector, item.transaction, item.message)
        state = self._seen.get(key)
        if state is None:
            _make_room(self._seen)
            self._seen[key] = [1, 10]
            return 1
        state[0] = max(state[0] + 1, item.count)
        reached = 0
        while state[0] >= state[1]:
            reached, state[1] = state[1], state[1] * 10
        return reached

    def told(self, item: Finding) -> bool:
        """Whether the reader was told what to do about this rule at this station; true from now on."""
        key = (item.rule, item.station)
        if key in self._told:
            return True
        _make_room(self._told)
        self._told[key] = None
        return False
