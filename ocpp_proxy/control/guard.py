"""Stands before the API: whoever may not ask is turned away before anything is parsed.

Decides by the request's head: a Host that is ours (or a page of a foreign name that leads to this machine could ask),
no Origin at all (browsers have no business here), the run's bearer token; then by its body: JSON and nothing else, and
not too much of it. Refuses to know what is asked for. Every answer, whoever gives it, leaves here with the headers that
keep it out of caches and of other programs' hands.

Source: RFC 9110 sections 7.4 (Host, 421) and 15.5.14 (413); RFC 6750 section 3 (WWW-Authenticate); ASGI 3.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.control.body import BadBodyError, read_json

Scope: TypeAlias = "MutableMapping[str, Any]"
Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
App: TypeAlias = "Callable[[Scope, Receive, Send], Awaitable[None]]"

BODY_MOST = 64 * 1024
BODY_PATIENCE_S = 10.0
DRAINED_MOST, DRAIN_PATIENCE_S = 1024 * 1024, 1.0
OPEN_TO_ALL = frozenset({"/health"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


@dataclass(eq=False)
class TurnedAwayError(Exception):
    """`why` for programs, `reason` for people."""

    status: int
    why: str
    reason: str


class Guard:
    """Wraps `app`. `hosts`: names besides loopback's that the Host header may bear; `on_mistake` hears of what `app`
    failed on, which is told to nobody else."""

    def __init__(
        self, app: App, token: str, hosts: frozenset[str], on_mistake: Callable[[BaseException], None]
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = LOOPBACK | hosts
        self._on_mistake = on_mistake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            self._admit(scope)
            body = await _body(scope, receive)
        except TurnedAwayError as away:
            await _refuse(away, scope, receive, sent)
            return
        try:
            await self._app(scope, _replayed(body, receive), sent)
        except Exception as error:  # our own mistake: the asker learns that there was one, and nothing of it
            self._on_mistake(error)
            if not started:
                mistake = TurnedAwayError(500, "mistake", "a mistake in the control API itself")
                await _refuse(mistake, scope, receive, sent)

    def _admit(self, scope: Scope) -> None:
        headers = scope["headers"]
        if not self._is_ours(_all(headers, b"host"), scope):
            raise TurnedAwayError(421, "host", "the Host header names another machine; use the address that the proxy "
                                  "printed, localhost, 127.0.0.1 or [::1]")
        if _all(headers, b"origin"):
            raise TurnedAwayError(403, "origin", "pages in a browser may not use the control API")
        if scope["path"] not in OPEN_TO_ALL and not self._knows(_all(headers, b"authorization")):
            raise TurnedAwayError(401, "token", "expected Authorization: Bearer with this run's token; the ready file "
                                  "says where it is kept")

    def _is_ours(self, hosts: list[bytes], scope: Scope) -> bool:
        if len(hosts) != 1:
            return False
        name = _name(hosts[0].decode("latin-1"))
        bound = scope.get("server") or (None,)
        return name in self._hosts or name == str(bound[0]).lower()

    def _knows(self, given: list[bytes]) -> bool:
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"


def _name(host: str) -> str:
    """The host without its port: one behind an SSH tunnel has another one than ours."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


async def _body(scope: Scope, receive: Receive) -> bytes:
    """All of it, if it is JSON and short enough. Raises TurnedAwayError."""
    headers = scope["headers"]
    length = _all(headers, b"content-length")
    if not length and not _all(headers, b"transfer-encoding"):
        return b""
    if length and (not length[0].isdigit() or int(length[0][:20]) > BODY_MOST):
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            body = await _received(receive, BODY_MOST)
    except TimeoutError:
        raise TurnedAwayError(408, "slow", f"the body took longer than {BODY_PATIENCE_S:.0f} s") from None
    kinds = _all(headers, b"content-type")
    if (body or kinds) and (len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != b"application/json"):
        raise TurnedAwayError(415, "content-type", "expected a body of Content-Type: application/json")
    if body:
        try:
            read_json(body)
        except BadBodyError as error:
            raise TurnedAwayError(400, "json", str(error)) from None
    return body


async def _received(receive: Receive, most: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise TurnedAwayError(400, "cut", "the body broke off")
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large()
        more = message.get("more_body", False)
    return bytes(body)


def _too_large() -> TurnedAwayError:
    return TurnedAwayError(413, "too-large", f"a body has at most {BODY_MOST} bytes")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body at once, then whatever comes after it: the end of the connection."""
    first = True

    async def again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def _refuse(away: TurnedAwayError, scope: Scope, receive: Receive, send: Send) -> None:
    text = dumps({"why": away.why, "reason": away.reason, "errors": []}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode()),
               (b"connection", b"close")]
    if away.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="ocpp-proxy"'))
    await send({"type": "http.response.start", "status": away.status, "headers": headers})
    unread = away.status in (408, 413) and not _all(scope["headers"], b"expect")
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text, "more_body": unread})
    if unread:  # a connection that is closed with unread bytes is reset, and the answer may be lost with it
        await _drain(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    left = DRAINED_MOST
    try:
        async with asyncio.timeout(DRAIN_PATIENCE_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
