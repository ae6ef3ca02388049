"""TLS on both legs of the relay, and what is said for each way it fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from relay_peers import (
    BINARY,
    CLOSE,
    CONT,
    LOOPS,
    OTHER,
    PING,
    TEXT,
    Closed,
    Joined,
    Opened,
    Relay,
    close_payload,
    from_station,
    joined,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip
from tls_fixtures import Certificates, any_context

from ocpp_proxy.wire.tls import csms_context, station_context

every_loop = pytest.mark.parametrize("loop", LOOPS)
SERVER, CLIENT = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.asynccontextmanager
async def secured(
    certificates: Certificates, *, station_cert: str | None = None, csms_asks_for_one: bool = False, **settings: Any
) -> AsyncIterator[Joined]:
    """Both legs on TLS."""
    theirs = any_context(SERVER, certificates["good"])
    if csms_asks_for_one:
        theirs.load_verify_locations(certificates["ca"])
        theirs.verify_mode = ssl.CERT_REQUIRED
    settings.setdefault("station_tls", station_context(certificates["good"]))
    settings.setdefault("csms_tls", csms_context(certificates["ca"]))
    station_side = any_context(CLIENT, certificates[station_cert] if station_cert else None, certificates["ca"])
    async with (
        listening(theirs) as csms,
        relaying(f"wss://localhost:{csms.port}/ocpp", **settings) as relay,
    ):
        station = await relay.dial(station_side, "localhost")
        station.send(request("/CP1"))
        upstream = await csms.accept()
        upstream.send(switching())
        await station.head()
        yield Joined(relay, station, upstream, csms)


@every_loop
def test_everything_passes_as_it_does_without(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with secured(certificates) as both:
            assert both.relay.url.startswith("wss://")
            assert f"Host: localhost:{both.csms_listener.port}".encode() in both.csms.request
            for side in ("station", "csms"):
                sent = [
                    both.sends(side, TEXT, b"\xff[", fin=False), both.sends(side, PING, b"p"),
                    both.sends(side, CONT, b"]"), both.sends(side, BINARY, bytes(3_000_000)),
                ]  # fmt: skip
                assert [(await both.side(OTHER[side]).frame()).raw for _ in sent] == sent
            both.sends("csms", CLOSE, close_payload(4000, "x"))
            assert (await both.station.frame()).payload == close_payload(4000, "x")
            both.sends("station", CLOSE, close_payload(4000))
            assert (await both.csms.frame()).payload == close_payload(4000)
            assert await both.station.end() == b""
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code, closed.echo) == ("csms", 4000, (4000, ""))
            tls = both.recording.of(Opened)[0].tls
            assert tls["station"]["version"] == tls["csms"]["version"] == "TLSv1.3"
            assert tls["csms"]["certificate"]["names"] == ["localhost"]
            assert tls["station"]["certificate"] is None
            assert "TLS 1.3" in tls["station"]["offered"]["versions"]
            assert "offered" not in tls["csms"]

    run(loop, main())


@every_loop
@pytest.mark.parametrize("sender", ["station", "csms"])
def test_a_lost_connection_drops_the_other(loop: str, sender: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with secured(certificates) as both:
            both.side(sender).reset()
            assert await both.side(OTHER[sender]).end() in (b"", ConnectionResetError)
            closed = await both.recording.until(Closed)
            assert (closed.by, closed.code) == (sender, 1006)

    run(loop, main())


@every_loop
def test_a_slow_reader_slows_the_sender(loop: str, certificates: Certificates) -> None:
    message = bytes(20000)

    async def main() -> None:
        async with secured(certificates) as both:
            both.csms.writer.transport.pause_reading()  # type: ignore[attr-defined]
            both.station.send(from_station(TEXT, message) * 2000)
            await asyncio.sleep(1)
            (pair,) = both.relay.proxy.connections.values()
            assert pair.csms.transport.get_write_buffer_size() < 2**22
            both.csms.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(2000):
                assert (await both.csms.frame()).payload == message

    run(loop, main())


@every_loop
def test_certificates_on_all_sides(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with secured(
            certificates, station_cert="station", csms_asks_for_one=True,
            station_tls=station_context(certificates["good"], client_ca=certificates["ca"]),
            csms_tls=csms_context(certificates["ca"], certificates["station"]),
        ) as both:  # fmt: skip
            both.sends("station", TEXT, b"[]")
            assert (await both.csms.frame()).payload == b"[]"
            assert "CP001" in str(both.recording.of(Opened)[0].tls["station"]["certificate"]["subject"])

    run(loop, main())


# -- the CSMS's side


async def refusal(relay: Relay, status: int) -> str:
    station = await relay.ask(request())
    answer = await station.end()
    assert isinstance(answer, bytes)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    closed = await relay.recording.until(Closed)
    assert closed.reason.encode() in answer
    assert any(closed.reason in notice for notice in relay.notices)
    return str(closed.reason)


@every_loop
@pytest.mark.parametrize(
    ("shown", "name", "words"),
    [
        ("self-signed", "localhost", "--upstream-ca"),
        ("expired", "localhost", "expired"),
        ("elsewhere", "localhost", "--upstream-sni"),
        ("good", "other.example", "--upstream-sni"),
    ],
)
def test_a_csms_that_cannot_be_trusted_is_502(
    loop: str, shown: str, name: str, words: str, certificates: Certificates
) -> None:
    async def main() -> None:
        async with (
            listening(any_context(SERVER, certificates[shown])) as csms,
            relaying(f"wss://localhost:{csms.port}/", csms_tls=csms_context(certificates["ca"]),
                     csms_server_name=name) as relay,
        ):  # fmt: skip
            assert words in await refusal(relay, 502)
            assert csms.came.empty()

    run(loop, main())


@every_loop
def test_another_name_may_be_asked_for(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with (
            listening(any_context(SERVER, certificates["elsewhere"])) as csms,
            relaying(f"wss://127.0.0.1:{csms.port}/", csms_tls=csms_context(certificates["ca"]),
                     csms_server_name="csms.example") as relay,
        ):  # fmt: skip
            await relay.ask(request())
            assert f"Host: 127.0.0.1:{csms.port}".encode() in (await csms.accept()).request

    run(loop, main())


@every_loop
def test_a_csms_that_wants_a_certificate_is_502(loop: str, certificates: Certificates) -> None:
    demanding = any_context(SERVER, certificates["good"], certificates["ca"])

    def csms(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as sock:
            demanding.wrap_socket(sock, server_side=True)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = asyncio.create_task(asyncio.to_thread(csms, listener))
            url = f"wss://localhost:{listener.getsockname()[1]}/"
            async with relaying(url, csms_tls=csms_context(certificates["ca"])) as relay:
                assert "--upstream-cert" in await refusal(relay, 502)
            await thread

    run(loop, main())


@every_loop
@pytest.mark.parametrize("how", ["hang_up", "reset"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_csms_that_ends_tls_without_a_word_may_miss_a_certificate(
    loop: str, how: str, version: ssl.TLSVersion, certificates: Certificates
) -> None:
    theirs = any_context(SERVER, certificates["good"])
    theirs.maximum_version = version

    async def main() -> None:
        async with (
            listening(theirs) as csms,
            relaying(f"wss://localhost:{csms.port}/", csms_tls=csms_context(certificates["ca"])) as relay,
        ):
            async def leave() -> None:
                getattr(await csms.accept(), how)()

            task = asyncio.create_task(leave())
            reason = await refusal(relay, 502)
            await task
            assert "gave no HTTP answer: " in reason
            assert "during the TLS handshake" not in reason
            assert ("--upstream-cert" in reason) == (version == ssl.TLSVersion.TLSv1_3)

    run(loop, main())


@every_loop
def test_a_csms_that_speaks_no_tls_is_502(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(f"wss://localhost:{csms.port}/") as relay:
            async def answer() -> None:
                peer = await csms.came.get()
                await peer.read(5)
                peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.hang_up()

            task = asyncio.create_task(answer())
            assert "ws://" in await refusal(relay, 502)
            await task

    run(loop, main())


@every_loop
def test_a_csms_that_is_slow_to_shake_hands_is_504(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(f"wss://localhost:{csms.port}/", upstream_timeout_s=0.2) as relay:
            assert "no end of the TLS handshake" in await refusal(relay, 504)

    run(loop, main())


# -- the station's side


@every_loop
def test_a_refusal_of_the_csms_comes_back_over_tls(loop: str, certificates: Certificates) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 200000\r\n\r\n" + bytes(200000)

    async def main() -> None:
        ours = station_context(certificates["good"])
        async with listening() as csms, relaying(csms.port, station_tls=ours) as relay:
            station = await relay.dial(any_context(CLIENT, None, certificates["ca"]), "localhost")
            station.send(request())
            (await csms.accept()).send(answer)
            assert await station.end() == answer

    run(loop, main())


@every_loop
def test_plain_http_on_the_tls_port_is_told_so(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with relaying(9, station_tls=station_context(certificates["good"])) as relay:
            reason = await refusal(relay, 400)
            assert "wss://" in reason
            assert relay.recording.of(Opened)[0].station == "CP1"

    run(loop, main())


@every_loop
@pytest.mark.parametrize(
    ("cert", "trusts", "words"),
    [(None, "ca", "--tls-client-ca"), ("foreign-station", "ca", "--tls-client-ca"), ("station", "other-ca", "CA")],
)
def test_a_station_that_cannot_shake_hands(
    loop: str, cert: str | None, trusts: str, words: str, certificates: Certificates
) -> None:
    context = any_context(CLIENT, certificates[cert] if cert else None, certificates[trusts])
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def station(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock, contextlib.suppress(OSError):
            context.wrap_socket(sock, server_hostname="localhost")

    async def main() -> None:
        ours = station_context(certificates["good"], client_ca=certificates["ca"])
        async with relaying(9, station_tls=ours) as relay:
            await asyncio.to_thread(station, relay.port)
            opened, closed = await relay.recording.until(Opened), await relay.recording.until(Closed)
            assert words in closed.reason
            assert (opened.status, opened.refused_by, opened.station) == (None, "proxy", None)
            assert opened.tls["station"].keys() == {"offered"}
            assert opened.tls["station"]["offered"]["versions"] == ["TLS 1.2"]
            assert any(closed.reason in notice for notice in relay.notices)

    run(loop, main())


@every_loop
def test_a_station_that_falls_silent_in_its_handshake(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        ours = station_context(certificates["good"])
        async with relaying(9, station_tls=ours, greeting_timeout_s=0.2) as relay:
            station = await relay.ask(bytes.fromhex("16030100c8010000c40303"))
            assert await station.end() in (b"", ConnectionResetError)
            assert (await relay.recording.until(Closed)).by == "proxy"

    run(loop, main())


@every_loop
@pytest.mark.parametrize("how", ["goodbye", "end", "reset"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_port_check_with_tls_leaves_no_trace(
    loop: str, how: str, version: ssl.TLSVersion, certificates: Certificates
) -> None:
    context = any_context(CLIENT, None, certificates["ca"])
    context.maximum_version = version

    def check(port: int) -> None:
        sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        with sock:
            if how == "goodbye":
                with contextlib.suppress(OSError):  # an answer to it is not awaited by everybody
                    sock.unwrap()
            elif how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def main() -> None:
        ours = station_context(certificates["good"])
        async with listening() as csms, relaying(csms.port, station_tls=ours) as relay:
            for _ in range(3):
                await asyncio.to_thread(check, relay.port)
            station = await relay.dial(context, "localhost")
            station.send(request())
            (await csms.accept()).send(switching())
            await station.head()
            await asyncio.sleep(0.05)
            assert not relay.notices
            assert [one.connection for one in relay.recording.of(Opened)] == ["c1"]

    run(loop, main())


@every_loop
@pytest.mark.parametrize("how", ["hang_up", "reset"])
def test_who_leaves_in_the_middle_of_his_request_is_on_record(
    loop: str, how: str, certificates: Certificates
) -> None:
    async def main() -> None:
        async with relaying(9, station_tls=station_context(certificates["good"])) as relay:
            station = await relay.dial(any_context(CLIENT, None, certificates["ca"]), "localhost")
            station.send(b"GET / HT")
            await asyncio.sleep(0.05)
            getattr(station, how)()
            assert "no HTTP request" in (await relay.recording.until(Closed)).reason

    run(loop, main())


@every_loop
def test_a_stop_does_not_wait_for_tls_goodbyes(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with secured(certificates, linger_s=10.0) as both:
            for side in ("station", "csms"):
                both.side(side).writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.wait_for(both.relay.proxy.stop(), 3)
            assert not both.relay.proxy.connections
            assert (await both.recording.until(Closed)).code == 1001

    run(loop, main())


@every_loop
def test_a_stop_while_a_station_of_tls_awaits_its_answer(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        ours = station_context(certificates["good"])
        async with listening() as csms, relaying(csms.port, station_tls=ours, linger_s=10.0) as relay:
            station = await relay.dial(any_context(CLIENT, None, certificates["ca"]), "localhost")
            station.send(request())
            await csms.accept()
            station.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.wait_for(relay.proxy.stop(), 3)
            assert relay.recording.of(Opened)[0].status == 503

    run(loop, main())


@every_loop
def test_a_stop_while_a_station_shakes_hands(loop: str, certificates: Certificates) -> None:
    async def main() -> None:
        async with relaying(9, station_tls=station_context(certificates["good"])) as relay:
            station = await relay.ask(bytes.fromhex("16030100c8010000c40303"))
            await asyncio.sleep(0.1)
            await relay.proxy.stop()
            assert await station.end() in (b"", ConnectionResetError)
            (opened,), (closed,) = relay.recording.of(Opened), relay.recording.of(Closed)
            assert (opened.status, opened.refused_by) == (None, "proxy")
            assert closed.reason == "the proxy was stopped"

    run(loop, main())


@every_loop
def test_who_comes_without_tls_to_a_relay_without_is_not_troubled(loop: str) -> None:
    async def main() -> None:
        async with joined() as both:
            assert both.recording.of(Opened)[0].tls == {"station": None, "csms": None}

    run(loop, main())
