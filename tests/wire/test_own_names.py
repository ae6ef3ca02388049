from __future__ import annotations

import ipaddress
import socket
import sys

import pytest

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.wire.own_names import names_for_certificate, own_addresses


@pytest.mark.parametrize(
    ("advertised", "name"),
    [
        ("Proxy.Example", "proxy.example"),
        ("proxy.example.", "proxy.example"),
        ("laptop_7", "laptop_7"),
        ("*.sites.example", "*.sites.example"),
        ("ladesäule.example", "xn--ladesule-4za.example"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
    ],
)
def test_advertised_names_come_first(advertised: str, name: str) -> None:
    assert names_for_certificate([advertised, "b.example"])[:2] == (name, "b.example")


@pytest.mark.parametrize(
    "advertised",
    [
        "", "wss://proxy.example", "proxy.example:9000", "proxy.example/ocpp", "192.0.2.7:9000", "a b", "a..b", "-a",
        "é" * 64,
    ],
)
def test_no_name(advertised: str) -> None:
    with pytest.raises(BadInput, match="expected a host name or an IP address, without scheme, port and path"):
        names_for_certificate([advertised])


def test_the_machine_itself() -> None:
    names = names_for_certificate([])
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname().lower()} <= set(names)
    assert names_for_certificate(["localhost"])[0] == "localhost"
    assert len(set(names)) == len(names)


@pytest.mark.skipif(sys.platform == "win32", reason="addresses come from elsewhere there")
def test_every_interface_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The station's cable is often not the one that leads to the internet."""
    asked: list[bytes] = []

    def ioctl(_: object, __: int, request: bytes) -> bytes:
        name = request.rstrip(b"\0")
        asked.append(name)
        if name == b"eth1":
            raise OSError("no address")
        return request[:20] + ipaddress.ip_address(f"192.168.137.{len(asked)}").packed + request[24:]

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0"), (3, "eth1"), (4, "usb0")])
    names = names_for_certificate([])
    assert asked == [b"lo", b"eth0", b"eth1", b"usb0"]
    assert {"192.168.137.1", "192.168.137.2", "192.168.137.4"} <= set(names)


def test_addresses_for_others() -> None:
    found = own_addresses()
    assert len(set(found)) == len(found)
    assert not any(ipaddress.ip_address(one).is_loopback for one in found)
    assert set(found) <= set(names_for_certificate([]))


def test_a_machine_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("Network is unreachable")

    class Cut(socket.socket):
        connect = unreachable

    monkeypatch.setattr(socket, "socket", Cut)
    monkeypatch.setattr(socket, "if_nameindex", list)
    monkeypatch.setattr(socket, "gethostname", lambda: "Laptop")
    assert names_for_certificate([]) == ("laptop", "laptop.local", "localhost", "127.0.0.1", "::1")
    assert own_addresses() == ()
