"""Who answers whom: pairs each Call with its answer.

Decides what belongs together on one connection, by caller and message id. Refuses to judge it: it names what it saw
(`Correlation.remarks`) and leaves severity and fault to the rules.

Source: OCPP-J 1.6 section 4.1; OCPP 2.0.1 and 2.1 Part 4 section 4.1 (one open CALL a side, retries may reuse the id).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ocpp_proxy.core.frame import Call, CallError, CallResult, Send, Side
from ocpp_proxy.core.instant import Instant


@dataclass(slots=True)
class Exchange:
    """A Call (or a Send) and, once it has come, its answer. `caller` is the side that sent the Call or for which
    the proxy injected it; `attempts` counts the Call and its retries with the same id."""

    connection: str
    caller: Side
    message_id: str
    call: Call | Send
    call_seq: int
    called_at: Instant
    injected: bool = False
    attempts: int = 1
    answer: CallResult | CallError | None = None
    answer_seq: int | None = None
    answered_at: Instant | None = None

    @property
    def action(self) -> str:
        return self.call.action

    @property
    def request(self) -> Any:
        """The Call's payload."""
        return self.call.payload

    @property
    def response(self) -> Any:
        """The CallResult's payload; None while open and after a CallError."""
        return self.answer.payload if isinstance(self.answer, CallResult) else None

    @property
    def latency_ms(self) -> float | None:
        """From the last attempt of the Call to its answer, as they passed the proxy."""
        if self.answered_at is None:
            return None
        return self.answered_at.seconds_since(self.called_at) * 1000
