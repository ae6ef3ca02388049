"""Dialling the CSMS: each time anew, each address in its turn."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from relay_peers import Opened, listening, relaying, request, run, switching


class Names:
    """Stands in for DNS: what the name of the CSMS means, dial by dial; None for nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *meanings: list[int] | None) -> None:
        self.meanings = list(meanings)
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host != "csms.test":
                return real(host, port, *args, **kwargs)
            meaning = self.meanings.pop(0)
            if meaning is None:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in meaning]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_name_is_looked_up_anew_for_each_station(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with listening() as here, listening() as there, relaying("ws://csms.test:1/") as relay:
            names = Names(monkeypatch, [here.port], [there.port], None, [here.port])
            for csms in (here, there, None, here):
                station = await relay.ask(request())
                if csms is None:
                    answer = await station.end()
                    assert isinstance(answer, bytes)
                    assert answer.startswith(b"HTTP/1.1 502 ")
                    continue
                upstream = await csms.accept()
                assert b"Host: csms.test:1\r\n" in upstream.request
                upstream.send(switching())
                await station.head()
            assert not names.meanings

    run("asyncio", main())


def test_further_addresses_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with listening() as csms, relaying("ws://csms.test:1/") as relay:
            Names(monkeypatch, [dead_port(), csms.port])
            station = await relay.ask(request())
            (await csms.accept()).send(switching())
            assert (await station.head()).startswith(b"HTTP/1.1 101 ")

    run("asyncio", main())


def test_a_silent_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            async with listening() as csms, relaying("ws://csms.test:1/", upstream_timeout_s=1) as relay:
                Names(monkeypatch, [deaf.getsockname()[1], csms.port])
                station = await relay.ask(request())
                (await csms.accept()).send(switching())
                assert (await station.head()).startswith(b"HTTP/1.1 101 ")
                assert (await relay.recording.until(Opened)).dial_ms > 300
            for filler in fillers:
                filler.close()

    run("asyncio", main())
