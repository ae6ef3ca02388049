"""Meter registers of all versions, which only ever go up.

Keeps the latest reading of each register: apart by transaction, or by place where no transaction is named, and by
measurand, phase and location; REGISTERS_KEPT of them, those heard of last. Readings are compared in the order of their
own times. A connector's values without a transaction are compared within one stretch between transactions, since the
meter may count each session from 0; likewise after a boot.

Source: OCPP 1.6 edition 2 section 7.31; OCPP 2.0.1 and 2.1 Part 2, J02.FR.16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, kept, text
from ocpp_proxy.rules.checks.meter_samples import METERED, Sample, about, samples
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

REGISTERS_KEPT = 512
ENERGY = frozenset(("Wh", "varh", "VAh"))
LITTLE_WH = 1
PLACE, TRANSACTION = "place", "transaction"

Owner: TypeAlias = "tuple[str, int | str | None]"  # a transaction or, without one, a connector or EVSE
Key: TypeAlias = "tuple[Owner, str, str | None, str]"


class Level(NamedTuple):
    """What a register stood at, in its base unit; `step`: the worth of the reading's last digit."""

    base: Decimal
    step: Decimal
    at_us: int
    ref: FrameRef


@dataclass(slots=True)
class Registers:
    known: dict[Key, Level] = field(default_factory=dict)

    def put(self, key: Key, level: Level) -> None:
        self.known.pop(key, None)
        self.known[key] = level
        if len(self.known) > REGISTERS_KEPT:
            del self.known[next(iter(self.known))]

    def drop(self, *owners: Owner) -> None:
        for key in [key for key in self.known if key[0] in owners]:
            del self.known[key]


def owner_in(now: Now) -> Owner:
    """Whose values the message holds."""
    request = now.request
    if now.version == "1.6":
        number = integer(request, "transactionId")
        named_one = number is not None and number > 0  # 0 and -1 may stand for several
        return (TRANSACTION, number) if named_one else (PLACE, integer(request, "connectorId"))
    named = kept(request, "transactionInfo", "transactionId")
    return (TRANSACTION, named) if named is not None else (PLACE, integer(request, "evseId"))


def levels(now: Now) -> Iterator[tuple[Key, Sample, Level]]:
    """The registers in the message, in the order of their times. What the transaction began with, once it is known, is
    no news: some stations tell it again and again."""
    owner, known = owner_in(now), now.session.book(Registers).known
    found = [sample for sample in samples(now) if sample.is_register and sample.base is not None
             and sample.base_unit in ENERGY and sample.at_us is not None]  # fmt: skip
    for sample in sorted(found, key=lambda one: one.at_us or 0):
        key = (owner, *sample.series)
        if sample.base is not None and sample.at_us is not None and (
            sample.context != "Transaction.Begin" or key not in known
        ):  # fmt: skip
            yield key, sample, Level(sample.base, sample.step, sample.at_us, now.ref)


def fallen(before: Level, level: Level) -> Decimal | None:
    """By how much the register has gone down since, None if it has not: two readings with another number of decimals
    may differ by rounding."""
    slack = Decimal(0) if before.step == level.step else max(before.step, level.step)
    by = before.base - level.base
    return by if level.at_us > before.at_us and by > slack else None


@check("mv-register-monotonic", call(*METERED))
def monotonic(now: Now) -> Iterator[Hit]:
    known = now.session.book(Registers).known
    latest: dict[Key, Level] = {}
    said: set[Key] = set()
    for key, sample, level in levels(now):
        before = [one for one in (latest.get(key), known.get(key)) if one is not None]
        falls = [(by, one) for one in before if (by := fallen(one, level)) is not None]
        latest[key] = level
        if not falls or key in said:
            continue
        said.add(key)
        by, one = max(falls, key=lambda fall: fall[0])
        phase = f" of {sample.phase}" if sample.phase is not None else ""
        yield now.hit(f"{sample.measurand}{phase} has gone down by about {about(by)} {sample.base_unit}",
                      f"{sample.pointer}/value", expected="not less than before", also=[one.ref],
                      case="little" if by <= LITTLE_WH else None)


@learn(call(*METERED))
def remember(now: Now) -> None:
    if now.injected:
        return
    book = now.session.book(Registers)
    for key, _, level in levels(now):
        before = book.known.get(key)
        if before is None or level.at_us > before.at_us:
            book.put(key, level)
    if now.action == "StopTransaction":
        _new_stretch(now, _place_of(now, integer(now.request, "transactionId")))
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
    book.drop(*{key[0] for key in book.known if key[0][0] == PLACE})


def _place_of(now: Now, number: int | None) -> int | None:
    transaction = now.session.transactions.find(number)
    return transaction.place if transaction is not None else None


def _new_stretch(now: Now, place: int | None) -> None:
    """A session begins or ends on the connector; on any, where that is not known."""
    book = now.session.book(Registers)
    if place is None:
        book.drop(*{key[0] for key in book.known if key[0][0] == PLACE and key[0][1] != 0})
    elif place:
        book.drop((PLACE, place))
