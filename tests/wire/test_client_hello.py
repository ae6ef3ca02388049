from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tls_fixtures import client_hello

from ocpp_proxy.wire.client_hello import ClientHello, looks_like_client_hello, read_client_hello

V1_0, V1_1, V1_2, V1_3 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HELLO = client_hello()


def test_what_is_offered() -> None:
    hello = read_client_hello(client_hello(host="proxy.local", ciphers="ECDHE-RSA-AES128-GCM-SHA256"))
    assert hello is not None
    assert hello.versions == ("TLS 1.3", "TLS 1.2")
    assert hello.server_name == "proxy.local"
    assert set(hello.suites) == {0x1301, 0x1302, 0x1303, 0xC02F}  # without the signal for renegotiation, 0x00ff


@pytest.mark.parametrize(
    ("versions", "names"),
    [((V1_0, V1_0), ("TLS 1.0",)), ((V1_0, V1_1), ("TLS 1.1",)), ((V1_2, V1_2), ("TLS 1.2",))],
)
def test_versions_without_the_extension(versions: tuple[ssl.TLSVersion, ssl.TLSVersion], names: tuple[str]) -> None:
    hello = read_client_hello(client_hello(versions=versions))
    assert hello is not None
    assert hello.versions == names


def test_no_name_is_sent_for_an_address() -> None:
    hello = read_client_hello(client_hello(host="192.0.2.1"))
    assert hello is not None
    assert hello.server_name is None


def test_no_extensions_at_all() -> None:
    body = b"\x03\x01" + bytes(32) + b"\0" + b"\x00\x04\x00\x2f\x0a\x0a" + b"\x01\0"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    hello = read_client_hello(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
    assert hello == ClientHello(("TLS 1.0",), None, (0x002F,))  # and GREASE left out


def test_compression() -> None:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\x00\x02\x00\x2f" + b"\x02\1\0"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    hello = read_client_hello(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
    assert hello is not None
    assert hello.compressions == (1,)
    assert read_client_hello(HELLO).compressions == ()  # type: ignore[union-attr]


@pytest.mark.parametrize("first", [b"GET /CP001 HTTP/1.1\r\n", b"\x16", b"\x16\x02", b"\x80\x2e\x01", b""])
def test_something_else(first: bytes) -> None:
    assert not looks_like_client_hello(first)
    assert read_client_hello(first) is None


def test_a_hello_that_has_not_arrived_in_full() -> None:
    assert looks_like_client_hello(HELLO[:2])
    assert {read_client_hello(HELLO[:size]) for size in range(len(HELLO))} == {None}
    hello = read_client_hello(HELLO)
    assert hello is not None
    assert read_client_hello(HELLO + b"what follows") == hello


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    read_client_hello(b"\x16\x03" + data)


@given(st.integers(2, len(HELLO) - 1), st.integers(0, 255))
def test_any_damage(at: int, byte: int) -> None:
    read_client_hello(HELLO[:at] + bytes([byte]) + HELLO[at + 1 :])
