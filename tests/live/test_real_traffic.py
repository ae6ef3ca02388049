"""The views over frames that real stations and CSMSs have sent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from live_screen import ZONE, console_of
from live_story import Story

from ocpp_proxy.core.event import Event, FrameSeen
from ocpp_proxy.core.exchange import Correlator
from ocpp_proxy.core.reader import read
from ocpp_proxy.live.safe import width_of
from ocpp_proxy.live.stream import StreamView
from ocpp_proxy.live.summary import Summary

CORPUS = os.environ.get("OCPP_CORPUS")
pytestmark = [pytest.mark.corpus,
              pytest.mark.skipif(CORPUS is None, reason="OCPP_CORPUS does not name the reference corpus")]


def conversations() -> list[list[Event]]:
    """A connection for each session of the corpus; of each frame, what the pipeline would hand on."""
    told: list[list[Event]] = []
    sessions: dict[str, tuple[Story, Correlator]] = {}
    clock = [Story().now]
    assert CORPUS is not None
    for line in (Path(CORPUS) / "frames.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["raw"] is None:
            continue
        name = str(row["session"])
        if name not in sessions:
            sessions[name] = (Story(name, name, clock), Correlator(name))
            told.append(sessions[name][0].opened())
        story, correlator = sessions[name]
        sender = "csms" if row["direction"] == "csms->cs" else "station"
        story.wait(10)
        record = story.record(sender, row["raw"].encode("utf-8", "surrogatepass"))
        frame = read(record.data)
        found = correlator.receive(frame, record.seq, record.sender, record.at)
        told.append([FrameSeen(record, story.station, frame, found.exchange)])
    return told


@pytest.mark.parametrize("width", [80, 160, None])
def test_every_real_frame_gets_its_line(width: int | None) -> None:
    told = conversations()
    console = console_of(width)
    view, summary = StreamView(console, zone=ZONE), Summary(zone=ZONE)
    for batch in told:
        view.show(batch)
        summary.add(batch)
    assert view.close()
    assert summary.render(console, "day.db")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    stream, _, closing = text.partition("── Summary")
    assert text.replace("\n", "").isprintable()
    frames = sum(isinstance(event, FrameSeen) for batch in told for event in batch)
    assert summary.counts["frames"] == frames
    assert frames / 2 < len(stream.splitlines()) < frames * 2
    if width is not None:
        assert all(width_of(line) <= width for line in stream.splitlines() + closing.splitlines()[1:])
