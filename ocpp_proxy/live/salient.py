"""The salient fields of a frame in a few words, as an engineer would say them on the telephone.

Decides, as two tables (requests and responses by action), which fields of a payload are worth a place on the one line
that a frame gets, and which values call for attention. The rows of 1.6 and 2.x are joined: a field that a version does
not have is absent and says nothing, so that a frame of an unknown version reads as well. Refuses to judge: that is
the rules' work; and never raises, whatever a peer sent.

Source: OCPP 1.6 sections 6 and 7; OCPP 1.6 security whitepaper; OCPP 2.0.1 and 2.1 Part 2, messages.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ocpp_proxy.core.frame import Call, CallError, CallResult, Frame, Malformed, Send
from ocpp_proxy.live.brief import READINGS, Brief
from ocpp_proxy.live.fields import Piece, few_scalars, flag, listed, look, piece, readings, variables
from ocpp_proxy.live.safe import safe, scalar


class Row(NamedTuple):
    """Pieces in the order of their weight; the extra ones are left out where there is no room."""

    main: tuple[Piece, ...] = ()
    extra: tuple[Piece, ...] = ()


def _row(*pieces: str | Piece, extra: tuple[str | Piece, ...] = ()) -> Row:
    return Row(_pieces(pieces), _pieces(extra))


def _pieces(items: tuple[str | Piece, ...]) -> tuple[Piece, ...]:
    return tuple(piece(item) if isinstance(item, str) else item for item in items)


_CONNECTOR = ("evse {evseId}", "evse {evse/id}", "connector {connectorId}", "connector {evse/connectorId}")
_TOKEN = ("{idTag}", "{idToken/idToken}", "({idToken/type})")
_TBC = flag("tbc", "more to come")
_SCHEDULES = ("csChargingProfiles/chargingSchedule", "chargingProfile/chargingSchedule",
              "chargingProfile/chargingSchedule/0")  # 1.6 SetChargingProfile, 1.6 RemoteStartTransaction, 2.x
_PROFILE = (
    *[template.replace("*", path) for path in _SCHEDULES for template in (
        "limit {*/chargingSchedulePeriod/0/limit}", "{*/chargingRateUnit}")],
    "{csChargingProfiles/chargingProfilePurpose}", "{chargingProfile/chargingProfilePurpose}")
_PROFILE_EXTRA = (
    *[template.replace("*", path) for path in ("csChargingProfiles", "chargingProfile") for template in (
        "stack level {*/stackLevel}", "profile {*/chargingProfileId}", "profile {*/id}")],
    *[f"{{{path}/chargingSchedulePeriod#}}-period" for path in _SCHEDULES])
_FIRMWARE = ("request {requestId}", "{location}", "{firmware/location}", "at {retrieveDate}",
             "at {firmware/retrieveDateTime}")
_REQUESTED = ("{requestedMessage}", *_CONNECTOR)
_UPDATE = ("{status}", "request {requestId}")

REQUESTS: dict[str, Row] = {
    "Authorize": _row(*_TOKEN),
    "BootNotification": _row(
        "{chargePointVendor}", "{chargePointModel}", "fw {firmwareVersion}", "{chargingStation/vendorName}",
        "{chargingStation/model}", "fw {chargingStation/firmwareVersion}",
        extra=("({reason})", "serial {chargePointSerialNumber}", "serial {chargingStation/serialNumber}")),
    "CertificateSigned": _row("{certificateType}"),
    "ChangeAvailability": _row(*_CONNECTOR, "{type}", "{operationalStatus}"),
    "ChangeConfiguration": _row(lambda payload: f"{scalar(payload.get('key'))} = {scalar(payload.get('value'))}"),
    "ClearCache": Row(),
    "ClearChargingProfile": _row(
        "profile {id}", "profile {chargingProfileId}", *_CONNECTOR, "{chargingProfilePurpose}",
        "evse {chargingProfileCriteria/evseId}", "{chargingProfileCriteria/chargingProfilePurpose}",
        extra=("stack level {stackLevel}",)),
    "CostUpdated": _row("tx {transactionId}", "cost {totalCost}"),
    "DataTransfer": _row("{vendorId}", "{messageId}", "{data}"),
    "DiagnosticsStatusNotification": _row("{status}"),
    "ExtendedTriggerMessage": _row(*_REQUESTED),
    "FirmwareStatusNotification": _row(*_UPDATE),
    "GetBaseReport": _row("request {requestId}", "{reportBase}"),
    "GetCompositeSchedule": _row(*_CONNECTOR, "{duration} s", "in {chargingRateUnit}"),
    "GetConfiguration": _row(listed("key", "", "all keys")),
    "GetDiagnostics": _row("to {location}", extra=("from {startTime}", "until {stopTime}")),
    "GetLog": _row("{logType}", "request {requestId}", "to {log/remoteLocation}"),
    "GetReport": _row("request {requestId}", variables("componentVariable"), listed("componentCriteria", "")),
    "GetVariables": _row(variables("getVariableData", " attributeType")),
    "Heartbeat": Row(),
    "LogStatusNotification": _row(*_UPDATE),
    "MeterValues": _row(*_CONNECTOR, readings("meterValue", READINGS), extra=("tx {transactionId}",)),
    "NotifyEvent": _row("seq {seqNo}", variables("eventData", "=actualValue", " trigger"), _TBC),
    "NotifyMonitoringReport": _row("request {requestId}", "seq {seqNo}", "{monitor#} items", _TBC),
    "NotifyPeriodicEventStream": _row("stream {id}", "{data#} values", "{pending} pending"),
    "NotifyReport": _row("request {requestId}", "seq {seqNo}", "{reportData#} items", _TBC),
    "RemoteStartTransaction": _row(*_CONNECTOR, *_TOKEN, *_PROFILE, extra=_PROFILE_EXTRA),
    "RemoteStopTransaction": _row("tx {transactionId}"),
    "ReportChargingProfiles": _row("request {requestId}", *_CONNECTOR, "{chargingProfile#} profiles", _TBC),
    "RequestStartTransaction": _row(*_CONNECTOR, *_TOKEN, "remoteStartId {remoteStartId}", *_PROFILE,
                                    extra=_PROFILE_EXTRA),
    "RequestStopTransaction": _row("tx {transactionId}"),
    "ReserveNow": _row("reservation {reservationId}", "reservation {id}", *_CONNECTOR, *_TOKEN,
                       extra=("until {expiryDate}", "until {expiryDateTime}")),
    "Reset": _row("{type}", *_CONNECTOR),
    "SecurityEventNotification": _row("{type}", "{techInfo}"),
    "SendLocalList": _row("{updateType}", "version {listVersion}", "version {versionNumber}",
                          "{localAuthorizationList#} entries"),
    "SetChargingProfile": _row(*_CONNECTOR, *_PROFILE, extra=_PROFILE_EXTRA),
    "SetNetworkProfile": _row("slot {configurationSlot}", "{connectionData/ocppCsmsUrl}",
                              "security profile {connectionData/securityProfile}"),
    "SetVariableMonitoring": _row(variables("setMonitoringData", " type", " value")),
    "SetVariables": _row(variables("setVariableData", "=attributeValue")),
    "SignCertificate": _row("{certificateType}"),
    "SignedFirmwareStatusNotification": _row(*_UPDATE),
    "SignedUpdateFirmware": _row(*_FIRMWARE),
    "StartTransaction": _row(*_CONNECTOR, *_TOKEN, "meter {meterStart} Wh",
                             extra=("reservation {reservationId}",)),
    "StatusNotification": _row(*_CONNECTOR, "{status}", "{connectorStatus}", "{errorCode}", "{vendorErrorCode}",
                               extra=("{info}",)),
    "StopTransaction": _row("tx {transactionId}", "meter {meterStop} Wh", "{reason}",
                            extra=(*_TOKEN, "{transactionData#} readings")),
    "TransactionEvent": _row(
        "{eventType}", "seq {seqNo}", *_CONNECTOR, "{triggerReason}", "{transactionInfo/chargingState}",
        "{transactionInfo/stoppedReason}", flag("offline", "offline"), readings("meterValue", READINGS),
        extra=("tx {transactionInfo/transactionId}", *_TOKEN)),
    "TriggerMessage": _row(*_REQUESTED),
    "UnlockConnector": _row(*_CONNECTOR),
    "UpdateFirmware": _row(*_FIRMWARE),
}

_STATUS = ("{status}", "{statusInfo/reasonCode}", "{statusInfo/additionalInfo}")
_ID_INFO = ("{idTagInfo/status}", "{idTokenInfo/status}")
_ID_EXTRA = ("until {idTagInfo/expiryDate}", "parent {idTagInfo/parentIdTag}",
             "group {idTokenInfo/groupIdToken/idToken}")


def _configuration(payload: Any) -> str:
    keys = payload.get("configurationKey")
    if not isinstance(keys, list):
        return ""
    if len(keys) == 1 and isinstance(keys[0], dict):
        return f"{scalar(keys[0].get('key'))} = {scalar(keys[0].get('value'))}"
    return f"{len(keys)} keys"


RESPONSES: dict[str, Row] = {
    "Authorize": _row(*_ID_INFO, "certificate {certificateStatus}", extra=_ID_EXTRA),
    "BootNotification": _row(*_STATUS, "interval {interval} s", extra=("clock {currentTime}",)),
    "DataTransfer": _row(*_STATUS, "{data}"),
    "GetCompositeSchedule": _row(*_STATUS, "{chargingSchedule/chargingSchedulePeriod#}-period",
                                 "{schedule/chargingSchedulePeriod#}-period"),
    "GetConfiguration": _row(_configuration, listed("unknownKey", "unknown")),
    "GetDiagnostics": _row("file {fileName}", lambda payload: "" if "fileName" in payload else "no file"),
    "GetLocalListVersion": _row("version {listVersion}", "version {versionNumber}"),
    "GetLog": _row(*_STATUS, "file {filename}"),
    "GetVariables": _row(variables("getVariableResult", "=attributeValue", " attributeStatus")),
    "Heartbeat": _row("clock {currentTime}"),
    "SetVariableMonitoring": _row(variables("setMonitoringResult", " status")),
    "SetVariables": _row(variables("setVariableResult", " attributeStatus")),
    "StartTransaction": _row("tx {transactionId}", *_ID_INFO, extra=_ID_EXTRA),
    "StopTransaction": _row(*_ID_INFO, extra=_ID_EXTRA),
    "TransactionEvent": _row(*_ID_INFO, "cost {totalCost}",
                             extra=(*_ID_EXTRA, "{updatedPersonalMessage/content}")),
}

# Statuses of an answer that say no more than "yes"; every other deserves a look.
_PLAIN = {"Accepted", "Scheduled", "Unlocked"}
_STATUS_PATHS = (("status",), ("idTagInfo", "status"), ("idTokenInfo", "status"))
_RESULT_LISTS = (("setVariableResult", "attributeStatus"), ("getVariableResult", "attributeStatus"),
                 ("setMonitoringResult", "status"), ("clearMonitoringResult", "status"))
_TROUBLE = ("Fail", "Fault", "Invalid", "Error")


def brief(frame: Frame | None, action: str | None = None) -> Brief:
    """What is salient in `frame`; `action` is that of the exchange which an answer belongs to, None if unknown."""
    if isinstance(frame, CallResult):
        return Brief(*_said(RESPONSES, action, frame.payload), ", ", _refused(frame.payload))
    if isinstance(frame, Call | Send):
        return Brief(*_said(REQUESTS, frame.action, frame.payload), " ", _trouble(frame.action, frame.payload))
    if isinstance(frame, CallError):
        return Brief((scalar(frame.description, 200),) if frame.description else (), notable=True)
    if isinstance(frame, Malformed):
        why = safe(frame.defects[0].message, 120) if frame.defects else "unreadable"
        return Brief((f"{why}:", safe(frame.raw[:80].decode("utf-8", "replace"), 80)), notable=True)
    return _NOTHING


_NOTHING = Brief()


def _said(table: dict[str, Row], action: str | None, payload: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not isinstance(payload, dict):
        return (scalar(payload),), ()
    row = table.get(action) if action is not None else None
    if row is None and table is RESPONSES and "status" in payload:
        row = _ANSWER
    if row is None:
        return ((few_scalars(payload),) if payload else ()), ()
    main, extra = row
    return (tuple([words for show in main if (words := show(payload))]),
            tuple([words for show in extra if (words := show(payload))]))


_ANSWER = _row(*_STATUS)


def _refused(payload: Any) -> bool:
    if not isinstance(payload, dict):
        return True
    for path in _STATUS_PATHS:
        status = look(payload, path)
        if status is not None and (not isinstance(status, str) or status not in _PLAIN):
            return True
    return any(
        isinstance(items := payload.get(key), list)
        and any(look(item, (field,)) not in (None, "Accepted") for item in items)
        for key, field in _RESULT_LISTS)


def _trouble(action: str, payload: Any) -> bool:
    if not isinstance(payload, dict):
        return True
    status = payload.get("status")
    return (action == "SecurityEventNotification" or payload.get("connectorStatus") == "Faulted"
            or payload.get("errorCode", "NoError") != "NoError"
            or (isinstance(status, str) and any(word in status for word in _TROUBLE)))
