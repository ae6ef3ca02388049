import asyncio
import random
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import serve

from ocpp_proxy.sim.link import Address, Backoff, Unreachable, dial


@asynccontextmanager
async def server(**options):
    seen = []

    async def accept(connection):
        seen.append(connection.request)
        await connection.wait_closed()

    async with serve(accept, "127.0.0.1", 0, **options) as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ocpp/", seen


def test_the_handshake_names_the_station_and_its_version():
    async def story():
        async with server(subprotocols=["ocpp2.0.1"]) as (url, seen):
            connection = await dial(Address(url, "CP 1/ä", "2.0.1", None, "geheim"))
            await connection.close()
            assert seen[0].path == "/ocpp/CP%201%2F%C3%A4"
            assert seen[0].headers["Sec-WebSocket-Protocol"] == "ocpp2.0.1"
            assert "Sec-WebSocket-Extensions" not in seen[0].headers
            assert seen[0].headers["Authorization"] == "Basic Q1AgMS/DpDpnZWhlaW0="

    asyncio.run(story())


def test_without_a_password_nothing_is_said_of_it():
    async def story():
        async with server(subprotocols=["ocpp1.6"]) as (url, seen):
            await (await dial(Address(url, "CP1", "1.6"))).close()
            assert "Authorization" not in seen[0].headers

    asyncio.run(story())


def test_a_csms_that_chooses_no_subprotocol_is_left():
    async def story():
        async with server(select_subprotocol=lambda *_: None) as (url, _):
            with pytest.raises(Unreachable, match=r"does not speak ocpp1\.6"):
                await dial(Address(url, "CP1", "1.6"))

    asyncio.run(story())


def test_a_refusal_tells_its_status():
    async def story():
        def refuse(connection, _request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no")

        async with server(process_request=refuse) as (url, _):
            with pytest.raises(Unreachable, match="HTTP 401"):
                await dial(Address(url, "CP1", "1.6"))

    asyncio.run(story())


def test_nobody_there_is_said_on_one_line():
    with pytest.raises(Unreachable, match=r"cannot connect to 127\.0\.0\.1:1: Connection refused") as failed:
        asyncio.run(dial(Address("ws://127.0.0.1:1/ocpp", "CP1", "1.6")))
    assert "\n" not in str(failed.value)


def test_something_else_there_is_said_too():
    async def story():
        async def talk(_reader, writer):
            writer.write(b"220 mail.example ESMTP\r\n")
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            with pytest.raises(Unreachable, match="handshake with"):
                await dial(Address(f"ws://127.0.0.1:{port}", "CP1", "1.6"))

    asyncio.run(story())


def test_the_back_off_doubles_and_then_stays():
    backoff = Backoff(random.Random(0), minimum_s=2, jitter_s=0.5, doublings=3)
    waits = [backoff.next_s() for _ in range(6)]
    assert [int(wait / 2) for wait in waits] == [1, 2, 4, 8, 8, 8]
    assert len(set(waits)) == 6
    backoff.reset()
    assert backoff.next_s() < 3
