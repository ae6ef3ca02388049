"""What of a request is changed on its way."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from ocpp_proxy.wire.opening import Onward, chosen_subprotocol, first, is_upgrade, offered_subprotocols, onward


def test_target_and_host_are_replaced_in_place_and_nothing_else() -> None:
    raw = b"GET /a HTTP/1.1\r\nX:1\r\nhOsT:old\r\nAuthorization:  Basic \xff\r\nHost:  two \r\n\r\n"
    assert onward(raw, "/b?c", "csms:80") == Onward(
        b"GET /b?c HTTP/1.1\r\nX:1\r\nhOsT:csms:80\r\nAuthorization:  Basic \xff\r\nHost:  csms:80\r\n\r\n", (), False
    )


def test_a_request_without_headers_gets_none() -> None:
    assert onward(b"GET /a HTTP/1.0\r\n\r\n", "/b", "c").head == b"GET /b HTTP/1.0\r\n\r\n"


def test_offers_over_several_lines() -> None:
    name = b"Sec-WebSocket-Extensions: "
    raw = b"GET / HTTP/1.1\r\n" + name + b"x\r\n" + name + b"permessage-deflate, y\r\n" + name + b"z\r\n\r\n"
    assert onward(raw, "/", "c") == Onward(
        b"GET / HTTP/1.1\r\n" + name + b"permessage-deflate\r\n\r\n", ("x", "y", "z"), True
    )


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([], False), (["websocket"], True), (["WebSocket"], True), (["h2c, websocket"], True), (["h2c"], False)],
)
def test_who_wants_a_websocket(values: list[str], wanted: bool) -> None:
    assert is_upgrade(Request("/", Headers([("Upgrade", value) for value in values]))) is wanted


def test_subprotocols() -> None:
    headers = Headers([("Sec-WebSocket-Protocol", " a ,, b"), ("sec-websocket-protocol", "c d")])
    assert offered_subprotocols(headers) == ("a", "b", "c d")
    assert chosen_subprotocol(headers) == "a"
    assert chosen_subprotocol(Headers()) is None
    assert first(headers, "Sec-WebSocket-Protocol") == " a ,, b"
    assert first(headers, "X") is None
