"""Lines that people write by hand, and what they are told when a line cannot be read."""

from __future__ import annotations

import pytest

from ocpp_proxy.capture.linereader import LineReader
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Closed, Entry, FrameRecord, Gap, Opened


def read(*lines: str) -> list[object]:
    reader = LineReader("hand.jsonl")
    return [reader.read(line, number) for number, line in enumerate(lines, 1)]


def test_sender_and_data_are_enough() -> None:
    first, blank, second, third = read(
        '{"sender":"station","data":[2, "1","Heartbeat",{}]}', "  ", '{"sender":"csms","data":"[3,\\"1\\",{}]"}',
        '{"sender":"station","data":"x","connection":"2"}')
    start = Instant.parse("2000-01-01T00:00:00Z").utc_us
    assert blank is None
    assert first == FrameRecord(connection="1", seq=1, at=Instant(start), sender="station", to="csms", opcode="text",
                                data=b'[2, "1","Heartbeat",{}]')
    assert second == FrameRecord(connection="1", seq=2, at=Instant(start + 1000), sender="csms", to="station",
                                 opcode="text", data=b'[3,"1",{}]')
    assert isinstance(third, FrameRecord)
    assert (third.connection, third.seq, third.at.utc_us) == ("2", 1, start + 2000)


def test_what_is_given_counts_for_what_follows() -> None:
    given, following = read('{"sender":"csms","data":"x","seq":7,"at":"2026-11-21T10:00:00+01:00"}',
                            '{"sender":"csms","data":"y"}')
    assert isinstance(given, FrameRecord)
    assert isinstance(following, FrameRecord)
    assert given.at.isoformat() == "2026-11-21T09:00:00.000000Z"
    assert following.at.isoformat() == "2026-11-21T09:00:00.001000Z"
    assert following.seq == 8


@pytest.mark.parametrize(("lines", "made_up"), [
    (['{"sender":"csms","data":"x","at":"2026-11-21T10:00:00Z"}', '{"type":"note","text":"no time needed"}'], False),
    (['{"sender":"csms","data":"x","at":"2026-11-21T10:00:00Z"}', '{"sender":"csms","data":"x"}'], True),
    (['{"sender":"csms","data":"x","at":null}'], True),
    (['{"type":"opened","station":"CP1"}'], True),
])
def test_it_is_known_whether_times_were_made_up(lines: list[str], made_up: bool) -> None:
    reader = LineReader()
    for line in lines:
        reader.read(line, 1)
    assert reader.times_made_up is made_up


def test_the_other_lines_need_little_as_well() -> None:
    header, opened, closed, gap = read('{"type":"capture"}', '{"type":"opened"}', '{"type":"closed","by":"csms"}',
                                       '{"type":"gap","first_seq":2,"lost":1}')
    assert header == CaptureHeader()
    assert isinstance(opened, Opened)
    assert (opened.connection, opened.status, opened.station) == ("1", 101, None)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.reason, closed.echo) == (1005, "", None)
    assert isinstance(gap, Gap)
    assert gap.reason == ""


def test_unknown_types_keep_everything() -> None:
    plain, strange = read('{"type":"act","connection":"c1","at":"2026-11-21T10:00:00Z","mono_ns":5,"by":"me"}',
                          '{"type":"later","connection":7,"at":"soon","mono_ns":"?"}')
    assert plain == Entry(type="act", connection="c1", at=Instant(Instant.parse("2026-11-21T10:00:00Z").utc_us, 5),
                          fields={"by": "me"})
    assert strange == Entry(type="later", fields={"connection": 7, "at": "soon", "mono_ns": "?"})


@pytest.mark.parametrize(("line", "said"), [
    ("{", "expected a JSON object, found none"),
    ("[2]", "expected a JSON object, found [2]"),
    ('{"a":NaN}', "NaN is not JSON"),
    ("[" * 100_000, "nested too deeply"),
    ('{"data":"x"}', 'expected "type" (one of capture, opened, frame, gap, closed, finding, act, note, prompt, '),
    ('{"type":5}', 'expected a text in "type", found 5'),
    ('{"sender":"charger","data":"x"}', 'one of station, csms, proxy in "sender", found "charger"'),
    ('{"sender":"station"}', 'expected "data" (the payload as text or as a JSON array) or "data_base64"'),
    ('{"sender":"station","data":{}}', 'a text or a JSON array in "data", found {}'),
    ('{"sender":"station","data":"x","data_base64":"eA=="}', 'either "data" or "data_base64", found both'),
    ('{"sender":"station","data_base64":"?"}', 'bytes in base64 in "data_base64", found "?"'),
    ('{"sender":"proxy","data":"x"}', '"to" where the sender is proxy, one of station, csms'),
    ('{"sender":"csms","data":"x","opcode":"close"}', "one of text, binary, ping, pong"),
    ('{"sender":"csms","data":"x","origin":"new"}', "one of relayed, injected, modified, withheld"),
    ('{"sender":"csms","data":"x","seq":-1}', 'a whole number from 0 in "seq", found -1'),
    ('{"sender":"csms","data":"x","seq":true}', 'a whole number from 0 in "seq", found true'),
    ('{"sender":"csms","data":"x","at":"noon"}', 'a time such as "2026-11-21T09:00:00.000000Z" in "at", found "noon"'),
    ('{"sender":"csms","data":"x","at":5}', 'in "at", found 5'),
    ('{"sender":"csms","data":"x","at":"0001-01-01T00:00:00+10:00"}', "a time such as"),
    ('{"sender":"csms","data":"x","held_ms":"1"}', 'a number in "held_ms"'),
    ('{"sender":"csms","data":"x","held_ms":1e400}', 'a number in "held_ms"'),
    ('{"sender":"csms","data":"x","incomplete":1}', 'true or false in "incomplete"'),
    ('{"sender":"csms","data":"x","fragments":["a"]}', 'a whole number from 0 in "fragments"'),
    ('{"sender":"csms","data":"x","masked":[{}]}', 'a mask as {"pointer":'),
    ('{"sender":"csms","data":"x","mono_ns":0.5}', 'a whole number in "mono_ns"'),
    ('{"sender":"csms","data":"x","connection":1}', 'a text in "connection", found 1'),
    ('{"type":"opened","station_headers":[["a"]]}', 'a header as ["Name","value"] in "station_headers"'),
    ('{"type":"opened","tls":[]}', 'an object in "tls"'),
    ('{"type":"closed"}', 'expected "by"'),
    ('{"type":"closed","by":"csms","echo":1000}', 'a close as {"code":1000,"reason":""} in "echo"'),
    ('{"type":"gap","first_seq":1}', 'expected "lost"'),
    ('{"type":"capture","version":2}', "version 1 at most, found version 2"),
    ('{"type":"capture","time_scale":0}', 'a number above 0 in "time_scale"'),
])
def test_a_line_that_cannot_be_read_says_what_was_expected(line: str, said: str) -> None:
    with pytest.raises(BadInput) as failure:
        LineReader("hand.jsonl").read(line, 12)
    assert said in failure.value.what
    assert str(failure.value).startswith("hand.jsonl:12: ")
    assert len(failure.value.what) < 300


def test_bytes_that_are_no_text_are_named() -> None:
    with pytest.raises(BadInput, match="expected UTF-8, found the byte 0xff at 1"):
        LineReader("x").read(b'"\xff"', 1)
