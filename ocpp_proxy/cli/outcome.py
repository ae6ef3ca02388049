"""What came of an injected Call, in lines for people and as an exit code.

Decides the wording. Whatever a peer chose is made fit for a terminal first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.core.frame import OTHER_SIDE, Side
from ocpp_proxy.live.safe import safe

NOT_ACCEPTED = 8
_CODES = {"result": 0, "error": 4, "timeout": 5, "disconnected": 6, "refused": 7}
_SHOWN = 4000
_LINE = 200


def exit_code(outcome: Mapping[str, Any], require_accepted: bool) -> int:
    """As `inject --help` lists them."""
    if outcome["outcome"] == "result" and require_accepted:
        response = outcome["response"]
        status = response.get("status") if isinstance(response, dict) else None
        return 0 if status == "Accepted" else NOT_ACCEPTED
    return _CODES[outcome["outcome"]]


def outcome_lines(station: str, action: str, outcome: Mapping[str, Any], to: Side, follow_s: float) -> Iterator[str]:
    """`follow_s`: for how long was listened after the answer."""
    where = f"{station} {outcome['connection']}" + (f" #{outcome['seq']}" if outcome["seq"] is not None else "")
    took = f" after {outcome['latency_ms']:.1f} ms" if outcome["latency_ms"] is not None else ""
    yield f"{action} → {to} ({safe(where)}): {_came(outcome)}{took}"
    if outcome["outcome"] == "result":
        yield f"  {safe(dumps(outcome['response']), _SHOWN)}"
    if outcome["held_ms"]:
        yield f"  Calls of the {OTHER_SIDE[to]} waited for {outcome['held_ms']:.1f} ms because of it"
    if follow_s and outcome["seq"] is not None:
        yield from _followed(outcome["followed"], follow_s)


def _came(outcome: Mapping[str, Any]) -> str:
    error = outcome["error"] or {}
    if outcome["outcome"] == "result":
        response = outcome["response"]
        status = response.get("status") if isinstance(response, dict) else None
        return safe(status) if isinstance(status, str) else "answered"
    if outcome["outcome"] == "error":
        words = [str(error.get("code")), str(error.get("description") or "")]
        details = f" {safe(dumps(error['details']), _LINE)}" if error.get("details") else ""
        return f"CALLERROR {safe(': '.join(filter(None, words)), _LINE)}{details}"
    reason = safe(str(error.get("reason") or ""), _LINE)
    said = {"timeout": "no answer in time", "disconnected": "the connection was lost", "refused": "not sent"}
    return said[outcome["outcome"]] + (f": {reason}" if reason else "")


def _followed(messages: list[Mapping[str, Any]], follow_s: float) -> Iterator[str]:
    yield f"  {'followed' if messages else 'nothing followed'} within {follow_s:g} s" + (":" if messages else "")
    for one in messages:
        yield f"  #{one['seq']} {one['sender']} → {one['to']} {safe(one['action'] or one['type'])}  " + safe(
            one["data"], _LINE)
