"""Configuration keys of 1.6: what a station says of them, and whether it keeps to it.

Decides which keys a station has called unknown, what it was told to set them to, and whether two values mean the same.
Refuses to compare what is masked.

Source: OCPP 1.6 edition 2 sections 3.16.4, 5.3, 5.4 and 5.8, chapter 9; 1.6 errata 3.23, 3.80, 3.84.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import LONGEST_KEPT, folded, items, numeral, objects, text
from ocpp_proxy.core.station.settings import LONGEST_VALUE
from ocpp_proxy.rules.checks.remote16_state import boot_since
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

KEYS_KEPT = 256
SHOWN_MOST = 30  # missing keys that a sentence names

Entries: TypeAlias = "Mapping[str, list[tuple[int, Mapping[str, Any]]]]"

# Feature profile, without its spaces → the keys that it requires.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "core": (
        "AuthorizeRemoteTxRequests", "ClockAlignedDataInterval", "ConnectionTimeOut", "ConnectorPhaseRotation",
        "GetConfigurationMaxKeys", "HeartbeatInterval", "LocalAuthorizeOffline", "LocalPreAuthorize",
        "MeterValuesAlignedData", "MeterValuesSampledData", "MeterValueSampleInterval", "NumberOfConnectors",
        "ResetRetries", "StopTransactionOnInvalidId", "StopTxnAlignedData", "StopTxnSampledData",
        "SupportedFeatureProfiles", "TransactionMessageAttempts", "TransactionMessageRetryInterval",
        "UnlockConnectorOnEVSideDisconnect"),
    "localauthlistmanagement": ("LocalAuthListEnabled", "LocalAuthListMaxLength", "SendLocalListMaxLength"),
    "smartcharging": (
        "ChargeProfileMaxStackLevel", "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods",
        "MaxChargingProfilesInstalled"),
}  # fmt: skip

_REQUIRED_FOLDED = {profile: frozenset(key.casefold() for key in keys) for profile, keys in REQUIRED.items()}
SPELLED = {"core": "Core", "localauthlistmanagement": "LocalAuthListManagement", "smartcharging": "SmartCharging"}

# Keys that chapter 9 lets nobody write, folded.
READ_ONLY = frozenset(key.casefold() for key in (
    "ChargeProfileMaxStackLevel", "ChargingScheduleAllowedChargingRateUnit", "ChargingScheduleMaxPeriods",
    "ConnectorPhaseRotationMaxLength", "ConnectorSwitch3to1PhaseSupported", "GetConfigurationMaxKeys",
    "LocalAuthListMaxLength", "MaxChargingProfilesInstalled", "MeterValuesAlignedDataMaxLength",
    "MeterValuesSampledDataMaxLength", "NumberOfConnectors", "ReserveConnectorZeroSupported", "SendLocalListMaxLength",
    "StopTxnAlignedDataMaxLength", "StopTxnSampledDataMaxLength", "SupportedFeatureProfiles",
    "SupportedFeatureProfilesMaxLength",
))  # fmt: skip
WRITE_ONLY = frozenset(("authorizationkey",))  # in no list of keys (security extension, section 7.2)

MEASURANDS = frozenset(one.casefold() for one in (
    "Current.Export", "Current.Import", "Current.Offered", "Energy.Active.Export.Register",
    "Energy.Active.Import.Register", "Energy.Reactive.Export.Register", "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval", "Energy.Active.Import.Interval", "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval", "Frequency", "Power.Active.Export", "Power.Active.Import", "Power.Factor",
    "Power.Offered", "Power.Reactive.Export", "Power.Reactive.Import", "RPM", "SoC", "Temperature", "Voltage",
))  # fmt: skip
PHASES = ("l1-n", "l2-n", "l3-n", "l1-l2", "l2-l3", "l3-l1", "l1", "l2", "l3", "n")
MEASURAND_KEYS = frozenset(key.casefold() for key in (
    "MeterValuesAlignedData", "MeterValuesSampledData", "StopTxnAlignedData", "StopTxnSampledData"))

_FLAGS = {"true": "true", "1": "true", "false": "false", "0": "false"}


@dataclass(frozen=True, slots=True)
class Written:
    """A change that the station accepted, `status` Accepted or RebootRequired."""

    value: str
    status: str
    answer: FrameRef
    time: float


@dataclass(slots=True)
class Keys:
    """By folded key, KEYS_KEPT each: what was written and not found changed since, and what was called unknown."""

    written: dict[str, Written] = field(default_factory=dict)
    unknown: dict[str, tuple[FrameRef, float]] = field(default_factory=dict)


@learn(answer("ChangeConfiguration", by="csms"))
def changed(now: Now) -> None:
    key, value = folded(now.request, "key"), text(now.request, "value")
    if key is None:
        return
    book = now.session.book(Keys)
    if now.status == "NotSupported":
        _put(book.unknown, key, (now.ref, now.time))
    elif now.status in ("Accepted", "RebootRequired") and value is not None:
        book.unknown.pop(key, None)
        _put(book.written, key, Written(value[:LONGEST_VALUE], now.status, now.ref, now.time))


@learn(answer("GetConfiguration", by="csms"))
def read(now: Now) -> None:
    book, entries = now.session.book(Keys), now.once(entries_in)
    for one in items(now.response, "unknownKey")[:KEYS_KEPT]:
        if (key := folded(one)) is not None:
            _put(book.unknown, key, (now.ref, now.time))
    for key in [key for key in book.unknown if key in entries]:
        del book.unknown[key]
    for key, written in [(key, written) for key, written in book.written.items() if key in entries]:
        if _due(now, written) and any(_same(key, written.value, value) for _, value in _values(entries[key])):
            del book.written[key]


def entries_in(now: Now) -> Entries:
    """The elements of configurationKey with their places, by folded key. (To be asked by `now.once`.)"""
    found: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for place, entry in objects(now.response, "configurationKey"):
        key = entry.get("key")
        if isinstance(key, str):
            found.setdefault(key[:LONGEST_KEPT].casefold(), []).append((place, entry))
    return found


def _values(entries: list[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, str]]:
    return ((place, value) for place, entry in entries if (value := text(entry, "value")) is not None)


def _put(book: dict[str, Any], key: str, value: Any) -> None:
    book.pop(key, None)
    book[key] = value
    if len(book) > KEYS_KEPT:
        del book[next(iter(book))]


# Values


def _due(now: Now, written: Written) -> bool:
    """Whether the change has to show by now."""
    if written.time > now.called_time:
        return False  # what is read was asked for before
    return written.status == "Accepted" or boot_since(now.session, written.time) is not None


def _same(key: str, wanted: str, seen: str) -> bool:
    """Whether both mean the same: white space around, the spelling of numbers and booleans, the order and spelling of
    lists, and the phases of measurands do not matter. What is masked, or as long as what is kept, cannot be told."""
    if "**" in wanted or "**" in seen or len(wanted) >= LONGEST_VALUE:
        return True
    if key in MEASURAND_KEYS:
        return _measurands(wanted) == _measurands(seen)
    return _plain(wanted) == _plain(seen) or _flag(wanted) == _flag(seen) != ""


def _plain(value: str) -> Any:
    words = frozenset(_words(value))
    if len(words) > 1:
        return words
    number = numeral(value.strip()) if value.strip() else None
    return number if number is not None else words


def _words(value: str) -> list[str]:
    return [word.strip().casefold() for word in value.split(",") if word.strip()]


def _flag(value: str) -> str:
    return _FLAGS.get(value.strip().casefold(), "")


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}…"


# Keys


@check("config-unknown-key", answer("ChangeConfiguration", by="csms"))
def change_answered(now: Now) -> Iterator[Hit]:
    key = folded(now.request, "key")
    if key is None or now.status is None:
        return
    setting = now.session.settings.find(key)
    unknown = _unknown(now, key)
    if now.status in ("Accepted", "RebootRequired") and _read_only(now, key):
        yield now.hit(f"ChangeConfiguration of a read-only key was answered {now.status}", "/status",
                      seen=now.status, expected="Rejected", also=[setting.source if setting is not None else None])
    elif now.status != "NotSupported" and unknown is not None:
        yield now.hit(f"ChangeConfiguration of a key that the station called unknown before was answered {now.status}",
                      "/status", seen=now.status, expected="NotSupported", also=[unknown])
    elif now.status != "NotSupported" and setting is None and key not in WRITE_ONLY and _listed(now):
        yield now.hit(f"ChangeConfiguration of a key that is not in the list of all keys was answered {now.status}",
                      "/status", seen=now.status, expected="NotSupported", case="unlisted")


def _read_only(now: Now, key: str) -> bool:
    setting = now.session.settings.find(key)
    return key in READ_ONLY or (setting is not None and setting.readonly is True)


def _unknown(now: Now, key: str) -> FrameRef | None:
    """Where the station has called the key unknown since it booted last: other firmware may know it."""
    told = now.session.book(Keys).unknown.get(key)
    return told[0] if told is not None and boot_since(now.session, told[1]) is None else None


def _listed(now: Now) -> bool:
    return now.session.settings.listed is not None


@check("config-unknown-key", answer("GetConfiguration", by="csms"))
def keys_answered(now: Now) -> Iterator[Hit] | None:
    return _left_out(now) if isinstance(now.response, dict) and items(now.request, "key") else None


def _left_out(now: Now) -> Iterator[Hit]:
    wanted = [key for one in items(now.request, "key") if (key := folded(one)) is not None]
    found = {*now.once(entries_in), *(folded(one) for one in items(now.response, "unknownKey"))}
    missing = [key for key in wanted if key not in found]
    most = now.session.settings.integer("GetConfigurationMaxKeys")
    if not missing or (most is not None and len(wanted) > most):
        return
    if most is None and len(wanted) > 1:
        yield from now.unknown("GetConfigurationMaxKeys was not seen")
        return
    yield now.hit("GetConfiguration asked for a key that is neither in configurationKey nor in unknownKey",
                  "/unknownKey", expected=missing[:SHOWN_MOST])


@check("config-maxkeys", call("GetConfiguration", by="csms"))
def keys_asked(now: Now) -> Iterator[Hit]:
    count = len(items(now.request, "key"))
    if count < 2:
        return
    setting = now.session.settings.find("GetConfigurationMaxKeys")
    most = now.session.settings.integer("GetConfigurationMaxKeys")
    if setting is None or most is None:
        yield from now.unknown("GetConfigurationMaxKeys was not seen")
    elif 0 < most < count:
        yield now.hit(f"GetConfiguration asks for more keys at once than GetConfigurationMaxKeys, {most}, allows",
                      "/key", seen=count, expected=most, also=[setting.source])


@check("config-required-keys", answer("GetConfiguration", by="csms"))
def all_keys(now: Now) -> Iterator[Hit] | None:
    if items(now.request, "key") or not isinstance(now.response, dict):
        return None
    entries = now.once(entries_in)
    lacking = [profile for profile, keys in _REQUIRED_FOLDED.items() if not keys <= entries.keys()]
    return _lacking(now, entries, lacking) if lacking else None


def _lacking(now: Now, entries: Entries, profiles: list[str]) -> Iterator[Hit]:
    own = next((text(entry, "value") for _, entry in entries.get("supportedfeatureprofiles", ())), None)
    claimed = {word.replace(" ", "") for word in _words(own or "")} or set(now.session.feature_profiles or ())
    for profile in profiles:
        if profile == "core" or profile in claimed:
            missing = [key for key in REQUIRED[profile] if key.casefold() not in entries]
            yield now.hit(f"The list of all keys lacks keys that the profile {SPELLED[profile]} requires: "
                          f"{', '.join(missing[:SHOWN_MOST])}", "/configurationKey", expected=missing)


# What was set


class ReadBack(NamedTuple):
    """What is read of a key that was written before, and at which place."""

    key: str
    value: str
    place: int
    change: Written


def _read_back(now: Now) -> list[ReadBack]:
    """In the order of the answer."""
    written = now.session.book(Keys).written
    entries = now.once(entries_in) if written else {}
    found = [ReadBack(key, value, place, change) for key, change in written.items() if key in entries
             and _due(now, change) for place, value in _values(entries[key])]  # fmt: skip
    return sorted(found, key=lambda one: one.place)


@check("config-readback", answer("GetConfiguration", by="csms"))
def read_back(now: Now) -> Iterator[Hit] | None:
    found = [one for one in now.once(_read_back) if not _same(one.key, one.change.value, one.value)]
    return _told_otherwise(now, found) if found else None


def _told_otherwise(now: Now, found: list[ReadBack]) -> Iterator[Hit]:
    for key, value, place, change in found:
        booted = boot_since(now.session, change.time) is not None
        if (booted and key == "heartbeatinterval") or (key in MEASURAND_KEYS and _part(change.value, value)):
            continue  # set anew by the answer to the boot; told by config-measurand-reject
        lost = booted and change.status == "Accepted"
        name = text(items(now.response, "configurationKey")[place], "key") or ""
        yield now.hit(f"{name[:LONGEST_KEPT]} was set to {_short(change.value)} ({change.status}) and reads "
                      f"{_short(value)}{' after a boot' if booted else ''}", f"/configurationKey/{place}/value",
                      seen=value, expected=change.value, also=[change.answer], case="lost-at-boot" if lost else None)


@check("config-measurand-reject", answer("ChangeConfiguration", by="csms"))
def measurands_set(now: Now) -> Iterator[Hit]:
    key, value = folded(now.request, "key"), text(now.request, "value")
    if key not in MEASURAND_KEYS or value is None or now.status not in ("Accepted", "RebootRequired"):
        return
    words = [word.strip() for word in value.split(",") if word.strip()]
    strange = [word for word in words if _without_phase(word.casefold()) not in MEASURANDS]
    if strange:
        yield now.hit(f"ChangeConfiguration to measurands that OCPP 1.6 does not have was answered {now.status}: "
                      f"{_short(', '.join(strange))}", "/status", seen=now.status, expected="Rejected")


@check("config-measurand-reject", answer("GetConfiguration", by="csms"))
def measurands_read(now: Now) -> Iterator[Hit] | None:
    found = [one for one in now.once(_read_back) if one.key in MEASURAND_KEYS and _part(one.change.value, one.value)]
    return _partly_read(now, found) if found else None


def _partly_read(now: Now, found: list[ReadBack]) -> Iterator[Hit]:
    for _, value, place, change in found:
        yield now.hit(f"Of the measurands that were set by ChangeConfiguration ({change.status}), some are missing "
                      "when they are read", f"/configurationKey/{place}/value", seen=value, expected=change.value,
                      also=[change.answer])


def _part(wanted: str, seen: str) -> bool:
    """Whether some of the measurands are left, but not all."""
    kept, asked = _measurands(seen), _measurands(wanted)
    return bool(kept) and kept < asked


def _measurands(value: str) -> set[str]:
    """The measurands of a list, without their phases: a station may list each phase of what was asked for."""
    return {_without_phase(word) for word in _words(value)}


def _without_phase(word: str) -> str:
    return next((word[: -len(phase) - 1] for phase in PHASES if word.endswith(f".{phase}")), word)


# Cache


@check("clearcache-nocache", answer("ClearCache", by="csms"))
def cache_cleared(now: Now) -> Iterator[Hit]:
    if now.status != "Accepted":
        return
    key = "AuthorizationCacheEnabled"
    unknown = _unknown(now, key.casefold())
    if now.session.settings.find(key) is not None:
        return
    if unknown is None and not _listed(now):
        yield from now.unknown("whether the station has a cache was not seen: AuthorizationCacheEnabled was not read")
        return
    yield now.hit("ClearCache was answered Accepted, though the station has no AuthorizationCacheEnabled, so no cache",
                  "/status", seen="Accepted", expected="Rejected", also=[unknown])
