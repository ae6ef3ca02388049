"""What the CSMS, or this program in its name, has asked of the station lately.

Keeps the last COMMANDS_KEPT answered Calls of the CSMS, without their payloads but for what rules ask for.

Source: OCPP 1.6 edition 2 chapter 5; OCPP 2.0.1 Part 2 (Calls of the CSMS).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.frame import CallError
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import integer as whole
from ocpp_proxy.core.payload import kept, member

COMMANDS_KEPT = 64

# What is kept of a request: texts and whole numbers at its top, and these from inside.
_INNER = (("evse", "id"), ("evse", "connectorId"), ("idToken", "idToken"), ("firmware", "location"))
_TOP = frozenset((
    "connectorId", "evseId", "idTag", "transactionId", "type", "key", "requestedMessage", "requestId",
    "reservationId", "id", "remoteStartId", "retrieveDate", "location", "operationalStatus", "reportBase",
    "logType", "updateType",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """`status`: of the response, "CALLERROR" where it was refused by one (then `error` is its code); `request`: what is
    kept of the request: texts and whole numbers at its top, and inner ones under "evse.id", "evse.connectorId",
    "idToken.idToken", "firmware.location"."""

    action: str
    request: dict[str, Any]
    status: str | None
    error: str | None
    call: FrameRef
    answer: FrameRef
    called: float
    time: float
    injected: bool


@dataclass(slots=True)
class Commands:
    """`recent`: oldest first."""

    recent: deque[Command] = field(default_factory=lambda: deque(maxlen=COMMANDS_KEPT))

    def latest(self, *actions: str) -> Command | None:
        return next(self.since(0.0, *actions), None)

    def since(self, time: float, *actions: str) -> Iterator[Command]:
        """Those answered at that time or later, the latest first."""
        for command in reversed(self.recent):
            if command.time < time:
                return
            if not actions or command.action in actions:
                yield command


def answered(now: Occasion) -> None:
    exchange = now.exchange
    if exchange is None or exchange.caller != "csms":
        return
    error = now.frame.code if isinstance(now.frame, CallError) else None
    status = "CALLERROR" if error is not None else kept(now.response, "status")
    now.session.commands.recent.append(Command(
        now.action, excerpt(now.request), status, error, now.call_ref, now.ref, now.called_time, now.time,
        exchange.injected))


def excerpt(request: Any) -> dict[str, Any]:
    """The texts and whole numbers of a request that rules ask for later."""
    if not isinstance(request, dict):
        return {}
    named = [(key, request[key]) for key in _TOP.intersection(request)]
    named += [(f"{outer}.{inner}", member(request, outer, inner)) for outer, inner in _INNER if outer in request]
    return {name: one for name, value in named
            if (one := kept(value) if isinstance(value, str) else whole(value)) is not None}
