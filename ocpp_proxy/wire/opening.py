"""The opening handshake's bytes: what of a station's request is changed on its way to the CSMS.

Decides on the few lines that cannot stay: the target, Host, extensions nobody here could read, and what a client
tells a proxy only. All other lines go on byte for byte. Refuses to judge the rest of a request: that is the CSMS's.

Source: RFC 6455 section 4; RFC 9110 sections 7.2 (Host) and 7.6.1 (fields for one hop).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from websockets.datastructures import Headers
from websockets.http11 import Request

from ocpp_proxy.wire import deflate

# Said to an HTTP proxy, which a station may take us for (it then sends an absolute target as well).
_FOR_A_PROXY = frozenset({b"proxy-connection", b"proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Onward:
    """The request for the CSMS. `struck`: the extension offers that were taken out; `offers`: one was left in."""

    head: bytes
    struck: tuple[str, ...]
    offers: bool


def onward(raw: bytes, target: str, authority: str) -> Onward:
    """Rewrite the head of a request that was read without complaint, for another target and host."""
    request_line, *lines = raw[:-4].split(b"\r\n")
    method, _, protocol = request_line.split(b" ", 2)
    kept = [b" ".join((method, target.encode("ascii"), protocol))]
    struck: list[str] = []
    offers = False
    for line in lines:
        name, _, value = line.partition(b":")
        field = name.lower()
        if field == b"host":
            line = _with_value(line, authority)
        elif field == b"sec-websocket-extensions":
            text = value.strip(b" \t").decode("latin-1")
            remaining, refused = deflate.carried(text)
            struck += refused
            if remaining is None:
                continue
            offers = True
            line = line if remaining == text else _with_value(line, remaining)
        elif field in _FOR_A_PROXY:
            continue
        kept.append(line)
    return Onward(b"\r\n".join(kept) + b"\r\n\r\n", tuple(struck), offers)


def _with_value(line: bytes, value: str) -> bytes:
    name, _, old = line.partition(b":")
    space = old[: len(old) - len(old.lstrip(b" \t"))]
    return name + b":" + space + value.encode("latin-1")


def is_upgrade(request: Request) -> bool:
    """Whether somebody wants a WebSocket at all. What else RFC 6455 asks of a request, the CSMS judges."""
    return any(option.lower() == "websocket" for option in _tokens(request.headers, "Upgrade"))


def offered_subprotocols(headers: Headers) -> tuple[str, ...]:
    """In the order offered; over several headers too."""
    return _tokens(headers, "Sec-WebSocket-Protocol")


def chosen_subprotocol(headers: Headers) -> str | None:
    """The CSMS's choice as written."""
    return next(iter(_tokens(headers, "Sec-WebSocket-Protocol")), None)


def first(headers: Headers, name: str) -> str | None:
    """The first value of a header that ought to stand there once."""
    return next(iter(headers.get_all(name)), None)


def _tokens(headers: Headers, name: str) -> tuple[str, ...]:
    strip: Callable[[str], str] = str.strip
    values = (part for value in headers.get_all(name) for part in value.split(","))
    return tuple(token for token in map(strip, values) if token)
