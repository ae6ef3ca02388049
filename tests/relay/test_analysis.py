"""The analysis behind the relay: in order, in slices, and never the end of anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ocpp_proxy.capture import Recorder, open_capture
from ocpp_proxy.core.event import Event, FrameSeen
from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, FrameRecord, Opened, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay import analysis
from ocpp_proxy.relay.analysis import Analysis

AT = Instant(1_700_000_000_000_000, 0)
BOOT = b'[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'


class Ear:
    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.ticked = asyncio.Event()

    def show(self, events: list[Event]) -> None:
        self.seqs += [event.record.seq for event in events if isinstance(event, FrameSeen)]

    def tick(self, at: Instant) -> None:
        self.ticked.set()


def frames(count: int) -> list[tuple[Record, Frame | None]]:
    opened: Record = Opened(connection="c1", at=AT, station="CP1", subprotocol="ocpp1.6")
    return [(opened, None)] + [
        (FrameRecord(connection="c1", seq=seq, at=AT, sender="station", to="csms", opcode="text",
                     data=BOOT.replace(b'"1"', b'"%d"' % seq, 1)), None)
        for seq in range(1, count + 1)
    ]


def story(tmp_path: Path, act: Callable[[Analysis, Ear], object], pipeline: Pipeline | None = None) -> list[str]:
    """Runs `act` beside a recorder in `tmp_path`; the notices it gave."""
    notices: list[str] = []

    async def run() -> None:
        recorder = Recorder.create(tmp_path / "x.db", "test", on_trouble=notices.append)
        ear = Ear()
        behind = Analysis(pipeline or Pipeline(load_rules(), Schemas(load_schema)), recorder, [ear], notices.append)
        result = act(behind, ear)
        if asyncio.iscoroutine(result):
            await result
        recorder.close()

    asyncio.run(run())
    return notices


def findings(tmp_path: Path) -> Sequence[Entry]:
    with open_capture(tmp_path / "x.db") as capture:
        return [record for record in capture.records() if isinstance(record, Entry) and record.type == "finding"]


def test_everything_is_analysed_in_order_and_findings_are_recorded_once(tmp_path: Path) -> None:
    async def act(behind: Analysis, ear: Ear) -> None:
        behind.observe(frames(200))
        assert ear.seqs == []  # it returned before anything was thought
        while len(ear.seqs) < 200:
            await asyncio.sleep(0)
        assert ear.seqs == list(range(1, 201))

    assert story(tmp_path, act) == []
    rules = [entry.fields["rule"] for entry in findings(tmp_path)]
    assert rules.count("boot-missing-iccid") == 1


def test_a_slice_leaves_the_loop_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "SLICE_S", 0.0)

    async def act(behind: Analysis, ear: Ear) -> None:
        behind.observe(frames(5))
        seen = []
        while len(ear.seqs) < 5:
            await asyncio.sleep(0)
            seen.append(len(ear.seqs))
        assert seen == [0, 1, 2, 3, 4, 5]  # one record a turn, the connection's opening first

    story(tmp_path, act)


def test_a_backlog_is_worked_off_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "SLICE_S", 0.0)
    monkeypatch.setattr(analysis, "CATCH_UP_S", float("inf"))
    monkeypatch.setattr(analysis, "BACKLOG_MOST", 3)

    async def act(behind: Analysis, ear: Ear) -> None:
        behind.observe(frames(10))
        await asyncio.sleep(0)
        assert len(ear.seqs) == 10

    story(tmp_path, act)


def test_what_waits_at_the_end_is_analysed(tmp_path: Path) -> None:
    def act(behind: Analysis, ear: Ear) -> None:
        behind.observe(frames(50))
        behind.finish()
        assert ear.seqs == list(range(1, 51))

    story(tmp_path, act)


def test_our_own_mistake_is_said_and_ends_nothing(tmp_path: Path) -> None:
    class Broken(Pipeline):
        def feed(self, record: Record, frame: Frame | None = None) -> list[Event]:
            if isinstance(record, FrameRecord) and record.seq == 2:
                raise ZeroDivisionError("ours")
            return super().feed(record, frame)

    def act(behind: Analysis, ear: Ear) -> None:
        behind.observe(frames(3))
        behind.finish()
        assert ear.seqs == [1, 3]

    [notice] = story(tmp_path, act, Broken(load_rules(), Schemas(load_schema)))
    assert "frame 2 of connection c1" in notice
    assert "ZeroDivisionError" in notice


def test_time_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "TICK_S", 0.01)

    async def act(behind: Analysis, ear: Ear) -> None:
        behind.start()
        await asyncio.wait_for(ear.ticked.wait(), 10)
        behind.finish()

    assert story(tmp_path, act) == []
