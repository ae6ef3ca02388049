"""What a station of 1.6 does with a transaction whose idTag the CSMS refuses once it has begun.

Decides whether it stops it, or stops the energy, as StopTransactionOnInvalidId says. Refuses to know what the driver is
told.

Source: OCPP 1.6 edition 2 sections 3.5.4, 9.1.14 and 9.1.24; 1.6 errata 3.17.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import member, numeral, objects, text
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.transactions16_past import known_start, named, whole_since
from ocpp_proxy.rules.checks.transactions16_queue import unsettled
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check
from ocpp_proxy.rules.place import place_of

REACTS_S = 60.0    # to a refusal
REFUSED_KEPT = 16
OVER = ("Available", "Preparing", "Finishing", "Unavailable", "Faulted")  # statuses without a transaction
REGISTER = "Energy.Active.Import.Register"
PER_UNIT = {"Wh": Decimal(1), "kWh": Decimal(1000)}


@dataclass(slots=True)
class Refused:
    """A refused transaction that may go on without energy. `base_wh`: the meter once the energy had to be off."""

    transaction: Transaction
    answer: FrameRef
    time: float
    most_wh: int
    base_wh: Decimal | None = None


@dataclass(slots=True)
class Refusals:
    """By their StartTransaction, REFUSED_KEPT of them."""

    going_on: dict[FrameRef | None, Refused] = field(default_factory=dict)


@check("start-invalid-continues", answer("StartTransaction"))
def refused(now: Now) -> Iterator[Hit]:
    status, one, settings = text(now.response, "idTagInfo", "status"), now.once(known_start), now.session.settings
    if not isinstance(now.frame, CallResult) or status in (None, "Accepted") or one is None or not one.open:
        return
    stops = settings.flag("StopTransactionOnInvalidId")
    most_wh = settings.integer("MaxEnergyOnInvalidId")
    if stops is None:
        yield from now.unknown("StopTransactionOnInvalidId was not seen")
    elif stops:
        now.later(REACTS_S, goes_on, key=one.start, data=(one, now.ref, status), place=place_of(now, call=True))
    elif most_wh is None and settings.listed is None:
        yield from now.unknown("MaxEnergyOnInvalidId was not seen")
    else:
        book = now.session.book(Refusals).going_on
        book[one.start] = Refused(one, now.ref, now.time, most_wh or 0)
        if len(book) > REFUSED_KEPT:
            del book[next(iter(book))]


def goes_on(now: Now, deadline: Deadline) -> Iterator[Hit]:
    one, refusal, status = deadline.data
    if not one.open or now.session.connectors.status(one.place) in OVER or not whole_since(now, one.start_time):
        return
    if unsettled(now):
        now.later(REACTS_S, goes_on, key=one.start, data=deadline.data, place=deadline.place)
    else:
        yield now.hit(f"Transaction goes on {REACTS_S:g} s after its idTag was answered {status}, though "
                      "StopTransactionOnInvalidId is true", place=deadline.place, also=[refusal], transaction=one.id)


@check("start-invalid-continues", call("MeterValues", "StopTransaction"))
def metered(now: Now) -> Iterator[Hit]:
    book = now.session.book(Refusals).going_on
    transaction = now.once(named) if book else None
    one = book.get(transaction.start) if transaction is not None else None
    if transaction is None or one is None:
        return
    ends = now.action == "StopTransaction"
    meter_wh = numeral(member(now.request, "meterStop")) if ends else register_wh(now.request)
    if ends:
        del book[transaction.start]
    if meter_wh is None:
        return
    if one.base_wh is None or now.time - one.time < REACTS_S:
        one.base_wh = meter_wh
    elif meter_wh - one.base_wh > one.most_wh + Decimal(str(now.bounds.energy_wh)):
        book.pop(transaction.start, None)
        yield now.hit(f"Energy goes on flowing after the idTag was refused: more than {one.most_wh} Wh "
                      "(MaxEnergyOnInvalidId)", expected=one.most_wh, also=[one.transaction.start, one.answer],
                      connector=transaction.place)


def register_wh(request: Any) -> Decimal | None:
    """The last reading of the energy meter in MeterValues, of all phases together."""
    found = None
    for _, value in objects(request, "meterValue"):
        for _, sample in objects(value, "sampledValue"):
            if text(sample, "measurand") in (None, REGISTER) and "phase" not in sample:
                reading, unit = numeral(sample.get("value")), PER_UNIT.get(text(sample, "unit") or "Wh")
                found = reading * unit if reading is not None and unit is not None else found
    return found
