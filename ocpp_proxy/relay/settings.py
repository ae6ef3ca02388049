"""What the relay is told once, at its start."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from ocpp_proxy.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP's own search for dead links, since we send no pings: after `idle_s` of silence a probe each `interval_s`,
    given up after `count`; unacknowledged data as long. Three minutes bear a mobile network's longer breaks."""

    idle_s: int = 60
    interval_s: int = 20
    count: int = 6

    @property
    def patience_ms(self) -> int:
        return (self.idle_s + self.interval_s * self.count) * 1000


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """`upstream`: ws:// or wss:// base; `listen`: HOST:PORT each, port 0 for a free one. What is said of the CSMS
    counts where the relay is given no `Routes`.

    station_tls: the context stations are served with, None for plain ws://. csms_tls: the one the CSMS is dialled
    with (wss:// only); None trusts the system's authorities. csms_server_name: name to ask for in place of the
    URL's host. upstream_timeout_s covers DNS, TCP, TLS and the upgrade. max_message: bytes, None for no limit.
    greeting_timeout_s: how long a caller may take over TLS and its request. close_timeout_s: how long a side may take
    to answer a close frame; linger_s: how long to read on after the last word was said.
    """

    upstream: str
    listen: tuple[str, ...] = ("0.0.0.0:9000",)
    station_tls: ssl.SSLContext | None = None
    csms_tls: ssl.SSLContext | None = None
    csms_server_name: str | None = None
    upstream_timeout_s: float = 10.0
    max_message: int | None = None
    keep_secrets: bool = False
    greeting_timeout_s: float = 60.0
    close_timeout_s: float = 30.0
    linger_s: float = 3.0
    keepalive: Keepalive = field(default_factory=Keepalive)


def parse_listen(text: str, option: str = "--listen") -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or a bare port's ":PORT" for all addresses. Raises BadInput."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in bare and bare == host):
        raise BadInput(f"{option} {text}: expected HOST:PORT or [IPV6]:PORT with a port from 0 to 65535")
    return bare, int(port)
