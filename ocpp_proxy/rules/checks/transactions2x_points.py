"""Whether transactions of 2.x begin and end where TxStartPoint and TxStopPoint have it, and whether they go on without
the car or against the word of the CSMS.

Source: OCPP 2.0.1 and 2.1 Part 2, TxStartStopPoint values, E01.FR.01 to .06, E06.FR.01 to .07, E03.FR.05, E03.FR.15,
F02.FR.07, F02.FR.08, E05.FR.02, E05.FR.03, E05.FR.09, E05.FR.10, C15.FR.03 to .07; 2.0.1 errata 2.24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.payload import LONGEST_KEPT, text
from ocpp_proxy.rules.checks.transactions2x_book import (
    CONNECTED,
    GRANTS,
    REVOKES,
    Event,
    Story,
    Told,
    fresh,
    said,
    stories,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"
EV_SIDE, TIMEOUT = "TxCtrlr.StopTxOnEVSideDisconnect", "TxCtrlr.EVConnectionTimeOut"
ON_INVALID, MAX_ENERGY = "TxCtrlr.StopTxOnInvalidId", "TxCtrlr.MaxEnergyOnInvalidId"
NOT_SEEN = "{} was not seen"
QUEUE = 4  # so much longer where events wait in a queue

AUTHORITY = frozenset(("Authorized", "PowerPathClosed", "EnergyTransfer"))  # what ends with the authorization
CABLE = frozenset(("EVConnected", "PowerPathClosed", "EnergyTransfer"))     # what ends with the connection
# triggerReason → the values of TxStartPoint at which a transaction may begin with it; of the others any.
BEGINS: Mapping[str, frozenset[str]] = {
    "EVDetected": frozenset(("ParkingBayOccupancy",)),
    "CablePluggedIn": frozenset(("EVConnected",)),
    "Authorized": frozenset(("Authorized", "PowerPathClosed")),
    "SignedDataReceived": frozenset(("DataSigned",)),
}
# triggerReason → the values of TxStopPoint at which one may end with it.
ENDS: Mapping[str, frozenset[str]] = {
    "EVDeparted": frozenset(("ParkingBayOccupancy",)),
    "EVCommunicationLost": CABLE,
    "StopAuthorized": AUTHORITY,
    "RemoteStop": AUTHORITY,
    "Deauthorized": AUTHORITY,
}
# triggerReason of an Updated → the values of TxStopPoint that make it end the transaction.
HAS_TO_END: Mapping[str, frozenset[str]] = {
    "StopAuthorized": frozenset(("Authorized", "PowerPathClosed")),
    "RemoteStop": frozenset(("Authorized", "PowerPathClosed")),
    "EVCommunicationLost": frozenset(("EVConnected", "PowerPathClosed")),
    "EVDeparted": frozenset(("ParkingBayOccupancy",)),
}


@check("txstart-point", call("TransactionEvent"))
def start_point(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.offline:
        return
    event = one.event
    if event.kind == "Started":
        yield from _begins(now, event)
    elif event.kind == "Ended":
        now.cancel(event.tx)
        yield from _ends(now, event)
    else:
        _goes_on(now, event)


def points(now: Now, name: str) -> frozenset[str] | None:
    words = now.session.settings.words(name)
    return None if words is None else frozenset(words)


def _begins(now: Now, event: Event) -> Iterator[Hit]:
    allowed, possible = points(now, START), BEGINS.get(event.reason)
    if allowed is None:
        yield from now.unknown(NOT_SEEN.format(START))
        return
    if possible is None:
        return
    if event.token is not None and event.reason == "CablePluggedIn":
        possible |= {"PowerPathClosed"}
    if event.state == "Charging":
        possible |= {"EnergyTransfer", "PowerPathClosed"}
    if possible.isdisjoint(allowed):
        yield now.hit(f"A transaction begins with {event.reason}, which is no moment that TxStartPoint lists",
                      "/triggerReason", seen=event.reason, expected=", ".join(sorted(allowed))[:80])


def _ends(now: Now, event: Event) -> Iterator[Hit]:
    allowed, possible = points(now, STOP), ENDS.get(event.reason)
    if allowed is None:
        yield from now.unknown(NOT_SEEN.format(STOP))
        return
    if possible is None or not possible.isdisjoint(allowed):
        return
    ev_side = now.session.settings.flag(EV_SIDE)
    if event.reason == "EVCommunicationLost" and "Authorized" in allowed and ev_side is not False:
        return  # the loss of the car may take the authorization with it (E09.FR.01)
    yield now.hit(f"A transaction ends with {event.reason}, which is no moment that TxStopPoint lists",
                  "/triggerReason", seen=event.reason, expected=", ".join(sorted(allowed))[:80])


def _goes_on(now: Now, event: Event) -> None:
    allowed, ending = points(now, STOP), HAS_TO_END.get(event.reason)
    if allowed is not None and ending is not None and not ending.isdisjoint(allowed):
        now.later(now.bounds.stop_s, goes_on, key=event.tx, data=(event.reason, sorted(ending & allowed)[0]))


def goes_on(now: Now, deadline: Deadline) -> Iterator[Hit]:
    story = stories(now).by_id.get(transaction_of(deadline))
    if story is not None and story.open:
        reason, point = deadline.data
        yield now.hit(f"{reason} has not ended the transaction within {now.bounds.stop_s:g} s, and TxStopPoint lists "
                      f"{point}", "/eventType", seen="Updated", expected="Ended", place=deadline.place,
                      connector=story.evse)  # fmt: skip


def transaction_of(deadline: Deadline) -> str:
    return str(deadline.place.transaction or "")[:LONGEST_KEPT].casefold()


# The car that does not come


@check("te-connect-timeout", call("TransactionEvent"))
def connect_timeout(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None:
        return
    event = one.event
    if event.kind == "Ended" or event.reason in REVOKES | {"CablePluggedIn"} or event.state in CONNECTED:
        now.cancel(event.tx)
    elif event.reason in GRANTS and _alone(now, one):
        limit_s = now.session.settings.integer(TIMEOUT)
        if limit_s is None:
            yield from now.unknown(NOT_SEEN.format(TIMEOUT))
        elif limit_s > 0:
            wait_s = limit_s + now.bounds.tolerance_s(limit_s) + now.bounds.status_s
            now.later(wait_s, no_timeout, key=event.tx, data=limit_s)


def _alone(now: Now, one: Told) -> bool:
    """Whether the token comes before the car, and what is told is of now."""
    event, story = one.event, one.story
    if event.offline or not one.in_turn or (story is not None and story.connected):
        return False
    place = event.evse if event.evse is not None or story is None else story.evse
    plugged = _occupied(now, place)
    return event.state == "Idle" if plugged is None else not plugged and event.state in (None, "Idle")


def _occupied(now: Now, evse: int | None) -> bool | None:
    """Whether a car is at one of the EVSE's connectors, by their statuses; None where these do not tell."""
    if evse is None:
        return None
    names = {one.status.name for one in now.session.connectors.of_evse(evse) if one.status is not None}
    return True if "Occupied" in names else False if names else None


def no_timeout(now: Now, deadline: Deadline) -> Iterator[Hit]:
    story = stories(now).by_id.get(transaction_of(deadline))
    if story is None or not story.open or _occupied(now, story.evse):
        return
    yield now.hit(f"No car came within the EVConnectionTimeOut of {deadline.data} s, and the transaction neither ended "
                  "nor lost its authorization", "/triggerReason", expected="EVConnectTimeout", place=deadline.place,
                  connector=story.evse)  # fmt: skip


# The token that the CSMS does not accept


@check("te-deauth", answer("TransactionEvent"))
def refused(now: Now) -> Iterator[Hit]:
    event, status = said(now), text(now.response, "idTokenInfo", "status")
    if event is None or status in (None, "Accepted") or not isinstance(now.frame, CallResult) or now.injected:
        return
    story = stories(now).by_id.get(event.tx)
    if event.kind == "Ended" or event.reason in REVOKES or story is None or not story.open:
        return
    stops, limit = now.session.settings.flag(ON_INVALID), now.session.settings.find(MAX_ENERGY)
    if stops is None:
        yield from now.unknown(NOT_SEEN.format(ON_INVALID))
    elif stops:
        now.later(_patience_s(now, event), not_stopped, key=event.tx, data=status)
    elif limit is None or limit.value is None:
        yield from now.unknown(NOT_SEEN.format(MAX_ENERGY))
    elif limit.value.strip() in ("", "0"):
        now.later(_patience_s(now, event), still_charging, key=event.tx, data=status)


def _patience_s(now: Now, event: Event) -> float:
    """Behind an event from a time offline there may be a queue of others."""
    return now.bounds.stop_s * (QUEUE if event.offline else 1)


@check("te-deauth", call("TransactionEvent"))
def given_up(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or (waits := now.expected(one.event.tx)) is None:
        return
    event = one.event
    if event.kind == "Ended":
        now.cancel(event.tx)
        if event.reason != "Deauthorized" and now.session.settings.flag(ON_INVALID) and not event.offline:
            yield now.hit(f"The transaction of a token that the CSMS does not accept ends with {event.reason[:40]}",
                          "/triggerReason", seen=event.reason[:40], expected="Deauthorized", case="reason",
                          also=waits.place.evidence)  # fmt: skip
    elif event.reason == "Deauthorized" and _may_go_on(now):
        now.cancel(event.tx)


def _may_go_on(now: Now) -> bool:
    """Whether the transaction may outlast its authorization; it may where this is not known."""
    allowed = points(now, STOP)
    return allowed is None or AUTHORITY.isdisjoint(allowed)


def not_stopped(now: Now, deadline: Deadline) -> Iterator[Hit]:
    story = stories(now).by_id.get(transaction_of(deadline))
    if story is None or not story.open:
        return
    what = "Deauthorized" if _may_go_on(now) else "Ended"
    yield _unmoved(now, deadline, story, f"is not told {what} in time, with StopTxOnInvalidId true")


def still_charging(now: Now, deadline: Deadline) -> Iterator[Hit]:
    story = stories(now).by_id.get(transaction_of(deadline))
    if story is not None and story.open and story.state == "Charging":
        yield _unmoved(now, deadline, story, "goes on Charging, with StopTxOnInvalidId false and no "
                                             "MaxEnergyOnInvalidId")


def _unmoved(now: Now, deadline: Deadline, story: Story, what: str) -> Hit:
    status = str(deadline.data)[:40]
    return now.hit(f"The CSMS answered {status}, and the transaction {what}", place=deadline.place, by="station",
                   connector=story.evse)
