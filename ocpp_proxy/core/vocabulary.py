"""The words of each OCPP version: actions, who may call them, error codes, subprotocols.

Decides which names a version knows and which side may send them. Refuses to know how a frame is written (`reader`)
and what a payload must look like (`schema`).

Source: OCPP 1.6 edition 2 sections 3.3, 4 and 5; Improved security for OCPP 1.6-J edition 3 chapter 5; OCPP-J 1.6
table 7; OCPP 2.0.1 edition 3 and OCPP 2.1 edition 1, Part 2 chapter 1 (messages), Part 4 sections 4.2, 4.3 and 7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ocpp_proxy.core.frame import Call, CallResultError, Frame, Send, Side, Version

Kind: TypeAlias = Literal["call", "send"]

VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")
SUBPROTOCOLS: Mapping[str, Version] = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}
# Versions that this program has neither schemas nor rules for → the one whose framing they share.
OTHER_SUBPROTOCOLS: Mapping[str, Version] = {"ocpp1.2": "1.6", "ocpp1.5": "1.6", "ocpp2.0": "2.0.1"}
# A message signed as a whole carries its action's name with this suffix and a JWS object (2.x Part 4 chapter 7).
SIGNED_SUFFIX = "-Signed"


@dataclass(frozen=True, slots=True)
class Action:
    """`callers`: the sides that may send it. `kind`: "send" is never answered. `profile`: in 1.6 the feature profile as
    SupportedFeatureProfiles spells it, or "Security" for the security extension; None in 2.x."""

    name: str
    callers: frozenset[Side]
    kind: Kind = "call"
    profile: str | None = None


_STATION: frozenset[Side] = frozenset({"station"})
_CSMS: frozenset[Side] = frozenset({"csms"})
_BOTH = _STATION | _CSMS

_16: tuple[tuple[str, frozenset[Side], str], ...] = (
    ("Core", _BOTH, "DataTransfer"),
    ("Core", _STATION, "Authorize BootNotification Heartbeat MeterValues StartTransaction StatusNotification"
                       " StopTransaction"),
    ("Core", _CSMS, "ChangeAvailability ChangeConfiguration ClearCache GetConfiguration RemoteStartTransaction"
                    " RemoteStopTransaction Reset UnlockConnector"),
    ("FirmwareManagement", _STATION, "DiagnosticsStatusNotification FirmwareStatusNotification"),
    ("FirmwareManagement", _CSMS, "GetDiagnostics UpdateFirmware"),
    ("LocalAuthListManagement", _CSMS, "GetLocalListVersion SendLocalList"),
    ("Reservation", _CSMS, "CancelReservation ReserveNow"),
    ("SmartCharging", _CSMS, "ClearChargingProfile GetCompositeSchedule SetChargingProfile"),
    ("RemoteTrigger", _CSMS, "TriggerMessage"),
    ("Security", _STATION, "LogStatusNotification SecurityEventNotification SignCertificate"
                           " SignedFirmwareStatusNotification"),
    ("Security", _CSMS, "CertificateSigned DeleteCertificate ExtendedTriggerMessage GetInstalledCertificateIds"
                        " GetLog InstallCertificate SignedUpdateFirmware"),
)  # fmt: skip

_201: tuple[tuple[frozenset[Side], str], ...] = (
    (_BOTH, "DataTransfer"),
    (_STATION, "Authorize BootNotification ClearedChargingLimit FirmwareStatusNotification"
               " Get15118EVCertificate GetCertificateStatus Heartbeat LogStatusNotification MeterValues"
               " NotifyChargingLimit NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds"
               " NotifyEVChargingSchedule NotifyEvent NotifyMonitoringReport NotifyReport"
               " PublishFirmwareStatusNotification ReportChargingProfiles ReservationStatusUpdate"
               " SecurityEventNotification SignCertificate StatusNotification TransactionEvent"),
    (_CSMS, "CancelReservation CertificateSigned ChangeAvailability ClearCache ClearChargingProfile"
            " ClearDisplayMessage ClearVariableMonitoring CostUpdated CustomerInformation DeleteCertificate"
            " GetBaseReport GetChargingProfiles GetCompositeSchedule GetDisplayMessages"
            " GetInstalledCertificateIds GetLocalListVersion GetLog GetMonitoringReport GetReport"
            " GetTransactionStatus GetVariables InstallCertificate PublishFirmware RequestStartTransaction"
            " RequestStopTransaction ReserveNow Reset SendLocalList SetChargingProfile SetDisplayMessage"
            " SetMonitoringBase SetMonitoringLevel SetNetworkProfile SetVariableMonitoring SetVariables"
            " TriggerMessage UnlockConnector UnpublishFirmware UpdateFirmware"),
)  # fmt: skip

_21: tuple[tuple[frozenset[Side], str], ...] = (
    *_201,
    (_STATION, "BatterySwap ClosePeriodicEventStream GetCertificateChainStatus NotifyDERAlarm"
               " NotifyDERStartStop NotifyPriorityCharging NotifySettlement OpenPeriodicEventStream"
               " PullDynamicScheduleUpdate ReportDERControl VatNumberValidation"),
    (_CSMS, "AFRRSignal AdjustPeriodicEventStream ChangeTransactionTariff ClearDERControl ClearTariffs"
            " GetDERControl GetPeriodicEventStream GetTariffs NotifyAllowedEnergyTransfer"
            " NotifyWebPaymentStarted RequestBatterySwap SetDERControl SetDefaultTariff UpdateDynamicSchedule"
            " UsePriorityCharging"),
)  # fmt: skip

ACTIONS: Mapping[Version, Mapping[str, Action]] = {
    "1.6": {name: Action(name, callers, "call", profile) for profile, callers, names in _16 for name in names.split()},
    "2.0.1": {name: Action(name, callers) for callers, names in _201 for name in names.split()},
    "2.1": {name: Action(name, callers) for callers, names in _21 for name in names.split()}
    | {"NotifyPeriodicEventStream": Action("NotifyPeriodicEventStream", _STATION, "send")},
}

FEATURE_PROFILES: tuple[str, ...] = (
    "Core", "FirmwareManagement", "LocalAuthListManagement", "Reservation", "SmartCharging", "RemoteTrigger",
)  # fmt: skip

# Both spellings of the two codes that the editions spell differently are legal everywhere: OCPP-J 1.6 errata 5.1
# and 5.2 keep "FormationViolation" and "OccurenceConstraintViolation" for good, and stacks mix them freely.
_COMMON_CODES = frozenset((
    "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "GenericError",
    "FormationViolation", "FormatViolation", "PropertyConstraintViolation", "TypeConstraintViolation",
    "OccurenceConstraintViolation", "OccurrenceConstraintViolation",
))  # fmt: skip
_2X_CODES = _COMMON_CODES | {"MessageTypeNotSupported", "RpcFrameworkError"}
ERROR_CODES: Mapping[Version, frozenset[str]] = {"1.6": _COMMON_CODES, "2.0.1": _2X_CODES, "2.1": _2X_CODES}


def version_of_subprotocol(name: str | None) -> Version | None:
    """The OCPP version of a negotiated subprotocol, None for none and for one that this program does not know."""
    return SUBPROTOCOLS.get(name) if name is not None else None


def find_action(version: Version, name: str) -> Action | None:
    """The action as the version knows it; one with the suffix of a signed message counts as the action it signs."""
    actions = ACTIONS[version]
    action = actions.get(name)
    if action is None and version != "1.6" and name.endswith(SIGNED_SUFFIX):
        action = actions.get(name.removesuffix(SIGNED_SUFFIX))
    return action


def guess_version(frames: Iterable[Frame]) -> Version | None:
    """The version whose vocabulary the frames speak; None where nothing in them decides.

    Each Call is judged by its action and, where several versions share that, by the names of its fields; types 5 and 6
    say 2.1. The version with most matches counts; among equals the older one.
    """
    votes: Counter[Version] = Counter()
    for frame in frames:
        if isinstance(frame, (Send, CallResultError)):
            votes["2.1"] += 1
        elif isinstance(frame, Call):
            votes.update(_versions_of(frame))
    if not votes:
        return None
    return max(VERSIONS, key=lambda version: votes[version])


# Top-level fields of requests that only one family of versions has, among the actions that both know. A field of 2.x
# decides first: its StatusNotification has a connectorId too.
_FIELDS_OF_2X = frozenset((
    "chargingStation", "reason", "idToken", "evseId", "evse", "connectorStatus", "customData", "versionNumber",
    "chargingProfile", "chargingProfileId", "chargingProfileCriteria", "operationalStatus", "requestId", "firmware",
))  # fmt: skip
_FIELDS_OF_16 = frozenset((
    "chargePointVendor", "chargePointModel", "chargeBoxSerialNumber", "idTag", "connectorId", "errorCode",
    "listVersion", "csChargingProfiles", "location", "retrieveDate", "chargingProfilePurpose", "transactionId",
))  # fmt: skip


def _versions_of(call: Call) -> list[Version]:
    known: list[Version] = [version for version in VERSIONS if call.action in ACTIONS[version]]
    if len(known) < len(VERSIONS) or not isinstance(call.payload, dict):
        return known
    if call.payload.keys() & _FIELDS_OF_2X:
        return known[1:]
    return known[:1] if call.payload.keys() & _FIELDS_OF_16 else known
