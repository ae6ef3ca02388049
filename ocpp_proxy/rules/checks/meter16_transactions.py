"""Meter values of 1.6 held against their transactions: which one it is, within its time, within its register.

Samples go by their own times: what a station sends late, from its queue, is as good as what comes at once.

Source: OCPP 1.6 edition 2 sections 3.16, 4.7 and 7.31; 1.6 errata 3.16.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import Number, integer, member, moment_us, numeral
from ocpp_proxy.core.station.transactions import UNKNOWN, Transaction
from ocpp_proxy.rules.checks.meter16_contexts import END
from ocpp_proxy.rules.checks.meter_registers import TRANSACTION, Owner, Registers, owner_in, transaction_in
from ocpp_proxy.rules.checks.meter_samples import (
    LAYOUTS_KEPT,
    REGISTER,
    Layout,
    Sample,
    about,
    readings,
    samples,
)
from ocpp_proxy.rules.checks.status16 import is_old
from ocpp_proxy.rules.checks.transactions16_past import whole_since
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check

SLACK_US = 2_000_000
END_US = 60_000_000  # so long after the stop the last values may be taken, and so far clocks may drift apart
SERIES = (REGISTER, None, "Outlet")


# Registers and meterStart, meterStop


class _Meter(NamedTuple):
    """meterStart or meterStop, in Wh, with its time and frame."""

    wh: Decimal
    at_us: int | None
    ref: FrameRef | None


@lru_cache(maxsize=LAYOUTS_KEPT)
def _imports(layout: Layout) -> tuple[int, ...]:
    """Which of the values are of the register that meterStart and meterStop are of."""
    return tuple(at for at, form in enumerate(layout.forms) if form.series == SERIES and form.base_unit == "Wh")




@check("mv-register-vs-tx", call("MeterValues", "StopTransaction"))
def register_vs_tx(now: Now) -> Iterator[Hit] | None:
    kind, number = now.once(owner_in)
    if kind != TRANSACTION:
        return None
    transaction, stops = now.once(transaction_in), now.action == "StopTransaction"
    if not stops and (transaction is None or (transaction.open and _is_above(now, transaction.meter_start))):
        return None
    return _against_meter(now, (kind, number), transaction, stops=stops)


def _is_above(now: Now, meter_start: Number | None) -> bool:
    if meter_start is None:
        return True
    bases = [reading.bases[at] for reading in now.once(readings) for at in _imports(reading.layout)]
    return all(base is None or base >= meter_start for base in bases)


def _against_meter(now: Now, owner: Owner, transaction: Transaction | None, *, stops: bool) -> Iterator[Hit]:
    start = _meter(transaction.meter_start, transaction.started_us, transaction.start) if transaction else None
    stop = _meter(transaction.meter_stop, transaction.stopped_us, transaction.stop) if transaction else None
    if stops:
        stop = _meter(member(now.request, "meterStop"), moment_us(now.request, "timestamp"), now.ref)
    where = f"{REGISTER} in {'transactionData' if stops else 'MeterValues'}"
    for sample in (reading.sample(at) for reading in now.once(readings) for at in _imports(reading.layout)):
        found = _outside(where, sample, start, stop)
        if found is not None:
            yield now.hit(found[0], f"{sample.pointer}/value", expected="between meterStart and meterStop",
                          also=[found[1].ref])
            return
    if stops and stop is not None:
        yield from _below_last(now, owner, stop)


def _meter(value: object, at_us: int | None, ref: FrameRef | None) -> _Meter | None:
    wh = numeral(value)
    return _Meter(wh, at_us, ref) if wh is not None else None


def _outside(where: str, sample: Sample, start: _Meter | None, stop: _Meter | None) -> tuple[str, _Meter] | None:
    """How far the register is off, and from what. Of samples before the start and after the stop nothing is said."""
    if sample.base is None or sample.at_us is None:
        return None
    slack = _slack(sample.step)
    if start is not None and start.at_us is not None and sample.at_us >= start.at_us:
        below = start.wh - sample.base
        if below > slack:
            return f"{where} is about {about(below)} Wh below meterStart", start
    if stop is not None and stop.at_us is not None and sample.at_us <= stop.at_us:
        above = sample.base - stop.wh
        if above > slack:
            return f"{where} is about {about(above)} Wh above meterStop", stop
    return None


def _below_last(now: Now, owner: Owner, stop: _Meter) -> Iterator[Hit]:
    """meterStop against the last sample of the transaction."""
    level = now.session.book(Registers).of(owner).get(SERIES)
    if level is None or stop.at_us is None or level.at_us > stop.at_us or level.base - stop.wh <= _slack(level.step):
        return
    yield now.hit(f"meterStop is about {about(level.base - stop.wh)} Wh below the last {REGISTER} in MeterValues",
                  "/meterStop", expected="not less than before", also=[level.ref])


def _slack(step: Decimal) -> Decimal:
    return max(Decimal(1), step)


# Which transaction


@check("mv-txid", call("MeterValues"))
def txid(now: Now) -> Iterator[Hit] | None:
    connector, named = integer(now.request, "connectorId"), now.once(transaction_in)
    if connector is None or (connector and named is not None and named.place == connector):
        return None
    if connector == 0:
        return _main_meter(now)
    return _which(now, connector, named)


def _main_meter(now: Now) -> Iterator[Hit]:
    if integer(now.request, "transactionId") is not None:
        yield now.hit("Values of connector 0 name a transaction", "/transactionId", expected="no transactionId",
                      case="main-meter", transaction=None)


def _which(now: Now, connector: int, named: Transaction | None) -> Iterator[Hit]:
    number, running = integer(now.request, "transactionId"), now.session.transactions.on(connector)
    if running is not None and not _is_under_way(now, running):
        running = None
    if named is not None and named.place not in (connector, None, 0):  # 0: known from the main meter alone
        yield now.hit(f"Values of connector {connector} name a transaction of connector {named.place}",
                      "/transactionId", expected=f"a transaction of connector {connector}",
                      also=[named.start or named.last])
    elif running is None or named is not None or number == UNKNOWN:
        return
    elif number is not None and running.start is not None:
        yield now.hit(f"Values name transaction {number}, while another one is running on the connector",
                      "/transactionId", seen=number, expected=running.id, also=[running.start, running.confirmed])
    elif member(now.request, "transactionId") is None and any(one.form.location != "Inlet" for one in samples(now)):
        yield now.hit("Values of a connector with a transaction do not name it", "/transactionId", transaction=None,
                      also=[running.confirmed or running.last])


def _is_under_way(now: Now, running: Transaction) -> bool:
    """Whether the station knew this transaction's id when the sample was taken, as far as times tell."""
    taken_us = next((reading.at_us for reading in now.once(readings)), None)
    if running.id is None or taken_us is None or is_old(now, taken_us) or not whole_since(now, running.last_time):
        return False
    if running.start is None:
        return True
    waited_us = round((running.confirmed_time - running.start_time) * 1e6)
    passed_us = round((now.time - running.start_time) * 1e6)
    if running.started_us is None or taken_us > running.started_us + passed_us + END_US:
        return False  # more time has gone by than the capture shows: something is missing
    return taken_us > running.started_us + waited_us + SLACK_US


@check("mv-after-stop", call("MeterValues"))
def after_stop(now: Now) -> Iterator[Hit] | None:
    transaction = now.once(transaction_in)
    if transaction is None or transaction.stopped_us is None or transaction.open:
        return None
    return _taken_after(now, transaction, transaction.stopped_us)


def _taken_after(now: Now, transaction: Transaction, stopped_us: int) -> Iterator[Hit]:
    for reading in now.once(readings):
        if reading.at_us is None or not reading.told:
            continue
        slack_us = END_US if all(one.context == END for one in reading.layout.forms) else SLACK_US
        if reading.at_us > stopped_us + slack_us:
            yield now.hit("A value of the transaction was taken after its StopTransaction",
                          f"{reading.pointer}/timestamp",
                          expected="not after the timestamp of StopTransaction", also=[transaction.stop])
            return
