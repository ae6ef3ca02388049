"""Whatever crosses in whatever order and cut into whatever pieces arrives as it was sent, and is on record."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay_peers import (
    BINARY,
    CLOSE,
    CONT,
    LOOPS,
    MASK,
    OTHER,
    PING,
    PONG,
    TEXT,
    Closed,
    FrameRecord,
    close_payload,
    frame,
    joined,
    run,
)  # fmt: skip

NAMES = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}
sizes = st.sampled_from([0, 1, 2, 17, 125, 126, 127, 1000, 65535, 65536, 70000])
controls = st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)
messages = st.tuples(
    st.sampled_from([TEXT, BINARY]), st.lists(st.tuples(sizes, controls), min_size=1, max_size=4), controls
)
streams = st.tuples(st.lists(messages, max_size=6), st.lists(st.integers(1, 200000), max_size=12), st.booleans())


def expand(stream: Any, masked: bool) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The bytes of one side, and what ought to be on record of them in order of first bytes."""
    data, expected = b"", []
    fill = itertools.count()
    mask = MASK if masked else None
    for opcode, parts, after in stream[0]:
        place = len(expected)
        expected.append((NAMES[opcode], b""))
        for number, (size, between) in enumerate(parts):
            payload = bytes((next(fill) % 256,)) * size
            expected[place] = (NAMES[opcode], expected[place][1] + payload)
            last = number == len(parts) - 1
            data += frame(CONT if number else opcode, payload, fin=last, mask=mask)
            for control, body in [] if last else between:
                data += frame(control, body, mask=mask)
                expected.append((NAMES[control], body))
        for control, body in after:
            data += frame(control, body, mask=mask)
            expected.append((NAMES[control], body))
    return data, expected


async def send(peer: Any, data: bytes, cuts: list[int], patient: bool) -> None:
    at = 0
    for cut in [*cuts, len(data)]:
        peer.send(data[at : at + cut])
        at += cut
        if patient:
            await peer.writer.drain()
            await asyncio.sleep(0)


@pytest.mark.parametrize("allowed", [False, True], ids=["watching", "ready to take part"])
@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(station=streams, csms=streams)
def test_any_traffic(allowed: bool, loop: str, station: Any, csms: Any) -> None:
    async def main() -> None:
        async with joined(allowed=allowed) as both:
            wanted = {"station": expand(station, True), "csms": expand(csms, False)}
            cuts = {"station": station, "csms": csms}
            await asyncio.gather(*(send(both.side(side), wanted[side][0], *cuts[side][1:]) for side in wanted))
            for side, (data, _) in wanted.items():
                assert await both.side(OTHER[side]).read(len(data)) == data
            both.sends("station", CLOSE, close_payload(1000))
            await both.csms.frame()
            both.sends("csms", CLOSE, close_payload(1000))
            both.csms.hang_up()
            both.station.hang_up()
            await both.recording.until(Closed)
            for side, (_, expected) in wanted.items():
                assert [one[2:] for one in both.recording.frames() if one[1] == side] == expected
            numbers = [one[0] for one in both.recording.frames()]
            assert numbers == list(range(1, len(numbers) + 1))
            shown = [record for record, _ in both.relay.seen if isinstance(record, FrameRecord)]
            assert [one.seq for one in shown] == numbers

    run(loop, main())
