"""kill -9 under load: is every frame that was forwarded in the capture?

Stations and CSMS run here and note what reaches them; the relay is killed at a random moment; then its capture is
read. Decides what counts as lost: a frame that the receiving side got and the capture lacks. Holes in `seq` and gap
lines are counted beside it: by them a capture may say so itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import csms, loop, stations, subjects, traffic
from bench.framing import CONTINUATION, PING, PONG, TEXT, WireFrame, encode
from bench.stations import Station
from ocpp_proxy.capture import holes, open_capture
from ocpp_proxy.core.frame import Side
from ocpp_proxy.core.record import FrameRecord, Opened, Record

SHORTEST_S, LONGEST_S = 0.05, 1.2  # from the first frame to the kill
FRAGMENT_PAUSE_S = 0.003
LOST_TIMEOUT_S = 10.0
OPCODES = {TEXT: "text", PING: "ping", PONG: "pong"}

Message = tuple[str, bytes]


@dataclass(slots=True)
class Received:
    """What one end of one connection got: whole messages, and the beginning of one that broke off."""

    whole: Counter[Message] = field(default_factory=Counter)
    begun: bytes | None = None

    def take(self, frame: WireFrame) -> None:
        if frame.opcode in (PING, PONG):
            self.whole[OPCODES[frame.opcode], frame.payload] += 1
            return
        if frame.opcode not in (TEXT, CONTINUATION):
            return
        message = (self.begun or b"") + frame.payload
        self.begun = None if frame.fin else message
        if frame.fin:
            self.whole["text", message] += 1


@dataclass(frozen=True, slots=True)
class Kill:
    """`got`: frames that reached a receiver; `lost`: those the capture lacks; `said`: what its gaps and holes own."""

    after_s: float
    got: int
    recorded: int
    lost: int
    said: int
    examples: tuple[str, ...]

    @property
    def unexplained(self) -> int:
        return max(0, self.lost - self.said)


Book = dict[tuple[str, Side], Received]


def kill(times: int, count: int, seed: int, folder: Path | None = None) -> Iterable[Kill]:
    """`times` relays, each under the load of `count` stations, each killed at a random moment and read."""
    chance = random.Random(seed)
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="ocpp-kill-", dir=folder) as own:
            yield loop.run(_one(Path(own), count, chance.uniform(SHORTEST_S, LONGEST_S)))


async def _one(folder: Path, count: int, after_s: float) -> Kill:
    book: Book = defaultdict(Received)
    server = await csms.serve(lambda target, frame: book[target, "csms"].take(frame))
    with subjects.running_proxy(server.sockets[0].getsockname()[1], folder) as proxy:
        assert proxy.pid is not None
        connected = await stations.connect_all(proxy.port, "kill", count)
        talkers = [_Talker(station, book) for station in connected]
        await asyncio.sleep(after_s)
        os.kill(proxy.pid, signal.SIGKILL)
        async with asyncio.timeout(LOST_TIMEOUT_S):
            await asyncio.gather(*(station.lost for station in connected))
        for talker in talkers:
            talker.stop()
        await asyncio.sleep(0.05)  # what the kernel still holds for the CSMS
    server.close()
    return compare(book, list(open_capture(folder / "capture.db").records()), after_s)


class _Talker:
    """A station that never stops: meter values, every twentieth in three fragments, every fifth followed by a ping."""

    def __init__(self, station: Station, book: Book) -> None:
        self._station = station
        self._received = book[f"/ocpp/{station.name}", "station"]
        self._number = 0
        self._stopped = False
        station.answered = self._answered
        self._ask()

    def stop(self) -> None:
        self._stopped = True

    def _answered(self, frame: WireFrame) -> None:
        self._received.take(frame)
        if frame.opcode == TEXT:
            self._ask()

    def _ask(self) -> None:
        self._number += 1
        message_id = f"{self._station.name}-{self._number}".encode()
        message = traffic.meter_values(message_id, b"2026-11-21T09:00:00.000Z", self._number)
        if self._number % 20 == 0:
            third = len(message) // 3
            self._send_parts([message[:third], message[third:2 * third], message[2 * third:]], TEXT)
            return
        self._write(encode(message, masked=True))
        if self._number % 5 == 0:
            self._write(encode(message_id, masked=True, opcode=PING))

    def _send_parts(self, parts: list[bytes], opcode: int) -> None:
        self._write(encode(parts[0], masked=True, opcode=opcode, fin=len(parts) == 1))
        if len(parts) > 1:
            asyncio.get_running_loop().call_later(FRAGMENT_PAUSE_S, self._send_parts, parts[1:], CONTINUATION)

    def _write(self, data: bytes) -> None:
        if not self._stopped and not self._station.lost.done():
            self._station.transport.write(data)


@dataclass(slots=True)
class Recorded:
    """What the capture holds for one receiver of one connection; `begun` are messages that broke off."""

    whole: Counter[Message] = field(default_factory=Counter)
    begun: list[bytes] = field(default_factory=list)

    def lacks(self, received: Received) -> list[Message]:
        lacking = list((received.whole - self.whole).elements())
        if received.begun is not None and not self._holds_begun(received.begun):
            lacking.append(("begun", received.begun))
        return lacking

    def _holds_begun(self, begun: bytes) -> bool:
        return any(data.startswith(begun) for data in [*self.begun, *(data for _, data in self.whole)])


def compare(book: Book, records: list[Record], after_s: float) -> Kill:
    """What reached the receivers against what the capture holds."""
    targets: dict[str, str | None] = {}
    recorded: dict[tuple[str | None, Side], Recorded] = defaultdict(Recorded)
    frames = 0
    for record in records:
        if isinstance(record, Opened):
            targets[record.connection] = record.target
        elif isinstance(record, FrameRecord):
            frames += 1
            place = recorded[targets.get(record.connection), record.to]
            if record.incomplete:
                place.begun.append(record.data)
            else:
                place.whole[record.opcode, record.data] += 1
    lost = [f"{receiver} of {target}: {kind} {data[:60]!r}" for (target, receiver), received in book.items()
            for kind, data in recorded[target, receiver].lacks(received)]
    return Kill(after_s, got=sum(received.whole.total() for received in book.values()),
                recorded=frames, lost=len(lost), said=sum(hole.lost for hole in holes(records)),
                examples=tuple(lost[:5]))
