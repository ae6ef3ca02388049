"""The opening handshake through the proxy: what arrives on the other side, and who gets which refusal."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Any

import pytest
from relay_peers import (
    KEY,
    LOOPS,
    TEXT,
    Closed,
    Opened,
    frame,
    from_station,
    joined,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip

every_loop = pytest.mark.parametrize("loop", LOOPS)

TARGETS = [
    # base, target of the station, target at the CSMS
    ("/ocpp", "/CP1", "/ocpp/CP1"),
    ("/ocpp/", "/CP1", "/ocpp/CP1"),
    ("/ocpp", "//CP1?x=1", "/ocpp//CP1?x=1"),
    ("/ocpp/", "//CP1?x=1", "/ocpp//CP1?x=1"),
    ("", "/a/b//c/", "/a/b//c/"),
    ("/", "/CP%20%2f%C3%BC;v=1/../x", "/CP%20%2f%C3%BC;v=1/../x"),
    ("", "/CP1?", "/CP1?"),
    ("/o?tenant=7", "/CP1?x=1", "/o/CP1?tenant=7&x=1"),
    ("/o?tenant=7", "/CP1", "/o/CP1?tenant=7"),
    ("", "http://elsewhere:80/CP1?y", "/CP1?y"),
    ("/ocpp/{station}/ws?k=v", "/some/CP%201?x=1", "/ocpp/CP%201/ws?k=v"),
]


@every_loop
@pytest.mark.parametrize(("base", "target", "arrived"), TARGETS)
def test_targets(loop: str, base: str, target: str, arrived: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(f"ws://127.0.0.1:{csms.port}{base}") as relay:
            await relay.ask(request(target))
            upstream = await csms.accept()
            assert upstream.request.split(b"\r\n")[0] == f"GET {arrived} HTTP/1.1".encode()
            upstream.send(switching())
            assert (await relay.recording.until(Opened)).target == target

    run(loop, main())


@every_loop
def test_all_other_lines_stay_as_they_are(loop: str) -> None:
    user = "Authorization: Basic " + base64.b64encode(b"CP1:p\xe4ss:\x00word").decode()
    lines = [
        "GET /CP1 HTTP/1.1", "user-agent:MicroOcpp/1", "HOST:\t proxy.example:9000", user, "X-Twice: a", "x-twice:  b ",
        "Upgrade: WebSocket", "Connection: keep-alive, Upgrade", f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: ocpp2.1,ocpp2.0.1 , ocpp1.6", "Origin: http://\xe4",
        "Sec-WebSocket-Protocol: other", "Empty:",
        "Sec-WebSocket-Extensions: permessage-deflate;client_max_window_bits",
    ]  # fmt: skip

    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            await relay.ask(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            upstream = await csms.accept()
            got = upstream.request.decode("latin-1").split("\r\n")
            assert got[2] == f"HOST:\t 127.0.0.1:{csms.port}"
            lines[2] = got[2]
            assert got == [*lines, "", ""]
            upstream.send(switching(subprotocol=None))
            opened = await relay.recording.until(Opened)
            assert opened.offered == ("ocpp2.1", "ocpp2.0.1", "ocpp1.6", "other")
            assert [name for name, _ in opened.station_headers] == [line.split(":")[0] for line in lines[1:]]

    run(loop, main())


def test_what_is_told_to_a_proxy_ends_here() -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            await relay.ask(request("http://x/CP1", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic QTpC"))
            assert b"proxy-" not in (await csms.accept()).request.lower()

    run("uvloop", main())


@every_loop
@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1", "unheard-of", None])
def test_the_101_comes_back_as_it_is(loop: str, subprotocol: str | None) -> None:
    answer = switching("Set-Cookie: a=b", "server:x/1", "X-Odd:   1", subprotocol=subprotocol)
    answer = answer.replace(b"Switching Protocols", b"Web Socket Protocol Handshake")

    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            station = await relay.ask(request(subprotocols="ocpp1.6, ocpp2.0.1"))
            (await csms.accept()).send(answer)
            assert await station.head() == answer
            opened = await relay.recording.until(Opened)
            assert (opened.status, opened.subprotocol, opened.refused_by) == (101, subprotocol, None)
            assert (opened.station, opened.station_address.split(":")[0]) == ("CP1", "127.0.0.1")
            assert opened.dial_ms > 0
            (pair,) = relay.proxy.connections.values()
            version = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1"}.get(subprotocol or "")
            assert (pair.identity, pair.version, pair.subprotocol) == ("CP1", version, subprotocol)

    run(loop, main())


REFUSALS = {
    "401": (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4\r\n\r\nwho?", 401),
    "403": (b"HTTP/1.1 403 No Way\r\ncontent-length:0\r\n\r\n", 403),
    "404 chunked": (
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x=y\r\nhello\r\n3\r\n ;)\r\n0\r\nTrailer: x\r\n\r\n",
        404,
    ),
    "302": (b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n", 302),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
    "500 to the end": (b"HTTP/1.1 500 Oops\r\nX: y\r\n\r\n<html>\xff" + b"x" * 100000, 500),
    "503 http/1.0": (b"HTTP/1.0 503 Busy\r\nRetry-After: 5\r\n\r\nlater", 503),
    "early hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 429 Slow Down\r\nContent-Length: 1\r\n\r\n!", 429,
    ),
}  # fmt: skip


@every_loop
@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_the_csms_answers_instead_comes_back(loop: str, refusal: str) -> None:
    answer, status = REFUSALS[refusal]

    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            station = await relay.ask(request())
            upstream = await csms.accept()
            upstream.send(answer[:30])
            await upstream.writer.drain()
            upstream.send(answer[30:])
            if refusal in ("500 to the end", "503 http/1.0"):
                upstream.writer.close()
            assert await station.end() == answer
            opened, closed = await relay.recording.until(Opened), await relay.recording.until(Closed)
            assert (opened.status, opened.refused_by, opened.subprotocol) == (status, "csms", None)
            assert (closed.by, closed.code, closed.connection) == ("csms", 1006, opened.connection)
            assert not relay.proxy.connections
            assert await upstream.end() == b""

    run(loop, main())


def test_a_body_that_never_ends_is_passed_on_as_far_as_it_came() -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port, upstream_timeout_s=0.3) as relay:
            station = await relay.ask(request())
            answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nonly so much"
            (await csms.accept()).send(answer)
            assert await station.end() == answer

    run("uvloop", main())


# -- the proxy's own answers


async def refused(relay: Any, sent: bytes, status: int | None) -> tuple[bytes, str]:
    """The answer to a station that sent this, and the reason on record."""
    station = await relay.ask(sent)
    answer = await station.end()
    opened, closed = await relay.recording.until(Opened), await relay.recording.until(Closed)
    assert (opened.status, opened.refused_by, closed.by) == (status, "proxy", "proxy")
    assert opened.extra["reason"] == closed.reason
    assert any(closed.reason in notice for notice in relay.notices)
    assert isinstance(answer, bytes)
    if status is not None:
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"Content-Type: text/plain" in answer
        assert closed.reason.encode() in answer
    return answer, closed.reason


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@every_loop
def test_a_csms_that_refuses_tcp_is_502(loop: str) -> None:
    async def main() -> None:
        port = free_port()
        async with relaying(port) as relay:
            _, reason = await refused(relay, request(), 502)
            assert "connection refused" in reason
            assert f"127.0.0.1:{port}" in reason

    run(loop, main())


@every_loop
def test_a_csms_without_an_address_is_502(loop: str) -> None:
    async def main() -> None:
        async with relaying("ws://nowhere.invalid:9/") as relay:
            _, reason = await refused(relay, request(), 502)
            assert "nowhere.invalid" in reason
            assert "DNS" in reason

    run(loop, main())


@every_loop
def test_a_csms_that_says_nothing_is_504(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port, upstream_timeout_s=0.2) as relay:
            _, reason = await refused(relay, request(), 504)
            assert "0.2 s" in reason
            assert "no answer to the upgrade request" in reason
            assert await (await csms.accept()).end() == b""

    run(loop, main())


@every_loop
def test_a_csms_that_does_not_even_accept_is_504(loop: str) -> None:
    async def main() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            async with relaying(deaf.getsockname()[1], upstream_timeout_s=0.2) as relay:
                _, reason = await refused(relay, request(), 504)
                assert "no TCP connection" in reason
            for filler in fillers:
                filler.close()

    run(loop, main())


@every_loop
def test_a_csms_that_hangs_up_during_the_handshake_is_502(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            async def hang_up() -> None:
                (await csms.accept()).hang_up()

            task = asyncio.create_task(hang_up())
            _, reason = await refused(relay, request(), 502)
            assert "no HTTP answer" in reason
            await task

    run(loop, main())


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x01\0\x02\x02\x28\n", b"HTTP/2 200 OK\r\n\r\n"])
def test_a_csms_that_speaks_no_http_is_502(answer: bytes) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            async def talk() -> None:
                (await csms.accept()).send(answer)

            task = asyncio.create_task(talk())
            _, reason = await refused(relay, request(), 502)
            assert "no HTTP answer" in reason
            await task

    run("uvloop", main())


@pytest.mark.parametrize(
    "chosen",
    ["permessage-deflate", "permessage-deflate; server_max_window_bits=16", "x-other", "permessage-deflate, x"],
)
def test_a_101_with_an_extension_that_was_not_offered_is_502(chosen: str) -> None:
    async def main() -> None:
        offered = [] if chosen == "permessage-deflate" else ["Sec-WebSocket-Extensions: permessage-deflate"]
        async with listening() as csms, relaying(csms.port) as relay:
            async def choose() -> None:
                upstream = await csms.accept()
                upstream.send(switching(f"Sec-WebSocket-Extensions: {chosen}"))
                assert await upstream.end() == b""

            task = asyncio.create_task(choose())
            _, reason = await refused(relay, request("/CP1", *offered), 502)
            assert chosen.split(";")[0] in reason
            await task

    run("uvloop", main())


@every_loop
def test_http_that_wants_no_websocket_is_426_with_a_hint(loop: str) -> None:
    async def main() -> None:
        async with relaying(free_port()) as relay:
            answer, _ = await refused(relay, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 426)
            assert b"\r\nUpgrade: websocket\r\n" in answer
            assert b"WebSocket client" in answer

    run(loop, main())


def test_a_request_with_half_a_goodbye_still_gets_its_answer() -> None:
    async def main() -> None:
        async with relaying(free_port()) as relay:
            station = await relay.ask(b"GET / HTTP/1.1\r\n\r\n")
            station.writer.write_eof()
            answer = await station.end()
            assert isinstance(answer, bytes)
            assert answer.startswith(b"HTTP/1.1 426 ")

    run("uvloop", main())


UNREADABLE = {
    "garbage": (b"\x00\x01\x02\xff garbage\r\n\r\n", 400),
    "space in the path": (b"GET /CP 1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "utf-8 in the path": ("GET /CPü HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
    "bare line feeds": (b"GET /CP1 HTTP/1.1\nHost: x\n\n", 400),
    "space before the colon": (b"GET /CP1 HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "a body": (b"POST /CP1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
    "a long line": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
    "a long header": (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 129 + b"\r\n", 431),
    "no end of line": (b"x" * 20000, 414),
}


@every_loop
@pytest.mark.parametrize("sort", UNREADABLE)
def test_what_cannot_be_read_is_answered_and_recorded(loop: str, sort: str) -> None:
    sent, status = UNREADABLE[sort]

    async def main() -> None:
        async with relaying(free_port()) as relay:
            await refused(relay, sent, status)
            opened = relay.recording.of(Opened)[0]
            assert sent.startswith(bytes.fromhex(opened.extra["head"]))
            assert opened.station is None

    run(loop, main())


def test_no_credential_of_an_unreadable_request_gets_on_record() -> None:
    async def main() -> None:
        async with relaying(free_port()) as relay:
            _, reason = await refused(relay, b"GET / HTTP/1.1\r\nAuthorization: Basic canary\x01\r\n\r\n", 400)
            assert "canary" not in str(relay.recording.records) + reason + str(relay.notices)

    run("uvloop", main())


@every_loop
def test_tls_on_the_plain_port_is_said_so(loop: str) -> None:
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(50)

    async def main() -> None:
        async with relaying(free_port()) as relay:
            answer, reason = await refused(relay, hello, None)
            assert answer == bytes.fromhex("15030100020228")
            assert "ws://" in reason
            assert "--tls-" in reason

    run(loop, main())


@every_loop
def test_a_port_check_leaves_no_trace(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            for _ in range(3):
                station = await relay.dial()
                station.hang_up()
                await station.writer.wait_closed()
            station = await relay.ask(request())
            (await csms.accept()).send(switching())
            await station.head()
            assert [one.connection for one in relay.recording.of(Opened)] == ["c1"]

    run(loop, main())


@every_loop
def test_who_says_nothing_is_shown_the_door(loop: str) -> None:
    async def main() -> None:
        async with relaying(free_port(), greeting_timeout_s=0.1) as relay:
            _, reason = await refused(relay, b"", None)
            assert "0.1 s" in reason

    run(loop, main())


@every_loop
def test_who_does_not_finish_his_request_gets_408(loop: str) -> None:
    async def main() -> None:
        async with relaying(free_port(), greeting_timeout_s=0.1) as relay:
            await refused(relay, b"GET / HTTP/1.1\r\n", 408)

    run(loop, main())


@every_loop
@pytest.mark.parametrize("how", ["hang_up", "reset"])
def test_a_station_that_leaves_while_the_csms_thinks(loop: str, how: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            station = await relay.ask(request())
            upstream = await csms.accept()
            getattr(station, how)()
            assert await upstream.end() in (b"", ConnectionResetError)
            opened, closed = await relay.recording.until(Opened), await relay.recording.until(Closed)
            assert (opened.status, opened.refused_by) == (None, None)
            assert (closed.by, closed.code) == ("station", 1006)

    run(loop, main())


@every_loop
def test_much_behind_the_request_waits_without_growing(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            station = await relay.ask(request())
            upstream = await csms.accept()
            flood = from_station(TEXT, bytes(1000)) * 20000
            station.send(flood)
            await asyncio.sleep(0.1)
            (leg,) = [one for one in _legs() if one.side == "station" and not one.over]
            assert leg.link.held_bytes < 2**20
            upstream.send(switching())
            await station.head()
            assert await upstream.read(len(flood)) == flood

    run(loop, main())


def _legs() -> list[Any]:
    import gc

    from ocpp_proxy.relay.leg import Leg

    return [one for one in gc.get_objects() if isinstance(one, Leg)]


# -- who it is


@pytest.mark.parametrize(
    ("target", "user", "who"),
    [
        ("/ocpp/CP%201/", None, "CP%201"),
        ("/?id=1", "CP2", "CP2"),
        ("//", None, "127.0.0.1"),
        ("http://host", "CP3", "CP3"),
    ],
)
def test_identities(target: str, user: str | None, who: str) -> None:
    async def main() -> None:
        authorization = [f"Authorization: Basic {base64.b64encode(f'{user}:pw'.encode()).decode()}"] if user else []
        async with listening() as csms, relaying(csms.port) as relay:
            await relay.ask(request(target, *authorization))
            (await csms.accept()).send(switching())
            assert (await relay.recording.until(Opened)).station == who

    run("uvloop", main())


@every_loop
def test_two_stations_with_one_identity_and_reconnects_are_connections_of_their_own(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            pairs = []
            for _ in range(3):
                station = await relay.ask(request())
                upstream = await csms.accept()
                upstream.send(switching())
                await station.head()
                pairs.append((station, upstream))
            assert list(relay.proxy.connections) == ["c1", "c2", "c3"]
            pairs[0][0].hang_up()
            assert await pairs[0][1].end() == b""
            for number, (station, upstream) in enumerate(pairs[1:], 2):
                station.send(from_station(TEXT, b"%d" % number))
                assert (await upstream.frame()).payload == b"%d" % number
                upstream.send(frame(TEXT, b"to %d" % number))
                assert (await station.frame()).payload == b"to %d" % number
            assert list(relay.proxy.connections) == ["c2", "c3"]
            assert [(one.connection, one.seq) for one in relay.recording.records if hasattr(one, "seq")] == [
                ("c2", 1), ("c2", 2), ("c3", 1), ("c3", 2),
            ]  # fmt: skip

    run(loop, main())


def test_the_systems_http_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def main() -> None:
        async with joined() as both:
            both.sends("station", TEXT, b"[]")
            assert (await both.csms.frame()).payload == b"[]"

    run("uvloop", main())
