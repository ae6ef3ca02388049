"""Stations and CSMSs that this project did not write hold whole conversations through `ocpp-proxy run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import node_peers
import ocpp_peers
import pytest
from interop_proxy import check, running_proxy
from ocpp_peers import Transcript

from ocpp_proxy.capture import open_capture
from ocpp_proxy.core.record import Closed, FrameRecord, Opened
from ocpp_proxy.files.rules import load_rules

ABOUT_FRAMES = {rule.id for rule in load_rules().all if rule.given.kind in ("frame", "schema", "correlation")}
PASSWORD = "canary-7f3a9c51e8"
PEERS = ("ocpp-rpc", "ocpp")
AGENT = {"ocpp-rpc": "interop-station/1.0 (ocpp-rpc)", "ocpp": "interop-station/1.0 (ocpp)"}


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("csms", PEERS)
@pytest.mark.parametrize("station", PEERS)
def test_foreign_peers_talk_through_the_proxy(
    station: str, csms: str, subprotocol: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    node = request.getfixturevalue("node") if "ocpp-rpc" in (station, csms) else ""
    asyncio.run(_converse(station, csms, subprotocol, node, tmp_path))


async def _converse(station: str, csms: str, subprotocol: str, node: str, folder: Path) -> None:
    csms_peer = node_peers.csms(node, PASSWORD) if csms == "ocpp-rpc" else ocpp_peers.csms(PASSWORD)
    async with csms_peer as (port, gone), running_proxy(f"ws://127.0.0.1:{port}/base", folder) as proxy:
        station_notes = await _station(station, node)(f"{proxy.url}/csms", "CP 001", PASSWORD, subprotocol)
        async with asyncio.timeout(ocpp_peers.TIMEOUT_S):
            csms_notes = await gone
    assert proxy.exit_code == 0, proxy.stderr
    assert station_notes.failures == csms_notes.failures == []
    assert station_notes.protocol == csms_notes.protocol == subprotocol
    assert csms_notes.received == station_notes.sent
    assert station_notes.received == csms_notes.sent
    assert csms_notes.close == {"code": 1000, "reason": "done for today"}
    assert csms_notes.session["identity"] == "CP 001"
    assert csms_notes.session["endpoint"] == "/base/csms"
    assert csms_notes.session["protocols"] == [subprotocol]
    assert csms_notes.session["agent"] == AGENT[station]
    _recorded(proxy.capture, station_notes, csms_notes, subprotocol)
    told = await check(proxy.capture)
    # What is said is made up, and says the same at each turn; how it is said is what matters here.
    assert [finding for finding in told["findings"] if finding["rule"] in ABOUT_FRAMES] == []
    assert told["counts"]["frames"] == len(station_notes.sent) + len(csms_notes.sent)
    assert told["counts"]["malformed"] == told["counts"]["unanswered"] == told["counts"]["pending"] == 0


def _station(kind: str, node: str) -> Callable:
    if kind == "ocpp":
        return ocpp_peers.station
    return lambda *arguments: node_peers.station(node, *arguments)


def _recorded(path: Path, station: Transcript, csms: Transcript, subprotocol: str) -> None:
    records = list(open_capture(path).records())
    (opened,) = [record for record in records if isinstance(record, Opened)]
    (closed,) = [record for record in records if isinstance(record, Closed)]
    frames = [record for record in records if isinstance(record, FrameRecord)]
    assert (opened.station, opened.status, opened.subprotocol) == ("CP%20001", 101, subprotocol)
    assert (closed.by, closed.code, closed.reason) == ("station", 1000, "done for today")
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    for sender, notes in (("station", station), ("csms", csms)):
        texts = [frame.data.decode() for frame in frames if (frame.sender, frame.opcode) == (sender, "text")]
        assert texts == notes.sent
    assert {"ping", "pong"} <= {frame.opcode for frame in frames}
    written = b"".join(file.read_bytes() for file in path.parent.glob("capture.db*"))
    assert PASSWORD.encode() not in written
