"""Statuses of 1.6 that should have been told and were not.

Decides it by what implies a change: a transaction that begins or ends, a reservation, a change of availability. Refuses
to know of changes that leave no other trace, such as a cable that is plugged in.

Source: OCPP 1.6 edition 2 sections 4.9, 5.2 and 5.13; 1.6 errata 3.19.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ocpp_proxy.core.payload import integer, moment_us, text
from ocpp_proxy.rules.checks.status16 import IN_SESSION, booted_since, is_old, lines, minimum_s, unseen_since
from ocpp_proxy.rules.checks.transactions16_past import whole_since
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check
from ocpp_proxy.rules.place import place_of

UNTOLD_S = 60.0  # allowed for MinimumStatusDuration where nobody has said it
MAKES_RESERVED = frozenset(("Available",))
MAKES_UNAVAILABLE = frozenset(("Available", "Finishing", "Reserved"))
MAKES_AVAILABLE = frozenset(("Unavailable",))


def expect_change(now: Now, number: int | None, leaves: frozenset[str], because: str) -> None:
    """The connector cannot stay in any of these statuses."""
    last = lines(now).last(number)
    if last is None or last.name not in leaves or last.old or unseen_since(now, last.time):
        return
    minimum = minimum_s(now)
    wait_s = now.bounds.status_s + (UNTOLD_S if minimum is None else minimum)
    place = replace(place_of(now), connector=number)
    now.later(wait_s, not_told, key=number, data=(number, because, wait_s, now.time), place=place)


@check("status-missing", call("StartTransaction"))
def begun(now: Now) -> None:
    if not now.injected and not is_old(now, moment_us(now.request, "timestamp")):
        number = integer(now.request, "connectorId")
        expect_change(now, number, _ALL - IN_SESSION, "StartTransaction")


@check("status-missing", call("StopTransaction"))
def ended(now: Now) -> None:
    transaction = now.session.transactions.find(integer(now.request, "transactionId"))
    if transaction is None or now.injected or is_old(now, moment_us(now.request, "timestamp")):
        return
    if whole_since(now, transaction.last_time):
        expect_change(now, transaction.place, IN_SESSION, "StopTransaction")


@check("status-missing", answer("ReserveNow", by="csms"))
def reserved(now: Now) -> None:
    number = integer(now.request, "connectorId")
    if number and now.status == "Accepted":
        expect_change(now, number, MAKES_RESERVED, "ReserveNow was accepted")


@check("status-missing", answer("ChangeAvailability", by="csms"))
def availability(now: Now) -> None:
    number, kind = integer(now.request, "connectorId"), text(now.request, "type")
    if number is None or now.status != "Accepted":
        return
    leaves = MAKES_UNAVAILABLE if kind == "Inoperative" else MAKES_AVAILABLE
    for each in (number,) if number else sorted(lines(now).known):
        expect_change(now, each, leaves, f"ChangeAvailability {kind} was accepted")


@check("status-missing", call("StatusNotification"))
def told(now: Now) -> None:
    now.cancel(integer(now.request, "connectorId"))


def not_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, because, wait_s, since = deadline.data
    last = lines(now).last(number)
    if last is None or not whole_since(now, since) or booted_since(now, since):
        return
    yield now.hit(f"No StatusNotification of connector {number} within {wait_s:g} s after {because}, the last was "
                  f"{last.name}", seen=last.name, place=deadline.place, by="station", also=[last.ref])  # fmt: skip


_ALL = frozenset(("Available", "Preparing", "Finishing", "Reserved", "Unavailable")) | IN_SESSION


# After a time offline


@check("status-after-offline", call("StartTransaction", "StopTransaction"))
def from_offline(now: Now) -> None:
    """A transaction that began or ended while the station was offline, where the connector's status was told before."""
    at_us = moment_us(now.request, "timestamp")
    window = now.session.links.offline_at(at_us) if at_us is not None else None
    if window is None or now.injected:
        return
    begins = now.action == "StartTransaction"
    number = integer(now.request, "connectorId")
    if not begins:
        transaction = now.session.transactions.find(integer(now.request, "transactionId"))
        number = transaction.place if transaction is not None else None
    last = lines(now).last(number)
    if number is None or last is None or last.time > window.from_time or (last.name in IN_SESSION) is begins:
        return
    place = replace(place_of(now), connector=number)
    wait_s = now.bounds.report_s + (minimum_s(now) or 0)
    now.later(wait_s, still_not_told, key=number, data=(number, last, begins), place=place)


@check("status-after-offline", call("StatusNotification"))
def told_since(now: Now) -> None:
    now.cancel(integer(now.request, "connectorId"))


def still_not_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, last, begins = deadline.data
    running = now.session.transactions.on(number) is not None
    if running is not begins or not whole_since(now, last.time) or booted_since(now, last.time):
        return
    what = "began" if begins else "ended"
    yield now.hit(f"A transaction {what} on connector {number} while the station was offline, and its last status is "
                  f"still {last.name}", seen=last.name, expected="StatusNotification", place=deadline.place,
                  also=[last.ref])  # fmt: skip
