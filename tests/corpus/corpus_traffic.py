"""The reference corpus as records, the way a relay would have recorded it.

Decides who sent a frame where the source does not say, which version a conversation is in, and when each frame passed:
logs are in local time, so each conversation's clock is set by the times that its frames speak of. Refuses to know what
is wrong with the frames.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import OTHER_SIDE, Call, CallError, CallResult, Frame, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import Closed, FrameRecord, Opened, Record
from ocpp_proxy.core.redact import redact
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import ACTIONS, OTHER_SUBPROTOCOLS, SUBPROTOCOLS
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.rules.ruleset import RuleSet

SENDERS: dict[str, Side] = {"cs->csms": "station", "csms->cs": "csms"}
SUBPROTOCOL_OF: dict[str, str] = {name.removeprefix("ocpp"): name for name in (*SUBPROTOCOLS, *OTHER_SUBPROTOCOLS)}
MAIMED = ("truncated", "redacted", "paste_artifact")
STEP_US = 1_000_000  # from one frame to the next, where nothing tells
QUARTER_US = 15 * 60 * 1_000_000  # zones differ by quarters of an hour
BEGIN_US = Instant.parse("2026-01-01T00:00:00Z").utc_us

_MOMENT = re.compile(r"(?:(\d{4})\D(\d\d)\D(\d\d)\D+)?(\d\d)\D(\d\d)\D(\d\d)(?:\D(\d{1,6}))?")
_FRAME_BEGIN = re.compile(r'\[\s*[1-6]\s*,\s*"')


@dataclass(frozen=True, slots=True)
class Said:
    """One frame of a conversation. `id`: its number in the corpus, None where it has none; `told_at`: as in the log;
    `maimed`: whoever pasted it cut or changed it."""

    id: int | None
    raw: str
    sender: Side | None
    told_at: str | None = None
    maimed: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """A connection of its own: frames in order."""

    name: str
    version: str
    said: list[Said] = field(default_factory=list)


def conversations(corpus: Path) -> list[Conversation]:
    """The frames of frames.jsonl whose text is known, by session."""
    found: dict[str, Conversation] = {}
    for line in (corpus / "frames.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["raw"] is None:
            continue
        one = found.setdefault(row["session"], Conversation(row["session"], row["version"]))
        maimed = any(row.get(flag) for flag in MAIMED)
        one.said.append(Said(row["id"], row["raw"], SENDERS.get(row["direction"]), row["ts"], maimed))
    for one in found.values():
        if (_told(one.said[0].told_at) or 0) > (_told(one.said[-1].told_at) or 0):  # a log with the newest on top
            one.said.reverse()
    return list(found.values())


def logged(corpus: Path) -> Iterator[Conversation]:
    """Whatever looks like a frame in the logs, to the end of its JSON or else of its line."""
    decoder = json.JSONDecoder()
    for path in sorted((corpus / "logs").glob("*.log")):
        version = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["ocpp_version"]
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        one, end = Conversation(path.stem, version), 0
        while match := _FRAME_BEGIN.search(text, end):
            try:
                end = decoder.raw_decode(text, match.start())[1]
            except ValueError:
                end = text.find("\n", match.start()) if "\n" in text[match.start() :] else len(text)
            one.said.append(Said(None, text[match.start() : end], None))
        yield one


def records(one: Conversation) -> Iterator[Record]:
    """The conversation as a capture would hold it, its frames numbered in their order."""
    subprotocol = SUBPROTOCOL_OF.get(one.version, "ocpp1.6")
    masked = [redact(said.raw.encode("utf-8", "surrogateescape")) for said in one.said]
    frames = [read(data) for data, _ in masked]
    times = list(_times(one, frames))
    yield Opened(
        connection=one.name, at=Instant(times[0]), station=one.name, offered=(subprotocol,), subprotocol=subprotocol
    )
    senders = _senders(one, frames)
    for seq, ((data, masks), at, sender) in enumerate(zip(masked, times, senders, strict=True), first_seq(one)):
        yield FrameRecord(
            connection=one.name, seq=seq, at=Instant(at), sender=sender, to=OTHER_SIDE[sender], opcode="text",
            data=data, masked=masks,
        )  # fmt: skip
    yield Closed(connection=one.name, at=Instant(times[-1] + STEP_US), by="station", code=1000)


def first_seq(one: Conversation) -> int:
    """1 where the conversation begins with the station's boot; else frames before it are missing."""
    frame = read(one.said[0].raw.encode("utf-8", "surrogateescape"))
    return 1 if isinstance(frame, Call) and frame.action == "BootNotification" else 2


def _senders(one: Conversation, frames: list[Frame]) -> Iterator[Side]:
    callers: dict[str, Side] = {}
    for said, frame in zip(one.said, frames, strict=True):
        sender = said.sender
        if sender is None and isinstance(frame, (CallResult, CallError)):
            sender = OTHER_SIDE[callers.get(frame.message_id, "station")]
        elif sender is None:
            sender = _caller(frame)
        if isinstance(frame, Call):
            callers[frame.message_id] = sender
        yield sender


def _caller(frame: Frame) -> Side:
    """The side that may send this action; the station, where both may or none."""
    action = frame.action if isinstance(frame, Call) else ""
    known = next((actions[action] for actions in ACTIONS.values() if action in actions), None)
    return "csms" if known is not None and "station" not in known.callers else "station"


def _times(one: Conversation, frames: list[Frame]) -> Iterator[int]:
    """When each frame passed, never going back, in microseconds since 1970."""
    told = [_told(said.told_at) for said in one.said]
    spoken = [_spoken(frame) for frame in frames]
    csms = [time if isinstance(frame, CallResult) else None for time, frame in zip(spoken, frames, strict=True)]
    shift = _shift(told, csms) or _shift(told, spoken) or 0
    at = next((time for time in chain(csms, spoken) if time is not None), BEGIN_US) - STEP_US
    first = next((time for time in told if time is not None), None)
    if first is not None:
        at = first + shift - STEP_US
    for time in told:
        at = at + STEP_US if time is None else max(at, time + shift)
        yield at


def _shift(told: list[int | None], spoken: list[int | None]) -> int | None:
    """What to add to a log's times, in whole quarters of an hour, so that they fit those that the frames speak of: the
    latest, since frames may tell of the past."""
    gaps = [there - here for here, there in zip(told, spoken, strict=True) if here is not None and there is not None]
    return round(max(gaps) / QUARTER_US) * QUARTER_US if gaps else None


def _told(text: str | None) -> int | None:
    match = _MOMENT.match(text or "")
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups()
    date = f"{year}-{month}-{day}" if year else "2026-01-01"
    return Instant.parse(f"{date}T{hour}:{minute}:{second}.{fraction or 0}Z").utc_us


def _spoken(frame: Frame) -> int | None:
    """The time that a payload tells at its top, if it is one that can be."""
    payload = getattr(frame, "payload", None)
    text = payload.get("currentTime", payload.get("timestamp")) if isinstance(payload, dict) else None
    try:
        at = Instant.parse(text).utc_us if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at > 0 else None


def judged(talks: Iterable[Conversation]) -> tuple[Pipeline, list[Finding]]:
    """All conversations, each on its own connection, through one pipeline with every bundled rule in force."""
    bundled = load_rules().all
    everything = RuleSet(bundled, {profile for rule in bundled for profile in rule.profiles})
    pipeline = Pipeline(everything, Schemas(load_schema))
    for one in talks:
        for record in records(one) if one.said else ():
            pipeline.feed(record)
    pipeline.finish()
    return pipeline, pipeline.findings()


def places(talks: Iterable[Conversation], findings: Iterable[Finding]) -> dict[int, set[str]]:
    """The ids of the rules that found something at each frame of the corpus."""
    ids: dict[tuple[str, int], Any] = {
        (one.name, seq): said.id for one in talks for seq, said in enumerate(one.said, first_seq(one))
    }  # fmt: skip
    found: dict[int, set[str]] = {number: set() for number in ids.values()}
    for finding in findings:
        for place in {*finding.evidence, *((finding.connection, seq) for seq in finding.frames)}:
            found[ids[place]].add(finding.rule)
    return found
