"""The upgrade request of the doctor's, and what is wrong with an answer that agrees to it.

Decides what is asked for and whether a 101 is one for that request. Refuses to judge other answers (`refusal`).

Source: RFC 6455 sections 4.1 (client requirements) and 4.2.2; OCPP-J 1.6 section 3.1.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from websockets.http11 import Response
from websockets.utils import accept_key, generate_key

from ocpp_proxy import __version__
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.wire import deflate
from ocpp_proxy.wire.opening import first

SUBPROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
DEFLATE_OFFER = "permessage-deflate; client_max_window_bits"


@dataclass(frozen=True, slots=True)
class Request:
    """`offered`: subprotocols; `extensions`: value of the header, None for none."""

    target: str
    authority: str
    offered: tuple[str, ...]
    authorization: str | None = None
    extensions: str | None = None
    key: str = ""

    def with_key(self) -> Request:
        """The same with a key of its own, as each handshake has to have."""
        return Request(self.target, self.authority, self.offered, self.authorization, self.extensions, generate_key())

    @property
    def head(self) -> bytes:
        lines = [
            f"GET {self.target} HTTP/1.1", f"Host: {self.authority}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self.key}", "Sec-WebSocket-Version: 13", f"User-Agent: ocpp-proxy/{__version__}",
        ]
        if self.offered:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(self.offered)}")
        if self.extensions is not None:
            lines.append(f"{deflate.HEADER}: {self.extensions}")
        if self.authorization is not None:
            lines.append(f"Authorization: {self.authorization}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is what came of it; the instants were taken right before the request left and when the answer was read."""

    response: Response
    body: bytes
    asked: Instant
    answered: Instant

    @property
    def status(self) -> int:
        return self.response.status_code

    def header(self, name: str) -> str | None:
        return first(self.response.headers, name)


def flaw(request: Request, answer: Answer) -> tuple[str, str] | None:
    """What keeps a 101 from opening a WebSocket, with the remedy; None where nothing does."""
    upgrade, connection = (_tokens(answer, name) for name in ("Upgrade", "Connection"))
    if "websocket" not in upgrade or "upgrade" not in connection:
        return ("answers 101 without the headers Upgrade: websocket and Connection: Upgrade",
                "a load balancer or proxy in front of the CSMS takes them away: have it pass WebSockets through")
    if answer.header("Sec-WebSocket-Accept") != accept_key(request.key):
        return ("answers 101 with a Sec-WebSocket-Accept that does not belong to the request's key",
                "that is a fault in the CSMS's WebSocket library, or an answer from a cache in front of it; stations "
                "hang up here")
    return None


def _tokens(answer: Answer, name: str) -> set[str]:
    values = answer.response.headers.get_all(name)
    return {token.strip().lower() for value in values for token in value.split(",")}
