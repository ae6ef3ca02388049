"""Which CSMS a station gets to, who may connect, and what changes for whom when the choice is replaced."""

from __future__ import annotations

import ssl
import time

import pytest
from relay_peers import (
    LOOPS,
    TEXT,
    Closed,
    Opened,
    Peer,
    Relay,
    frame,
    from_station,
    listening,
    relaying,
    request,
    run,
    switching,
)  # fmt: skip
from tls_fixtures import Certificates, any_context

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.relay.routes import ByIdentity, Route, Routes
from ocpp_proxy.relay.settings import RelaySettings
from ocpp_proxy.wire.tls import csms_context
from ocpp_proxy.wire.upstream import Upstream

every_loop = pytest.mark.parametrize("loop", LOOPS)


def to(port: int) -> Route:
    return Route(Upstream.parse(f"ws://127.0.0.1:{port}/ocpp"))


# -- the choice


@pytest.mark.parametrize(("identity", "found"), [
    ("CP001", "exact"),
    ("CP002", "first pattern"),
    ("CP01", "any"),
    ("CP0011", "any"),
    ("cp001", "small"),
    ("DEPOT-", "depot"),
    ("DEPOT-7/x", "depot"),
    ("DEPOT", None),
    ("C[1]", "brackets"),
    ("C1", None),
    ("a.b", "dot"),
    ("a-b", None),
    ("CP*", "any"),
    ("", None),
    ("new\nline", "?-line"),
])
def test_exact_before_patterns_and_the_first_pattern_counts(identity: str, found: str | None) -> None:
    chosen = ByIdentity({
        "CP00?": "first pattern", "CP*": "any", "CP001": "exact", "cp*": "small", "DEPOT-*": "depot",
        "C[1]": "brackets", "a.b": "dot", "new?line": "?-line",
    })
    assert chosen.find(identity) == found


def test_an_entry_that_only_names_a_station_leaves_its_way_as_it_is() -> None:
    default, depot = to(1), to(2)
    routes = Routes(default, {"DEPOT-*": depot}, {"DEPOT-7": "Gate", "DEPOT-*": "Depot", "CP1": "Garage"})
    assert [routes.route(one) for one in ("DEPOT-7", "DEPOT-8", "CP1")] == [depot, depot, default]
    assert [routes.name(one) for one in ("DEPOT-7", "DEPOT-8", "CP1", "CP2")] == ["Gate", "Depot", "Garage", None]


def test_who_may_connect() -> None:
    routes = Routes(to(1), {"CP9": to(2)}, allow=("CP1", "D*"))
    assert [one for one in ("CP1", "D", "D2", "CP9", "CP11", "") if routes.route(one)] == ["CP1", "D", "D2"]
    assert Routes(to(1), allow=()).route("CP1") is None


def test_no_identity_makes_a_pattern_slow() -> None:
    chosen = ByIdentity({"*a*a*a*a*a*b": True})
    started = time.perf_counter()
    assert chosen.find("a" * 8000) is None
    assert time.perf_counter() - started < 1


def test_the_settings_of_one_csms() -> None:
    route = Routes.single(RelaySettings("wss://c:1/x", upstream_timeout_s=3, csms_server_name="d")).route("anybody")
    assert route is not None
    assert (route.upstream.port, route.server_name, route.timeout_s) == (1, "d", 3)
    assert route.tls is not None
    with pytest.raises(BadInput, match="ws://"):
        Routes.single(RelaySettings("c"))


# -- on the wire


async def joined_by(relay: Relay, upstream_listener: object, identity: str) -> tuple[Peer, Peer]:
    station = await relay.ask(request(f"/{identity}"))
    upstream: Peer = await upstream_listener.accept()  # type: ignore[attr-defined]
    upstream.send(switching())
    await station.head()
    return station, upstream


async def talks(station: Peer, upstream: Peer) -> bool:
    station.send(from_station(TEXT, b"[2]"))
    upstream.send(frame(TEXT, b"[3]"))
    return (await upstream.frame()).payload == b"[2]" and (await station.frame()).payload == b"[3]"


@every_loop
def test_two_stations_to_two_csmss(loop: str) -> None:
    async def main() -> None:
        async with listening() as first, listening() as second:
            routes = Routes(to(first.port), {"CP%202": to(second.port)})
            async with relaying(first.port, routes=routes) as relay:
                one, two = await joined_by(relay, first, "CP1"), await joined_by(relay, second, "CP%202")
                assert two[1].request.startswith(b"GET /ocpp/CP%202 HTTP/1.1\r\n")
                assert f"Host: 127.0.0.1:{second.port}".encode() in two[1].request
                assert await talks(*one)
                assert await talks(*two)

    run(loop, main())


@every_loop
def test_who_may_not_connect_gets_403_before_the_csms_hears_of_it(loop: str) -> None:
    async def main() -> None:
        async with (
            listening() as csms,
            relaying(csms.port, routes=Routes(to(csms.port), allow=("CP1",))) as relay,
        ):
            for _ in range(2):
                answer = await (await relay.ask(request("/CP\x1b2"))).end()
                assert isinstance(answer, bytes)
                assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
                assert b"--allow" in answer
            opened, closed = relay.recording.of(Opened)[0], relay.recording.of(Closed)[0]
            assert (opened.station, opened.status, opened.refused_by) == ("CP\x1b2", 403, "proxy")
            assert opened.dial_ms is None
            assert (closed.by, closed.code) == ("proxy", 1006)
            (said,) = relay.notices  # the second time is no news
            assert r"'CP\x1b2' is not among the stations that may connect: add it to allow" in said
            assert await talks(*await joined_by(relay, csms, "CP1"))
            assert csms.came.empty()

    run(loop, main())


@every_loop
def test_another_choice_counts_for_new_connections_only(loop: str) -> None:
    async def main() -> None:
        async with listening() as old, listening() as new, relaying(old.port) as relay:
            before = await joined_by(relay, old, "CP1")
            relay.proxy.routes = Routes(to(new.port), allow=("CP1",))
            other = await (await relay.ask(request("/CP2"))).end()
            assert isinstance(other, bytes)
            assert other.startswith(b"HTTP/1.1 403 ")
            after = await joined_by(relay, new, "CP1")
            assert await talks(*before)
            assert await talks(*after)
            relay.proxy.routes = Routes(to(new.port), allow=())
            assert await talks(*before)

    run(loop, main())


@every_loop
def test_a_wss_override_has_a_ca_and_a_server_name_of_its_own(loop: str, tmp_path: object) -> None:
    certificates = Certificates(tmp_path)  # type: ignore[arg-type]
    asked: list[str | None] = []

    async def main() -> None:
        theirs = any_context(ssl.PROTOCOL_TLS_SERVER, certificates["elsewhere"])
        theirs.sni_callback = lambda _, name, __: asked.append(name)
        async with listening() as plain, listening(theirs) as secure:
            upstream = Upstream.parse(f"wss://127.0.0.1:{secure.port}")
            routes = Routes(to(plain.port), {
                "CP1": Route(upstream, csms_context(certificates["ca"]), "csms.example"),
                "CP2": Route(upstream, csms_context(certificates["other-ca"]), "csms.example"),
            })  # fmt: skip
            async with relaying(plain.port, routes=routes) as relay:
                assert await talks(*await joined_by(relay, secure, "CP1"))
                assert asked == ["csms.example"]
                answer = await (await relay.ask(request("/CP2"))).end()
                assert isinstance(answer, bytes)
                assert answer.startswith(b"HTTP/1.1 502 ")
                assert await talks(*await joined_by(relay, plain, "CP3"))
                assert [one.tls["csms"] is not None for one in relay.recording.of(Opened)] == [True, True, False]

    run(loop, main())


def test_each_route_has_a_timeout_of_its_own() -> None:
    async def main() -> None:
        async with listening() as csms:
            slow = Route(to(csms.port).upstream, timeout_s=0.1)
            async with relaying(csms.port, routes=Routes(to(csms.port), {"CP1": slow})) as relay:
                answer = await (await relay.ask(request("/CP1"))).end()
                assert isinstance(answer, bytes)
                assert answer.startswith(b"HTTP/1.1 504 ")
                assert "more than 0.1 s" in relay.notices[0]

    run("uvloop", main())
