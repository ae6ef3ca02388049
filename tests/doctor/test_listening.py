"""What to type into the charger."""

from __future__ import annotations

import socket

import pytest

from ocpp_proxy.doctor import listening
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.step import Step
from ocpp_proxy.wire.upstream import Upstream


@pytest.fixture(autouse=True)
def _addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "own_addresses", lambda: ("192.0.2.7", "2001:db8::7", "198.51.100.7"))


def step(*listen: str, url: str = "ws://c", identity: str | None = None) -> Step:
    (one,) = listening.places(Case(Upstream.parse(url), identity, listen=listen))
    return one


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_all_addresses() -> None:
    port = free_port()
    one = step(f"0.0.0.0:{port}")
    assert one.ok is True
    assert f"Type ws://192.0.2.7:{port} or ws://198.51.100.7:{port} into the charger" in one.seen
    assert f"ws://[2001:db8::7]:{port} into" in step(f"[::]:{port}").seen
    assert "192.0.2.7" in (both := step(f":{port}").seen)
    assert "[2001:db8::7]" in both


def test_one_address() -> None:
    one = step(f"127.0.0.1:{free_port()}")
    assert one.ok is True
    assert "stations on this machine only" in one.seen
    assert "takes a free port at each start" in step("localhost:0").seen


@pytest.mark.parametrize(("url", "words"), [
    ("ws://c", "run --upstream ws://c passes on whatever path"),
    ("ws://c/ocpp/?token=geheim", "Leave /ocpp out: run --upstream ws://c/ocpp/?token=****** puts it before"),
    ("ws://c/a/{station}/b", "puts the identity into that URL"),
])
def test_the_path_is_explained(url: str, words: str) -> None:
    assert words in step("127.0.0.1:0", url=url).seen


def test_the_identity_is_named() -> None:
    assert "Most put /CP1 behind that" in step("127.0.0.1:0", identity="CP1").seen


def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        one = step(place)
        assert one.ok is False
        assert "in use" in one.seen
        assert "ocpp-proxy itself" in str(one.remedy)
        monkeypatch.setattr("ocpp_proxy.doctor.case._DEFAULT_LISTEN", (place,))
        assert step().ok is None
        assert "by a running ocpp-proxy, or else" in step().seen


@pytest.mark.parametrize("place", ["192.0.2.1:9000", "csms.invalid:9000"])
def test_an_address_of_somebody_else(place: str) -> None:
    one = step(place)
    assert one.ok is False
    assert "0.0.0.0" in str(one.remedy)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "own_addresses", tuple)
    assert "plug in the network first" in step("0.0.0.0:0").seen
