"""What the board keeps is bounded, whatever peers send and however long a run lasts."""

from __future__ import annotations

import pytest
from control_parts import Parts

from ocpp_proxy.control import board, messages, stations

BEAT = '[2,"{}","Heartbeat",{{}}]'


def kept(parts: Parts, station: str = "CP1") -> list[int]:
    return [one.seq for one in parts.board.messages.of(station, None, None, 10_000)]


def test_messages_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MESSAGES_KEPT", 3)
    parts = Parts()
    parts.open()
    for number in range(5):
        parts.say(BEAT.format(number))
    assert kept(parts) == [3, 4, 5]
    assert parts.board.messages.forgotten("CP1") == 2


def test_messages_by_bytes_the_silent_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BYTES_KEPT", 2600)
    parts = Parts()
    for number in (1, 2):
        parts.open(f"CP{number}", f"c{number}")
        for count in range(3):
            parts.say(BEAT.format(count), connection=f"c{number}")
    assert kept(parts, "CP1") == [1, 2, 3]
    for count in range(4, 8):
        parts.say(BEAT.format(count), connection="c2")
    assert kept(parts, "CP1") == []
    assert kept(parts, "CP2") == [2, 3, 4, 5, 6, 7]


def test_long_messages_are_cut_and_say_so() -> None:
    parts = Parts()
    parts.open()
    text = f'[2,"1","DataTransfer",{{"vendorId":"{"é" * messages.DATA_KEPT}"}}]'
    parts.say(text)
    [message] = parts.board.messages.of("CP1", None, None, 10)
    shown = message.as_dict()
    assert (shown["cut"], shown["size_bytes"]) == (True, len(text.encode()))
    assert len(shown["data"].encode()) <= messages.DATA_KEPT + 3  # half a letter is replaced
    parts.say('[2,"2","' + "A" * 1000 + '",{}]')
    assert len(parts.board.messages.of("CP1", None, None, 10)[-1].as_dict()["action"]) == 100


def test_stations_those_heard_of_last_with_all_that_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "STATIONS_KEPT", 2)
    parts = Parts()
    for number in (1, 2, 3):
        parts.open(f"CP{number}", f"c{number}")
        parts.say(BEAT.format(1), connection=f"c{number}")
    assert [one.identity for one in parts.board.stations.all()] == ["CP2", "CP3"]
    assert kept(parts, "CP1") == []
    parts.say(BEAT.format(2), connection="c1")  # one that was forgotten speaks
    assert [one.identity for one in parts.board.stations.all()] == ["CP1", "CP3"]
    parts.close("c1")
    parts.close("c2")


def test_open_calls_and_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "OPEN_KEPT", 2)
    monkeypatch.setattr(board, "FINDINGS_KEPT", 4)
    parts = Parts()
    parts.open()
    for number in range(9):
        parts.say(BEAT.format(number))
        parts.say(f'[2,"x{number}","BootNotification",{{"field{number}":1}}]')
    [station] = parts.board.stations.all()
    assert parts.board.stations.as_dict(station)["open_calls"] == 2
    assert len(parts.board.findings(None, None, 1000)) == 4


def test_what_comes_of_a_connection_without_a_station_is_counted_only() -> None:
    parts = Parts()
    parts.open(None, status=400)
    parts.say("garbage", connection="c9")
    parts.say("", connection="c9", opcode="ping")
    assert parts.board.stations.all() == []
    assert parts.board.figures.refused == 1
    assert parts.board.figures.malformed == 1
    assert parts.board.figures.frames.total() == 2
