"""Meter values of all versions in one form, read once a frame for all rules about them.

Decides what the fields that are left out stand for, and what a value is in the base unit of its kind. Refuses to say
whether that makes sense. What was read is kept until the message is answered, and no longer.

Source: OCPP 1.6 edition 2 sections 7.33 and 7.43; OCPP 2.0.1 and 2.1 Part 2, MeterValueType and SampledValueType.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.payload import integer, kept, member, moment_us, numeral, objects, text
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import answer, learn

METERED = ("MeterValues", "StopTransaction", "TransactionEvent")
REGISTER = "Energy.Active.Import.Register"
DEFAULTS: Mapping[str, str] = {
    "measurand": REGISTER, "context": "Sample.Periodic", "location": "Outlet", "unit": "Wh",
}  # fmt: skip
# Unit, folded → its base unit and how much of that it is.
UNITS: Mapping[str, tuple[str, Decimal]] = {name.casefold(): (base, Decimal(factor)) for name, base, factor in (
    ("Wh", "Wh", 1), ("kWh", "Wh", 1000), ("MWh", "Wh", 1_000_000),
    ("varh", "varh", 1), ("kvarh", "varh", 1000), ("VAh", "VAh", 1), ("kVAh", "VAh", 1000),
    ("W", "W", 1), ("kW", "W", 1000), ("VA", "VA", 1), ("kVA", "VA", 1000), ("var", "var", 1), ("kvar", "var", 1000),
    ("A", "A", 1), ("mA", "A", "0.001"), ("V", "V", 1), ("kV", "V", 1000), ("Percent", "Percent", 1),
)}
FARTHEST = 12  # powers of ten of a value's last digit and of multipliers: what is beyond is nobody's meter


class Sample(NamedTuple):
    """One sampled value. `unit` and `phase`: as said, None where nothing is said; `value`: None where it is signed data
    or no number; `base`: in `base_unit`, with `step` the worth of its last digit; `fields`: as on the wire."""

    measurand: str
    context: str
    location: str
    phase: str | None
    unit: str | None
    value: Decimal | None
    base: Decimal | None
    base_unit: str | None
    step: Decimal
    at_us: int | None
    pointer: str
    fields: Mapping[str, Any]

    @property
    def series(self) -> tuple[str, str | None, str]:
        """What makes it one of a row of values: measurand, phase and location."""
        return self.measurand, self.phase, self.location

    @property
    def is_register(self) -> bool:
        return self.measurand.endswith(".Register")

    @property
    def is_energy(self) -> bool:
        return self.measurand.startswith("Energy.")


class Reading(NamedTuple):
    """The values of one moment, `at_us` in UTC microseconds, None where it cannot be read."""

    at_us: int | None
    pointer: str
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class _Read:
    """The readings of the frame that is being judged."""

    frame: Frame | None = None
    readings: tuple[Reading, ...] = ()


def readings(now: Now) -> tuple[Reading, ...]:
    """Those of the message, in its order."""
    book = now.session.book(_Read)
    if book.frame is None or book.frame is not now.frame:
        book.frame, book.readings = now.frame, tuple(_read(now))
    return book.readings


def samples(now: Now) -> Iterator[Sample]:
    return (sample for reading in readings(now) for sample in reading.samples)


@learn(answer(*METERED))
def forget(now: Now) -> None:
    """All have heard of the message by now."""
    book = now.session.book(_Read)
    book.frame, book.readings = None, ()


def _read(now: Now) -> Iterator[Reading]:
    name = "transactionData" if now.action == "StopTransaction" else "meterValue"
    one_of = _sample_16 if now.version == "1.6" else _sample_2x
    for place, value in objects(now.request, name):
        at_us, pointer = moment_us(value, "timestamp"), f"/{name}/{place}"
        yield Reading(at_us, pointer, tuple(
            one_of(fields, at_us, f"{pointer}/sampledValue/{number}")
            for number, fields in objects(value, "sampledValue")
        ))  # fmt: skip


def _sample_16(fields: Mapping[str, Any], at_us: int | None, pointer: str) -> Sample:
    value = numeral(member(fields, "value")) if text(fields, "format") != "SignedData" else None
    return _sample(fields, at_us, pointer, kept(fields, "unit"), value, 0)


def _sample_2x(fields: Mapping[str, Any], at_us: int | None, pointer: str) -> Sample:
    unit = member(fields, "unitOfMeasure")
    power = integer(unit, "multiplier") or 0
    return _sample(fields, at_us, pointer, kept(unit, "unit"), numeral(member(fields, "value")), power)


def _sample(
    fields: Mapping[str, Any], at_us: int | None, pointer: str, unit: str | None, value: Decimal | None, power: int
) -> Sample:
    measurand = kept(fields, "measurand") or REGISTER
    said = unit or (DEFAULTS["unit"] if measurand.startswith("Energy.") else None)
    base_unit, factor = UNITS.get(said.casefold(), (said, Decimal(1))) if said is not None else (None, Decimal(1))
    base, step = None, Decimal(1)
    if value is not None and abs(power) <= FARTHEST:
        exponent = value.as_tuple().exponent
        digit = min(max(exponent if isinstance(exponent, int) else 0, -FARTHEST), FARTHEST)
        scale = factor.scaleb(power)
        base, step = value * scale, scale.scaleb(digit)
    return Sample(
        measurand, kept(fields, "context") or DEFAULTS["context"], kept(fields, "location") or DEFAULTS["location"],
        kept(fields, "phase"), unit, value, base, base_unit, step, at_us, pointer, fields,
    )  # fmt: skip


def about(value: Decimal, digits: int = 1) -> str:
    """A number as people say it, with so many digits that count: so that the same defect reads the same again."""
    if not value:
        return "0"
    rounded = round(value, digits - 1 - value.adjusted()).normalize()
    return f"{rounded:f}"


def about_s(seconds: float) -> str:
    """A time in seconds, likewise."""
    return about(Decimal(str(seconds)), 1 if seconds < 10 else 2)
