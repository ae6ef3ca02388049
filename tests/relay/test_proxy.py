"""The relay as a whole: listening, stopping, bad settings."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import warnings
from typing import Any

import pytest
from relay_peers import (
    CLOSE,
    LOOPS,
    PING,
    TEXT,
    Closed,
    Opened,
    close_payload,
    joined,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.relay.proxy import Proxy, RelaySettings

every_loop = pytest.mark.parametrize("loop", LOOPS)


@every_loop
@pytest.mark.parametrize("polite", [True, False])
def test_stop_closes_both_legs_with_1001(loop: str, polite: bool) -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends("station", TEXT, b"last")
            stopping = asyncio.create_task(both.relay.proxy.stop())
            assert (await both.csms.frame()).payload == b"last"
            for peer in (both.csms, both.station):
                assert (await peer.frame()).payload == close_payload(1001)
                if polite:
                    peer.hang_up()
            await stopping
            assert not both.relay.proxy.connections
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == ("proxy", 1001)
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await both.relay.dial()

    run(loop, main())


def test_stop_while_closing_says_who_closed() -> None:
    async def main() -> None:
        async with joined() as both:
            both.sends("csms", CLOSE, close_payload(4001, "enough"))
            await both.station.frame()
            await both.relay.proxy.stop()
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.reason, closed.echo) == ("csms", 4001, "enough", None)

    run("uvloop", main())


@every_loop
def test_stop_during_a_handshake(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            station = await relay.ask(request())
            upstream = await csms.accept()
            await relay.proxy.stop()
            answer = await station.end()
            assert isinstance(answer, bytes)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert await upstream.end() in (b"", ConnectionResetError)
            opened = relay.recording.of(Opened)[0]
            assert (opened.status, opened.refused_by) == (503, "proxy")

    run(loop, main())


@every_loop
def test_stop_with_a_silent_caller(loop: str) -> None:
    async def main() -> None:
        async with relaying(9) as relay:
            station = await relay.dial()
            await asyncio.sleep(0.05)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                await relay.proxy.stop()
                gc.collect()
            assert await station.end() == b""
            assert not relay.recording.records

    run(loop, main())


def test_stop_without_a_start() -> None:
    run("asyncio", Proxy(RelaySettings("ws://x/"), None, None).stop())


@every_loop
def test_several_addresses(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms:
            settings = RelaySettings(f"ws://127.0.0.1:{csms.port}", ("127.0.0.1:0", "localhost:0", "[::1]:0"))
            proxy = Proxy(settings, None, None)
            urls = await proxy.start()
            assert all(url.startswith("ws://") for url in urls)
            for url in urls:
                host, _, port = url.removeprefix("ws://").rpartition(":")
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                writer.write(request())
                (await csms.accept()).send(switching())
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
                writer.close()
            await proxy.stop()

    run(loop, main())


def test_an_address_in_use_is_the_users_mistake() -> None:
    async def main() -> None:
        async with relaying(9) as relay:
            place = f"127.0.0.1:{relay.port}"
            proxy = Proxy(RelaySettings("ws://x/", ("127.0.0.1:0", place)), None, None)
            with pytest.raises(BadInput, match=f"--listen {place}: .*in use"):
                await proxy.start()

    run("asyncio", main())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"upstream": "http://x/"}, "ws://"),
        ({"listen": ("9000",)}, "HOST:PORT"),
        ({"listen": ("h:70000",)}, "65535"),
        ({"listen": ("h:x",)}, "HOST:PORT"),
        ({"listen": ("::1:9000",)}, r"\[IPV6\]:PORT"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Proxy(RelaySettings(**{"upstream": "ws://x/", **settings}), None, None)


def test_a_name_that_is_no_address_of_this_machine() -> None:
    async def main() -> None:
        with pytest.raises(BadInput, match=r"nowhere\.invalid"):
            await Proxy(RelaySettings("ws://x/", ("nowhere.invalid:0",)), None, None).start()

    run("asyncio", main())


def test_accepting_goes_on_after_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    from ocpp_proxy.relay import proxy as module

    monkeypatch.setattr(module, "_PAUSE_S", 0.01)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        real, troubles = loop.sock_accept, [errno.EMFILE, errno.EMFILE, errno.ECONNABORTED]

        async def accept(sock: socket.socket) -> Any:
            if troubles:
                raise OSError(troubles.pop(0), "made up")
            return await real(sock)

        monkeypatch.setattr(loop, "sock_accept", accept)
        async with joined() as both:
            both.sends("station", PING)
            assert (await both.csms.frame()).opcode == PING
            assert [notice for notice in both.relay.notices if "made up" in notice] == [
                "cannot accept connections: made up; trying again"
            ]

    run("asyncio", main())


def test_a_mistake_of_our_own_is_said_and_touches_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from ocpp_proxy.wire import opening

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    async def main() -> None:
        async with joined() as both:
            with monkeypatch.context() as patch:
                patch.setattr(opening, "onward", broken)
                station = await both.relay.ask(request())
                assert await station.end() == b""
            while not any("ZeroDivisionError" in notice for notice in both.relay.notices):
                await asyncio.sleep(0)
            both.sends("station", TEXT, b"[]")
            assert (await both.csms.frame()).payload == b"[]"

    run("uvloop", main())
