"""Meter registers of all versions, which only ever go up.

Keeps the latest reading of each register: apart by transaction, or by place where no transaction is named, and by
measurand, phase and location; of OWNERS_KEPT transactions and places, those heard of last, SERIES_KEPT each. Readings
are compared in the order of their own times. A connector's values without a transaction are compared within one stretch
between transactions, since the meter may count each session from 0; likewise after a boot.

Source: OCPP 1.6 edition 2 section 7.31; OCPP 2.0.1 and 2.1 Part 2, J02.FR.16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, kept, text
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.meter_samples import METERED, Form, Reading, Series, about, readings, worth
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

OWNERS_KEPT = 64
SERIES_KEPT = 64
LITTLE_WH = 1
PLACE, TRANSACTION = "place", "transaction"

Owner: TypeAlias = "tuple[str, int | str | None]"  # a transaction or, without one, a connector or EVSE


class Level(NamedTuple):
    """What a register stood at, in its base unit; `value`: as told."""

    form: Form
    base: Decimal
    value: Decimal
    at_us: int
    ref: FrameRef

    @property
    def step(self) -> Decimal:
        """The worth of the reading's last digit."""
        return worth(self.value, self.form)


Levels: TypeAlias = "dict[Series, Level]"
NOTHING: Mapping[Series, Level] = {}


@dataclass(slots=True)
class Registers:
    known: dict[Owner, Levels] = field(default_factory=dict)

    def of(self, owner: Owner) -> Mapping[Series, Level]:
        return self.known.get(owner, NOTHING)

    def claim(self, owner: Owner) -> Levels:
        """Those of an owner that is heard of just now."""
        levels = self.known[owner] = self.known.pop(owner, {})
        if len(self.known) > OWNERS_KEPT:
            del self.known[next(iter(self.known))]
        return levels

    def drop(self, *owners: Owner) -> None:
        for owner in owners:
            self.known.pop(owner, None)


def owner_in(now: Now) -> Owner:
    """Whose values the message holds. (To be asked by `now.once`.)"""
    request = now.request
    if now.version == "1.6":
        number = integer(request, "transactionId")
        named_one = number is not None and number > 0  # 0 and -1 may stand for several
        return (TRANSACTION, number) if named_one else (PLACE, integer(request, "connectorId"))
    named = kept(request, "transactionInfo", "transactionId")
    return (TRANSACTION, named) if named is not None else (PLACE, integer(request, "evseId"))


def transaction_in(now: Now) -> Transaction | None:
    """The transaction whose values they are, if it is known. (To be asked by `now.once`.)"""
    kind, name = now.once(owner_in)
    return now.session.transactions.find(name) if kind == TRANSACTION else None


def levels(now: Now) -> list[tuple[Level, Reading, int]]:
    """Of the registers in the message, in the order of their times, each with where it is told. (To be asked by
    `now.once`.)"""
    found, ref = [], now.ref
    for reading in now.once(readings):
        at_us = reading.at_us
        for at in reading.layout.registers if at_us is not None else ():
            value, base = reading.values[at], reading.bases[at]
            if at_us is not None and value is not None and base is not None:
                found.append((Level(reading.layout.forms[at], base, value, at_us, ref), reading, at))
    if len(found) > 1:
        found.sort(key=lambda one: one[0].at_us)
    return found


def is_news(level: Level, known: Mapping[Series, Level]) -> bool:
    """What the transaction began with, once it is known, is none: some stations tell it again and again."""
    return level.form.context != "Transaction.Begin" or level.form.series not in known


def fallen(before: Level, level: Level) -> Decimal | None:
    """By how much the register has gone down since, None if it has not: two readings with another number of decimals
    may differ by rounding."""
    by = before.base - level.base
    if by <= 0 or level.at_us <= before.at_us:
        return None
    slack = Decimal(0) if before.step == level.step else max(before.step, level.step)
    return by if by > slack else None


@check("mv-register-monotonic", call(*METERED))
def monotonic(now: Now) -> Iterator[Hit] | None:
    found = now.once(levels)
    known, latest = now.session.book(Registers).of(now.once(owner_in)), dict[Series, Level]()
    for level, _, _ in found:
        series = level.form.series
        before = known.get(series)
        if (before is not None and level.base < before.base) or level.base < latest.get(series, level).base:
            return _falls(now, known)
        latest[series] = level
    return None


def _falls(now: Now, known: Mapping[Series, Level]) -> Iterator[Hit]:
    latest = dict[Series, Level]()
    said = set[Series]()
    for level, reading, at in now.once(levels):
        form, series = level.form, level.form.series
        if not is_news(level, known):
            continue
        before = [one for one in (latest.get(series), known.get(series)) if one is not None]
        falls = [(by, one) for one in before if (by := fallen(one, level)) is not None]
        latest[series] = level
        if not falls or series in said:
            continue
        said.add(series)
        by, one = max(falls, key=lambda fall: fall[0])
        phase = f" of {form.phase}" if form.phase is not None else ""
        yield now.hit(f"{form.measurand}{phase} has gone down by about {about(by)} {form.base_unit}",
                      f"{reading.pointer_to(at)}/value", expected="not less than before", also=[one.ref],
                      case="little" if by <= LITTLE_WH else None)


@learn(call(*METERED))
def remember(now: Now) -> None:
    if now.injected:
        return
    if found := now.once(levels):
        known = now.session.book(Registers).claim(now.once(owner_in))
        for level, _, _ in found:
            before = known.get(level.form.series)
            newer = before is not None and level.at_us > before.at_us and is_news(level, known)
            if newer or (before is None and len(known) < SERIES_KEPT):
                known[level.form.series] = level
    if now.action == "StopTransaction":
        transaction = now.session.transactions.find(integer(now.request, "transactionId"))
        _new_stretch(now, transaction.place if transaction is not None else None)
    elif now.action == "TransactionEvent" and text(now.request, "eventType") in ("Started", "Ended"):
        _new_stretch(now, integer(now.request, "evse", "id"))


@learn(call("StartTransaction"))
def begun(now: Now) -> None:
    _new_stretch(now, integer(now.request, "connectorId"))


@learn(answer("StartTransaction"))
def named(now: Now) -> None:
    """A CSMS may give the same id to one transaction after the other."""
    number = integer(now.response, "transactionId")
    if number is not None:
        now.session.book(Registers).drop((TRANSACTION, number))


@learn(call("BootNotification"))
def booted(now: Now) -> None:
    book = now.session.book(Registers)
    book.drop(*[owner for owner in book.known if owner[0] == PLACE])


def _new_stretch(now: Now, place: int | None) -> None:
    """A session begins or ends on the connector; on any, where that is not known."""
    book = now.session.book(Registers)
    if place is None:
        book.drop(*[owner for owner in book.known if owner[0] == PLACE and owner[1] != 0])
    elif place:
        book.drop((PLACE, place))
