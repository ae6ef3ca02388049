"""What a sound CSMS answers to a station, one table a version.

Decides payloads and what the CSMS remembers of a station. Refuses to know registration (`csms_behaviours`) and
connections (`csms`).

Source: OCPP 1.6 section 4; OCPP 2.0.1 and 2.1 Part 2, the messages that a station sends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.endpoint import Payload

# A token beginning so is refused with that status; all others are accepted.
REFUSED_TOKENS: Final = {"BLOCKED": "Blocked", "EXPIRED": "Expired", "INVALID": "Invalid"}


@dataclass(slots=True, eq=False)
class StationState:
    """What the CSMS knows of one station. `statuses` are by connector, (evse, connector) in 2.x; `transactions` are
    by id and hold the last request of each kind; `received` is everything it asked, in order; `invited` are the
    actions that we asked for, which it may therefore send before it is accepted."""

    station_id: str
    version: Version
    clock: ScaledClock
    transaction_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    boots: int = 0
    boot: Payload | None = None
    registration: str | None = None
    statuses: dict[Any, str] = field(default_factory=dict)
    transactions: dict[Any, dict[str, Payload]] = field(default_factory=dict)
    received: list[tuple[str, Payload]] = field(default_factory=list)
    invited: set[str] = field(default_factory=set)

    def invite(self, action: str, request: Payload) -> None:
        """Note what a CALL of ours makes the station send."""
        asked = str(request.get("requestedMessage", action))
        self.invited.add(INVITATIONS.get(asked, asked))


# What a CALL, or a trigger's requested message, makes a station send; other triggers name the message itself.
INVITATIONS: Final[dict[str, str]] = {
    "GetBaseReport": "NotifyReport", "GetReport": "NotifyReport", "GetLog": "LogStatusNotification",
    "SignChargePointCertificate": "SignCertificate", "SignChargingStationCertificate": "SignCertificate",
}


Answer: TypeAlias = Callable[[StationState, Payload], Payload]


def token_status(token: str) -> str:
    return next((status for start, status in REFUSED_TOKENS.items() if token.upper().startswith(start)), "Accepted")


def _empty(_station: StationState, _request: Payload) -> Payload:
    return {}


def _accepted(_station: StationState, _request: Payload) -> Payload:
    return {"status": "Accepted"}


def _heartbeat(station: StationState, _request: Payload) -> Payload:
    return {"currentTime": station.clock.timestamp()}


def _unknown_vendor(_station: StationState, _request: Payload) -> Payload:
    return {"status": "UnknownVendorId"}


def _authorize16(_station: StationState, request: Payload) -> Payload:
    return {"idTagInfo": {"status": token_status(request["idTag"])}}


def _start16(station: StationState, request: Payload) -> Payload:
    again = (known for known, told in station.transactions.items() if told.get("StartTransaction") == request)
    transaction_id = next(again, None) or next(station.transaction_ids)
    station.transactions[transaction_id] = {"StartTransaction": request}
    return {"transactionId": transaction_id, "idTagInfo": {"status": token_status(request["idTag"])}}


def _stop16(station: StationState, request: Payload) -> Payload:
    station.transactions.setdefault(request["transactionId"], {})["StopTransaction"] = request
    return {"idTagInfo": {"status": "Accepted"}} if "idTag" in request else {}


def _status16(station: StationState, request: Payload) -> Payload:
    station.statuses[request["connectorId"]] = request["status"]
    return {}


def _authorize2x(_station: StationState, request: Payload) -> Payload:
    return {"idTokenInfo": {"status": token_status(request["idToken"]["idToken"])}}


def _transaction_event(station: StationState, request: Payload) -> Payload:
    known = station.transactions.setdefault(request["transactionInfo"]["transactionId"], {})
    known[request["eventType"]] = request
    if "idToken" not in request:
        return {}
    return {"idTokenInfo": {"status": token_status(request["idToken"]["idToken"])}}


def _status2x(station: StationState, request: Payload) -> Payload:
    station.statuses[request["evseId"], request["connectorId"]] = request["connectorStatus"]
    return {}


def _notify_event(station: StationState, request: Payload) -> Payload:
    for event in request["eventData"]:
        component = event["component"]
        if component["name"] == "Connector" and event["variable"]["name"] == "AvailabilityState":
            evse = component.get("evse", {})
            station.statuses[evse.get("id"), evse.get("connectorId")] = event["actualValue"]
    return {}


def _certificate_status(_station: StationState, _request: Payload) -> Payload:
    return {"status": "Failed"}  # this CSMS asks no OCSP responder


_BOTH: Final[dict[str, Answer]] = {
    "DataTransfer": _unknown_vendor,
    "FirmwareStatusNotification": _empty,
    "Heartbeat": _heartbeat,
    "LogStatusNotification": _empty,
    "MeterValues": _empty,
    "SecurityEventNotification": _empty,
    "SignCertificate": _accepted,
}
_V16: Final[dict[str, Answer]] = _BOTH | {
    "Authorize": _authorize16,
    "DiagnosticsStatusNotification": _empty,
    "SignedFirmwareStatusNotification": _empty,
    "StartTransaction": _start16,
    "StatusNotification": _status16,
    "StopTransaction": _stop16,
}
_V201: Final[dict[str, Answer]] = _BOTH | {
    "Authorize": _authorize2x,
    "ClearedChargingLimit": _empty,
    "GetCertificateStatus": _certificate_status,
    "NotifyChargingLimit": _empty,
    "NotifyCustomerInformation": _empty,
    "NotifyDisplayMessages": _empty,
    "NotifyEVChargingNeeds": _accepted,
    "NotifyEVChargingSchedule": _accepted,
    "NotifyEvent": _notify_event,
    "NotifyMonitoringReport": _empty,
    "NotifyReport": _empty,
    "PublishFirmwareStatusNotification": _empty,
    "ReportChargingProfiles": _empty,
    "ReservationStatusUpdate": _empty,
    "StatusNotification": _status2x,
    "TransactionEvent": _transaction_event,
}
_V21: Final[dict[str, Answer]] = _V201 | {
    "ClosePeriodicEventStream": _empty,
    "NotifyPeriodicEventStream": _empty,  # a SEND: the answer goes nowhere
    "OpenPeriodicEventStream": _accepted,
}
ANSWERS: Final[Mapping[Version, Mapping[str, Answer]]] = {"1.6": _V16, "2.0.1": _V201, "2.1": _V21}
