"""Meter values in messages of 2.x, as the rules about them need them.

Decides what a message says the energy register reads, which measurands and contexts it holds and whether anything in it
is signed. Refuses to judge.

Source: OCPP 2.0.1 and 2.1 Part 2, MeterValueType and SampledValueType (their defaults too).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ocpp_proxy.core.payload import integer, member, numeral, objects, text

REGISTER = "Energy.Active.Import.Register"
VALUES_LOOKED_AT = 1000
_UNITS = {None: 1, "Wh": 1, "kWh": 1000}
_LARGEST_POWER = 12


def sampled(request: Any) -> Iterator[dict[str, Any]]:
    """The sampledValues of a TransactionEvent or MeterValues."""
    left = VALUES_LOOKED_AT
    for _, value in objects(request, "meterValue"):
        for _, sample in objects(value, "sampledValue"):
            yield sample
            left -= 1
            if not left:
                return


def measurand(sample: Any) -> str:
    return text(sample, "measurand") or REGISTER


def measurands(request: Any) -> set[str]:
    return {measurand(sample)[:100] for sample in sampled(request)}


def contexts(request: Any) -> set[str | None]:
    """What the samples say of why they were taken; None for one that does not say."""
    return {text(sample, "context") for sample in sampled(request)}


def signed(request: Any) -> bool:
    return any(isinstance(member(sample, "signedMeterValue"), dict) for sample in sampled(request))


def energy_wh(request: Any) -> Decimal | None:
    """The register of all phases at the outlet, the highest if there are several readings."""
    found = [wh for sample in sampled(request) if measurand(sample) == REGISTER and text(sample, "phase") is None
             and text(sample, "location") in (None, "Outlet") and (wh := _wh(sample)) is not None]
    return max(found, default=None)


def _wh(sample: Any) -> Decimal | None:
    value = numeral(member(sample, "value"))
    factor = _UNITS.get(text(sample, "unitOfMeasure", "unit"))
    power = integer(sample, "unitOfMeasure", "multiplier") or 0
    if value is None or factor is None or abs(power) > _LARGEST_POWER:
        return None
    return value * factor * Decimal(10) ** power
