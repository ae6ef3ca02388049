"""Values that no meter can have read, in all versions.

Decides by what nature and the grid allow, and by the rated power where a station of 2.x has reported it. A value of 0
is a meter without supply, not a wrong one. Keeps the rated power of RATINGS_KEPT EVSEs.

Source: engineering judgement; OCPP 2.0.1 and 2.1 Part 2, EVSE.Power (maxLimit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ocpp_proxy.core.payload import integer, member, numeral, objects, text
from ocpp_proxy.rules.checks.meter_samples import (
    LAYOUTS_KEPT,
    METERED,
    UNITS,
    Form,
    Layout,
    about,
    readings,
    samples,
)
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check, learn

RATINGS_KEPT = 64
MOST_W = Decimal(4_000_000)  # megawatt charging ends at 3.75 MW
OVER_RATED = Decimal("1.2")


@dataclass(slots=True)
class Ratings:
    """Rated power in W by EVSE."""

    known: dict[int, Decimal] = field(default_factory=dict)


@learn(call("NotifyReport"))
def rated(now: Now) -> None:
    book = now.session.book(Ratings)
    for _, entry in objects(now.request, "reportData"):
        if text(entry, "component", "name") != "EVSE" or text(entry, "variable", "name") != "Power":
            continue
        number = integer(entry, "component", "evse", "id")
        most = numeral(member(entry, "variableCharacteristics", "maxLimit"))
        base, factor = UNITS.get((text(entry, "variableCharacteristics", "unit") or "W").casefold(), ("", Decimal(1)))
        if number is not None and most is not None and most > 0 and base == "W" and len(book.known) < RATINGS_KEPT:
            book.known[number] = most * factor


# Of a value in its base unit: why it cannot be, None where it can.

def _voltage(form: Form, value: Decimal) -> str | None:
    if form.phase is None:  # may be direct current
        return "more than 1000 V" if value > 1000 else None
    return "outside 80 to 500 V" if value > 500 or 10 < value < 80 else None  # 10: a meter behind an open contactor


def _soc(_: Form, value: Decimal) -> str | None:
    return None if 0 <= value <= 100 else "outside 0 to 100 %"


def _current(_: Form, value: Decimal) -> str | None:
    return "less than 0 A" if value < 0 else "more than 3000 A" if value > 3000 else None


def _frequency(_: Form, value: Decimal) -> str | None:
    return None if value == 0 or 45 <= value <= 65 else "outside 45 to 65 Hz"


def _power(_: Form, value: Decimal) -> str | None:
    return "more than 4 MW" if value > MOST_W else None


class Limits(NamedTuple):
    """Of a measurand. `shown`: its unit in words; `base_unit`: in which it can be judged, None: whatever; `beyond`: why
    a value cannot be; `usual`: from where to where there is no need to ask, `on_line` likewise of one phase."""

    shown: str
    base_unit: str | None
    beyond: Callable[[Form, Decimal], str | None]
    usual: tuple[Decimal, Decimal]
    on_line: tuple[Decimal, Decimal] | None = None


_LEAST = Decimal("-Infinity")
_LIMITS: Mapping[str, Limits] = {
    "Voltage": Limits("V", "V", _voltage, (_LEAST, Decimal(1000)), on_line=(Decimal(80), Decimal(500))),
    "SoC": Limits("%", None, _soc, (Decimal(0), Decimal(100))),
    "Frequency": Limits("Hz", None, _frequency, (Decimal(45), Decimal(65))),
    **dict.fromkeys(("Current.Import", "Current.Export", "Current.Offered"),
                    Limits("A", "A", _current, (Decimal(0), Decimal(3000)))),
    **dict.fromkeys(("Power.Active.Import", "Power.Active.Export", "Power.Offered"),
                    Limits("W", "W", _power, (_LEAST, MOST_W))),
}


Range: TypeAlias = "tuple[int, Decimal, Decimal]"  # of which sample of a layout, from where to where nothing is odd


@lru_cache(maxsize=LAYOUTS_KEPT)
def _ranges(layout: Layout) -> tuple[Range, ...]:
    return tuple((at, *_range(form)) for at, form in enumerate(layout.forms) if _is_limited(form))


def _is_limited(form: Form) -> bool:
    limits = _LIMITS.get(form.measurand)
    return limits is not None and (limits.base_unit is None or form.base_unit in (limits.base_unit, None))


def _range(form: Form) -> tuple[Decimal, Decimal]:
    limits = _LIMITS[form.measurand]
    return limits.on_line if form.phase is not None and limits.on_line is not None else limits.usual


@check("mv-plausible", call(*METERED))
def plausible(now: Now) -> Iterator[Hit] | None:
    ratings = now.session.book(Ratings).known if now.version != "1.6" else {}
    for reading in now.once(readings):
        for at, least, most in _ranges(reading.layout):
            value = reading.bases[at]
            if value is not None and (ratings or not least <= value <= most):
                return _beyond(now, ratings)
    return None


def _beyond(now: Now, ratings: Mapping[int, Decimal]) -> Iterator[Hit]:
    for sample in samples(now):
        form, value = sample.form, sample.base
        if value is None or not _is_limited(form):
            continue
        limits = _LIMITS[form.measurand]
        reason = limits.beyond(form, value)
        if reason is None and ratings and form.measurand.startswith("Power.Active."):
            reason = _over_rated(now, ratings, value)
        if reason is not None:
            digits = 3 if form.measurand == "SoC" else 1
            yield now.hit(f"{form.measurand} of about {about(value, digits)} {limits.shown} is {reason}",
                          f"{sample.pointer}/value", transaction=None)


def _over_rated(now: Now, ratings: Mapping[int, Decimal], value: Decimal) -> str | None:
    number = integer(now.request, "evseId")
    if now.action == "TransactionEvent":
        number = integer(now.request, "evse", "id")
        transaction = now.session.transactions.find(text(now.request, "transactionInfo", "transactionId"))
        if number is None and transaction is not None:
            number = transaction.place
    most = ratings.get(number) if number else None
    if most is None or value <= most * OVER_RATED:
        return None
    return f"more than 1.2 times the rated power, {most.normalize():f} W"
