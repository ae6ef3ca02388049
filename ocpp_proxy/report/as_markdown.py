"""An analysis as the report that an engineer sends to a maker or to whoever runs a CSMS.

Decides what a stranger needs to believe a deviation and to mend it: whose it is, what was seen and expected, by which
clause, how often, in which frames with those before and after, and words to ask for it. Tokens are taken out, secrets
were never in. Findings that are this program's own doing are left out: nobody else can do anything about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.registration import Device
from ocpp_proxy.report.analysis import Analysis, Frames
from ocpp_proxy.report.confidential import Tokens
from ocpp_proxy.report.grouping import SIDES, Deviation, number, plain
from ocpp_proxy.rules.model import Rule

AROUND = 2          # frames before and after
QUOTED_MOST = 12    # frames of a deviation
LONGEST_QUOTE = 1500
SENTENCES_MOST = 5
SEVERITY = {
    "error": "breaks what the specification demands, or loses data or billing", "warning": "should be mended",
    "info": "an observation",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """Where the report comes from: the program's version, the capture's SHA-256 (None where it is still written)."""

    tool: str
    digest: str | None


def wanted(deviations: Sequence[Deviation]) -> set[tuple[str, int]]:
    """The frames that the report quotes, as far as there are so many."""
    return {(connection, seq) for deviation in deviations for connection, span in _spans(deviation) for seq in span}


def report(
    analysis: Analysis, deviations: Sequence[Deviation], frames: Frames, tokens: Tokens, source: Source
) -> Iterator[str]:
    """The lines of the report. `frames`: those that `wanted` names."""
    theirs = [one for one in deviations if one.first.at_fault != "proxy"]
    yield f"# Deviations in {_inline(analysis.capture, tokens)}"
    yield ""
    yield from _facts(analysis, source)
    if not theirs:
        yield ""
        yield "Nothing to find fault with."
        return
    for station, of_station in groupby(theirs, key=lambda one: one.first.station):
        for side, of_side in groupby(of_station, key=lambda one: one.first.at_fault):
            yield ""
            yield f"## {_heading(station, analysis.devices.get(station or ''), side)}"
            for place, deviation in enumerate(of_side, 1):
                yield ""
                device, rule = analysis.devices.get(station or ""), analysis.rules[deviation.first.rule]
                yield from _Section(deviation, rule, device, tokens).lines(place, frames)


def _facts(analysis: Analysis, source: Source) -> Iterator[str]:
    counts = analysis.counts
    yield f"- Recorded traffic: {number(counts['frames'], 'message')} in {number(counts['exchanges'], 'exchange')}"
    if analysis.span is not None:
        first, last = (moment.isoformat()[:19].replace("T", " ") for moment in analysis.span)
        yield f"- Time: {first} to {last} UTC, by the clock of the recording machine"
    if source.digest is not None:
        yield f"- SHA-256 of the capture: `{source.digest}`"
    yield f"- Checked by {source.tool}"
    yield "- Card numbers and other tokens are replaced by names; passwords and keys were never recorded."
    yield "- This is no certification: it tells what was seen, not that all else is sound."
    for note in analysis.notes:
        yield f"- Bear in mind: {plain(note.message)}"


def _heading(station: str | None, session: Session | None, side: str) -> str:
    name = f"station {plain(station)}" if station is not None else "a station without a name"
    known = _make(session)
    whose = f"{name}{f' ({known})' if known else ''}"
    if side == "station":
        return f"{whose[:1].upper()}{whose[1:]}"
    return f"{SIDES['csms'].removeprefix('the ')}, towards {whose}"


def _make(session: Session | None) -> str:
    boot = session.registration.last if session is not None else None
    device = boot.device if boot is not None else Device(None, None, None, None)
    make = " ".join(plain(word) for word in (device.vendor, device.model) if word)
    firmware = f"firmware {plain(device.firmware)}" if device.firmware else ""
    version = f"OCPP {session.version}" if session is not None and session.version else ""
    return ", ".join(part for part in (make, firmware, version) if part)


class _Section:
    """One deviation."""

    def __init__(self, deviation: Deviation, rule: Rule, device: Session | None, tokens: Tokens) -> None:
        self.deviation = deviation
        self.rule = rule
        self.device = device
        self.tokens = tokens

    @property
    def first(self) -> Finding:
        return self.deviation.first

    def lines(self, place: int, frames: Frames) -> Iterator[str]:
        first, rule = self.first, self.rule
        yield f"### {place}. {rule.title}"
        yield ""
        axis = "" if first.axis == "conformance" else ", a wish beyond the specification"
        yield f"- Rule: `{rule.id}` ({first.severity}: {SEVERITY[first.severity]}{axis})"
        yield f"- Clause: {'; '.join(first.references)}"
        for message, count in self.deviation.messages()[:SENTENCES_MOST]:
            yield f"- Seen: {self._inline(message)}{f' ({count} times)' if count > 1 else ''}"
        if len(self.deviation.messages()) > SENTENCES_MOST:
            yield f"- and {len(self.deviation.messages()) - SENTENCES_MOST} more like these"
        if first.expected is not None:
            yield f"- Expected: {self._inline(_worded(first.expected))}"
        yield f"- How often: {self._how_often()}"
        yield f"- What it means: {rule.what}"
        yield f"- Why it matters: {rule.why}"
        if rule.cause:
            yield f"- Usual cause: {rule.cause}"
        yield f"- What to do: {rule.fix}"
        yield from self._quotes(frames)
        yield ""
        yield f"> {self._request()}"

    def _how_often(self) -> str:
        count = self.deviation.count
        connections = {finding.connection for finding in self.deviation.findings}
        where = f" on {len(connections)} connections" if len(connections) > 1 else ""
        return f"{'once' if count == 1 else f'{count} times'}{where}"

    def _quotes(self, frames: Frames) -> Iterator[str]:
        """The frames of the first occurrence, with those before and after; the one at fault is marked."""
        for connection, span in _spans(self.deviation):
            quoted = [frames[connection, seq] for seq in span if (connection, seq) in frames]
            if quoted:
                yield ""
                yield f"Frames of connection {connection}:"
                yield ""
                yield "```text"
                yield from (self._quote(frame) for frame in quoted)
                yield "```"

    def _quote(self, frame: FrameRecord) -> str:
        at_fault = (frame.connection, frame.seq) == (self.first.connection, (self.first.frames or [0])[0])
        text = self.tokens.masked(plain(frame.data.decode(errors="backslashreplace")))
        if len(text) > LONGEST_QUOTE:
            text = f"{text[:LONGEST_QUOTE]}… ({len(text) - LONGEST_QUOTE} characters more)"
        mark = ">" if at_fault else " "
        return f"{mark} {frame.at.isoformat()[:23]}Z #{frame.seq} {frame.sender}: {text.replace('```', '` ` `')}"

    def _request(self) -> str:
        """Words to send."""
        message = self._inline(self.first.message)
        known = _make(self.device)
        if self.first.at_fault == "station":
            whom = f"Your station ({known})" if known else "Your station"
        else:
            whom = "Your CSMS"
        clause = self.first.references[0] if self.first.references else self.rule.id
        times = "" if self.deviation.count == 1 else f", {self.deviation.count} times in this recording"
        if self.first.axis == "compatibility":
            return (f"{whom} keeps to the specification here, but we wish for more: {message}{times}. {self.rule.why} "
                    "Please tell us whether and when you can provide it.")
        return (f"{whom} deviates from {clause}: {message}{times}. {self.rule.why} "
                "Please have a look at the frames above and tell us whether and when it can be mended.")

    def _inline(self, text: str) -> str:
        return _inline(text, self.tokens)


def _spans(deviation: Deviation) -> list[tuple[str, range]]:
    """For each connection that the evidence of the first finding is on, the numbers of the frames to quote."""
    by_connection: dict[str, list[int]] = {}
    for connection, seq in deviation.first.evidence:
        by_connection.setdefault(connection, []).append(seq)
    spans = []
    for connection, seqs in by_connection.items():
        first, last = max(min(seqs) - AROUND, 1), max(seqs) + AROUND
        spans.append((connection, range(max(first, last - QUOTED_MOST + 1), last + 1)))
    return spans


def _worded(expected: object) -> str:
    return ", ".join(map(str, expected)) if isinstance(expected, list) else str(expected)


_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|])")


def _inline(text: str, tokens: Tokens) -> str:
    """A sentence with what a peer sent in it, for a place where Markdown would be obeyed."""
    return _MARKUP.sub(r"\\\1", tokens.masked(plain(text)))

