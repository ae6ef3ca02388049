"""Meter values of all versions in one form, read once a frame for all rules about them.

Decides what the fields that are left out stand for, and what a value is in the base unit of its kind. Refuses to say
whether that makes sense. What values say besides their numbers, a station says the same way again and again: it is
worked out once for all (FORMS_KEPT, LAYOUTS_KEPT), and rules may do likewise by layout.

Source: OCPP 1.6 edition 2 sections 7.33 and 7.43; OCPP 2.0.1 and 2.1 Part 2, MeterValueType and SampledValueType.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from ocpp_proxy.core.payload import LONGEST_KEPT, integer, items, member, moment_us, numeral
from ocpp_proxy.rules.now import Now

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
ENERGY = frozenset(("Wh", "varh", "VAh"))
FARTHEST = 12  # powers of ten of a value's last digit and of multipliers: what is beyond is nobody's meter
FORMS_KEPT = 1024
LAYOUTS_KEPT = 256
NUMBERS_KEPT = 1024
USUAL = 16  # digits of a number that is kept
_ONE = Decimal(1)

Series: TypeAlias = "tuple[str, str | None, str]"  # measurand, phase and location make one a row of values


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What a sampled value says of itself besides its number. `unit`, `phase`: as said, None where nothing is said;
    `scale`: how much in `base_unit` a 1 is, None where that is beyond FARTHEST; `signed`: it is no number but signed
    data; `short`: something is left out for which there is a default."""

    measurand: str
    context: str
    location: str
    phase: str | None
    unit: str | None
    base_unit: str | None
    scale: Decimal | None
    signed: bool
    short: bool
    series: Series

    @property
    def is_register(self) -> bool:
        """Whether it is the reading of a meter that only counts up."""
        return self.measurand.endswith(".Register") and self.base_unit in ENERGY

    @property
    def is_energy(self) -> bool:
        return self.measurand.startswith("Energy.")


class Layout:
    """The forms of the values of one moment, in their order. There is one of each, as long as it is kept."""

    __slots__ = ("contexts", "forms", "registers", "scaled", "signed")

    def __init__(self, forms: tuple[Form, ...]) -> None:
        self.forms = forms
        self.contexts = frozenset(form.context for form in forms)
        self.registers = tuple(at for at, form in enumerate(forms) if form.is_register)
        self.scaled = any(form.scale is not _ONE for form in forms)  # some are not told in the base unit
        self.signed = any(form.signed for form in forms)


class Sample(NamedTuple):
    """One sampled value. `value`: None where it is signed data or no number; `base`: in the base unit; `fields`: as on
    the wire."""

    form: Form
    value: Decimal | None
    base: Decimal | None
    at_us: int | None
    pointer: str
    fields: Mapping[str, Any]

    @property
    def step(self) -> Decimal:
        """The worth of the value's last digit, in the base unit."""
        return worth(self.value, self.form) if self.value is not None else _ONE


class Reading(NamedTuple):
    """The values of one moment, `at_us` in UTC microseconds, None where it cannot be read. `values` and `bases`: as of
    a Sample, in the order of the layout; `told`: what is on the wire, with its place there; `numeric`: each of them is
    a number."""

    at_us: int | None
    pointer: str
    layout: Layout
    values: Sequence[Decimal | None]
    bases: Sequence[Decimal | None]
    told: Sequence[tuple[int, Mapping[str, Any]]]
    numeric: bool

    @property
    def samples(self) -> Iterator[Sample]:
        return map(self.sample, range(len(self.told)))

    def sample(self, at: int) -> Sample:
        """That of a place in the layout. Not to be made of each value: rules that look for something have the layout
        and the values."""
        fields = self.told[at][1]
        return Sample(self.layout.forms[at], self.values[at], self.bases[at], self.at_us, self.pointer_to(at), fields)

    def pointer_to(self, at: int) -> str:
        return f"{self.pointer}/sampledValue/{self.told[at][0]}"


def contexts(now: Now) -> frozenset[str]:
    """All that the message's values were taken for. (To be asked by `now.once`.)"""
    found = [reading.layout.contexts for reading in now.once(readings)]
    return found[0] if len(found) == 1 else frozenset().union(*found)


def samples(now: Now) -> Iterator[Sample]:
    return (sample for reading in now.once(readings) for sample in reading.samples)


def readings(now: Now) -> tuple[Reading, ...]:
    """Those of the message, in its order. (To be asked by `now.once`.)"""
    name = "transactionData" if now.action == "StopTransaction" else "meterValue"
    form_in = _form_16 if now.version == "1.6" else _form_2x
    return tuple([_reading(value, f"/{name}/{place}", form_in)
                  for place, value in enumerate(items(now.request, name)) if isinstance(value, dict)])  # fmt: skip


def _reading(value: Any, pointer: str, form_in: Callable[[Mapping[str, Any]], Form]) -> Reading:
    told, forms, values = [], [], []
    for place, fields in enumerate(items(value, "sampledValue")):
        if isinstance(fields, dict):
            form, number = form_in(fields), fields.get("value")
            usual = isinstance(number, str) and len(number) <= USUAL
            told.append((place, fields))
            forms.append(form)
            values.append(None if form.signed else _numeral(number) if usual else numeral(number))
    layout = _layout(tuple(forms))
    bases = list(map(_in_base, forms, values)) if layout.scaled else values
    return Reading(moment_us(value, "timestamp"), pointer, layout, values, bases, told, None not in values)


def _in_base(form: Form, number: Decimal | None) -> Decimal | None:
    if number is None or form.scale is _ONE:
        return number
    return number * form.scale if form.scale is not None else None


_layout = lru_cache(maxsize=LAYOUTS_KEPT)(Layout)
_numeral = lru_cache(maxsize=NUMBERS_KEPT)(numeral)  # voltages, idle currents and the like come again and again

_FORMS: dict[tuple[Any, ...], Form] = {}  # by the words of the value


def _form_16(fields: Mapping[str, Any]) -> Form:
    get = fields.get
    words = get("measurand"), get("context"), get("location"), get("phase"), get("unit"), get("format"), 0
    try:
        return _FORMS[words]
    except (KeyError, TypeError):  # an object or a list where a text should be
        return _new_form(words)


def _form_2x(fields: Mapping[str, Any]) -> Form:
    get, unit = fields.get, fields.get("unitOfMeasure")
    power = integer(unit, "multiplier") or 0
    words = get("measurand"), get("context"), get("location"), get("phase"), member(unit, "unit"), None, power
    try:
        return _FORMS[words]
    except (KeyError, TypeError):
        return _new_form(words)


def _new_form(words: tuple[Any, ...]) -> Form:
    """`words`: measurand, context, location, phase, unit and format as on the wire, and the power of ten."""
    *said, power = words
    form = _form_of(*(word[:LONGEST_KEPT] if isinstance(word, str) else None for word in said), power=power)
    if all(word is None or (isinstance(word, str) and len(word) <= LONGEST_KEPT) for word in said):
        if len(_FORMS) >= FORMS_KEPT:
            _FORMS.clear()
        _FORMS[words] = form
    return form


def _form_of(
    measurand: str | None, context: str | None, location: str | None, phase: str | None, unit: str | None,
    form: str | None, *, power: int,
) -> Form:  # fmt: skip
    name = measurand or REGISTER
    said = unit or (DEFAULTS["unit"] if name.startswith("Energy.") else None)
    base_unit, factor = UNITS.get(said.casefold(), (said, _ONE)) if said is not None else (None, _ONE)
    scale = None if abs(power) > FARTHEST else factor.scaleb(power) if power else factor
    where = location or DEFAULTS["location"]
    return Form(name, context or DEFAULTS["context"], where, phase, unit, base_unit, _ONE if scale == 1 else scale,
                form == "SignedData", None in (measurand, context, unit), (name, phase, where))


def worth(value: Decimal, form: Form) -> Decimal:
    """That of the last digit of a value as told, in the base unit."""
    exponent = value.as_tuple().exponent
    return (form.scale or _ONE).scaleb(min(max(exponent if isinstance(exponent, int) else 0, -FARTHEST), FARTHEST))


def about(value: Decimal, digits: int = 1) -> str:
    """A number as people say it, with so many digits that count: so that the same defect reads the same again."""
    if not value:
        return "0"
    rounded = round(value, digits - 1 - value.adjusted()).normalize()
    return f"{rounded:f}"
