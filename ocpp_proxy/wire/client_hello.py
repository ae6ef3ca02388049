"""What a TLS ClientHello asks for, read from the first bytes of a connection without taking part in it.

Decides whether somebody speaks TLS, and which versions, cipher suites, compression and host name are wanted, so that a
refusal can say what would have been needed, and the record what was offered. Refuses to negotiate. Peer input: any
bytes give a `ClientHello` or None, never an exception; a hello that has not arrived in full gives None.

Source: RFC 8446 sections 4.1.2, 4.2.1 and 5.1; RFC 6066 section 3 (server_name).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HELLO_BYTES = 5 + 2**14
"""As much as one record can hold; hellos of stations have 100 to 600 bytes."""

_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_SERVER_NAME, _SUPPORTED_VERSIONS = 0, 43
_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
# Numbers among the suites that are none: the signals for renegotiation and fallback (RFC 5746, RFC 7507).
_SIGNALS = frozenset({0x00FF, 0x5600})


@dataclass(frozen=True, slots=True)
class ClientHello:
    """`versions`: those offered, newest first, by name; `server_name`: the host asked for (SNI), None where none is
    named (as with IP addresses); `suites`: cipher suite numbers in the order of preference; `compressions`: numbers of
    the compression methods besides none."""

    versions: tuple[str, ...]
    server_name: str | None
    suites: tuple[int, ...]
    compressions: tuple[int, ...] = ()


def looks_like_client_hello(first: bytes) -> bool:
    """Whether a connection that starts with these bytes (two at least) starts with a TLS handshake."""
    return len(first) >= 2 and first[0] == _HANDSHAKE and first[1] == 3


def read_client_hello(first: bytes) -> ClientHello | None:
    """The hello at the start of a connection; None where there is none or its first record is not complete."""
    if not looks_like_client_hello(first):
        return None
    try:
        return _read(first)
    except (ValueError, IndexError):
        return None


def _read(first: bytes) -> ClientHello:
    message = _block(first, 3, 2)
    if message[0] != _CLIENT_HELLO:
        raise ValueError("another handshake message")
    body = _block(message, 1, 3)
    legacy = int.from_bytes(body[:2], "big")
    session = _block(body, 34, 1)
    at = 35 + len(session)
    suites = _block(body, at, 2)
    at += 2 + len(suites)
    compressions = _block(body, at, 1)
    at += 1 + len(compressions)
    extensions = dict(_extensions(_block(body, at, 2))) if at < len(body) else {}
    return ClientHello(
        versions=_versions(legacy, extensions.get(_SUPPORTED_VERSIONS)),
        server_name=_server_name(extensions.get(_SERVER_NAME)),
        suites=tuple(number for number in _numbers(suites) if number not in _SIGNALS and not _is_grease(number)),
        compressions=tuple(method for method in compressions if method),
    )


def _block(data: bytes, at: int, width: int) -> bytes:
    """The bytes that follow their own length, a number of `width` bytes at `at`."""
    size = int.from_bytes(data[at : at + width], "big")
    block = data[at + width : at + width + size]
    if len(block) < size:
        raise ValueError("broken off")
    return block


def _is_grease(number: int) -> bool:
    return number & 0x0F0F == 0x0A0A  # RFC 8701: drawn at random to keep servers tolerant


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        content = _block(data, at + 2, 2)
        yield int.from_bytes(data[at : at + 2], "big"), content
        at += 4 + len(content)


def _versions(legacy: int, supported: bytes | None) -> tuple[str, ...]:
    offered = [legacy] if supported is None else _numbers(_block(supported, 0, 1))
    return tuple(_VERSIONS[number] for number in sorted(offered, reverse=True) if number in _VERSIONS)


def _server_name(extension: bytes | None) -> str | None:
    if not extension:
        return None
    return _block(_block(extension, 0, 2), 1, 2).decode("ascii", "replace")
