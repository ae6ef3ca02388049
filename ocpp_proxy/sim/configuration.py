"""The configuration keys of an OCPP 1.6 station.

Decides which keys there are, what may be written to them and how they are listed. Refuses to know what a key does:
whoever depends on one reads it when it matters.

Source: OCPP 1.6 sections 5.3, 5.8 and 9 (keys, types, which are required).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ocpp_proxy.sim.meter import MEASURANDS

Kind: TypeAlias = Literal["int", "bool", "list", "text"]

_PROFILES = ("Core", "FirmwareManagement", "LocalAuthListManagement", "Reservation", "SmartCharging", "RemoteTrigger")
_SAMPLED = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"


@dataclass(frozen=True, slots=True)
class Key:
    """`allowed`: the members a list may have; None where any text will do. `at_reboot`: a new value counts from the
    next connection on. A `secret` one is never listed with its value."""

    name: str
    value: str
    readonly: bool = False
    kind: Kind = "int"
    minimum: int = 0
    allowed: frozenset[str] | None = None
    at_reboot: bool = False
    secret: bool = False

    def takes(self, value: str) -> bool:
        if self.kind == "int":
            return value.strip().removeprefix("-").isdecimal() and int(value) >= self.minimum
        if self.kind == "bool":
            return value.strip().lower() in ("true", "false")
        if self.kind == "list" and self.allowed is not None:
            return members(value) <= self.allowed
        return True


def members(value: str) -> set[str]:
    """What a comma-separated list holds."""
    return {part for part in (piece.strip() for piece in value.split(",")) if part}


def _measurands(name: str, value: str) -> Key:
    return Key(name, value, kind="list", allowed=MEASURANDS)


def _fixed(name: str, value: str, kind: Kind = "int") -> Key:
    return Key(name, value, readonly=True, kind=kind)


def _flag(name: str, value: str) -> Key:
    return Key(name, value, kind="bool")


CORE = (
    _flag("AuthorizeRemoteTxRequests", "true"),
    Key("ClockAlignedDataInterval", "0"),
    Key("ConnectionTimeOut", "60"),
    Key("ConnectorPhaseRotation", "0.RST,1.RST,2.RST", kind="text"),
    _fixed("GetConfigurationMaxKeys", "50"),
    Key("HeartbeatInterval", "300", minimum=1),
    _flag("LocalAuthorizeOffline", "true"),
    _flag("LocalPreAuthorize", "false"),
    _measurands("MeterValuesAlignedData", "Energy.Active.Import.Register"),
    _measurands("MeterValuesSampledData", _SAMPLED),
    Key("MeterValueSampleInterval", "60"),
    _fixed("NumberOfConnectors", "2"),
    Key("ResetRetries", "1"),
    _flag("StopTransactionOnInvalidId", "true"),
    Key("StopTxnAlignedData", "", kind="list", allowed=frozenset()),
    _measurands("StopTxnSampledData", "Energy.Active.Import.Register"),
    _fixed("SupportedFeatureProfiles", ",".join(_PROFILES), "list"),
    Key("TransactionMessageAttempts", "3", minimum=1),
    Key("TransactionMessageRetryInterval", "30"),
    _flag("UnlockConnectorOnEVSideDisconnect", "true"),
)
OPTIONAL = (
    _flag("AllowOfflineTxForUnknownId", "false"),
    _flag("AuthorizationCacheEnabled", "true"),
    _fixed("ConnectorPhaseRotationMaxLength", "3"),
    _fixed("MaxEnergyOnInvalidId", "0"),
    _fixed("MeterValuesSampledDataMaxLength", "6"),
    _fixed("MinimumStatusDuration", "0"),
    _flag("StopTransactionOnEVSideDisconnect", "true"),
    _fixed("StopTxnSampledDataMaxLength", "6"),
    Key("WebSocketPingInterval", "0", at_reboot=True),
)
LOCAL_LIST = (
    _flag("LocalAuthListEnabled", "true"),
    _fixed("LocalAuthListMaxLength", "1000"),
    _fixed("SendLocalListMaxLength", "100"),
)
COMFORT = (
    Key("BlinkRepeat", "3"),
    Key("LightIntensity", "80"),
)
RESERVATION = (_fixed("ReserveConnectorZeroSupported", "false", "bool"),)
SECURITY = (
    Key("AdditionalRootCertificateCheck", "false", readonly=True, kind="bool"),
    Key("AuthorizationKey", "", kind="text", at_reboot=True, secret=True),
    _fixed("CertificateSignedMaxChainSize", "10000"),
    _fixed("CertificateStoreMaxLength", "10"),
    Key("CpoName", "Loopback Charging", kind="text"),
    _fixed("SecurityProfile", "1"),
)
SMART_CHARGING = (
    _fixed("ChargeProfileMaxStackLevel", "10"),
    _fixed("ChargingScheduleAllowedChargingRateUnit", "Current,Power", "list"),
    _fixed("ChargingScheduleMaxPeriods", "24"),
    _fixed("MaxChargingProfilesInstalled", "20"),
)


class Configuration:
    """Keys are told apart without regard to case and listed in the order given."""

    def __init__(self, keys: Iterable[Key], values: Mapping[str, str] | None = None) -> None:
        overrides = dict(values or {})
        self._keys = {key.name.lower(): replace(key, value=overrides.pop(key.name, key.value)) for key in keys}
        if overrides:
            raise ValueError(f"no such configuration keys: {', '.join(overrides)}")

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def text(self, name: str) -> str:
        """The value, or "" where the station has no such key."""
        key = self._keys.get(name.lower())
        return key.value if key else ""

    def number(self, name: str) -> int:
        """The value, or 0 where the station has no such key."""
        return int(self.text(name) or 0)

    def flag(self, name: str) -> bool:
        """The value, or False where the station has no such key."""
        return self.text(name).strip().lower() == "true"

    def listed(self, name: str) -> list[str]:
        """The members of a list, in order."""
        return [part for part in (piece.strip() for piece in self.text(name).split(",")) if part]

    def put(self, name: str, value: str) -> None:
        """Set a key of the station's own accord, readonly or not."""
        self._keys[name.lower()] = replace(self._keys[name.lower()], value=value)

    def change(self, name: str, value: str) -> str:
        """The status for ChangeConfiguration; the value is in effect if it is Accepted."""
        key = self._keys.get(name.lower())
        if key is None:
            return "NotSupported"
        if key.readonly or not key.takes(value):
            return "Rejected"
        self.put(name, value)
        return "RebootRequired" if key.at_reboot else "Accepted"

    def report(self, names: Iterable[str] | None) -> dict[str, Any]:
        """The response to GetConfiguration for `names`, or for all keys where there are none."""
        asked = list(names or self._keys)
        known = [self._keys[name.lower()] for name in asked if name.lower() in self._keys]
        unknown = [name for name in asked if name.lower() not in self._keys]
        listed = [{"key": key.name, "readonly": key.readonly} | ({} if key.secret else {"value": key.value})
                  for key in known]
        return {"configurationKey": listed} | ({"unknownKey": unknown} if unknown else {})
