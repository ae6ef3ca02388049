"""What the JSON schemas do not say of payloads: characters, numbers, connectors.

Whole payloads are walked only where a look at the raw bytes says that there may be something to find.

Source: OCPP 1.6 edition 2 sections 2.2 (CiString), 3.8 (connectors), 7.43 and 7.49 (sampled values) and chapter 6; OCPP
2.0.1 and 2.1 Part 2 section 2.1.4 (integer, decimal); OCPP-J 1.6 errata 2.4 and 2.5 (integers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from ocpp_proxy.core.frame import Call, CallResult, Send, Version
from ocpp_proxy.core.payload import integer, number, objects, text
from ocpp_proxy.rules.checks.meter_samples import readings
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

EVERY = (*call(), *call(by="csms"), *answer(), *answer(by="csms"))
FROM_CSMS = (*call(by="csms"), *answer())

Leaves: TypeAlias = Iterator[tuple[str, str, Any]]  # pointer, name of the member that holds it, value

INT32 = 2**31 - 1
DECIMALS = 6

# Looked for in the raw bytes first: patterns that begin with one character are the fast ones.
_TEN_DIGITS_OR_NEGATIVE = re.compile(rb":\s*(?:-|\d{10})")
_SEVEN_DECIMALS = tuple(map(re.compile, (rb"\.\d{7}", rb"e-\d+\s*[,}\]]", rb"E-\d+\s*[,}\]]")))
_WHOLE_WITH_POINT = re.compile(rb"\.0*[\s,}\]]")

# The fields that are integers wherever they occur in a version.
_IN_2X = frozenset((
    "bulkSoC", "cause", "chargingPriority", "chargingProfileId", "configurationSlot", "connectorId", "ePriceLevel",
    "eventId", "evseId", "fullSoC", "id", "interval", "maxScheduleTuples", "messageTimeout", "multiplier",
    "numEPriceLevels", "numberOfPhasesUsed", "numberPhases", "phaseToUse", "remoteStartId", "requestId",
    "reservationId", "retries", "retryInterval", "securityProfile", "seqNo", "severity", "simPin", "stackLevel",
    "startPeriod", "stateOfCharge", "timeSpentCharging", "variableMonitoringId", "versionNumber",
))  # fmt: skip
INTEGERS: Mapping[Version, frozenset[str]] = {
    "1.6": frozenset((
        "chargingProfileId", "connectorId", "duration", "id", "interval", "listVersion", "meterStart", "meterStop",
        "numberPhases", "requestId", "reservationId", "retries", "retryInterval", "stackLevel", "startPeriod",
        "transactionId",
    )),
    "2.0.1": _IN_2X | {
        "amount", "amountMultiplier", "cableMaxCurrent", "duration", "energyAmount", "evEnergyCapacity", "evMaxCurrent",
        "evMaxPower", "evMaxVoltage", "evMinCurrent", "start",
    },
    "2.1": _IN_2X | {
        "carbonDioxideEmission", "dynUpdateInterval", "evseIds", "exponent", "maxElements", "maxOfflineDuration",
        "maxSoC", "numberOfPriceLevels", "overstayTimeThreshold", "pending", "priceLevel", "priority",
        "randomizedDelay", "signal", "soc", "targetSoC", "timeout",
    },
}  # fmt: skip
NOT_NEGATIVE = frozenset({"seqNo", "evseId", "connectorId", "requestId"})

# CiStrings of 1.6. What is free text in all but name is looked at with less severity, `value` of a key among it.
CI_STRINGS = frozenset((
    "idTag", "parentIdTag", "chargePointVendor", "chargePointModel", "chargePointSerialNumber", "chargeBoxSerialNumber",
    "firmwareVersion", "iccid", "imsi", "meterType", "meterSerialNumber", "key", "unknownKey", "vendorId", "messageId",
    "fileName",
))  # fmt: skip
FREE_TEXTS = frozenset({"info", "vendorErrorCode", "value"})
_FREE_FORM = frozenset({"customData"})
_DATA = frozenset({"customData", "data"})  # of a DataTransfer, which may hold anything


def payload(now: Now) -> Any:
    """The payload of the frame that has just passed, None where it has none."""
    frame = now.frame
    return frame.payload if isinstance(frame, (Call, CallResult, Send)) else None


def leaves(value: Any, skipped: frozenset[str] = _FREE_FORM) -> Leaves:
    """Everything in a payload that is no object and no list. Members called as in `skipped` are passed over."""
    stack: list[tuple[str, str, Any]] = [("", "", value)]
    while stack:
        pointer, name, found = stack.pop()
        if isinstance(found, dict):
            stack += [(f"{pointer}/{_escaped(key)}", key, inner) for key, inner in reversed(found.items())
                      if key not in skipped]
        elif isinstance(found, list):
            stack += [(f"{pointer}/{place}", name, inner) for place, inner in reversed(list(enumerate(found)))]
        else:
            yield pointer, name, found


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _leaves(now: Now) -> Leaves:
    """The leaves of the payload, but for what its sender fills in as it likes."""
    return leaves(payload(now), _DATA if now.action == "DataTransfer" else _FREE_FORM)


# Numbers


@check("schema-range-201", EVERY)
def range_2x(now: Now) -> Iterator[Hit] | None:
    frame = now.frame
    return _out_of_range(now) if frame is not None and _TEN_DIGITS_OR_NEGATIVE.search(frame.raw) is not None else None


def _out_of_range(now: Now) -> Iterator[Hit]:
    integers = INTEGERS[now.version]
    for pointer, name, value in _leaves(now):
        size = number(value) if name in integers else None
        if size is None or any(error.pointer == pointer for error in now.schema_errors):
            continue
        if not -INT32 - 1 <= size <= INT32:
            yield now.hit(f"{name} is larger than the 31 bits and the sign of an integer hold", pointer,
                          expected=f"{-INT32 - 1} to {INT32}")
        elif size < 0 and (name in NOT_NEGATIVE or pointer.endswith("/evse/id")):
            yield now.hit(f"{name} is negative", pointer, seen=value, expected="0 or more")


@check("schema-decimal-6", FROM_CSMS)
def decimals_2x(now: Now) -> Iterator[Hit] | None:
    raw = now.frame.raw if now.frame is not None else b""
    return _too_fine(now) if any(one.search(raw) for one in _SEVEN_DECIMALS) else None


def _too_fine(now: Now) -> Iterator[Hit]:
    for pointer, name, value in _leaves(now):
        if number(value) is not None and _decimals(value) > DECIMALS:
            yield now.hit(f"{name} has more than six decimal places", pointer, expected="six decimal places at most")


def _decimals(value: Any) -> int:
    exponent = Decimal(str(value)).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


@check("schema-int-as-float", EVERY)
def whole_with_point(now: Now) -> Iterator[Hit] | None:
    frame = now.frame
    return _pointed(now) if frame is not None and _WHOLE_WITH_POINT.search(frame.raw) is not None else None


def _pointed(now: Now) -> Iterator[Hit]:
    integers = INTEGERS[now.version]
    for pointer, name, value in _leaves(now):
        if name in integers and isinstance(value, (float, Decimal)) and _whole(value):
            yield now.hit(f"The integer {name} is written with a decimal point", pointer)


def _whole(value: float | Decimal) -> bool:
    return value.is_integer() if isinstance(value, float) else value == value.to_integral_value()


_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_WITH_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


@check("schema-meter-value-number", call("MeterValues", "StopTransaction"))
def meter_value(now: Now) -> Iterator[Hit] | None:
    raw = now.frame.raw if now.frame is not None else b""
    plain = raw.isascii() and b"\\" not in raw  # digits of other scripts are numbers too, but not to JSON
    if plain and all(reading.numeric for reading in now.once(readings)):
        return None
    return _no_numbers(now)


def _no_numbers(now: Now) -> Iterator[Hit]:
    name = "meterValue" if now.action == "MeterValues" else "transactionData"
    for place, reading in objects(now.request, name):
        for number_, sample in objects(reading, "sampledValue"):
            value, pointer = text(sample, "value"), f"/{name}/{place}/sampledValue/{number_}/value"
            if value is None:
                continue
            if sample.get("format", "Raw") == "Raw":
                if _WITH_COMMA.fullmatch(value):
                    yield now.hit("A meter reading has a decimal comma", pointer, expected="a decimal point")
                elif not _NUMBER.fullmatch(value):
                    yield now.hit("A meter reading is no number", pointer, seen=value[:40], expected="a number")
            elif sample["format"] == "SignedData" and not _HEX.fullmatch(value):
                yield now.hit("A signed meter reading is not written in hexadecimal digits", pointer, case="signed",
                              expected="hexadecimal digits")


# Characters

_BACKSLASH, _DELETE = 0x5C, 0x7F


@check("schema-printable-ascii", EVERY)
def printable(now: Now) -> Iterator[Hit] | None:
    raw = now.frame.raw if now.frame is not None else b""
    return None if raw.isascii() and _BACKSLASH not in raw and _DELETE not in raw else _unprintable(now)


def _unprintable(now: Now) -> Iterator[Hit]:
    for pointer, name, value in _leaves(now):
        if not isinstance(value, str) or (value.isascii() and value.isprintable()):
            continue
        if name in CI_STRINGS or (name in FREE_TEXTS and "sampledValue" not in pointer):
            yield now.hit(f"{name} holds other characters than printable ASCII", pointer, seen=value[:80],
                          case="free-text" if name in FREE_TEXTS else None)


# Connectors

_LEAST: Mapping[str, int] = {
    "ChangeAvailability": 0, "ClearChargingProfile": 0, "ExtendedTriggerMessage": 0, "GetCompositeSchedule": 0,
    "MeterValues": 0, "RemoteStartTransaction": 1, "ReserveNow": 0, "SetChargingProfile": 0, "StartTransaction": 1,
    "StatusNotification": 0, "TriggerMessage": 0, "UnlockConnector": 1,
}  # fmt: skip


def connectors_told(now: Now) -> int | None:
    """How many connectors the station says that it has. (To be asked by `now.once`.)"""
    return now.session.settings.integer("NumberOfConnectors")


@check("schema-range-connector", call("MeterValues", "StartTransaction", "StatusNotification"),
       call(*(_LEAST.keys() - {"MeterValues", "StartTransaction", "StatusNotification"}), by="csms"))
def connector_range(now: Now) -> Iterator[Hit] | None:
    return _connector(now, now.request, _LEAST.get(now.action, 0))


@check("schema-range-connector", answer("GetCompositeSchedule", by="csms"))
def connector_answered(now: Now) -> Iterator[Hit] | None:
    return _connector(now, now.response, 0)


def _connector(now: Now, where: Any, least: int) -> Iterator[Hit] | None:
    found, most = integer(where, "connectorId"), now.once(connectors_told)
    if found is None or (found >= least and (most is None or found <= most or most <= 0)):
        return None
    return _out_of_reach(now, found, least, most)


def _out_of_reach(now: Now, found: int, least: int, most: int | None) -> Iterator[Hit]:
    if found < least:
        yield now.hit(f"{now.action} is about connector {found}", "/connectorId", seen=found,
                      expected=f"{least} or more")
    else:
        yield now.hit(f"{now.action} is about connector {found}, and the station has {most} (NumberOfConnectors)",
                      "/connectorId", seen=found, expected=f"{least} to {most}")


__all__ = ["EVERY", "leaves", "payload"]
