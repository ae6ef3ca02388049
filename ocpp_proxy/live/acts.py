"""What was done to the link, in a line: faults, injections that came to nothing, a panic, a remark.

Decides the words. Refuses to know where the line is drawn (`stream`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ocpp_proxy.core.record import Entry
from ocpp_proxy.live.paint import Line
from ocpp_proxy.live.safe import safe, scalar
from ocpp_proxy.live.when import counted

_LEFT_OUT = frozenset({"act", "by", "fault", "kind", "station"})


def act(entry: Entry) -> Line | None:
    """None for what is seen anyway: an injected frame has a line of its own."""
    fields = entry.fields
    if entry.type == "note":
        return [("mark", "✎ "), ("", safe(str(fields.get("text", "")), 500)), ("dim", _by(fields))]
    say = _ACTS.get(fields.get("act", ""))
    said = say(fields) if say is not None and entry.type == "act" else None
    return None if said is None else [("mark", f"◆ {said}"), ("dim", _by(fields))]


def _by(fields: Mapping[str, Any]) -> str:
    by = fields.get("by")
    return f" (by {safe(by, 60)})" if isinstance(by, str) else ""


def _fault(fields: Mapping[str, Any]) -> str:
    more = " ".join(f"{safe(name, 20)}={scalar(value, 60)}" for name, value in fields.items() if name not in _LEFT_OUT)
    what = f"fault {_text(fields, 'fault')} {_text(fields, 'kind')} on {_text(fields, 'station')}"
    return f"{what} {more}" if more else what


def _fault_end(fields: Mapping[str, Any]) -> str:
    return f"fault {_text(fields, 'fault')} is over, {counted(int(fields.get('hits') or 0), 'hit')}"


def _inject(fields: Mapping[str, Any]) -> str | None:
    outcome = fields.get("outcome")
    return f"{_text(fields, 'action')} to the {_text(fields, 'to')}: {safe(str(outcome), 20)}" if outcome else None


def _text(fields: Mapping[str, Any], name: str) -> str:
    return scalar(fields.get(name), 60)


_ACTS: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "fault": _fault,
    "fault-end": _fault_end,
    "inject": _inject,
    "panic": lambda _: "PANIC: pure relay from here on",
    "calm": lambda _: "the panic is over",
    "stop": lambda _: "the run is ended",
}
