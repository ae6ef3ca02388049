"""Runs a capture through the pipeline.

Decides what a report is made of: counts, findings, what was not judged, and the frames to quote. Refuses to know how it
is shown (`as_text`, `as_json`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ocpp_proxy.capture import open_capture
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.session import Session
from ocpp_proxy.pipeline import Note, Pipeline
from ocpp_proxy.rules.engine import EVERYTHING
from ocpp_proxy.rules.model import Need, Rule

Frames = Mapping[tuple[str, int], FrameRecord]  # by connection and seq
PROGRESS_EVERY = 20_000


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a check of one capture found. `capture`: its path as the user gave it; `span`: the times of its first and
    last record, None where it bears none; `devices`: what is known of each station that has findings; `changed`: what
    the user's own rules changed of others, and why; `rules`: those in force, by id; `accepted`: how many findings a
    baseline accepts, which are not among the others; None without one."""

    capture: str
    span: tuple[Instant, Instant] | None
    counts: Mapping[str, int]
    findings: list[Finding]
    skipped: list[dict[str, str]]
    notes: list[Note]
    devices: Mapping[str, Session]
    changed: list[dict[str, str]] = field(default_factory=list)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    accepted: int | None = None


class MakePipeline(Protocol):
    """Makes the pipeline for a capture, of whose times these things are known."""

    def __call__(self, *, has: frozenset[Need], time_scale: float) -> Pipeline: ...


def analyse(path: Path, make: MakePipeline, on_progress: Callable[[int], None]) -> Analysis:
    """All that the pipeline says of the capture; `on_progress` hears now and then how many records are done.

    Raises BadInput where the capture cannot be read.
    """
    with open_capture(path) as capture:
        pipeline = make(has=frozenset() if capture.times_made_up else EVERYTHING, time_scale=capture.header.time_scale)
        times: list[Instant] = []
        for number, record in enumerate(capture.records(), 1):
            pipeline.feed(record)
            if record.at is not None:
                times[1:] = [record.at]
            if number % PROGRESS_EVERY == 0:
                on_progress(number)
        pipeline.finish()
        span = None if capture.times_made_up or not times else (times[0], times[-1])
        notes = [*pipeline.notes, *(Note(None, remark) for remark in capture.remarks)]
    findings = pipeline.findings()
    devices = {name: session for finding in findings
               if (name := finding.station) is not None and (session := pipeline.session(name)) is not None}
    rules = pipeline.rules
    return Analysis(str(path), span, pipeline.counts, findings, pipeline.skipped(), notes, devices, rules.changes(),
                    {rule.id: rule for rule in rules.active()})


def quoted(
    path: Path, wanted: set[tuple[str, int]], on_frame: Callable[[FrameRecord], None] | None = None
) -> Frames:
    """The frames of the capture that are to be quoted: read again, since few are wanted and a capture may be long.
    `on_frame` gets to see each frame on the way."""
    frames: dict[tuple[str, int], FrameRecord] = {}
    if not wanted:
        return frames
    with open_capture(path) as capture:
        for record in capture.records():
            if not isinstance(record, FrameRecord):
                continue
            if on_frame is not None:
                on_frame(record)
            if (key := (record.connection, record.seq)) in wanted:
                frames[key] = record
                if on_frame is None and len(frames) == len(wanted):
                    break
    return frames


def digest(path: Path) -> str | None:
    """SHA-256 of the capture's file; None for one whose log is still beside it, or which is no file."""
    if not path.is_file() or path.with_name(path.name + "-wal").exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
