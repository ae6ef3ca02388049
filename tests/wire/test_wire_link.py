"""One leg without I/O: whatever the bytes and however they are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from ocpp_proxy.wire.happening import CLOSE, LOST, NO_STATUS, TEXT, Breach, Message, NoMessage, Received, close_of
from ocpp_proxy.wire.link import CsmsLink, StationLink

REQUEST = b"GET /CP1 HTTP/1.1\r\nHost: x\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n"


def wire(opcode: int, data: bytes, *, mask: bool, fin: bool = True) -> bytes:
    return Frame(Opcode(opcode), data, fin).serialize(mask=mask)


def got(link: Any) -> list[Any]:
    happened, link.happened = link.happened, []
    return happened


def open_link(kind: type[Any], **settings: Any) -> Any:
    link = kind(**settings)
    link.release()
    return link


def test_a_request_is_given_with_its_bytes_and_what_follows_is_held() -> None:
    link = StationLink()
    frames = wire(TEXT, b"one", mask=True) + wire(9, b"", mask=True)
    for byte in REQUEST[:-1]:
        link.receive_data(bytes([byte]))
        assert link.message is None
    link.receive_data(REQUEST[-1:] + frames[:5])
    assert isinstance(link.message, Message)
    assert isinstance(link.message.http, Request)
    assert (link.message.raw, link.message.http.path) == (REQUEST, "/CP1")
    link.receive_data(frames[5:])
    assert (got(link), link.held_bytes) == ([], len(frames))
    assert link.data_to_send() == []
    link.release()
    assert [(one.opcode, one.data) for one in got(link)] == [(TEXT, b"one"), (9, b"")]
    assert link.data_to_send() == []


def test_a_response_with_its_body() -> None:
    link = CsmsLink()
    answer = b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\n"
    link.receive_data(answer + b"wh")
    assert link.message is None
    so_far = link.answer_so_far()
    assert so_far is not None
    assert so_far.raw == answer + b"wh"
    link.receive_data(b"o?more")
    assert isinstance(link.message, Message)
    assert isinstance(link.message.http, Response)
    assert (link.message.raw, link.message.http.status_code) == (answer + b"who", 401)


def test_a_response_that_has_not_begun_is_none() -> None:
    link = CsmsLink()
    link.receive_data(b"HTTP/1.1 401 No\r\nContent")
    assert link.answer_so_far() is None
    link.receive_eof()
    assert isinstance(link.message, NoMessage)


@given(st.binary())
def test_no_opening_raises(data: bytes) -> None:
    for link in (StationLink(), CsmsLink()):
        link.receive_data(data)
        link.receive_eof()
        assert link.message is not None or data.startswith(b"HTTP")


@settings(max_examples=300)
@given(st.binary(min_size=1), st.lists(st.integers(1, 30)), st.sampled_from([None, 5]))
def test_no_frames_raise_and_cutting_makes_no_difference(data: bytes, cuts: list[int], limit: int | None) -> None:
    for kind in (StationLink, CsmsLink):
        whole, pieces = open_link(kind, max_message=limit), open_link(kind, max_message=limit)
        whole.receive_data(data)
        at = 0
        for cut in [*cuts, len(data)]:
            if at < len(data):
                pieces.receive_data(data[at : at + cut])
            at += cut
        one, other = got(whole), got(pieces)
        assert [_spell(event) for event in one] == [_spell(event) for event in other]
        assert b"".join(event.raw for event in one if isinstance(event, Received)) == data[: _taken(one)]


def _spell(event: Any) -> tuple[Any, ...]:
    if isinstance(event, Breach):
        return (event.code, event.reason)  # the head has as much as was there
    return (event.opcode, event.fin, event.data, event.raw)


def _taken(events: list[Any]) -> int:
    return sum(len(event.raw) for event in events if isinstance(event, Received))


def test_what_comes_after_a_close_frame_is_not_looked_at() -> None:
    link = open_link(CsmsLink)
    link.receive_data(wire(CLOSE, b"\x03\xe8", mask=False) + wire(TEXT, b"late", mask=False))
    link.receive_data(wire(TEXT, b"later", mask=False))
    assert [one.opcode for one in got(link)] == [CLOSE]


def test_nothing_is_looked_at_after_a_breach() -> None:
    link = open_link(CsmsLink)
    link.receive_data(b"\x83\x00" + wire(TEXT, b"late", mask=False))
    link.receive_data(wire(TEXT, b"later", mask=False))
    (breach,) = got(link)
    assert (breach.code, breach.head[:2]) == (1002, b"\x83\x00")


def test_a_length_has_63_bits() -> None:
    link = open_link(CsmsLink)
    link.receive_data(b"\x81\x7f" + b"\xff" * 8)
    (breach,) = got(link)
    assert (breach.code, breach.head) == (1002, b"\x81\x7f" + b"\xff" * 8)


def test_opaque_leaves_messages_unread_but_not_control_frames() -> None:
    link = open_link(StationLink, opaque=True)
    sent = wire(TEXT, b"secret", mask=True) + wire(9, b"ping", mask=True)
    link.receive_data(sent)
    one, two = got(link)
    assert (one.data, two.data, one.raw + two.raw) == (b"", b"ping", sent)


@pytest.mark.parametrize("kind", [StationLink, CsmsLink])
def test_own_close_frames_are_masked_by_the_client_only(kind: type[Any]) -> None:
    frame = open_link(kind).close_frame(1002, "ä" * 100)
    assert len(frame) == 2 + 2 + 122 + (4 if kind is CsmsLink else 0)
    assert bool(frame[1] & 128) == (kind is CsmsLink)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", (NO_STATUS, "")),
        (b"\x03", (NO_STATUS, "")),
        (b"\x03\xe8", (1000, "")),
        (b"\xff\xffx", (65535, "x")),
        (b"\x03\xee\xff", (LOST, "\\xff")),
    ],
)
def test_close_payloads(payload: bytes, said: tuple[int, str]) -> None:
    assert close_of(payload) == said
