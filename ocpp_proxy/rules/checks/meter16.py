"""Meter values of 1.6, each by itself: units, phases, fields left out, signed data.

Source: OCPP 1.6 edition 2 sections 3.16, 4.7, 7.31, 7.34, 7.43, 7.45 and 7.49; 1.6 errata 3.86.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from ocpp_proxy.core.payload import integer, kept, objects, text
from ocpp_proxy.rules.checks.meter_samples import DEFAULTS, REGISTER, Reading, Sample, about, readings, samples
from ocpp_proxy.rules.checks.status16 import V16
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check

CARRIERS = call("MeterValues", "StopTransaction")


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


@check("mv-unit", CARRIERS)
def unit(now: Now) -> Iterator[Hit]:
    said: set[tuple[str, str]] = set()
    for sample in _of_16(now):
        folded = _FOLDED.get(sample.measurand)
        if sample.unit is None or folded is None or sample.unit.casefold() in folded:
            continue
        if (sample.measurand, sample.unit) not in said:
            said.add((sample.measurand, sample.unit))
            allowed = " or ".join(UNITS_OF[sample.measurand]) or "no unit"
            what = sample.measurand if "measurand" in sample.fields else f"A value without measurand, so {REGISTER},"
            yield now.hit(f"{what} is given in {sample.unit}, not in {allowed}", f"{sample.pointer}/unit",
                          seen=sample.unit, expected=allowed, transaction=None, case=None if folded else "unitless")


# Fields left out


@check("mv-default-fields", CARRIERS)
def default_fields(now: Now) -> Iterator[Hit]:
    left_out: dict[str, Sample] = {}
    unitless: dict[str, Sample] = {}
    for sample in _of_16(now):
        for name in DEFAULTS:
            if name not in sample.fields and (name != "unit" or sample.is_energy):
                left_out.setdefault(name, sample)
        if "unit" not in sample.fields and not _may_lack_unit(sample):
            unitless.setdefault(sample.measurand, sample)
    if left_out:
        names = ", ".join(f"{name} ({DEFAULTS[name]})" for name in DEFAULTS if name in left_out)
        first = next(iter(left_out.values()))
        yield now.hit(f"Left out, so that the default holds: {names}", first.pointer, transaction=None)
    for measurand, sample in unitless.items():
        units = " or ".join(UNITS_OF[measurand])
        yield now.hit(f"{measurand} without a unit", f"{sample.pointer}/unit", expected=units,
                      case="no-unit", transaction=None)


def _may_lack_unit(sample: Sample) -> bool:
    known = sample.measurand in UNITS_OF
    return not known or sample.measurand in _UNIT_OPTIONAL or sample.fields.get("format") == "SignedData"


# Phases

_LINES = frozenset(("L1", "L2", "L3"))
_PHASES: Mapping[str, frozenset[str]] = {
    "Voltage": frozenset(("L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1")),
    **dict.fromkeys(("Current.Import", "Current.Export", "Current.Offered"), _LINES | {"N"}),
    **dict.fromkeys(("SoC", "Temperature", "RPM"), frozenset()),
}  # fmt: skip


@check("mv-phase", CARRIERS)
def phase(now: Now) -> Iterator[Hit]:
    said: set[tuple[str, str, bool]] = set()
    for sample in _of_16(now):
        allowed = _PHASES.get(sample.measurand)
        if sample.phase is None or allowed is None or sample.phase in allowed:
            continue
        plain = sample.measurand == "Voltage" and sample.phase in _LINES
        key = (sample.measurand, "L1 to L3" if plain else sample.phase, plain)
        if key not in said:
            said.add(key)
            yield now.hit(f"{sample.measurand} is given for phase {sample.phase}", f"{sample.pointer}/phase",
                          seen=sample.phase, expected=", ".join(sorted(allowed)) or "no phase",
                          case="line" if plain else None, transaction=None)


@check("mv-phase-sum", CARRIERS)
def phase_sum(now: Now) -> Iterator[Hit]:
    for reading in readings(now) if now.version == V16 else ():
        yield from _sums(now, reading)


LEAST_W = 1000  # below, rounding and idle currents count for too much
_NEUTRAL = {"L1": "L1", "L2": "L2", "L3": "L3", "L1-N": "L1", "L2-N": "L2", "L3-N": "L3"}


def _sums(now: Now, reading: Reading) -> Iterator[Hit]:
    by_place: dict[tuple[str, str], dict[tuple[str, str | None], Sample]] = {}
    for sample in reading.samples:
        if sample.base is not None and (sample.phase is None or sample.phase in _NEUTRAL):
            line = _NEUTRAL[sample.phase] if sample.phase is not None else None
            by_place.setdefault((sample.location, sample.context), {})[sample.measurand, line] = sample
    for found in by_place.values():
        whole = found.get(("Power.Active.Import", None))
        if whole is None or whole.base is None or whole.base < LEAST_W:
            continue
        powers = _values(found, "Power.Active.Import")
        if powers:
            yield from _differs(now, whole, powers, Decimal("0.1"), "The phases' power adds")
            continue
        volts, amperes = _values(found, "Voltage"), _values(found, "Current.Import")
        if amperes and volts.keys() >= {line for line, value in amperes.items() if value}:
            products = {line: volts.get(line, Decimal(0)) * value for line, value in amperes.items()}
            yield from _differs(now, whole, products, Decimal("0.2"), "The phases' voltage times current adds")


def _values(found: Mapping[tuple[str, str | None], Sample], measurand: str) -> dict[str, Decimal]:
    return {line: sample.base for (name, line), sample in found.items()
            if name == measurand and line is not None and sample.base is not None}


def _differs(now: Now, whole: Sample, lines: Mapping[str, Decimal], share: Decimal, what: str) -> Iterator[Hit]:
    """Where not all three phases are told, the sum may be less."""
    assert whole.base is not None
    total = sum(lines.values(), Decimal(0))
    if abs(total - whole.base) <= share * whole.base or (len(lines) < len(_LINES) and total < whole.base):
        return
    yield now.hit(f"{what} up to about {about(total / whole.base)} times the overall Power.Active.Import",
                  f"{whole.pointer}/value", transaction=None)


# Signed data

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_OCMF = "OCMF|"


@check("mv-format-signed", CARRIERS)
def format_signed(now: Now) -> Iterator[Hit]:
    said: set[str] = set()
    for sample in _of_16(now):
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
def connector0_energy(now: Now) -> Iterator[Hit]:
    if now.version != V16 or integer(now.request, "connectorId") != 0:
        return
    for sample in samples(now):
        if sample.is_energy and sample.location != "Inlet":
            yield now.hit(f"{sample.measurand} of connector 0 is told for {sample.location}",
                          f"{sample.pointer}/location", seen=kept(sample.fields, "location"), expected="Inlet",
                          transaction=None)
            return


# StopTransaction

_KEYS = ("StopTxnSampledData", "StopTxnAlignedData")


@check("mv-stop-empty-keys", call("StopTransaction"))
def stop_empty_keys(now: Now) -> Iterator[Hit]:
    if now.version != V16 or not any(True for _ in objects(now.request, "transactionData")):
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


def _of_16(now: Now) -> Iterator[Sample]:
    return samples(now) if now.version == V16 else iter(())
