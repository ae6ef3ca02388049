"""The relay with a real capture: what was relayed is read back from the file."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from relay_peers import (
    BINARY,
    CLOSE,
    CONT,
    LOOPS,
    PING,
    TEXT,
    Peer,
    close_payload,
    from_station,
    listening,
    request,
    run,
    switching,
)

from ocpp_proxy.capture import Recorder, open_capture
from ocpp_proxy.core.record import Closed, FrameRecord, Gap, Opened
from ocpp_proxy.relay.proxy import Proxy, RelaySettings

CANARY = "canary-0123456789"
SECRET = f'[2,"1","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{CANARY}"}}]'.encode()


class Setup:
    def __init__(self, file: Path) -> None:
        self.troubles: list[str] = []
        self.recorder = Recorder.create(file, "test", on_trouble=self.troubles.append)

    async def talk(self, what: Any) -> None:
        """Let `what(station, csms)` happen on one relayed connection, and stop."""


        async with listening() as csms:
            settings = RelaySettings(f"ws://127.0.0.1:{csms.port}", ("127.0.0.1:0",), linger_s=0.2)
            proxy = Proxy(settings, self.recorder, None)
            (url,) = await proxy.start()
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            station = Peer(reader, writer)
            secret = base64.b64encode(f"CP1:{CANARY}".encode()).decode()
            station.send(request(f"/CP1?token={CANARY}", f"Authorization: Basic {secret}"))
            upstream = await csms.accept()
            assert secret.encode() in upstream.request
            upstream.send(switching())
            await station.head()
            await what(station, upstream)
            await proxy.stop()
            writer.close()
        self.recorder.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_everything_is_read_back(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "x.db"

    async def what(station: Peer, csms: Peer) -> None:
        frames = [
            (TEXT, SECRET[:60], False),
            (PING, b"\xff", True),
            (CONT, SECRET[60:], True),
            (BINARY, b"\xff", True),
        ]
        for opcode, data, fin in frames:
            station.send(from_station(opcode, data, fin=fin))
            assert (await csms.frame()).payload == data
        station.send(from_station(CLOSE, close_payload(1000, "bye")))
        await csms.frame()

    run(loop, Setup(file).talk(what))
    records = list(open_capture(file).records())
    opened, *frames, closed = records
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
    assert (closed.by, closed.code, closed.reason) == ("station", 1000, "bye")
    assert all(isinstance(one, FrameRecord) for one in frames)
    assert [(one.seq, one.opcode, one.fragments, one.incomplete) for one in frames if isinstance(one, FrameRecord)] == [
        (1, "text", (60, len(SECRET) - 60), False), (2, "ping", None, False), (3, "binary", None, False),
    ]  # fmt: skip
    assert CANARY.encode() not in b"".join(one.read_bytes() for one in tmp_path.iterdir())


def test_a_locked_capture_stops_nothing_and_the_gap_is_on_record(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    setup = Setup(file)

    async def what(station: Peer, csms: Peer) -> None:
        with sqlite3.connect(file, isolation_level=None) as other:
            other.execute("begin immediate")
            for number in range(3):
                station.send(from_station(TEXT, b"%d" % number))
                assert (await csms.frame()).payload == b"%d" % number
            other.execute("rollback")
        station.send(from_station(TEXT, b"again"))
        await csms.frame()

    run("uvloop", setup.talk(what))
    other = [one for one in open_capture(file).records() if isinstance(one, Gap | FrameRecord)]
    assert [(type(one), getattr(one, "lost", None)) for one in other] == [(Gap, 3), (FrameRecord, None)]
    assert setup.troubles
    assert setup.recorder.had_gap
