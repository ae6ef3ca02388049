"""Meter values of 1.6, each by itself: units, phases, fields left out, signed data.

Source: OCPP 1.6 edition 2 sections 3.16, 4.7, 7.31, 7.34, 7.43, 7.45 and 7.49; 1.6 errata 3.86.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from ocpp_proxy.core.payload import integer, kept, objects, text
from ocpp_proxy.rules.checks.meter_samples import (
    DEFAULTS,
    LAYOUTS_KEPT,
    REGISTER,
    Form,
    Layout,
    Reading,
    Sample,
    about,
    readings,
    samples,
)
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check

CARRIERS = call("MeterValues", "StopTransaction")

# Units, phases and fields left out are the form's alone: the same layout is looked at once.


def suspects(now: Now) -> frozenset[str]:
    """The rules about forms that may have something to say of the message. (To be asked by `now.once`.)"""
    found = [_suspects(reading.layout) for reading in now.once(readings)]
    return found[0] if len(found) == 1 else frozenset().union(*found)


@lru_cache(maxsize=LAYOUTS_KEPT)
def _suspects(layout: Layout) -> frozenset[str]:
    tests: Mapping[str, Callable[[Form], bool]] = {
        "mv-unit": _has_wrong_unit, "mv-default-fields": _is_short, "mv-phase": _has_wrong_phase,
    }  # fmt: skip
    return frozenset(rule for rule, test in tests.items() if any(map(test, layout.forms)))


# Units

_ENERGY = ("Export.Register", "Import.Register", "Export.Interval", "Import.Interval")
_POWER = ("Export", "Import")
# Measurands of one kind → their units; none at all: a number without one.
_KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (tuple(f"Energy.Active.{one}" for one in _ENERGY), ("Wh", "kWh")),
    (tuple(f"Energy.Reactive.{one}" for one in _ENERGY), ("varh", "kvarh")),
    (tuple(f"Power.Active.{one}" for one in _POWER), ("W", "kW")),
    (tuple(f"Power.Reactive.{one}" for one in _POWER), ("var", "kvar")),
    (("Power.Offered",), ("W", "kW", "VA", "kVA")),
    (("Current.Import", "Current.Export", "Current.Offered"), ("A",)),
    (("Voltage",), ("V",)), (("SoC",), ("Percent",)), (("Frequency",), ("Hertz", "Hz")),
    (("Temperature",), ("Celsius", "Celcius", "Fahrenheit", "K")), (("Power.Factor", "RPM"), ()),
)  # fmt: skip
UNITS_OF: Mapping[str, tuple[str, ...]] = {name: units for names, units in _KINDS for name in names}
_FOLDED = {name: frozenset(unit.casefold() for unit in units) for name, units in UNITS_OF.items()}
_UNIT_OPTIONAL = frozenset(("Frequency", "Power.Factor", "RPM", *_KINDS[0][0]))


def _has_wrong_unit(form: Form) -> bool:
    folded = _FOLDED.get(form.measurand)
    return form.unit is not None and folded is not None and form.unit.casefold() not in folded


@check("mv-unit", CARRIERS)
def unit(now: Now) -> Iterator[Hit] | None:
    return _wrong_units(now) if "mv-unit" in now.once(suspects) else None


def _wrong_units(now: Now) -> Iterator[Hit]:
    said: set[tuple[str, str | None]] = set()
    for sample in samples(now):
        name, told = sample.form.measurand, sample.form.unit
        if not _has_wrong_unit(sample.form) or (name, told) in said:
            continue
        said.add((name, told))
        allowed = " or ".join(UNITS_OF[name])
        what = name if "measurand" in sample.fields else f"A value without measurand, so {REGISTER},"
        yield now.hit(f"{what} is given in {told}, not in {allowed or 'no unit'}", f"{sample.pointer}/unit",
                      seen=told, expected=allowed or "no unit", transaction=None, case=None if allowed else "unitless")


# Fields left out


_TOLD = ("measurand", "context", "unit")  # hardly any station tells the location


def _is_short(form: Form) -> bool:
    return form.short or (form.unit is None and not _may_lack_unit(form))


@check("mv-default-fields", CARRIERS)
def default_fields(now: Now) -> Iterator[Hit] | None:
    return _left_out(now) if "mv-default-fields" in now.once(suspects) else None


def _left_out(now: Now) -> Iterator[Hit]:
    left_out: dict[str, Sample] = {}
    unitless: dict[str, Sample] = {}
    for sample in samples(now):
        for name in _TOLD:
            if name not in sample.fields and (name != "unit" or sample.form.is_energy):
                left_out.setdefault(name, sample)
        if "unit" not in sample.fields and not _may_lack_unit(sample.form):
            unitless.setdefault(sample.form.measurand, sample)
    if left_out:
        names = ", ".join(f"{name} ({DEFAULTS[name]})" for name in _TOLD if name in left_out)
        first = next(iter(left_out.values()))
        yield now.hit(f"Left out, so that the default holds: {names}", first.pointer, transaction=None)
    for measurand, sample in unitless.items():
        units = " or ".join(UNITS_OF[measurand])
        yield now.hit(f"{measurand} without a unit", f"{sample.pointer}/unit", expected=units,
                      case="no-unit", transaction=None)


def _may_lack_unit(form: Form) -> bool:
    return form.measurand not in UNITS_OF or form.measurand in _UNIT_OPTIONAL or form.signed


# Phases

_ZERO, _TENTH, _FIFTH = Decimal(0), Decimal("0.1"), Decimal("0.2")
_LINES = ("L1", "L2", "L3")
_PHASES: Mapping[str, frozenset[str]] = {
    "Voltage": frozenset(("L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1")),
    **dict.fromkeys(("Current.Import", "Current.Export", "Current.Offered"), frozenset((*_LINES, "N"))),
    **dict.fromkeys(("SoC", "Temperature", "RPM"), frozenset()),
}  # fmt: skip


def _has_wrong_phase(form: Form) -> bool:
    allowed = _PHASES.get(form.measurand)
    return form.phase is not None and allowed is not None and form.phase not in allowed


@check("mv-phase", CARRIERS)
def phase(now: Now) -> Iterator[Hit] | None:
    return _wrong_phases(now) if "mv-phase" in now.once(suspects) else None


def _wrong_phases(now: Now) -> Iterator[Hit]:
    said: set[tuple[str, str | None, bool]] = set()
    for sample in samples(now):
        name, told = sample.form.measurand, sample.form.phase
        if not _has_wrong_phase(sample.form):
            continue
        plain = name == "Voltage" and told in _LINES
        key = (name, "L1 to L3" if plain else told, plain)
        if key not in said:
            said.add(key)
            yield now.hit(f"{name} is given for phase {told}", f"{sample.pointer}/phase", seen=told,
                          expected=", ".join(sorted(_PHASES[name])) or "no phase", case="line" if plain else None,
                          transaction=None)


LEAST_W = 1000  # below, rounding and idle currents count for too much
_NEUTRAL = {"L1": "L1", "L2": "L2", "L3": "L3", "L1-N": "L1", "L2-N": "L2", "L3-N": "L3"}

class Parts(NamedTuple):
    """What belongs together of a layout, by places in it: the overall power, the phases' power, and the phases' current
    each with its voltage."""

    whole: int
    powers: tuple[int, ...]
    currents: tuple[tuple[int, int | None], ...]


@lru_cache(maxsize=LAYOUTS_KEPT)
def _parts(layout: Layout) -> tuple[Parts, ...]:
    places = dict.fromkeys((form.location, form.context) for form in layout.forms)
    found = [_parts_at(layout, place) for place in places]
    return tuple(one for one in found if one is not None)


def _parts_at(layout: Layout, place: tuple[str, str]) -> Parts | None:
    here = {(form.measurand, _NEUTRAL.get(form.phase or "", form.phase)): at for at, form in enumerate(layout.forms)
            if (form.location, form.context) == place}  # fmt: skip
    whole = here.get(("Power.Active.Import", None))
    powers = tuple(here[key] for line in _LINES if (key := ("Power.Active.Import", line)) in here)
    currents = tuple((here[key], here.get(("Voltage", line))) for line in _LINES
                     if (key := ("Current.Import", line)) in here)  # fmt: skip
    return Parts(whole, powers, currents) if whole is not None and (powers or currents) else None


@check("mv-phase-sum", CARRIERS)
def phase_sum(now: Now) -> list[Hit] | None:
    hits = [hit for reading in now.once(readings) for parts in _parts(reading.layout)
            if (hit := _differs(now, reading, parts)) is not None]  # fmt: skip
    return hits or None


def _differs(now: Now, reading: Reading, parts: Parts) -> Hit | None:
    """Where not all three phases are told, the sum may be less."""
    bases, share, what = reading.bases, _TENTH, "The phases' power adds"
    whole = bases[parts.whole]
    if whole is None or whole < LEAST_W:
        return None
    lines = [watts for at in parts.powers if (watts := bases[at]) is not None]
    if not lines:
        lines, share, what = _products(bases, parts), _FIFTH, "The phases' voltage times current adds"
    total = sum(lines, _ZERO)
    if not lines or (len(lines) < len(_LINES) and total < whole) or abs(total - whole) <= share * whole:
        return None
    return now.hit(f"{what} up to about {about(total / whole)} times the overall Power.Active.Import",
                   f"{reading.pointer_to(parts.whole)}/value", transaction=None)


def _products(bases: Sequence[Decimal | None], parts: Parts) -> list[Decimal]:
    """Voltage times current of each phase, none at all where the voltage of one is not known."""
    found = []
    for at, volts_at in parts.currents:
        amperes, volts = bases[at], bases[volts_at] if volts_at is not None else None
        if amperes and volts is None:
            return []
        if amperes is not None:
            found.append(amperes * (volts or _ZERO))
    return found


# Signed data

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_OCMF = "OCMF|"


@check("mv-format-signed", CARRIERS)
def format_signed(now: Now) -> Iterator[Hit] | None:
    plain = all(reading.numeric and not reading.layout.signed for reading in now.once(readings))
    return None if plain else _signed(now)


def _signed(now: Now) -> Iterator[Hit]:
    said: set[str] = set()
    for sample in samples(now):
        value = text(sample.fields, "value")
        if value is None:
            continue
        if text(sample.fields, "format") == "SignedData":
            message, case = f"A signed value, {'hex' if _HEX.fullmatch(value) else _text(value, 'no hex')}", None
        elif sample.value is None:
            message, case = f"A value whose format is Raw is {_text(value, 'no number')}", "raw"
        else:
            continue
        if message not in said:
            said.add(message)
            yield now.hit(message, f"{sample.pointer}/value", expected="hex" if case is None else "a decimal number",
                          case=case, transaction=None)


def _text(value: str, otherwise: str) -> str:
    return "OCMF text" if value.startswith(_OCMF) else otherwise


# The whole station


@check("mv-connector0-energy", call("MeterValues"))
def connector0_energy(now: Now) -> Iterator[Hit] | None:
    return _not_at_inlet(now) if integer(now.request, "connectorId") == 0 else None


def _not_at_inlet(now: Now) -> Iterator[Hit]:
    for sample in samples(now):
        form = sample.form
        if form.is_energy and form.location != "Inlet":
            yield now.hit(f"{form.measurand} of connector 0 is told for {form.location}",
                          f"{sample.pointer}/location", seen=kept(sample.fields, "location"), expected="Inlet",
                          transaction=None)
            return


# StopTransaction

_KEYS = ("StopTxnSampledData", "StopTxnAlignedData")


@check("mv-stop-empty-keys", call("StopTransaction"))
def stop_empty_keys(now: Now) -> Iterator[Hit]:
    if not any(True for _ in objects(now.request, "transactionData")):
        return
    settings = [now.session.settings.find(key) for key in _KEYS]
    if any(setting is None or setting.value is None for setting in settings):
        yield from now.unknown("StopTxnSampledData and StopTxnAlignedData were not seen")
        return
    known = [setting for setting in settings if setting is not None]
    transaction = now.session.transactions.find(integer(now.request, "transactionId"))
    began = transaction.start_time if transaction is not None and transaction.start is not None else None
    changed = any(one.by == "ChangeConfiguration" and (began is None or one.time >= began) for one in known)
    if not changed and not any((one.value or "").strip() for one in known):
        yield now.hit("transactionData is there, although StopTxnSampledData and StopTxnAlignedData are empty",
                      "/transactionData", expected="no transactionData", also=[one.source for one in known],
                      transaction=None)
