"""Every frame of the reference corpus crosses the running proxy byte for byte, is recorded, and can be checked."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest
from interop_proxy import check, running_proxy
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from ocpp_proxy.capture import open_capture
from ocpp_proxy.core.record import FrameRecord, Opened

CORPUS = os.environ.get("OCPP_CORPUS")
SUBPROTOCOLS = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
SENDERS = {"cs->csms": ("station",), "csms->cs": ("csms",), "unknown": ("station", "csms")}
PLAIN = {"compression": None, "ping_interval": None, "max_size": None}
TIMEOUT_S = 90


@dataclass(frozen=True)
class Said:
    sender: str
    raw: str


@dataclass(frozen=True)
class Session:
    """One conversation of the corpus: a connection of its own, `name` the station's identity."""

    name: str
    subprotocol: str
    said: tuple[Said, ...]


@pytest.mark.corpus
@pytest.mark.skipif(CORPUS is None, reason="OCPP_CORPUS does not name the reference corpus")
def test_every_corpus_frame_crosses_unharmed_and_is_recorded_and_checked(tmp_path: Path) -> None:
    asyncio.run(_cross(list(_sessions(Path(CORPUS) / "frames.jsonl")), tmp_path))


def _sessions(path: Path) -> Iterator[Session]:
    frames = [frame for line in path.read_text("utf-8").splitlines() if (frame := json.loads(line))["raw"] is not None]
    frames.sort(key=lambda frame: (str(frame["session"]), str(frame["version"])))  # stable
    grouped = groupby(frames, lambda frame: (frame["session"], frame["version"]))
    for number, ((_, version), session) in enumerate(grouped):
        said = tuple(Said(sender, frame["raw"]) for frame in session for sender in SENDERS[frame["direction"]])
        yield Session(f"S{number:04d}", SUBPROTOCOLS.get(version, "ocpp1.6"), said)


async def _cross(sessions: list[Session], folder: Path) -> None:
    arrived: dict[str, asyncio.Queue[ServerConnection]] = {one.name: asyncio.Queue() for one in sessions}

    async def csms(connection: ServerConnection) -> None:
        arrived[connection.request.path.rpartition("/")[2]].put_nowait(connection)
        await connection.wait_closed()

    async with serve(csms, "127.0.0.1", 0, subprotocols=list(SUBPROTOCOLS.values()), **PLAIN) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with running_proxy(f"ws://127.0.0.1:{port}/", folder) as proxy, asyncio.timeout(TIMEOUT_S):
            for session in sessions:
                async with connect(f"{proxy.url}/{session.name}", subprotocols=[session.subprotocol], proxy=None,
                                   **PLAIN) as station:
                    await _converse(session, station, await arrived[session.name].get())
    assert proxy.exit_code == 0, proxy.stderr
    assert "failed on" not in proxy.stderr  # the analysis choked on no frame
    _recorded(sessions, proxy.capture)
    told = await check(proxy.capture)
    assert told["counts"]["frames"] == sum(len(session.said) for session in sessions)


async def _converse(session: Session, station: ClientConnection, csms: ServerConnection) -> None:
    ends = {"station": (station, csms), "csms": (csms, station)}
    for said in session.said:
        sender, receiver = ends[said.sender]
        await sender.send(said.raw)
        assert await receiver.recv(decode=False) == said.raw.encode()


def _recorded(sessions: list[Session], path: Path) -> None:
    stations: dict[str, str | None] = {}
    frames: dict[str | None, list[FrameRecord]] = {}
    for record in open_capture(path).records():
        if isinstance(record, Opened):
            stations[record.connection] = record.station
        elif isinstance(record, FrameRecord):
            frames.setdefault(stations[record.connection], []).append(record)
    for session in sessions:
        recorded = frames[session.name]
        assert [one.sender for one in recorded] == [said.sender for said in session.said]
        for one, said in zip(recorded, session.said, strict=True):
            assert _same_but_for_secrets(one, said.raw), (one, said)


def _same_but_for_secrets(record: FrameRecord, raw: str) -> bool:
    """Equal; or, where the line says that it masks something, of equal length and different only in asterisks."""
    data = record.data.decode()
    if not record.masked:
        return data == raw
    return len(data) == len(raw) and all(kept == sent or kept == "*" for kept, sent in zip(data, raw, strict=True))
