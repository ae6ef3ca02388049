"""Whether both sides speak the version that they have agreed on.

Decides by the action, and where several versions share that, by fields that only one of them has. A field alone says
little, since makers add fields of their own: the payload has to break its schema, and to have no field that only the
right version has.

Source: OCPP 1.6 edition 2 chapter 6; OCPP 2.0.1 and 2.1 Part 2 chapter 1 (messages); OCPP 1.5 (heartbeatInterval).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ocpp_proxy.core.frame import Call, CallResult, Send, Version
from ocpp_proxy.core.vocabulary import ACTIONS, find_action, version_of_subprotocol
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import check, message

Fields: TypeAlias = "Mapping[str, tuple[frozenset[str], frozenset[str]]]"  # by action: those of 1.6, those of 2.x


def _fields(table: Mapping[str, tuple[str, str]]) -> Fields:
    return {action: (frozenset(old.split()), frozenset(new.split())) for action, (old, new) in table.items()}


REQUESTS = _fields({
    "Authorize": ("idTag", "idToken certificate iso15118CertificateHashData"),
    "BootNotification": ("chargePointVendor chargePointModel chargePointSerialNumber chargeBoxSerialNumber",
                         "chargingStation reason"),
    "ChangeAvailability": ("connectorId type", "evse operationalStatus"),
    "ClearChargingProfile": ("id connectorId chargingProfilePurpose stackLevel",
                             "chargingProfileId chargingProfileCriteria"),
    "GetCompositeSchedule": ("connectorId", "evseId"),
    "MeterValues": ("connectorId transactionId", "evseId"),
    "ReserveNow": ("connectorId expiryDate idTag reservationId", "id expiryDateTime idToken evseId"),
    "SendLocalList": ("listVersion", "versionNumber"),
    "SetChargingProfile": ("connectorId csChargingProfiles", "evseId chargingProfile"),
    "StatusNotification": ("status errorCode", "connectorStatus evseId"),
    "UpdateFirmware": ("location retrieveDate", "firmware requestId"),
})
RESPONSES = _fields({
    "Authorize": ("idTagInfo", "idTokenInfo"),
    "GetCompositeSchedule": ("connectorId scheduleStart chargingSchedule", "schedule"),
    "GetLocalListVersion": ("listVersion", "versionNumber"),
})
# What OCPP 1.5 called otherwise.
RESPONSES_OF_15: Mapping[str, str] = {"BootNotification": "heartbeatInterval"}


@check("ws-version-content", message())
def foreign_vocabulary(now: Now) -> Iterator[Hit] | None:
    """Nothing is foreign in what the version's schemas allow, but for the fields of 1.5."""
    frame = now.frame
    if isinstance(frame, CallResult):
        known = now.action not in RESPONSES_OF_15
    else:
        known = not isinstance(frame, (Call, Send)) or frame.action in ACTIONS[now.version]
    return None if known and not now.schema_errors else _foreign(now)


def _foreign(now: Now) -> Iterator[Hit]:
    frame, opened = now.frame, now.link.opened if now.link is not None else None
    if opened is None or version_of_subprotocol(opened.subprotocol) != now.version:
        return
    spoken: str | None = None
    if isinstance(frame, (Call, Send)):
        spoken = _version_of_action(frame.action, now.version) or _version_of(now, REQUESTS, frame.payload)
    elif isinstance(frame, CallResult) and now.action:
        spoken = _version_of(now, RESPONSES, frame.payload) or _version_15(now, frame.payload)
    if spoken is not None:
        yield now.hit(f"OCPP {spoken} is spoken on a connection for OCPP {now.version}", seen=spoken,
                      expected=now.version, connector=None, transaction=None)


def _version_of_action(action: str, agreed: Version) -> str | None:
    if find_action(agreed, action) is not None:
        return None
    return next((version for version in ACTIONS if action in ACTIONS[version]), None)


def _version_of(now: Now, table: Fields, payload: Any) -> str | None:
    """The other version, where the payload has fields of it and none of its own."""
    fields = table.get(now.action)
    if fields is None or not now.schema_errors or not isinstance(payload, dict):
        return None
    own, other = fields if now.version == "1.6" else (fields[1], fields[0])
    if payload.keys().isdisjoint(other) or not payload.keys().isdisjoint(own):
        return None
    return "2.x" if now.version == "1.6" else "1.6"


def _version_15(now: Now, payload: Any) -> str | None:
    name = RESPONSES_OF_15.get(now.action)
    return "1.5" if name is not None and isinstance(payload, dict) and name in payload else None
