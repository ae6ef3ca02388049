"""Record, then forward, then think."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from relay_peers import PATIENCE_S, Recording, joined
from relay_peers import TEXT as TEXT_FRAME

from ocpp_proxy.core.record import Closed, Entry
from ocpp_proxy.relay.ledger import BATCH_BYTES, Ledger


class FakePair:
    """Says when it was asked what."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def note(self, leg: Any, event: Any, at: Any, records: list[Any], seen: list[Any]) -> None:
        self.said.append(f"note {event}")
        entry = Entry(type=event, at=at)
        records.append(entry)
        seen.append((entry, None))

    def act(self, leg: Any, event: Any) -> None:
        self.said.append(f"act {event}")

    def abort(self) -> None:
        self.said.append("abort")


class FakeLeg:
    def __init__(self, said: list[str]) -> None:
        self.pair = FakePair(said)


def in_a_loop(test: Callable[[list[str], Recording, Callable[..., Ledger], Any], Any]) -> list[str]:
    said: list[str] = []

    async def main() -> None:
        recording = Recording()
        recording.before = lambda records: said.append("write " + " ".join(_name(one) for one in records))

        def ledger(recorder: Any = recording, watched: bool = True) -> Ledger:
            def observe(seen: list[Any]) -> None:
                said.append("see " + " ".join(_name(record) for record, _ in seen))

            return Ledger(recorder, observe if watched else None, lambda notice: said.append(f"say {notice}"))

        test(said, recording, ledger, FakeLeg(said))
        await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    return said


def _name(record: Any) -> str:
    return record.type if isinstance(record, Entry) else type(record).__name__


def test_one_tick_is_one_write_and_nothing_is_forwarded_before_it() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        one = ledger()
        one.receive(leg, ["a", "b"])
        one.receive(FakeLeg(said), ["c"])
        said.append("end of tick")

    assert in_a_loop(test) == [
        "end of tick", "note a", "note b", "note c", "write a b c", "act a", "act b", "act c", "see a b c",
    ]  # fmt: skip


def test_steps_keep_their_place_among_frames() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        one = ledger()
        one.receive(leg, ["a"])
        one.step([Closed(connection="c1", at=None, by="proxy", code=1001)], lambda: said.append("act step"))  # type: ignore[arg-type]
        one.receive(leg, ["b"])

    assert in_a_loop(test) == [
        "note a", "note b", "write a Closed b", "act a", "act step", "act b", "see a Closed b",
    ]  # fmt: skip


def test_mistakes_of_our_own_keep_nothing_from_its_way() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        unrecorded, dropped = FakeLeg(said), FakeLeg(said)
        unrecorded.pair.note = dropped.pair.act = recording.before = broken  # type: ignore[method-assign]
        one = ledger()
        one.receive(unrecorded, ["a"])
        one.receive(dropped, ["b"])
        one.receive(leg, ["c"])

    said = in_a_loop(test)
    done = [one for one in said if not one.startswith("say")]
    assert done == ["note b", "note c", "act a", "abort", "act c", "see b c"]
    assert [one.split(":")[0].split(", ")[1] for one in said if one.startswith("say")] == [
        "what happened could not be recorded", "the recorder failed", "a connection had to be dropped",
    ]  # fmt: skip


def test_what_cannot_be_recorded_is_forwarded_all_the_same() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        recording.works = False
        ledger().receive(leg, ["a"])

    assert in_a_loop(test) == ["note a", "write a", "act a", "see a"]


def test_an_observer_that_fails_harms_nobody() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        one = ledger()
        one.observer = lambda seen: 1 / 0
        one.receive(leg, ["a"])

    *before, notice = in_a_loop(test)
    assert before == ["note a", "write a", "act a"]
    assert "ZeroDivisionError" in notice


def test_without_recorder_it_is_shown_and_without_observer_recorded() -> None:
    assert in_a_loop(lambda said, recording, ledger, leg: ledger(recorder=None).receive(leg, ["a"])) == [
        "note a", "act a", "see a",
    ]  # fmt: skip
    assert in_a_loop(lambda said, recording, ledger, leg: ledger(watched=False).receive(leg, ["a"])) == [
        "note a", "write a", "act a",
    ]  # fmt: skip


def test_without_both_it_forwards_at_once() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        one = ledger(recorder=None, watched=False)
        one.receive(leg, ["a"])
        one.step([], lambda: said.append("act step"))
        said.append("end of tick")
        assert [one.next_connection() for _ in range(2)] == ["c1", "c2"]

    assert in_a_loop(test) == ["act a", "act step", "end of tick"]


def test_much_in_one_tick_does_not_wait_for_its_end() -> None:
    def test(said: list[str], recording: Recording, ledger: Any, leg: Any) -> None:
        one = ledger()
        one.receive(leg, ["a"], BATCH_BYTES)
        one.receive(leg, ["b"], 1)
        said.append("go on")
        one.receive(leg, ["c"], 1)

    assert in_a_loop(test) == [
        "note a", "note b", "write a b", "act a", "act b", "see a b", "go on", "note c", "write c", "act c", "see c",
    ]  # fmt: skip


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_with_real_sockets_a_frame_is_written_before_it_leaves(loop: str) -> None:
    from relay_peers import run

    async def main() -> None:
        async with joined() as both:
            left: list[int] = []
            (pair,) = both.relay.proxy.connections.values()
            both.recording.before = lambda _: left.append(pair.station.frames)
            for _ in range(3):
                both.sends("station", TEXT_FRAME, b"[]")
                await both.csms.frame()
            assert left == [0, 1, 2]
            assert pair.station.frames == 3

    run(loop, main())
