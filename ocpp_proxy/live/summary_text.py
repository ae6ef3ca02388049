"""The closing summary on a screen.

Decides the order, the words and how much of each list is shown. Refuses to count (`summary`).

Source: own decision.
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console

from ocpp_proxy.core.finding import SEVERITIES
from ocpp_proxy.live.lines import SLOW_MS, action_name
from ocpp_proxy.live.names import Names, label
from ocpp_proxy.live.paint import Line, Painter, Segment, wrap
from ocpp_proxy.live.safe import fit, safe, width_of
from ocpp_proxy.live.when import LocalTime, counted, duration, milliseconds, number

if TYPE_CHECKING:
    from ocpp_proxy.live.summary import RuleSeen, StationSeen, Summary

_WIDE = 110
_COMMENT = 30
_ROWS = 20
_RULES = 15
_EXPLAINED = 3
_GAP = "  "


def text(summary: Summary, console: Console, capture_path: str | None, lines_dropped: int) -> str:
    """All of it, ready to be written."""
    paint = Painter(console)
    parts = (_head(summary, paint.width), _stations(summary, paint.width), _traffic(summary, lines_dropped),
             _findings(summary, paint.width), _latencies(summary, paint.width))
    drawn = [paint.line(line) for part in parts if part for line in [*part, []]]
    # Paths and commands are there to be copied: rather wrapped by the terminal than cut.
    return "".join(["\n", *drawn] + [paint.line(line, cut=False) for line in _next(summary, capture_path, paint.width)])


def _head(summary: Summary, width: int | None) -> list[Line]:
    title = "── Summary "
    if summary.first is None or summary.last is None:
        return [[("strong", title), ("", "nothing was seen: no station connected")]]
    local = LocalTime(summary.zone)
    begin, end = local.stamp(summary.first)[:19], local.stamp(summary.last)[:19]
    if begin[:10] == end[:10]:
        end = end[11:]
    zone = local.date(summary.last).rpartition(" ")[2]
    said = f"{begin} to {end} {zone}, {duration(summary.last.seconds_since(summary.first))} "
    return [[("strong", title), ("", said), ("dim", "─" * max((width or 80) - width_of(title + said), 0))]]


def _table(rows: list[list[Segment]], width: int | None, *, right: frozenset[int], shrink: int) -> list[Line]:
    """Columns as wide as their widest cell; those in `right` set right; `shrink` gives way where it gets narrow."""
    widths = [max(width_of(row[column][1]) for row in rows) for column in range(len(rows[0]))]
    if width is not None:
        widths[shrink] = max(8, widths[shrink] - max(0, sum(widths) + len(_GAP) * len(widths) - width))
    return [_row(row, widths, right) for row in rows]


def _row(row: list[Segment], widths: list[int], right: frozenset[int]) -> Line:
    line: Line = []
    for column, (style, words) in enumerate(row):
        shown = fit(words, widths[column])
        pad = " " * (widths[column] - width_of(shown))
        line += [("", _GAP), (style, pad + shown if column in right else shown + pad)]
    while line and not line[-1][1].strip():
        line.pop()
    return [*line[:-1], (line[-1][0], line[-1][1].rstrip())] if line else line


def _more(count: int, what: str) -> list[Line]:
    return [[("dim", f"  … and {number(count)} more {what}")]] if count > 0 else []


def _stations(summary: Summary, width: int | None) -> list[Line]:
    if not summary.stations:
        return []
    total = len(summary.stations) + summary.counts["stations_omitted"]
    local = LocalTime(summary.zone)
    seen = sorted(summary.stations.values(), key=lambda station: station.identity)[:_ROWS]
    lines: list[Line] = [[("strong", f"Stations: {number(total)}")]]
    if width is None or width >= _WIDE:
        lines += _table([_station(station, summary.names) + _presence(station, local) for station in seen], width,
                        right=frozenset(), shrink=1)
    else:
        names = _table([_station(station, summary.names) for station in seen], width, right=frozenset(), shrink=1)
        states = _table([_presence(station, local) for station in seen], None, right=frozenset(), shrink=0)
        for name, state in zip(names, states, strict=True):
            lines += [name, [("", _GAP), *state]]
    return lines + _more(total - len(seen), "stations")


def _station(seen: StationSeen, names: Names) -> list[Segment]:
    firmware = f"fw {seen.firmware}" if seen.firmware else None
    what = " ".join(word for word in (seen.vendor, seen.model, firmware) if word)
    cells = 48 if names(seen.identity) is not None else 24
    return [("station0", label(seen.identity, names, cells)), ("", what or "no BootNotification seen")]


def _presence(seen: StationSeen, local: LocalTime) -> list[Segment]:
    at = local.time(seen.last_seen)[:8] if seen.last_seen else "never"
    state: Segment = ("good", "still connected") if seen.open else ("", "")
    if seen.refused:
        state = ("error", f"refused {counted(seen.refused, 'time')}")
    return [("", safe(seen.subprotocol or "no subprotocol", 20)), ("", counted(seen.connections, "connection")),
            ("", f"last seen {at}"), state]


def _traffic(summary: Summary, lines_dropped: int) -> list[Line]:
    counts = summary.counts
    frames = _list(counts, ("malformed", "unreadable"), ("injected", "injected"), ("modified", "modified"),
                   ("withheld", "withheld"))
    if summary.pending:
        counts = counts + Counter(pending=summary.pending)
    exchanges = _list(counts, ("answered", "answered"), ("errors", "CALLERROR"), ("unanswered", "unanswered"),
                      ("pending", "still open"), ("stray_answers", "without a CALL"),
                      ("result_errors", "CALLRESULTERROR"))
    bad = counts["errors"] + counts["unanswered"] + counts["stray_answers"] + counts["result_errors"] > 0
    rows: list[list[Segment]] = [
        [("", "frames"), ("", number(counts["frames"])), ("slow" if counts["malformed"] else "", frames)],
        [("", "pings and pongs"), ("", number(counts["control"])), ("", "")],
        [("", "exchanges"), ("", number(counts["exchanges"])), ("slow" if bad else "", exchanges)],
    ]
    lost = f"{counted(counts['lost'], 'frame')} forwarded but NOT RECORDED"
    rows.append([("", "gaps"), ("", number(counts["gaps"])),
                 ("loud", lost) if counts["gaps"] else ("good", "everything that was forwarded is recorded")])
    if lines_dropped:
        rows.append([("", "not shown"), ("", number(lines_dropped)), ("slow", "lines: the terminal was too slow")])
    return [[("strong", "Traffic")], *_table(rows, None, right=frozenset({1}), shrink=2)]


def _list(counts: Counter[str], *names: tuple[str, str]) -> str:
    return ", ".join(f"{number(counts[name])} {words}" for name, words in names if counts[name])


def _findings(summary: Summary, width: int | None) -> list[Line]:
    found = summary.worst_first()
    if not found:
        return [[("strong", "Findings: "), ("good", "none")]]
    by_severity: Counter[str] = Counter()
    for seen in found:
        by_severity[seen.severity] += max(seen.findings, 1)
    title: Line = [("strong", "Findings: ")]
    for severity in SEVERITIES:
        if by_severity[severity]:
            title += [("", ", " if len(title) > 1 else ""), (severity, counted(by_severity[severity], severity))]
    lines = [title]
    for seen in found[:_RULES]:
        lines += _rule(seen, width, summary.names)
    return lines + _more(len(found) - _RULES, "rules: see the check below")


def _rule(seen: RuleSeen, width: int | None, names: Names) -> list[Line]:
    stations = sorted(seen.stations)
    who = ", ".join(label(station, names, 24) for station in stations[:3])
    if len(stations) > 3:
        who += f" and {number(len(stations) - 3)} more stations"
    times = "once" if seen.count == 1 else f"{number(seen.count)} times"
    lines: list[Line] = [[("", "  "), (seen.severity, f"{seen.severity:<8}"), ("strong", seen.rule),
                          ("", f"  {times}{f', {who}' if who else ''}")]]
    advice = safe(" ".join((seen.fix or seen.message).split()), 400)
    indent = " " * 10
    wrapped = wrap(advice, width - len(indent)) if width is not None else [advice]
    return lines + [[("", indent + line)] for line in wrapped[:3]]


def _latencies(summary: Summary, width: int | None) -> list[Line]:
    if not summary.latencies:
        return []
    kept = sorted(summary.latencies.items(), key=lambda item: (-item[1].count, item[0]))
    header: list[Segment] = [("dim", word) for word in ("action", "answered by", "n", "p50", "p95", "p99", "max")]
    rows = [header]
    for (action, side), latencies in kept[:_ROWS]:
        cells = [latencies.percentile_ms(percent) for percent in (50, 95, 99)] + [latencies.max_ms]
        rows.append([("", action if action.startswith("(") else action_name(action)), ("", side),
                     ("", number(latencies.count)),
                     *[("slow" if ms >= SLOW_MS else "", milliseconds(ms)) for ms in cells]])
    return [[("strong", "Latency"), ("dim", " from CALL to answer as they passed here; percentiles within 1 %")],
            *_table(rows, width, right=frozenset({2, 3, 4, 5, 6}), shrink=0), *_more(len(kept) - _ROWS, "actions")]


def _next(summary: Summary, capture_path: str | None, width: int | None) -> list[Line]:
    if capture_path is None:
        return [[("strong", "Capture: "), ("warning", "none was recorded")]]
    path = safe(shlex.quote(capture_path), 1_000)
    commands = [(f"ocpp-proxy check {path}", "the whole analysis again")]
    commands += [(f"ocpp-proxy rules explain {seen.rule}", "what it means, what to do")
                 for seen in summary.worst_first()[:_EXPLAINED]]
    commands.append((f"ocpp-proxy capture show {path}", "every frame"))
    lines: list[Line] = [[("strong", "Capture: "), ("", path)], [("strong", "Next")]]
    longest = max(width_of(command) for command, _ in commands)
    room = width is None or len(_GAP) * 2 + longest + _COMMENT <= width
    for command, why in commands:
        comment = " " * (longest - width_of(command)) + f"{_GAP}# {why}"
        lines.append([("", _GAP + command), ("dim", comment if room else "")])
    return lines
