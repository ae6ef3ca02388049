"""An energy meter with a plausible three-phase load behind it.

Decides what is measured. Refuses to know when, and in which message it is told; `sampled` writes readings the way
OCPP 1.6 or 2.x wants them. Energy depends on the seconds it is told to run and on the seed alone, never on how late a
timer fired, so that the same seed gives the same readings.

Source: OCPP 1.6 sections 7.31, 7.34, 7.45 (measurands, phases, units); OCPP 2.0.1 SampledValueType.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

PHASES = ("L1", "L2", "L3")
MAX_CURRENT_A = 16.0
MIN_CURRENT_A = 6.0  # below, no car charges (IEC 61851-1)


@dataclass(frozen=True, slots=True)
class Reading:
    value: float
    digits: int
    unit: str
    phase: str | None = None


class Meter:
    """One outlet's meter. `register_wh` only ever rises."""

    def __init__(self, rng: random.Random, register_wh: float = 0.0) -> None:
        self._rng = rng
        self.register_wh = register_wh
        self.limit_a = MAX_CURRENT_A
        self._voltages_v = [230.0] * 3
        self._currents_a = [0.0] * 3

    @property
    def reading_wh(self) -> int:
        return int(self.register_wh)

    @property
    def power_w(self) -> float:
        return sum(u * i for u, i in zip(self._voltages_v, self._currents_a, strict=True))

    def power(self) -> str:
        """The present power in W, as a text."""
        return f"{self.power_w:.1f}"

    @property
    def may_charge(self) -> bool:
        return self.limit_a >= MIN_CURRENT_A

    def charge(self) -> None:
        """The car draws what it may."""
        if not self.may_charge:
            self.idle()
            return
        allowed_a = min(self.limit_a, MAX_CURRENT_A)
        self._voltages_v = [230.0 + self._rng.uniform(-2.0, 2.0) for _ in PHASES]
        self._currents_a = [allowed_a * self._rng.uniform(0.96, 0.995) for _ in PHASES]

    def idle(self) -> None:
        self._currents_a = [0.0] * 3

    def run(self, seconds: float) -> None:
        """Let the present load run for `seconds`."""
        self.register_wh += self.power_w * seconds / 3600

    def read(self, measurand: str) -> list[Reading]:
        """One reading, or one a phase; none for a measurand that this meter does not know."""
        known = _MEASURANDS.get(measurand)
        return known(self) if known else []

    def _energy(self) -> list[Reading]:
        return [Reading(self.reading_wh, 0, "Wh")]

    def _power(self) -> list[Reading]:
        return [Reading(self.power_w, 1, "W")]

    def _power_offered(self) -> list[Reading]:
        return [Reading(min(self.limit_a, MAX_CURRENT_A) * 3 * 230.0, 1, "W")]

    def _current(self) -> list[Reading]:
        return [Reading(value, 2, "A", phase) for phase, value in zip(PHASES, self._currents_a, strict=True)]

    def _current_offered(self) -> list[Reading]:
        return [Reading(min(self.limit_a, MAX_CURRENT_A), 1, "A")]

    def _voltage(self) -> list[Reading]:
        return [Reading(value, 1, "V", f"{phase}-N") for phase, value in zip(PHASES, self._voltages_v, strict=True)]


_MEASURANDS: Final[dict[str, Callable[[Meter], list[Reading]]]] = {
    "Energy.Active.Import.Register": Meter._energy,
    "Power.Active.Import": Meter._power,
    "Power.Offered": Meter._power_offered,
    "Current.Import": Meter._current,
    "Current.Offered": Meter._current_offered,
    "Voltage": Meter._voltage,
}
MEASURANDS: Final = frozenset(_MEASURANDS)


def sampled16(meter: Meter, measurands: Sequence[str], context: str) -> list[dict[str, Any]]:
    """SampledValue elements of OCPP 1.6: values are strings."""
    return [
        {"value": f"{reading.value:.{reading.digits}f}", "context": context, "format": "Raw", "measurand": measurand}
        | ({"phase": reading.phase} if reading.phase else {})
        | {"location": "Outlet", "unit": reading.unit}
        for measurand in measurands for reading in meter.read(measurand)
    ]


def sampled2x(meter: Meter, measurands: Sequence[str], context: str) -> list[dict[str, Any]]:
    """SampledValueType elements of OCPP 2.x: values are numbers."""
    return [
        {"value": round(reading.value, reading.digits), "context": context, "measurand": measurand}
        | ({"phase": reading.phase} if reading.phase else {})
        | {"location": "Outlet", "unitOfMeasure": {"unit": reading.unit}}
        for measurand in measurands for reading in meter.read(measurand)
    ]
