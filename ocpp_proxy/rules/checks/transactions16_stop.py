"""What the messages of a transaction of 1.6 say of its end: whose end, when, at which meter.

Decides whether ids, times and meters of a StopTransaction fit what was said at its start, and whether the next start
goes on where the meter stood. Refuses to judge where it is not clear which transaction is meant.

Source: OCPP 1.6 edition 2 sections 3.7.1, 6.45, 6.49 and 7.31; 1.6 errata 3.18.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, member, numeral, text
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.transactions import UNKNOWN, Transaction
from ocpp_proxy.rules.checks.meter_registers import transaction_in
from ocpp_proxy.rules.checks.meter_samples import LAYOUTS_KEPT, Layout, readings
from ocpp_proxy.rules.checks.transactions16_past import (
    FRESH_S,
    IN_TIME_S,
    about,
    certainly_open,
    connectors_of,
    known_start,
    may_have_waited,
    named,
    own_time,
    stamped_us,
    whole_since,
)
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_16, call, check, learn

ROUNDING_S = 1.0         # one time may be cut to whole seconds, the other not
BRIEF_S = 60.0           # in less, power cannot be told from energy
LONG_S = 900.0
MOST_W = Decimal(500_000)
LEAST_W = Decimal(10)
STANDBY_W = Decimal(100)
LOST_WH = 500            # energy that a whole transaction may have used
PIECED_S = 3600.0        # a capture in which so much time is missing was put together from pieces
LOADS_KEPT = 64
FREE = ("Available", "Preparing", "Reserved")


# Which transaction


@check("stop-unknown-tx", call("StopTransaction", "MeterValues"))
def unknown_tx(now: Now) -> Iterator[Hit] | None:
    if now.once(transaction_in) is not None:
        return None
    number_ = integer(now.request, "transactionId")
    if number_ is None or now.session.transactions.find(number_) is not None:
        return None
    return _unknown(now, number_)


def _unknown(now: Now, number_: int) -> Iterator[Hit]:
    book = now.session.transactions
    nameless = any(one.id is None and whole_since(now, one.start_time) for one in book.open)
    going_on = _going_on(now)
    if number_ == UNKNOWN:
        if not nameless and going_on is not None:
            yield now.hit("transactionId -1 although the StartTransaction of its connector was answered in time",
                          "/transactionId", seen=UNKNOWN, expected=going_on.id, also=[going_on.confirmed])
    elif number_ == 0 and nameless:
        yield now.hit("transactionId 0 for a transaction that has no id; -1 is meant for those", "/transactionId",
                      seen=0, expected=UNKNOWN, case="no-id")
    elif going_on is not None:
        yield now.hit(f"transactionId {number_} was never issued; that of the connector is {going_on.id}",
                      "/transactionId", seen=number_, expected=going_on.id, also=[going_on.confirmed])
    elif _nothing_older(now):
        yield now.hit(f"transactionId {number_} was never issued; no transaction is older than the capture",
                      "/transactionId", seen=number_)
    elif number_ <= 0 and any(_positive(one) and certainly_open(now, one) for one in book.open):
        yield now.hit(f"transactionId {number_}, while one with a number of its own goes on", "/transactionId",
                      seen=number_)
    else:
        yield now.hit(f"transactionId {number_} was not issued in this capture: it is older, or was never issued",
                      "/transactionId", seen=number_, case="older")


def _going_on(now: Now) -> Transaction | None:
    """The transaction that certainly goes on where the message comes from, and of whose id the station knows."""
    place = integer(now.request, "connectorId")
    if place is None and connectors_of(now.session) == 1:
        place = 1
    one = now.session.transactions.on(place)
    if one is None or one.id is None or not certainly_open(now, one) or one.confirmed is None:
        return None
    if one.confirmed.connection != now.connection or one.confirmed_time - one.start_time > IN_TIME_S:
        return None
    at_us = now.once(own_time)
    if at_us is None or one.started_us is None:
        return None
    told_s, answered_s, passed_s = ((at_us - one.started_us) / 1e6, one.confirmed_time - one.start_time,
                                    now.time - one.start_time)
    return one if answered_s < told_s < passed_s + PIECED_S else None


def _nothing_older(now: Now) -> bool:
    """Whether no transaction of the connector, or of any if none is named, can have begun before the capture, since it
    was seen without one, while online ever since; and the message is not about a time before that."""
    session, place = now.session, integer(now.request, "connectorId")
    if may_have_waited(now, now.once(own_time)):
        return False
    if any(one.id is None and place in (None, one.place) for one in session.transactions.open):
        return False  # the answer to its start may have come all the same
    free = session.book(Loads).free
    if place is None:
        count = connectors_of(session)
        seen = {one[0] for one in session.connectors.known if one[0] > 0} if session.registration.boots else set[int]()
        places = set(range(1, min(count, LOADS_KEPT) + 1)) if count is not None else seen
    else:
        places = {place}
    return bool(places) and all(one in free and now.time - free[one] > FRESH_S and whole_since(now, free[one])
                                and not session.links.offline_between(free[one], now.time) for one in places)


def _positive(transaction: Transaction) -> bool:
    return isinstance(transaction.id, int) and transaction.id > 0


@check("stop-twice", call("StopTransaction"))
def twice(now: Now) -> Iterator[Hit]:
    """Sending it again is right where the answer was late, or may have been lost with the connection."""
    number_ = integer(now.request, "transactionId")
    one = now.session.transactions.find(number_)
    if number_ is None or number_ <= 0 or one is None or one.open or one.stop_confirmed is None:
        return
    if one.stop_confirmed.connection == now.connection and one.stop_confirmed_time - one.stop_time <= IN_TIME_S:
        same = one.stopped_us == stamped_us(now) and one.meter_stop == numeral(member(now.request, "meterStop"))
        how = "" if same else ", with another time or meter"
        yield now.hit(f"StopTransaction sent again although it was answered{how}",
                      also=[one.stop, one.stop_confirmed])


# Times and meters


def _ending(now: Now) -> Transaction | None:
    """The transaction that this StopTransaction ends, if its start is known."""
    one = now.once(named)
    return one if one is not None and one.open and one.start is not None else None


def _lasted_s(now: Now, transaction: Transaction) -> float | None:
    began_us, ended_us = transaction.started_us, stamped_us(now)
    return (ended_us - began_us) / 1e6 if began_us is not None and ended_us is not None else None


def _used_wh(now: Now, transaction: Transaction) -> Decimal | None:
    began, ended = numeral(transaction.meter_start), numeral(member(now.request, "meterStop"))
    return ended - began if began is not None and ended is not None else None


@check("stop-time-order", call("StopTransaction"))
def time_order(now: Now) -> Iterator[Hit]:
    one = _ending(now)
    lasted_s = _lasted_s(now, one) if one is not None else None
    if one is not None and lasted_s is not None and lasted_s < -ROUNDING_S:
        yield now.hit(f"Ended {about(-lasted_s)} before it began", "/timestamp", connector=one.place, also=[one.start],
                      seen=member(now.request, "timestamp"))


@check("stop-meter-order", call("StopTransaction"))
def meter_order(now: Now) -> Iterator[Hit]:
    one = _ending(now)
    used_wh = _used_wh(now, one) if one is not None else None
    if one is not None and used_wh is not None and used_wh < 0:
        yield now.hit(f"meterStop is less than meterStart, which was {one.meter_start}", "/meterStop",
                      seen=member(now.request, "meterStop"), expected=one.meter_start, connector=one.place,
                      also=[one.start])


@dataclass(slots=True)
class Loads:
    """What else tells whether a car was charging. `charging` and `other`: when a connector was last told to charge, or
    to do anything else but prepare and finish; `free`: when it last was without a transaction; `most_w`: the highest
    power told of a transaction. LOADS_KEPT each."""

    free: dict[int, float] = field(default_factory=dict)
    charging: dict[int, float] = field(default_factory=dict)
    other: dict[int, float] = field(default_factory=dict)
    most_w: dict[FrameRef | None, Decimal] = field(default_factory=dict)


@learn(call("StatusNotification"), versions=IN_16)
def told_status(now: Now) -> None:
    place, status, book = integer(now.request, "connectorId"), text(now.request, "status"), now.session.book(Loads)
    if place is None:
        return
    kept = book.charging if status == "Charging" else book.other
    if status not in ("Preparing", "Finishing") and (place in kept or len(kept) < LOADS_KEPT):
        kept[place] = now.time
    if place and status in FREE and (place in book.free or len(book.free) < LOADS_KEPT):
        book.free[place] = now.time


@learn(call("MeterValues"), versions=IN_16)
def told_power(now: Now) -> None:
    powers = [power for one in now.once(readings) for at in _powers(one.layout) if (power := one.bases[at]) is not None]
    one = now.once(named) if powers else None
    if one is not None:
        book = now.session.book(Loads).most_w
        most_w = max(powers)
        book[one.start] = max(most_w, book.pop(one.start, most_w))
        if len(book) > LOADS_KEPT:
            del book[next(iter(book))]


@lru_cache(maxsize=LAYOUTS_KEPT)
def _powers(layout: Layout) -> tuple[int, ...]:
    return tuple(at for at, form in enumerate(layout.forms)
                 if form.measurand == "Power.Active.Import" and form.base_unit in ("W", None))


@check("stop-meter-unit", call("StopTransaction"))
def meter_unit(now: Now) -> Iterator[Hit]:
    one = _ending(now)
    if one is None or (lasted_s := _lasted_s(now, one)) is None or (used_wh := _used_wh(now, one)) is None:
        return
    if lasted_s < BRIEF_S:
        return
    power_w = used_wh * 3600 / Decimal(str(lasted_s))
    if power_w > MOST_W:
        yield now.hit(f"{used_wh} Wh in {about(lasted_s)} would be more than {MOST_W / 1000} kW", "/meterStop",
                      connector=one.place, also=[one.start])
    elif 0 < power_w < LEAST_W and lasted_s >= LONG_S and _was_charging(now, one):
        yield now.hit(f"{used_wh} Wh in {about(lasted_s)} of charging: the meter may count in kWh", "/meterStop",
                      connector=one.place, also=[one.start])


def _was_charging(now: Now, one: Transaction) -> bool:
    book, place, since = now.session.book(Loads), one.place or 0, one.start_time
    if not whole_since(now, since) or now.session.links.offline_between(since, now.time):
        return False
    if book.charging.get(place, -1.0) < since - BRIEF_S or book.other.get(place, -1.0) >= since:
        return False
    return book.most_w.get(one.start, STANDBY_W) >= STANDBY_W


# From one transaction to the next


def before(session: Session, place: int | None) -> Transaction | None:
    """The transaction that ended last on a connector, if none has begun there since."""
    if session.transactions.on(place) is not None:
        return None
    last = next((one for one in reversed(session.transactions.closed.values()) if one.place == place), None)
    if last is None or last.mixed or any(one.stop_time >= last.stop_time and not _positive(one)
                                         for one in session.transactions.closed.values()):
        return None  # an id that several share may have ended on any connector
    return last


def grown_wh(now: Now) -> tuple[Transaction, Decimal] | None:
    """The transaction before this StartTransaction, and how far the meter has gone on since."""
    last = before(now.session, integer(now.request, "connectorId"))
    began_us, meter = stamped_us(now), numeral(member(now.request, "meterStart"))
    if last is None or meter is None or now.once(known_start) is not None or not whole_since(now, last.stop_time):
        return None
    stood = numeral(last.meter_stop)
    if stood is None or began_us is None or last.stopped_us is None or began_us < last.stopped_us:
        return None
    return (last, meter - stood) if not _shared(now, last, stood, meter) else None


def _shared(now: Now, last: Transaction, stood: Decimal, meter: Decimal) -> bool:
    """Whether another connector seems to have run on the same meter meanwhile."""
    return any(one.place != last.place and one.last_time >= last.stop_time
               and (reading := numeral(one.meter_start)) is not None and stood <= reading <= meter
               for one in now.session.transactions.all())


def lost_offline(now: Now, last: Transaction, more_wh: Decimal) -> bool:
    """Whether a whole transaction may have been lost while the station was offline."""
    return more_wh >= LOST_WH and now.session.links.offline_between(last.stop_time, now.time)


@check("tx-meter-gap", call("StartTransaction"))
def meter_gap(now: Now) -> Iterator[Hit]:
    found = grown_wh(now)
    if found is None:
        return
    last, more_wh = found
    if more_wh > Decimal(str(now.bounds.energy_wh)) and not lost_offline(now, last, more_wh):
        yield now.hit(f"meterStart is {roughly(more_wh)} above the meterStop before it", "/meterStart",
                      also=[last.stop])
    elif more_wh < 0 and numeral(member(now.request, "meterStart")) == 0:
        yield now.hit("meterStart is 0 again: the meter counts each transaction by itself", "/meterStart",
                      also=[last.stop], connector=None, case="rebased")
    elif more_wh < 0:
        yield now.hit("meterStart is less than the meterStop before it", "/meterStart", also=[last.stop])


def roughly(energy_wh: Decimal) -> str:
    """An energy to one digit, so that the same defect reads the same again."""
    rounded = Decimal(f"{energy_wh:.0e}")
    return f"about {rounded / 1000:f} kWh" if rounded >= 1000 else f"about {rounded:f} Wh"
