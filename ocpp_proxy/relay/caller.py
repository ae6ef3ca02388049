"""One who connects, as far as he is known: what becomes his record, opened or refused.

Decides what of a handshake is kept, and that no credential is. Refuses to answer him (`reception`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from websockets.http11 import Request, Response

from ocpp_proxy.clock import now
from ocpp_proxy.core.frame import Sender
from ocpp_proxy.core.gate import mask_headers, mask_target
from ocpp_proxy.core.record import Header, Opened
from ocpp_proxy.relay.leg import Leg
from ocpp_proxy.wire import deflate, opening
from ocpp_proxy.wire.upstream import identity


class RefusedError(Exception):
    """The caller gets no connection. `status` None: nothing is answered; `by`: whose answer it is; `answer`: its bytes
    where they are not ours."""

    def __init__(
        self, reason: str, status: int | None, by: Sender | None = "proxy", answer: bytes | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.by = by
        self.answer = answer


@dataclass(slots=True)
class Caller:
    """What is known so far. `spoke`: a first byte came, not only a connection; `struck`: offers of extensions that were
    not passed on; `head`: the first bytes of what could not be read."""

    address: str
    host: str
    keep_secrets: bool
    spoke: bool = False
    station: Leg | None = None
    station_tls: dict[str, Any] | None = None
    request: Request | None = None
    response: Response | None = None
    csms: Leg | None = None
    csms_tls: dict[str, Any] | None = None
    dial_ms: float | None = None
    struck: tuple[str, ...] = ()
    head: bytes = b""

    @property
    def identity(self) -> str:
        """Of one whose request was read."""
        assert self.request is not None
        return identity(self.request.path, opening.first(self.request.headers, "Authorization"), self.host)

    def opened(self, connection: str, status: int | None, by: Sender | None, reason: str = "") -> Opened:
        """How the handshake went, for the record."""
        request, response = self.request, self.response
        agreed = response.headers if response is not None and status == 101 else None
        extra: dict[str, Any] = {"reason": reason, "struck": list(self.struck), "head": self.head.hex()}
        return Opened(
            connection=connection,
            at=now(),
            station=self.identity if request else None,
            station_address=self.address,
            target=self._target(),
            offered=opening.offered_subprotocols(request.headers) if request else (),
            subprotocol=opening.chosen_subprotocol(agreed) if agreed else None,
            extensions=opening.first(agreed, deflate.HEADER) if agreed else None,
            status=status,
            refused_by=by,
            dial_ms=self.dial_ms,
            station_headers=self._headers(request),
            csms_headers=self._headers(response),
            tls={"station": self.station_tls, "csms": self.csms_tls},
            extra={key: value for key, value in extra.items() if value},
        )

    def _target(self) -> str | None:
        if self.request is None:
            return None
        return self.request.path if self.keep_secrets else mask_target(self.request.path)

    def _headers(self, message: Request | Response | None) -> tuple[Header, ...]:
        pairs = tuple(message.headers.raw_items()) if message is not None else ()
        return pairs if self.keep_secrets else mask_headers(pairs)
