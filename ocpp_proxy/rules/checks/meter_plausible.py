"""Values that no meter can have read, in all versions.

Decides by what nature and the grid allow, and by the rated power where a station of 2.x has reported it. A value of 0
is a meter without supply, not a wrong one. Keeps the rated power of RATINGS_KEPT EVSEs.

Source: engineering judgement; OCPP 2.0.1 and 2.1 Part 2, EVSE.Power (maxLimit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ocpp_proxy.core.payload import integer, member, numeral, objects, text
from ocpp_proxy.rules.checks.meter_samples import METERED, UNITS, Sample, about, samples
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

def _voltage(sample: Sample, value: Decimal) -> str | None:
    if sample.phase is None:  # may be direct current
        return "more than 1000 V" if value > 1000 else None
    return "outside 80 to 500 V" if value > 500 or 10 < value < 80 else None  # 10: a meter behind an open contactor


def _soc(_: Sample, value: Decimal) -> str | None:
    return None if 0 <= value <= 100 else "outside 0 to 100 %"


def _current(_: Sample, value: Decimal) -> str | None:
    return "less than 0 A" if value < 0 else "more than 3000 A" if value > 3000 else None


def _frequency(_: Sample, value: Decimal) -> str | None:
    return None if value == 0 or 45 <= value <= 65 else "outside 45 to 65 Hz"


def _power(_: Sample, value: Decimal) -> str | None:
    return "more than 4 MW" if value > MOST_W else None


# Measurand → how its unit is shown, the base unit in which it can be judged (None: whatever), and the limit.
_LIMITS: Mapping[str, tuple[str, str | None, Callable[[Sample, Decimal], str | None]]] = {
    "Voltage": ("V", "V", _voltage), "SoC": ("%", None, _soc), "Frequency": ("Hz", None, _frequency),
    **dict.fromkeys(("Current.Import", "Current.Export", "Current.Offered"), ("A", "A", _current)),
    **dict.fromkeys(("Power.Active.Import", "Power.Active.Export", "Power.Offered"), ("W", "W", _power)),
}


@check("mv-plausible", call(*METERED))
def plausible(now: Now) -> Iterator[Hit]:
    ratings = now.session.book(Ratings).known if now.version != "1.6" else {}
    for sample in samples(now):
        limits, value = _LIMITS.get(sample.measurand), sample.base
        if limits is None or value is None or not _fits(sample, limits[1]):
            continue
        reason = limits[2](sample, value)
        if reason is None and ratings and sample.measurand.startswith("Power.Active."):
            reason = _over_rated(now, ratings, value)
        if reason is not None:
            digits = 3 if sample.measurand == "SoC" else 1
            yield now.hit(f"{sample.measurand} of about {about(value, digits)} {limits[0]} is {reason}",
                          f"{sample.pointer}/value", transaction=None)


def _fits(sample: Sample, base_unit: str | None) -> bool:
    return base_unit is None or sample.base_unit in (base_unit, None)


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
