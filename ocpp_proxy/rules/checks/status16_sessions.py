"""Statuses of 1.6 held against transactions: the one should tell what the other does.

Decides it once the other had time to come, and only where both were seen to begin: what was there before the capture,
or may have changed while the station was offline, is taken as given.

Source: OCPP 1.6 edition 2 sections 3.6, 4.8, 4.9, 4.10, 7.7 and 9.1.6.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.payload import integer, moment_us
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.status16 import (
    IN_SESSION,
    change,
    is_old,
    lines,
    minimum_s,
    told_in,
    unseen_since,
)
from ocpp_proxy.rules.checks.transactions16_past import whole_since
from ocpp_proxy.rules.checks.transactions16_queue import held_up
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

IDLE = frozenset(("Available", "Preparing"))
BEFORE_SESSION = frozenset(("Available", "Preparing", "Finishing", "Reserved", "Unavailable"))
AUTHORISED_S = 120.0  # an authorisation so old is not what a cable was plugged in for


def running(now: Now, number: int | None) -> Transaction | None:
    """The transaction on the connector that has certainly not been stopped by now: nothing is missing since it was
    last heard of."""
    transaction = now.session.transactions.on(number)
    if transaction is None or not whole_since(now, transaction.last_time):
        return None
    return transaction


# Charging, and no transaction


@check("status-charging-without-tx", call("StatusNotification"))
def charging(now: Now) -> None:
    changed = now.once(change)
    if changed is None:
        return
    number, _, last, one = changed
    begins = one.name in IN_SESSION and last.name in BEFORE_SESSION
    if number and begins and now.session.transactions.on(number) is None:
        now.later(now.bounds.start_s, not_started, key=number, data=now.time)


@check("status-charging-without-tx", call("StartTransaction"))
def started(now: Now) -> None:
    now.cancel(integer(now.request, "connectorId"))


def not_started(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, since = deadline.place.connector, deadline.data
    last = lines(now).last(number)
    if last is None or last.name not in IN_SESSION or unseen_since(now, since) or held_up(now):
        return
    if any(one.place in (number, None) and (one.open or one.stop_time >= since)
           for one in now.session.transactions.all()):
        return
    yield now.hit(f"Charging for {now.bounds.start_s:g} s without StartTransaction", "/status", seen=last.name,
                  expected="StartTransaction", place=deadline.place)


# A transaction, and no charging


@check("status-tx-without-charging", call("StartTransaction"))
def begun(now: Now) -> None:
    number = integer(now.request, "connectorId")
    if number and not now.injected and not is_old(now, moment_us(now.request, "timestamp")):
        now.later(2 * now.bounds.start_s, not_charging, key=number, data=now.time)


@check("status-tx-without-charging", call("StatusNotification"))
def prepared(now: Now) -> None:
    changed = now.once(change)
    if changed is not None and changed.one.name == "Preparing" and running(now, changed.number) is not None:
        now.later(2 * now.bounds.start_s, not_charging, key=changed.number, data=now.time)


def not_charging(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, since = deadline.place.connector, deadline.data
    transaction, last = running(now, number), lines(now).last(number)
    if transaction is None or last is None or last.name not in IDLE or unseen_since(now, since) or held_up(now):
        return
    if now.time - last.time < now.bounds.start_s or (last.name == "Available" and last.time > transaction.start_time):
        return  # too young, or for status-available-during-tx
    open_s = 2 * now.bounds.start_s
    yield now.hit(f"The connector is {last.name} while its transaction has been open for over {open_s:g} s",
                  seen=last.name, expected="Charging, SuspendedEV or SuspendedEVSE", place=deadline.place,
                  transaction=transaction.id, also=[last.ref, transaction.last])  # fmt: skip


@check("status-available-during-tx", call("StatusNotification"))
def available(now: Now) -> None:
    read = now.once(told_in)
    if read is None or read[1].name != "Available" or read[1].old or read[0] == 0:
        return
    if (transaction := running(now, read[0])) is not None:
        now.later(2 * now.bounds.stop_s, not_stopped, key=(read[0], transaction.id), data=(transaction, now.time))


def not_stopped(now: Now, deadline: Deadline) -> Iterator[Hit]:
    transaction, since = deadline.data
    if not transaction.open or held_up(now) or unseen_since(now, since):
        return
    refused, wait_s = transaction.status not in (None, "Accepted"), 2 * now.bounds.stop_s
    yield now.hit(f"Available, and the connector's transaction has not been stopped within {wait_s:g} s", "/status",
                  seen="Available", expected="StopTransaction before", case="refused" if refused else None,
                  place=deadline.place, transaction=transaction.id, also=[transaction.last])  # fmt: skip


@check("status-finishing-no-stop", call("StatusNotification"))
def finishing(now: Now) -> None:
    changed = now.once(change)
    if changed is None:
        return
    number, _, last, one = changed
    if one.name == "Finishing" and last.name in IN_SESSION and (transaction := running(now, number)) is not None:
        now.later(now.bounds.stop_s, not_finished, key=(number, transaction.id), data=transaction)


def not_finished(now: Now, deadline: Deadline) -> Iterator[Hit]:
    transaction: Transaction = deadline.data
    if transaction.open and not held_up(now) and whole_since(now, transaction.last_time):
        yield now.hit(f"Finishing, and no StopTransaction within {now.bounds.stop_s:g} s", "/status", seen="Finishing",
                      expected="StopTransaction", place=deadline.place, transaction=transaction.id,
                      also=[transaction.last])  # fmt: skip


# Preparing, and nothing comes of it


@check("conn-timeout", call("StatusNotification"))
def preparing(now: Now) -> Iterator[Hit] | None:
    read = now.once(told_in)
    if read is None or read[0] == 0:
        return None
    number, one = read
    if one.name != "Preparing":
        now.cancel(number)
        return None
    last = lines(now).last(number)
    if one.old or (last is not None and last.name == "Preparing"):
        return None
    return _await_transaction(now, number) if _authorised(now, number) else None


@check("conn-timeout", answer("Authorize"), answer("RemoteStartTransaction", by="csms"))
def authorised(now: Now) -> Iterator[Hit] | None:
    if not _accepts(now):
        return None
    asked = integer(now.request, "connectorId")
    waiting = [number for number, line in lines(now).known.items()
               if number and line.last is not None and line.last.name == "Preparing" and asked in (None, number)]
    if len(waiting) != 1:  # none, or it cannot be told which one is meant
        return None
    return _await_transaction(now, waiting[0])


@check("conn-timeout", call("StartTransaction"))
def used(now: Now) -> None:
    """The authorisation has been used, here or on another connector."""
    for number in lines(now).known:
        now.cancel(number)


def _accepts(now: Now) -> bool:
    from_csms = now.action == "RemoteStartTransaction"
    info = now.response.get("idTagInfo") if isinstance(now.response, dict) else None
    status = now.status if from_csms else info.get("status") if isinstance(info, dict) else None
    return status == "Accepted"


def _authorised(now: Now, number: int) -> bool:
    """Whether somebody was accepted shortly before who has no transaction yet."""
    since = now.time - AUTHORISED_S
    session = now.session
    if any((one.start and one.start_time >= since) or (one.stop and one.stop_time >= since)
           for one in session.transactions.all()):
        return False
    if any(command.status == "Accepted" and command.request.get("connectorId", number) == number
           for command in session.commands.since(since, "RemoteStartTransaction")):
        return True
    return any(token.by == "Authorize" and token.status == "Accepted" and token.time >= since
               for token in session.tokens.known.values())


def _await_transaction(now: Now, number: int) -> Iterator[Hit] | None:
    timeout_s = now.session.settings.integer("ConnectionTimeOut")
    if timeout_s is None:
        return now.unknown("ConnectionTimeOut was not seen")
    if timeout_s > 0 and now.session.transactions.on(number) is None:
        wait_s = timeout_s + now.bounds.status_s + (minimum_s(now) or 0)
        now.later(wait_s, still_preparing, key=number, data=(number, timeout_s, now.time))
    return None


def still_preparing(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, timeout_s, since = deadline.data
    last = lines(now).last(number)
    if last is None or last.name != "Preparing" or unseen_since(now, since) or held_up(now):
        return
    yield now.hit(f"Still Preparing, without a transaction, {now.bounds.status_s:g} s after ConnectionTimeOut "
                  f"({timeout_s} s)", "/status", seen="Preparing", expected="Available or Finishing", frame=last.ref,
                  by="station", place=deadline.place, connector=number)  # fmt: skip
