"""The lines of the stream view, as segments: what is said of a frame, a finding, a gap, a connection.

Decides the words and their order. Refuses to know how wide the screen is, except for where a finding wraps, and what
came before (`stream` does). Whether a line can be understood does not hang on colour: direction, outcome, severity and
every mark of ours are words or arrows.

Source: own decision; RFC 6455 section 7.4.1 and the IANA registry (close codes); RFC 9110 section 15 (HTTP statuses).
"""

from __future__ import annotations

from http import HTTPStatus

from ocpp_proxy.core.event import FrameSeen
from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import Call, CallError, CallResult, CallResultError, Malformed, Send
from ocpp_proxy.core.record import Closed, FrameRecord, Gap, Opened
from ocpp_proxy.live.paint import Line, Segment, wrap
from ocpp_proxy.live.safe import safe, scalar, width_of
from ocpp_proxy.live.salient import brief
from ocpp_proxy.live.when import counted, milliseconds, number

LEGEND = ("→ csms sent by the station · ← csms sent by the CSMS · ✓ answered yes, ! answered otherwise, ✗ CALLERROR",
          "→ csms from station · ← csms from CSMS · ✓ yes ! other answer ✗ CALLERROR")
SLOW_MS = 1_000.0
_CLOSE_CODES = {
    1000: "normal", 1001: "going away", 1002: "protocol error", 1003: "unsupported data", 1005: "no code given",
    1006: "connection lost", 1007: "invalid text", 1008: "policy violation", 1009: "message too big",
    1010: "extension missing", 1011: "internal error", 1012: "service restart", 1013: "try again later",
    1014: "bad gateway", 1015: "TLS failure",
}
_QUIET_CODES = (1000, 1001, 1005)
_INDENT = "    "
_DIRECTION_CELLS = 8


def direction(record: FrameRecord) -> Segment:
    """Who is at the far end of the station's link, and which way the frame went."""
    if record.sender == "station":
        return ("to-csms", "→ proxy " if record.origin == "withheld" else "→ csms ")
    if record.sender == "csms":
        return ("to-station", "← csms ")
    return ("mark", "← proxy " if record.to == "station" else "→ csms ")


def frame(event: FrameSeen, head_cells: int, cells: int | None) -> Line:
    """From the direction on, in `cells` cells (None: any number). What stands before the salient fields is padded
    to `head_cells`."""
    record = event.record
    exchange = event.exchange
    salient = brief(event.frame, None if exchange is None else exchange.action)
    line = [direction(record), *_head(event, salient.notable), *_marks(record, exchange)]
    if salient.fields or salient.extra:
        used = sum([width_of(text) for _, text in line])
        pad = max(head_cells + _DIRECTION_CELLS - used, 2)
        said = salient.text if cells is None else salient.within(cells - used - pad)
        line += [("", " " * pad), ("slow" if salient.notable else "", said)]
    return line


def _head(event: FrameSeen, notable: bool) -> Line:
    seen = event.frame
    if isinstance(seen, Call):
        return [("strong", action_name(seen.action))]
    if isinstance(seen, CallResult | CallError):
        return _answer(seen, event.exchange, notable)
    if isinstance(seen, Send):
        return [("strong", action_name(seen.action)), ("dim", " SEND")]
    if isinstance(seen, Malformed):
        return [("error", "✗ unreadable frame"), ("", f" {counted(len(event.record.data), 'byte')}")]
    return [("dim", f"{event.record.opcode} {counted(len(event.record.data), 'byte')}")]


def _answer(seen: CallResult | CallError, exchange: Exchange | None, notable: bool) -> Line:
    line: Line = []
    if exchange is None:
        line.append(("warning", f"answer without a CALL ({safe(seen.message_id, 36)})"))
    else:
        line.append(("", action_name(exchange.action)))
    if isinstance(seen, CallError):
        kind = "CALLRESULTERROR" if isinstance(seen, CallResultError) else "CALLERROR"
        line.append(("error", f" ✗ {kind} {scalar(seen.code, 40)}"))
    elif exchange is not None:
        line.append(("slow", " !") if notable else ("good", " ✓"))
    if exchange is not None and exchange.answer is not seen:
        if not isinstance(seen, CallResultError):
            again = exchange.answers <= exchange.attempts  # as often as it was asked
            line.append(("dim", " once more") if again else ("warning", " ANSWERED TWICE"))
        return line
    latency = None if exchange is None else exchange.latency_ms
    if latency is not None:
        line.append(("slow" if latency >= SLOW_MS else "dim", f" {milliseconds(latency)}"))
    return line


def _marks(record: FrameRecord, exchange: Exchange | None) -> Line:
    marks: Line = []
    if record.origin != "relayed":
        marks.append(("mark", f" {record.origin}"))
    if record.held_ms is not None:
        marks.append(("mark", f" held {milliseconds(record.held_ms)}"))
    if record.fragments is not None:
        marks.append(("dim", f" in {counted(len(record.fragments), 'fragment')}"))
    if record.opcode == "binary":
        marks.append(("warning", " binary"))
    if exchange is not None and exchange.attempts > 1 and exchange.answer is None:
        marks.append(("warning", f" attempt {exchange.attempts}"))
    return marks


def action_name(action: str) -> str:
    """As sent; in quotation marks where it could be taken for something else on the line."""
    shown = safe(action, 40)
    return shown if shown.isascii() and shown.isidentifier() else f'"{shown}"'


def unanswered(exchange: Exchange, waited: str) -> Line:
    """A CALL whose answer did not come. `waited` says until when."""
    arrow: Segment = ("to-csms", "→ csms ") if exchange.caller == "station" else ("to-station", "← csms ")
    return [arrow, ("strong", action_name(exchange.action)), ("warning", " UNANSWERED"),
            ("", f" {waited} (frame {exchange.call_seq})")]


def opened(record: Opened) -> Line:
    """A handshake that succeeded, or who refused it and how."""
    version = ("", safe(record.subprotocol, 30)) if record.subprotocol else ("warning", "no subprotocol")
    address = [("dim", f" from {safe(record.station_address, 50)}")] if record.station_address else []
    if record.status == 101 and record.refused_by is None:
        details = [f"TLS {leg}" for leg in ("station", "csms") if record.tls.get(leg)]
        if record.dial_ms is not None:
            details.append(f"CSMS in {milliseconds(record.dial_ms)}")
        if record.extensions:
            details.append("compressed")
        return [("good", "● connected "), version, *address, ("dim", "".join(f", {item}" for item in details))]
    offered = safe(", ".join(record.offered[:5]), 60) or "no subprotocol"
    status = "no answer" if record.status is None else f"{record.status}{_phrase(record.status)}"
    return [("error", f"✗ refused by {record.refused_by or 'csms'}: {status}"), *address,
            ("dim", f", offered {offered}")]


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def closed(record: Closed, lasted: str) -> Line:
    """Who closed, with which code and what that means."""
    meaning = _CLOSE_CODES.get(record.code, "private" if record.code >= 4000 else "unassigned")
    reason = f' "{safe(record.reason, 123)}"' if record.reason else ""
    style = "strong" if record.code in _QUIET_CODES else "warning"
    answer = f", answered {record.echo[0]}" if record.echo and record.echo[0] != record.code else ""
    return [(style, f"○ closed by {record.by}: {record.code} {meaning}{reason}"),
            ("dim", f"{answer}{f', after {lasted}' if lasted else ''}")]


def date(text: str, cells: int) -> Line:
    """A rule across the screen."""
    start = f"── {text} "
    return [("dim", start + "─" * (cells - len(start)))]


def gap(record: Gap) -> Line:
    """Frames that went through but are missing from the capture."""
    last = record.first_seq + record.lost - 1
    which = f"frame {record.first_seq}" if record.lost <= 1 else f"frames {record.first_seq} to {last}"
    return [("loud", f"GAP: {which} forwarded but NOT RECORDED: {safe(record.reason, 80)}")]


def finding(item: Finding, *, cells: int | None, place: str, brief_only: bool) -> list[Line]:
    """Severity, message, what to do, rule and clause. `place` names the frame where it is not the one above;
    `brief_only` where the station has been told what to do about this rule already; `cells` None: on one line."""
    message = f"{place}{safe(item.message, 500)}"
    fix = "" if brief_only else safe(" ".join(item.fix.split()), 700)
    clause = _clause(item)
    label: Segment = (item.severity, item.severity)
    if cells is None:
        do = f" — to do: {fix}" if fix else ""
        return [[("", "└ "), label, ("", f" {safe(item.rule, 80)}: {message}{do} [{clause}]")]]
    hang = _INDENT + "  "
    first, *rest = wrap(f"{item.severity}: {message}", cells - len(hang)) or [item.severity]
    lines: list[Line] = [[("dim", f"{_INDENT}└ "), label, ("", first.removeprefix(item.severity))]]
    lines += [[("", hang + text)] for text in rest]
    for number_, text in enumerate(wrap(f"to do: {fix}", cells - len(hang)) if fix else ()):
        lines.append([("", hang), ("strong", "to do:"), ("", text.removeprefix("to do:"))] if number_ == 0
                     else [("", hang + text)])
    lines += [[("dim", hang + text)] for text in wrap(f"{safe(item.rule, 80)} · {clause}", cells - len(hang))]
    return lines


def _clause(item: Finding) -> str:
    more = f" (+{len(item.references) - 1})" if len(item.references) > 1 else ""
    reference = f" · {safe(item.references[0], 70)}{more}" if item.references else ""
    return f"{item.at_fault} at fault{reference}"


def repeated(item: Finding, times: int, *, indent: bool) -> Line:
    """A finding again, at a round number."""
    return [("dim", _INDENT if indent else ""), ("dim", "└ "), (item.severity, item.severity),
            ("", f" {safe(item.rule, 80)} seen {number(times)} times: {safe(item.message, 200)}")]
