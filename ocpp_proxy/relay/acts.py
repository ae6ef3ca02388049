"""What this program can be asked to do on a live link, and what comes of it, as values.

Decides which orders there are and what they say. Refuses to know who brings them (command line, control API, script)
and how they are carried out (`controls`, `part`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ocpp_proxy.core.frame import Side

Came: TypeAlias = Literal["result", "error", "timeout", "disconnected", "refused"]
Why: TypeAlias = Literal[
    "not-allowed", "panicked", "confirm", "unknown-station", "unknown-connection", "schema", "bad-order",
    "unknown-fault",
]  # fmt: skip
FaultKind: TypeAlias = Literal[
    "delay", "drop", "hold", "modify", "answer", "disconnect", "reset", "half-open", "offline", "drip", "duplicate"
]


class RefusedActError(Exception):
    """An order that is not carried out; nothing was sent. `why` names the cause for programs; the sentence says what to
    do about it. `errors`: for "schema", what the payload breaks, as {"pointer", "message", "rule"}."""

    def __init__(self, why: Why, reason: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(reason)
        self.why = why
        self.reason = reason
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A Call to be sent on a live link. `to`: who gets it; it is sent in the name of the other side. `connection`: None
    for the station's newest. `timeout_s`: how long to wait for the answer; `wait_s`: how long for the moment when it
    may be sent. `confirmed`: a dangerous action is meant; `force`: send a payload that breaks its schema, or an unknown
    action; `hasten`: neither quiet period nor pacing. `by`: who asked, for the record."""

    station: str
    action: str
    payload: Mapping[str, Any]
    to: Side = "station"
    connection: str | None = None
    timeout_s: float = 30.0
    wait_s: float = 10.0
    confirmed: bool = False
    force: bool = False
    hasten: bool = False
    by: str = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an injected Call. `latency_ms`: from sending it to the answer; `held_ms`: how long Calls of the side
    we spoke for had to wait because of it, all together. `response`: the CallResult's payload, masked; `error`: the
    CallError's {"code", "description", "details"}, or {"reason"} where nothing came. `seq`: number of the injected
    frame in the capture, None where none was sent."""

    outcome: Came
    connection: str | None = None
    message_id: str | None = None
    seq: int | None = None
    latency_ms: float | None = None
    held_ms: float = 0.0
    response: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOrder:
    """A fault to be put on live links.

    Chosen by `station` (an identity, or a pattern with * and ?), `sender` (whose messages; None for both), `action` (of
    the Call or of the Call that is answered; None for every message) and `part` ("call", "answer"; None for both). It
    ends after `count` messages, after `for_s` seconds, when it is cleared, or with the run. Kinds, and what they need:

    - delay: `seconds` late; hold: kept until the fault ends; drop: never forwarded; duplicate: forwarded twice;
    - drip: `bytes_per_s` a second;
    - modify: `patch`, a JSON Patch (RFC 6902) on the payload;
    - answer: the Call never arrives; its caller is answered with `result`, or with `error` {"code", "description",
      "details"}, or, with neither, not at all;
    - disconnect: both legs closed with `code` and `reason`; reset: both TCP connections reset, without a close frame;
    - half-open: pongs are swallowed, so that the link looks dead to who pings;
    - offline: for `seconds` the chosen stations are disconnected, and refused with HTTP 503; where all are chosen, TCP
      refuses them.
    """

    kind: FaultKind
    station: str = "*"
    sender: Side | None = None
    action: str | None = None
    part: Literal["call", "answer"] | None = None
    count: int | None = None
    for_s: float | None = None
    seconds: float | None = None
    bytes_per_s: int | None = None
    patch: Sequence[Mapping[str, Any]] | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    code: int = 1000
    reason: str = ""
    confirmed: bool = False
    by: str = "api"


@dataclass(slots=True, kw_only=True)
class Fault:
    """A fault in force. `hits`: how many messages or connections it has met so far."""

    id: str
    order: FaultOrder
    since: str
    hits: int = 0
