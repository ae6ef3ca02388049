"""Ends of transactions of 1.6 that never come, and times that were not those of the event.

Decides when a transaction must have ended though no StopTransaction says so, online and over a time offline; and
whether what waited in the queue bears the time at which it was sent. Refuses to know what happened offline beyond what
statuses and meter values tell.

Source: OCPP 1.6 edition 2 sections 3.7, 4.8 and 4.10.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.payload import integer, moment_us, objects, text
from ocpp_proxy.core.station.connectors import Status
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.transactions16_past import (
    certainly_open,
    known_start,
    named,
    offline_at,
    stamped_us,
    time_of,
    was_before,
    whole_since,
)
from ocpp_proxy.rules.checks.transactions16_queue import unsettled
from ocpp_proxy.rules.checks.transactions16_stop import before, grown_wh, lost_offline, roughly
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import call, check

MISSING_S = 60.0  # after a sign that the transaction is over
SOON_S = 600.0    # after the connection is back
FREED = "its connector became Available"
UNDER_WAY = ("Charging", "SuspendedEV", "SuspendedEVSE")
OVER = ("Available", "Finishing")


# Ends that never come


def over(now: Now) -> tuple[Transaction, str] | None:
    """The transaction that must be over by what this StatusNotification or StartTransaction says, and how one sees it.
    (To be asked by `now.once`.)"""
    place, begins = integer(now.request, "connectorId"), now.action == "StartTransaction"
    if not begins and text(now.request, "status") != "Available":
        return None
    one = now.session.transactions.on(place)
    if one is None or not place or not certainly_open(now, one):
        return None
    if was_before(stamped_us(now), one.started_us, 0):
        return None  # it tells of a time before
    if begins:
        return (one, "the next one began on its connector") if now.once(known_start) is None else None
    return one, FREED


@check("stop-missing", call("StatusNotification", "StartTransaction"))
def stop_missing(now: Now) -> None:
    _wait(now, offline=False)


@check("tx-offline-lost", call("StatusNotification", "StartTransaction"))
def offline_lost(now: Now) -> tuple[Hit, ...] | None:
    _wait(now, offline=True)
    found = grown_wh(now) if now.action == "StartTransaction" else None
    if found is None or not lost_offline(now, *found):
        return None
    hit = now.hit(f"While the station was offline the meter went on by {roughly(found[1])} without a transaction",
                  "/meterStart", also=[found[0].stop], case="register")
    return (hit,)


def _wait(now: Now, *, offline: bool) -> None:
    """`offline`: whether the station is to have been offline since the transaction began."""
    found = now.once(over)
    if found is not None and now.session.links.offline_between(found[0].start_time, now.time) is offline:
        now.later(MISSING_S, never_ended, key=found[0].start, data=(*found, now.time))


def never_ended(now: Now, deadline: Deadline) -> Iterator[Hit]:
    one, sign, since = deadline.data
    if not certainly_open(now, one) or one.last_time > since:
        return  # ended, or going on for all that was said
    if sign == FREED and now.session.connectors.status(one.place) in UNDER_WAY:
        return  # so it was for a moment only
    if unsettled(now):
        now.later(MISSING_S, never_ended, key=one.start, data=deadline.data, place=deadline.place)
    else:
        yield now.hit(f"Transaction {one.id} has no StopTransaction, {MISSING_S:g} s after {sign}",
                      place=deadline.place, transaction=one.id, also=[one.start, one.confirmed])


# Times that are not those of the event


@check("tx-offline-timestamp", call("StartTransaction"))
def start_stamped_late(now: Now) -> Iterator[Hit]:
    place, began_us = integer(now.request, "connectorId"), stamped_us(now)
    status = _told_offline(now, place, UNDER_WAY)
    if began_us is None or place is None or status is None or now.once(known_start) is not None or now.link is None:
        return
    if now.time - now.link.opened_time > SOON_S or not whole_since(now, now.link.opened_time):
        return  # it may be another transaction
    if _stamped_since(now, began_us, status.at_us) and not _covered(now, place, status.at_us or 0):
        yield now.hit(f"StartTransaction bears a time after the connection was back, though the connector was "
                      f"{status.name} while offline", "/timestamp", also=[status.ref])


@check("tx-offline-timestamp", call("StopTransaction"))
def stop_stamped_late(now: Now) -> Iterator[Hit]:
    one, ended_us = now.once(named), stamped_us(now)
    if one is None or not one.open or one.started_us is None or ended_us is None:
        return
    status = _told_offline(now, one.place, OVER)
    over_us = status.at_us if status is not None and one.started_us <= (status.at_us or 0) else None
    if status is not None and _stamped_since(now, ended_us, over_us):
        yield now.hit(f"StopTransaction bears a time after the connection was back, though the connector was "
                      f"{status.name} while offline", "/timestamp", connector=one.place, also=[status.ref])
    elif _stamped_since(now, ended_us, _end_sampled(now)):
        yield now.hit("StopTransaction bears a time after the connection was back, though its last meter value is from "
                      "the time offline", "/timestamp", connector=one.place)


@check("tx-offline-timestamp", call("MeterValues", "StopTransaction"))
def sampled_before_start(now: Now) -> Iterator[Hit] | None:
    one = now.once(named) if now.session.links.windows else None
    if one is None or one.start is None or one.started_us is None or one.start.connection != now.connection:
        return None
    return _sampled_offline(now, one, one.started_us)


def _sampled_offline(now: Now, one: Transaction, started_us: int) -> Iterator[Hit]:
    times = [at for name in ("meterValue", "transactionData") for _, value in objects(now.request, name)
             if (at := moment_us(value, "timestamp")) is not None and not _has(value, "Sample.Clock")]
    if times and _stamped_since(now, started_us, min(times)):
        yield now.hit("StartTransaction bears a time after the connection was back, though meter values of the "
                      "transaction are from the time offline", "/timestamp", frame=one.start, also=[now.ref])


def _told_offline(now: Now, place: int | None, names: tuple[str, ...]) -> Status | None:
    """The connector's last status, if it is one of these and dates from a time offline."""
    connector = now.session.connectors.get(place)
    status = connector.status if connector is not None else None
    if status is None or status.at_us is None or status.name not in names:
        return None
    return status if offline_at(now, status.at_us) is not None else None


def _stamped_since(now: Now, stamped: int, event_us: int | None) -> bool:
    """Whether something is dated after the time offline in which the event was."""
    window, told = offline_at(now, event_us), time_of(now, stamped)
    if window is None or event_us is None or told is None:
        return False
    return told >= window.to_time and stamped - event_us > now.bounds.time_warn_s * 1e6


def _covered(now: Now, place: int, at_us: int) -> bool:
    """Whether another transaction of the connector was under way at that time."""
    if now.session.transactions.on(place) is not None:
        return True
    last = before(now.session, place)
    return last is not None and (last.stopped_us is None or last.stopped_us >= at_us)


def _end_sampled(now: Now) -> int | None:
    return next((moment_us(value, "timestamp") for _, value in objects(now.request, "transactionData")
                 if _has(value, "Transaction.End")), None)


def _has(value: object, context: str) -> bool:
    return any(text(sample, "context") == context for _, sample in objects(value, "sampledValue"))
