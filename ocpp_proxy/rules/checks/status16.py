"""The statuses of connectors in 1.6.

Source: OCPP 1.6 edition 2 section 4.9; 1.6 errata 3.19 and 3.20.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check

# From a status, those that may come next (section 4.9; Preparing to Finishing: errata 3.20). A repeat is no transition.
TRANSITIONS: Mapping[str, frozenset[str]] = {before: frozenset(after.split()) for before, after in {
    "Available": "Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted",
    "Preparing": "Available Charging SuspendedEV SuspendedEVSE Finishing Faulted",
    "Charging": "Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEV": "Available Charging SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEVSE": "Available Charging SuspendedEV Finishing Unavailable Faulted",
    "Finishing": "Available Preparing Unavailable Faulted",
    "Reserved": "Available Preparing Unavailable Faulted",
    "Unavailable": "Available Preparing Charging SuspendedEV SuspendedEVSE Faulted",
    "Faulted": "Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable",
}.items()}  # fmt: skip
HIDDEN_MOST = 2  # statuses that were too short to be told


def ways(before: str, after: str, most: int = HIDDEN_MOST) -> tuple[str, ...] | None:
    """The shortest legal way between two statuses, without them: () where one may follow the other, None where no way
    leads there over so few."""
    if after in TRANSITIONS.get(before, ()):
        return ()
    if most == 0:
        return None
    found = [(step, *rest) for step in sorted(TRANSITIONS.get(before, ()))
             if (rest := ways(step, after, most - 1)) is not None]
    return min(found, key=len, default=None)


@check("status-transition", call("StatusNotification"))
def transition(now: Now) -> Iterator[Hit]:
    number, after = integer(now.request, "connectorId"), text(now.request, "status")
    connector = now.session.connectors.get(number)
    last = connector.status if connector is not None else None
    if not number or after is None or after not in TRANSITIONS or last is None:
        return
    if last.name not in TRANSITIONS or last.name == after or now.session.links.offline_between(last.time, now.time):
        return
    way = ways(last.name, after)
    if way == ():
        return
    hidden = f"; legal by way of {' and '.join(way)}, if that was too short to be told" if way else ""
    yield now.hit(f"{last.name} is followed by {after}{hidden}", "/status", seen=after,
                  expected=sorted(TRANSITIONS[last.name]), case=None if way else "no-way", also=[last.ref])
