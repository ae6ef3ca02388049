"""Faults in force: which they are, and which messages and stations they are about.

Decides what an order has to say to be a fault, and whether it meets a message. Refuses to know what is done with one
that it meets (`meeting`) and how long it lasts (`controls`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import jsonpatch

from ocpp_proxy.core.frame import Send, Side
from ocpp_proxy.relay.acts import Fault, FaultKind, FaultOrder, RefusedActError
from ocpp_proxy.relay.passing import Passing
from ocpp_proxy.relay.routes import fits, is_pattern

ON_MESSAGES: frozenset[FaultKind] = frozenset(("delay", "drop", "hold", "modify", "answer", "drip", "duplicate"))
ON_LINKS: frozenset[FaultKind] = frozenset(("disconnect", "reset"))  # at once, or with the message that is named
FAULTS_MAX = 100
_CLOSE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))  # RFC 6455 section 7.4
_REASON_BYTES = 123


class Faults:
    """Those of one proxy, oldest first."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._in_force: dict[str, Fault] = {}

    def all(self) -> list[Fault]:
        """Those in force, spent ones among them until they are cleared."""
        return list(self._in_force.values())

    def __bool__(self) -> bool:
        return bool(self._in_force)

    def get(self, fault_id: str) -> Fault | None:
        return self._in_force.get(fault_id)

    def add(self, order: FaultOrder, since: str) -> Fault:
        """Raises RefusedActError for an order that cannot be carried out."""
        check(order)
        if len(self._in_force) >= FAULTS_MAX:
            raise RefusedActError("bad-order", f"there are {FAULTS_MAX} faults already: clear some first")
        fault = Fault(id=f"f{next(self._numbers)}", order=order, since=since)
        self._in_force[fault.id] = fault
        return fault

    def remove(self, fault_id: str) -> Fault | None:
        return self._in_force.pop(fault_id, None)

    def on_message(self, identity: str, message: Passing) -> Fault | None:
        """The first that meets it."""
        for fault in self._in_force.values():
            order = fault.order
            if (order.kind in ON_MESSAGES or order.kind in ON_LINKS) and is_about(order, identity) \
                    and _meets(order, message) and not is_spent(fault):
                return fault
        return None

    def of_kind(self, kind: FaultKind, identity: str, sender: Side | None = None) -> Fault | None:
        """The first of that kind that is about the station."""
        for fault in self._in_force.values():
            order = fault.order
            if order.kind == kind and is_about(order, identity) and not is_spent(fault) \
                    and (sender is None or order.sender in (None, sender)):
                return fault
        return None


def is_about(order: FaultOrder, identity: str) -> bool:
    return order.station in ("*", identity) or (is_pattern(order.station) and fits(order.station, identity))


def is_spent(fault: Fault) -> bool:
    return fault.order.count is not None and fault.hits >= fault.order.count


def is_immediate(order: FaultOrder) -> bool:
    """Whether it is done once, when it is ordered."""
    return order.kind in ON_LINKS and order.action is None and order.part is None and order.sender is None


def _meets(order: FaultOrder, message: Passing) -> bool:
    if is_immediate(order) or order.sender not in (None, message.side):
        return False
    is_call = message.call is not None or isinstance(message.frame, Send)
    if order.kind == "answer" and message.call is None:
        return False
    if order.part is not None and (order.part == "call") != is_call:
        return False
    return order.action is None or order.action == message.action


# -- what an order has to say


def check(order: FaultOrder) -> None:
    """Raises RefusedActError, with what is missing or wrong."""
    for name, wrong in _CHECKS.items():
        if (reason := wrong(order)) is not None:
            raise RefusedActError("bad-order", f"fault {order.kind}: {name} {reason}")


def _seconds(order: FaultOrder) -> str | None:
    if order.kind in ("delay", "offline"):
        if order.seconds is None or not 0 < order.seconds <= 86400:
            return "has to be given, more than 0 and at most 86400"
    elif order.seconds is not None:
        return "belongs to delay and offline"
    return None


def _bytes_per_s(order: FaultOrder) -> str | None:
    if order.kind == "drip":
        return None if order.bytes_per_s is not None and order.bytes_per_s > 0 else "has to be given, at least 1"
    return None if order.bytes_per_s is None else "belongs to drip"


def _patch(order: FaultOrder) -> str | None:
    if order.kind != "modify":
        return None if order.patch is None else "belongs to modify"
    if not order.patch:
        return 'has to be given: a JSON Patch such as [{"op": "replace", "path": "/status", "value": "Rejected"}]'
    try:
        jsonpatch.JsonPatch(list(order.patch))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        return f"is no JSON Patch (RFC 6902): {error}"
    return None


def _answer(order: FaultOrder) -> str | None:
    given = [name for name in ("result", "error") if getattr(order, name) is not None]
    if order.kind != "answer":
        return "belongs to answer" if given else None
    if len(given) == 2:
        return "is one of them, not both"
    if order.error is not None and not isinstance(order.error.get("code"), str):
        return 'needs a code, as in {"code": "InternalError"}'
    return None


def _close(order: FaultOrder) -> str | None:
    if order.code not in _CLOSE_CODES:
        return f"{order.code} cannot stand in a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999"
    return None if len(order.reason.encode()) <= _REASON_BYTES else f"has a reason of more than {_REASON_BYTES} bytes"


def _numbers(order: FaultOrder) -> str | None:
    if order.count is not None and order.count < 1:
        return "has to be at least 1"
    return None


def _lasting(order: FaultOrder) -> str | None:
    if order.for_s is not None and not 0 < order.for_s <= 86400:
        return "has to be more than 0 and at most 86400"
    return None


_CHECKS: Mapping[str, Callable[[FaultOrder], str | None]] = {
    "seconds": _seconds, "bytes_per_s": _bytes_per_s, "patch": _patch, "result, error": _answer, "code": _close,
    "count": _numbers, "for_s": _lasting,
}  # fmt: skip


def patched(payload: Any, patch: Any) -> Any:
    """The payload after a JSON Patch. Raises ValueError where it does not fit."""
    try:
        return jsonpatch.JsonPatch(list(patch)).apply(payload)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        raise ValueError(str(error)) from error
