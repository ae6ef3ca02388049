"""What runs and what rests at a station of 1.6, and what may have been missed of it.

Decides what is certain enough to be held against a station: that a transaction runs, that a connector is idle, that
nothing is missing since some moment. Refuses to guess: after a boot, a time offline or missing frames nothing is
certain until it has been told again.

Source: OCPP 1.6 edition 2 sections 3.8, 4.8 to 4.10 and 7.7.
"""

from __future__ import annotations

from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.connectors import Status
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.now import Now

IN_SESSION = frozenset(("Charging", "SuspendedEV", "SuspendedEVSE"))
CONNECTORS_MOST = 100  # a station that claims more is not believed


def all_seen(now: Now, since: float) -> bool:
    """Whether no frame of this station is known to be missing since then, at this very moment included."""
    hole_time = now.session.links.hole_time
    return hole_time is None or hole_time <= since


def from_boot(now: Now) -> bool:
    """Whether all is on record since the first connection, a boot among it."""
    return now.session.registration.last is not None and now.session.links.hole_time is None


def blocked(now: Now) -> bool:
    """Whether the station seems to wait for an answer, and may send no Call of its own meanwhile."""
    link = now.link
    if link is None or "station" not in link.called:
        return False
    return link.called["station"] > link.heard.get("csms", -1.0)


def boot_since(session: Session, time: float) -> float | None:
    """When the station booted after that moment, None if it did not."""
    registration = session.registration
    if registration.pending_call is not None and registration.pending_time > time:
        return registration.pending_time
    return registration.since if registration.since is not None and registration.since > time else None


def fresh(now: Now, told: float) -> bool:
    """Whether what was told at that moment can be relied on still."""
    session = now.session
    return (
        not session.links.offline_between(told, now.time)
        and boot_since(session, told) is None
        and all_seen(now, told)
    )


def status_of(now: Now, connector: int | None) -> Status | None:
    """The last status of the connector, if it can be relied on."""
    known = now.session.connectors.get(connector)
    return known.status if known is not None and known.status is not None and fresh(now, known.status.time) else None


def running(now: Now, connector: int | None) -> Transaction | None:
    """The transaction that certainly runs on the connector: it was begun, or measured while the connector was in
    session, and no later status speaks against it."""
    transaction = now.session.transactions.on(connector)
    if transaction is None:
        return None
    known = now.session.connectors.get(connector)
    status = known.status if known is not None else None
    told = status.time if status is not None else 0.0
    if not fresh(now, max(transaction.last_time, told)):
        return None
    if status is not None and status.name in IN_SESSION:
        return transaction
    begun = transaction.start is not None and (status is None or status.time <= transaction.start_time)
    return transaction if begun else None


def all_running(now: Now) -> list[Transaction]:
    """Those that certainly run, one a connector."""
    places = dict.fromkeys(one.place for one in now.session.transactions.open)
    return [one for place in places if (one := running(now, place)) is not None]


def numbers(now: Now) -> tuple[int, ...]:
    """The station's connectors, without 0; () where NumberOfConnectors was not seen."""
    count = now.session.settings.integer("NumberOfConnectors") or 0
    return tuple(range(1, count + 1)) if 0 < count <= CONNECTORS_MOST else ()


def heard_of(now: Now) -> tuple[int, ...]:
    """The connectors that have told a status, without 0."""
    known = now.session.connectors.known.values()
    return tuple(sorted(one.place[0] for one in known if one.place[0] > 0 and one.status is not None))


def told_within_s(now: Now) -> float:
    """How long a StatusNotification may take after what it tells of."""
    return now.bounds.status_s + max(now.session.settings.integer("MinimumStatusDuration") or 0, 0)
