"""The names a station may reach this machine by.

Decides which names and addresses go into a certificate for it. Refuses to look anything up in the network: a dead
name server would hold the start up for seconds, and the addresses are on the interfaces.

Source: RFC 1123 section 2.1 (host names).
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ocpp_proxy.core.errors import BadInput

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_SIOCGIFADDR = {"linux": 0x8915, "darwin": 0xC0206921}
# Never sent to: asking the kernel which of our addresses would be used needs an address, any will do (RFC 5737, 3849).
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def names_for_certificate(advertised: Iterable[str]) -> tuple[str, ...]:
    """What the user advertises, then what this machine is called, each once. The first is the one it is known by.
    Raises BadInput for a name that is neither a host name nor an IP address."""
    names = [_checked(name) for name in advertised]
    names += _routed_addresses()
    names += _machine_name()
    names += _interface_addresses()
    names += ["localhost", "127.0.0.1", "::1"]
    return tuple(dict.fromkeys(names))


def own_addresses() -> tuple[str, ...]:
    """The addresses that others may reach this machine by, that of the way out first."""
    found = dict.fromkeys([*_routed_addresses(), *_interface_addresses()])
    return tuple(one for one in found if not ipaddress.ip_address(one).is_loopback)


def _checked(name: str) -> str:
    with suppress(ValueError):
        return str(ipaddress.ip_address(name.strip().removeprefix("[").removesuffix("]")))
    with suppress(UnicodeError):
        host = name.strip().encode("idna").decode("ascii").lower()
        if _HOST.fullmatch(host):
            return host.rstrip(".")
    raise BadInput(f"--advertise {name}: expected a host name or an IP address, without scheme, port and path")


def _machine_name() -> Iterator[str]:
    name = socket.gethostname().lower()
    if _HOST.fullmatch(name):
        yield name
        if "." not in name:
            yield f"{name}.local"  # as multicast DNS announces it


def _routed_addresses() -> Iterator[str]:
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            yield probe.getsockname()[0]


def _interface_addresses() -> Iterator[str]:
    if sys.platform == "win32":
        with suppress(OSError):
            yield from socket.gethostbyname_ex(socket.gethostname())[2]  # known there without asking a server
        return
    import fcntl  # not on Windows

    request = _SIOCGIFADDR.get(sys.platform)
    if request is None:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            with suppress(OSError):  # an interface without an IPv4 address
                answer = fcntl.ioctl(probe, request, struct.pack("40s", interface.encode()))
                yield socket.inet_ntoa(answer[20:24])
