"""A record of a capture as a line to read.

Decides the words for each kind of record; what a peer sent is shown as it was sent, and made harmless for a terminal.
Refuses to interpret frames: that is what the stream view does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ocpp_proxy.capture.jsonl import encode
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Gap, Opened, Record
from ocpp_proxy.live.safe import fit, safe

_NAME = 60
_SENTENCE = 2000
_WHOLE = 2**31
_DIRECTIONS = {("station", "csms"): "→ csms", ("csms", "station"): "← csms",
               ("proxy", "station"): "← proxy", ("proxy", "csms"): "proxy →"}


class RecordLines:
    """Writes records one after the other, with a line for the date where it changes. `cells`: where lines are cut, None
    for nowhere."""

    def __init__(self, cells: int | None) -> None:
        self._cells = cells
        self._date = ""

    def of(self, record: Record) -> list[str]:
        """The lines of `record`, without line ends."""
        lines: list[str] = []
        time = " " * 12
        if record.at is not None:
            date, _, clock = record.at.isoformat().partition("T")
            if date != self._date:
                self._date = date
                lines.append(f"{date} UTC")
            time = clock[:12]
        connection = safe(record.connection or "-", _NAME)
        line = f"{time} {connection:<3} {_WORDS[type(record)](record)}"
        return [*lines, line if self._cells is None else fit(line, self._cells)]


def _frame(record: FrameRecord) -> str:
    direction = _DIRECTIONS.get((record.sender, record.to), f"{record.sender} → {record.to}")
    marks = [mark for mark, applies in (
        (record.opcode, record.opcode != "text"), (record.origin, record.origin != "relayed"),
        ("incomplete", record.incomplete), (f"held {record.held_ms or 0:.0f} ms", record.held_ms is not None),
    ) if applies]
    marked = f"({', '.join(marks)}) " if marks else ""
    return f"#{record.seq:<4} {direction:<8}{marked}{safe(record.data.decode('utf-8', 'backslashreplace'), _WHOLE)}"


def _opened(record: Opened) -> str:
    outcome = f"answered {record.status}" if record.status is not None else "not answered"
    if record.refused_by is not None:
        outcome = f"refused by {record.refused_by}, {outcome}"
    parts = [safe(part, _NAME) for part in (record.subprotocol, record.target, record.station_address) if part]
    return f"opened by {safe(record.station or 'an unnamed station', _NAME)}: {', '.join([outcome, *parts])}"


def _gap(record: Gap) -> str:
    frames = "1 frame" if record.lost == 1 else f"{record.lost} frames"
    return f"GAP: {frames} from #{record.first_seq} on not recorded: {safe(record.reason, _SENTENCE)}"


def _closed(record: Closed) -> str:
    return f"closed by {record.by} with {record.code} {safe(record.reason, _SENTENCE)}".rstrip()


def _entry(record: Entry) -> str:
    fields = record.fields
    if record.type == "finding":
        said = [_text(fields, name) for name in ("severity", "rule", "message")]
        return f"finding: {' '.join(filter(None, said))}"
    if set(fields) == {"text"}:
        return f"{safe(record.type, _NAME)}: {_text(fields, 'text')}"
    return safe(encode(Entry(type=record.type, fields=fields)), _SENTENCE)


def _text(fields: Any, name: str) -> str:
    return safe(str(fields.get(name, "")), _SENTENCE)


_WORDS: dict[type, Callable[[Any], str]] = {
    FrameRecord: _frame, Opened: _opened, Gap: _gap, Closed: _closed, Entry: _entry,
}
