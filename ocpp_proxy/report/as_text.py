"""An analysis as a colleague would write it down.

Decides what is read first: the worst, by station and by side at fault, each deviation once with the frames that show
it, what to do about it and the clause. What a peer chose to send is shown as it is, but never obeyed by the terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from ocpp_proxy.core.finding import SEVERITIES, Finding
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.registration import Device
from ocpp_proxy.report.analysis import Analysis, Frames
from ocpp_proxy.report.grouping import SIDES, Deviation, number, plain
from ocpp_proxy.rules.ruleset import was_chosen

Line: TypeAlias = tuple[str, str]  # text and rich style

STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
MESSAGES_SHOWN = 3
SKIPPED_SHOWN = 12


def report(analysis: Analysis, found: Sequence[Deviation], frames: Frames, width: int) -> Iterator[Line]:
    """The lines of the report, none longer than `width` characters. `found`: the deviations of the analysis;
    `frames`: those that their evidence names."""
    yield from _paragraph(_summary(analysis), width)
    yield _verdict(analysis)
    for station, of_station in groupby(found, key=lambda one: one.first.station):
        yield "", ""
        yield from _paragraph(_heading(station, analysis.devices.get(station or "")), width, style="bold")
        for place, (side, of_side) in enumerate(groupby(of_station, key=lambda one: one.first.at_fault)):
            if place:
                yield "", ""
            yield f"At fault: {SIDES[side]}", "italic"
            for deviation in of_side:
                yield "", ""
                yield from _deviation(deviation, frames, width, analysis.span is not None)
    yield from _remarks(analysis, width)
    yield from _next(analysis, found, width)


def _summary(analysis: Analysis) -> str:
    counts = analysis.counts
    parts = [f"{number(counts['frames'], 'frame')} in {number(counts['exchanges'], 'exchange')}"]
    for name, phrase in (("malformed", "unreadable"), ("unanswered", "never answered"), ("pending", "still open")):
        if counts[name]:
            parts.append(f"{counts[name]} {phrase}")
    if counts["control"]:
        parts.append(number(counts["control"], "ping or pong", "pings and pongs"))
    return f"{plain(analysis.capture)}: {', '.join(parts)}{_times(analysis.span)}"


def _times(span: tuple[Instant, Instant] | None) -> str:
    if span is None:
        return ""
    first, last = (moment.isoformat()[:19].replace("T", " ") for moment in span)
    return f"; {first} to {last[11:] if last[:10] == first[:10] else last} UTC"


def _verdict(analysis: Analysis) -> Line:
    counts = analysis.counts
    accepted = f" {number(analysis.accepted, 'finding')} accepted by the baseline." if analysis.accepted else ""
    if not analysis.findings:
        new = "new " if analysis.accepted else ""
        return f"Nothing {new}to find fault with.{accepted}", "green"
    found = ", ".join(number(counts[severity], word) for severity, word in
                      (("error", "error"), ("warning", "warning"), ("info", "remark")) if counts[severity])
    return f"{found}.{accepted}", STYLES[next(severity for severity in SEVERITIES if counts[severity])]


def _heading(station: str | None, device: Session | None) -> str:
    name = f"Station {plain(station)}" if station is not None else "A station without a name"
    if device is None:
        return name
    boot = device.registration.last
    known_as = boot.device if boot is not None else Device(None, None, None, None)
    make = " ".join(plain(word) for word in (known_as.vendor, known_as.model) if word)
    firmware = f"firmware {plain(known_as.firmware)}" if known_as.firmware else ""
    known = ", ".join(part for part in (make, firmware, f"OCPP {device.version}" if device.version else "") if part)
    return f"{name}: {known}" if known else name


def _deviation(deviation: Deviation, frames: Frames, width: int, timed: bool) -> Iterator[Line]:
    first = deviation.first
    times = f" ({deviation.count} times)" if deviation.count > 1 else ""
    wish = ", a wish of the CSMS or site" if first.axis == "compatibility" else ""
    yield from _paragraph(f"{first.severity} {first.rule}{times}{wish}", width, style=STYLES[first.severity])
    for message, count in _messages(deviation):
        yield from _paragraph(f"{message}{f' ({count} times)' if count else ''}", width, "  ")
    yield from (_quote(frames[key], first, width, timed) for key in deviation.evidence if key in frames)
    if others := _others(deviation):
        yield from _paragraph(others, width, "    ", "dim")
    for label, text in (("Expected", _expected(first)), ("Usual cause", first.cause), ("What to do", first.fix),
                        ("Clause", "; ".join(first.references))):
        if text:
            yield from _paragraph(f"{label}: {text}", width, "  ")


def _messages(deviation: Deviation) -> Iterator[tuple[str, int]]:
    """Each sentence with its count, where there are several."""
    counted = deviation.messages()
    for sentence, count in counted[:MESSAGES_SHOWN]:
        yield plain(sentence), count if len(counted) > 1 and count > 1 else 0
    if len(counted) > MESSAGES_SHOWN:
        yield f"and {len(counted) - MESSAGES_SHOWN} more like these", 0


def _expected(finding: Finding) -> str:
    """What the message does not say already."""
    expected = finding.expected
    if expected is None or isinstance(expected, list) or str(expected) in finding.message:
        return ""
    return plain(str(expected))


def _quote(record: FrameRecord, finding: Finding, width: int, timed: bool) -> Line:
    time = f"{record.at.isoformat()[11:23]} " if timed else ""
    start = f"    {time}#{record.seq} {record.sender}: "
    text = _LONG_ID.sub(r"\1…\2", plain(record.data.decode(errors="backslashreplace")), count=1)
    field = next((word for word in reversed((finding.pointer or "").split("/")) if word and not word.isdigit()), "")
    at = text.find(f'"{plain(field)}"') if field and record.seq in finding.frames[:1] else -1
    return start + _excerpt(text, at, max(width - len(start), 40)), "dim"


def _excerpt(text: str, at: int, room: int) -> str:
    """As much of `text` as there is room for: its beginning, and if need be what stands at `at`."""
    if len(text) <= room:
        return text
    if at < room * 2 // 3:
        return text[: room - 1] + "…"
    head, tail = text[: room // 2], text[at:]
    left = room - len(head) - 1
    return f"{head}…{tail if len(tail) <= left else tail[: left - 1] + '…'}"


# A message id is mostly a UUID: its beginning tells which it is, and what was said needs the room.
_LONG_ID = re.compile(r'^(\[\s*\d\s*,\s*"[^"]{8})[^"]{4,}("\s*,)')


def _others(deviation: Deviation) -> str:
    """The other frames, by number."""
    quoted = set(deviation.evidence)
    first = deviation.first
    numbers = [seq for seq in first.frames if (first.connection, seq) not in quoted]
    connections = {finding.connection for finding in deviation.findings}
    where = f" of {len(connections)} connections" if len(connections) > 1 else ""
    if not numbers:
        return f"first of those{where}" if where else ""
    shown = ", ".join(f"#{seq}" for seq in numbers[:5])
    return f"also {shown}{', …' if len(numbers) > 5 or first.frames_omitted else ''}{where}"


def _remarks(analysis: Analysis, width: int) -> Iterator[Line]:
    notes = [f"{note.connection}: {note.message}" if note.connection else note.message for note in analysis.notes]
    skipped, idle = _silent(analysis)
    if idle:
        skipped.append(f"{number(idle, 'rule')} had nothing to judge in this capture")
    changed = [f"{one['rule']}: {one['what']}" for one in analysis.changed]
    for title, lines in (("Bear in mind:", notes), ("Changed by your rules:", changed), ("Not judged:", skipped)):
        if lines:
            yield "", ""
            yield title, "bold"
            shown = lines if len(lines) <= SKIPPED_SHOWN else [*lines[: SKIPPED_SHOWN - 1], lines[-1]]
            for line in shown:
                yield from _paragraph(plain(line), width, "  ")
            if len(lines) > len(shown):
                yield f"  and {len(lines) - len(shown)} more; --format json lists them all", ""


def _silent(analysis: Analysis) -> tuple[list[str], int]:
    """The rules that are silent by choice, those of one reason together; and how many just had nothing to judge."""
    by_reason: dict[str, list[str]] = {}
    for entry in analysis.skipped:
        if was_chosen(entry["reason"]):
            by_reason.setdefault(entry["reason"], []).append(entry["rule"])
    told = [f"{rules[0] if len(rules) == 1 else number(len(rules), 'rule')}: {reason}"
            for reason, rules in by_reason.items()]
    return told, len(analysis.skipped) - sum(map(len, by_reason.values()))


def _next(analysis: Analysis, found: Sequence[Deviation], width: int) -> Iterator[Line]:
    yield "", ""
    if found:
        yield from _paragraph(
            f"Next: ocpp-proxy rules explain {found[0].first.rule} tells why it matters; "
            f"ocpp-proxy capture show {plain(analysis.capture)} shows what was said around it.", width)
    else:
        yield from _paragraph("Next: ocpp-proxy rules list shows what was looked for.", width)


def _paragraph(text: str, width: int, indent: str = "", style: str = "") -> Iterator[Line]:
    lines = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + "  ",
                          break_on_hyphens=False)
    return ((line, style) for line in lines)
