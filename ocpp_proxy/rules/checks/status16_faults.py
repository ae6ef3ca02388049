"""How connectors of 1.6 get into Faulted and out of it.

Decides whether a connector came back to where it was, as far as frames tell what happened meanwhile: a cable that was
pulled during the fault cannot be seen, and passes.

Source: OCPP 1.6 edition 2 section 4.9 (I1 to I8), 5.2, 5.13 and 9.1.6.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.rules.checks.status16 import IN_SESSION, Change, Told, change, unseen_since
from ocpp_proxy.rules.checks.transactions16_queue import held_up
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import call, check

UNNAMED = frozenset(("NoError", "OtherError"))


@check("status-fault-recovery", call("StatusNotification"))
def recovered(now: Now) -> Iterator[Hit] | None:
    changed = now.once(change)
    before = changed.line.fault_from if changed is not None else None
    if changed is None or before is None or changed.number == 0 or changed.last.name != "Faulted":
        return None
    if before.name == changed.one.name or unseen_since(now, before.time):
        return None
    return _back_elsewhere(now, changed, before)


def _back_elsewhere(now: Now, changed: Change, before: Told) -> Iterator[Hit]:
    number, _, last, one = changed
    sentence = f"Back from Faulted at {one.name}, having been {before.name} before"
    if before.name in IN_SESSION:
        transaction = now.session.transactions.on(number)
        if one.name not in IN_SESSION and one.name != "Finishing" and transaction is not None:
            now.later(2 * now.bounds.stop_s, still_open, key=number, data=(transaction, sentence, before))
    elif (reason := _impossible(now, number, before, one)) is not None:
        yield now.hit(f"{sentence}, {reason}", "/status", seen=one.name, expected=before.name,
                      also=[before.ref, last.ref])


def _impossible(now: Now, number: int, before: Told, one: Told) -> str | None:
    """Why the connector cannot have got there, None where it can."""
    connectors = now.session.connectors
    connector = connectors.get(number)
    wish = connector.wish if connector is not None else None
    if before.name == "Unavailable" and wish is not None and wish.kind == "Inoperative":
        return "although ChangeAvailability Inoperative is in force"
    if one.name == "Reserved" and connectors.reserved((number, 0)) is None:
        return "and nobody has reserved it"
    if one.name == "Finishing" and before.name in ("Available", "Reserved", "Unavailable"):
        started = any(each.place == number and each.start_time >= before.time
                      for each in now.session.transactions.all())
        return None if started else "and no transaction was there to be finished"
    return None


def still_open(now: Now, deadline: Deadline) -> Iterator[Hit]:
    transaction, sentence, before = deadline.data
    if transaction.open and not held_up(now):
        wait_s = 2 * now.bounds.stop_s
        yield now.hit(f"{sentence}, and the transaction there has not been stopped within {wait_s:g} s", "/status",
                      expected=before.name, place=deadline.place, transaction=transaction.id,
                      also=[before.ref, transaction.last])


@check("status-timeout-faulted", call("StatusNotification"))
def timed_out(now: Now) -> Iterator[Hit] | None:
    changed = now.once(change)
    if changed is None or changed.one.name != "Faulted" or changed.last.name != "Preparing" or changed.number == 0:
        return None
    return _timed_out(now, changed.last, changed.one) if changed.one.error in UNNAMED else None


def _timed_out(now: Now, last: Told, one: Told) -> Iterator[Hit]:
    timeout_s = now.session.settings.integer("ConnectionTimeOut")
    if timeout_s is None:
        yield from now.unknown("ConnectionTimeOut was not seen")
    elif timeout_s > 0 and abs(now.time - last.time - timeout_s) <= now.bounds.tolerance_s(timeout_s):
        yield now.hit(f"Faulted with {one.error} after about {timeout_s} s of Preparing, which is ConnectionTimeOut",
                      "/status", seen="Faulted", expected="Available or Finishing", also=[last.ref])
