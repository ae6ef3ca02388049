"""Name, TCP, and what answers there: silence, other protocols, TLS where none is wanted and the reverse."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

import pytest
from doctor_csms import LOOPS, Behaviour, Csms, examined, http, listening, run, says, switching
from tls_fixtures import Certificates, any_context

from ocpp_proxy.doctor.addresses import find
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.step import Trouble
from ocpp_proxy.wire.upstream import Upstream

SERVER = ssl.PROTOCOL_TLS_SERVER
BEHIND = ("upgrade", "subprotocol", "auth", "compression", "ping")
every_loop = pytest.mark.parametrize("loop", LOOPS)


def dead_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@every_loop
def test_nothing_listens(loop: str) -> None:
    found = run(examined(f"ws://127.0.0.1:{dead_port()}/ocpp"), loop)
    found.refused("tcp", "connection refused: nothing listens there", "check host and port")
    found.not_tried("dns", "tls", *BEHIND, "clock")
    assert found.wrong == ["tcp"]
    assert found.one("upgrade").seen == "not tried: tcp failed"
    assert found.one("listen").ok is True


@every_loop
def test_a_name_without_an_address(loop: str) -> None:
    found = run(examined("wss://csms.invalid/ocpp"), loop)
    found.refused("dns", "csms.invalid has no address here", "check the spelling")
    found.not_tried("tcp", "tls", *BEHIND, "clock")


@pytest.mark.parametrize("host", ["a" * 64, "a..b", ".", "xn--", "1.2.3.4.5"])
def test_names_that_cannot_be(host: str) -> None:
    assert run(examined(f"ws://{host}/")).wrong == ["dns"]


@every_loop
def test_a_name_that_is_looked_up_forever(monkeypatch: pytest.MonkeyPatch, loop: str) -> None:
    over = threading.Event()

    def forever(*_: Any, **__: Any) -> list[Any]:
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", forever)
    try:
        case = Case(Upstream.parse("ws://csms.example"), timeout_s=0.05)
        with pytest.raises(Trouble, match=r"no address for csms.example within 0.05 s") as trouble:
            run(find(case), loop)  # and the loop closes without waiting for it
        assert "--upstream-sni" in trouble.value.remedy
        assert not over.is_set()
    finally:
        over.set()


def test_one_address_of_two_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        csms = Csms(switching)
        async with listening(csms) as port:
            dead = dead_port()
            real = socket.getaddrinfo

            def getaddrinfo(host: Any, *more: Any, **how: Any) -> Any:
                if host != "csms.example":
                    return real(host, *more, **how)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in (dead, port)]

            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            found = await examined("ws://csms.example")
        assert found.wrong == []
        assert found.one("dns").ok is True
        assert f"but 127.0.0.1:{dead}: connection refused" in found.one("tcp").seen
        assert csms.came[0].headers["host"] == "csms.example"

    run(main())


def test_ipv6() -> None:
    async def main() -> None:
        async with listening(Csms(switching), host="::1") as port:
            found = await examined(f"ws://[::1]:{port}/ocpp")
            assert found.wrong == []
            assert f"[::1]:{port} takes connections" in found.one("tcp").seen
        found = await examined(f"ws://[::1]:{dead_port('::1')}")
        found.refused("tcp", "[::1]:", "connection refused")

    run(main())


# -- what answers there is no CSMS


@every_loop
def test_tcp_and_not_a_word(loop: str) -> None:
    async def main() -> None:
        async with listening(says(b"", end=False)) as port:
            found = await examined(f"ws://127.0.0.1:{port}", timeout_s=0.3)
        found.refused("upgrade", "no answer to the upgrade request within 0.3 s", "keeps silent")
        assert found.wrong == ["upgrade"]
        found.not_tried(*BEHIND[1:], "clock")

    run(main(), loop)


def test_a_queue_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = run(examined(f"wss://127.0.0.1:{port}", timeout_s=0.3))
    found.refused("tls", "did not finish the TLS handshake within 0.3 s", "check that the port speaks TLS")
    assert found.wrong == ["tls"]
    found.not_tried(*BEHIND, "clock")


def test_headers_that_never_end() -> None:
    async def main() -> None:
        async with listening(says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs", end=False)) as port:
            found = await examined(f"ws://127.0.0.1:{port}", timeout_s=0.3)
        found.refused("upgrade", "within 0.3 s, only the beginning of one")

    run(main())


def test_a_body_that_never_ends() -> None:
    async def main() -> None:
        async with listening(says(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nso", end=False)) as port:
            found = await examined(f"ws://127.0.0.1:{port}", timeout_s=0.3)
        found.refused("upgrade", "answers 503 Busy", "ask the operator")

    run(main())


@every_loop
@pytest.mark.parametrize(("behaviour", "words"), [
    (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "something that is not HTTP"),
    (says(b"\x00\xff\x1b[31m\n\x00", end=False), "something that is not HTTP"),
    (says(b"\x00\xff\xfe", end=False), "something that is not HTTP"),
    (says(b"\x00\xff\xfe"), "something that is not HTTP"),
    (says(b"HTTP/1.1 abc\r\n\r\n"), "broken HTTP"),
    (says(b"HTTP/1.1 101 OK\r\nno colon here\r\n\r\n"), "broken HTTP"),
    (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"), "broken HTTP"),
    (says(b""), "no answer to the upgrade request: the connection ended"),
    (says(b"", hear=0), "no answer to the upgrade request"),
], ids=["ssh", "odd", "odd-and-silent", "odd-and-gone", "no-status", "no-header", "many", "hangs-up", "hangs-up-first"])
def test_weird_answers(behaviour: Behaviour, words: str, loop: str) -> None:
    async def main() -> None:
        async with listening(behaviour) as port:
            found = await examined(f"ws://127.0.0.1:{port}", timeout_s=1)
        step = found.refused("upgrade", words)
        assert step.seen.isprintable()
        assert found.wrong == ["upgrade"]
        found.not_tried(*BEHIND[1:], "clock")

    run(main(), loop)


@pytest.mark.parametrize(("status", "header", "body", "words"), [
    ("200 OK", "Content-Type: text/html", "<h1>It works!</h1>", ("answers 200 OK, as a web page would", "path")),
    ("301 Moved", "Location: https://c/x?token=geheim", "", ("a redirection to https://c/x?token=******", "final URL")),
    ("302 Found", "X: y", "", ("a redirection to nowhere", "final URL")),
    ("400 Bad Request", "X: y", "", ("answers 400 Bad Request in place of 101", "Upgrade header")),
    ("426 Upgrade Required", "X: y", "", ("answers 426", "Upgrade header")),
    ("429 Too Many Requests", "X: y", "", ("answers 429", "wait")),
    ("500 Oops", "Content-Type: text/plain", "no database\n", ("500 Oops (“no database”)", "within the CSMS")),
    ("502 Bad Gateway", "X: y", "", ("answers 502", "load balancer")),
    ("418 I'm a teapot", "X: y", "", ("answers 418 I'm a teapot", "path")),
    ("199 Odd", "X: y", "", ("broken HTTP",)),
])
def test_http_without_a_websocket(status: str, header: str, body: str, words: tuple[str, ...]) -> None:
    async def main() -> None:
        async with listening(says(http(status, header, body=body))) as port:
            found = await examined(f"ws://127.0.0.1:{port}", identity="CP1")
        found.refused("upgrade", *words)
        assert found.wrong == ["upgrade"]

    run(main())


@every_loop
def test_ws_to_a_port_that_speaks_tls(certificates: Certificates, loop: str) -> None:
    async def main() -> None:
        async with listening(Csms(switching), any_context(SERVER, certificates["good"])) as port:
            found = await examined(f"ws://127.0.0.1:{port}")
        found.refused("upgrade", "speaks TLS, not plain HTTP", "use wss://")

    run(main(), loop)


@every_loop
@pytest.mark.parametrize("behaviour", [Csms(switching), says(http("400 Bad Request"))], ids=["csms", "web"])
def test_wss_to_a_port_that_speaks_plain_http(behaviour: Behaviour, loop: str) -> None:
    async def main() -> None:
        async with listening(behaviour) as port:
            found = await examined(f"wss://127.0.0.1:{port}", timeout_s=1)
        found.refused("tls", "use ws://")
        found.not_tried(*BEHIND, "clock")

    run(main(), loop)


def test_wss_to_another_service() -> None:
    async def main() -> None:
        async with listening(says(b"SSH-2.0-OpenSSH_9.2\r\n")) as port:
            found = await examined(f"wss://127.0.0.1:{port}", timeout_s=1)
        found.refused("tls", "is not TLS", "ws://")

    run(main())
