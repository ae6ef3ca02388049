"""A day of an OCPP 1.6 station in a hundred frames: what the analysis is measured on.

Decides the mix: a boot, the CSMS's questions, heartbeats, one charging session with its meter values, a
refusal. Proportions are those of ordinary logs: meter values and heartbeats are most of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from bench import traffic
from ocpp_proxy.core.frame import OTHER_SIDE, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, Opened

# Keys and values as stations report them: 41, so that the answer is as long as they are in the field.
CONFIGURATION = (
    ("AllowOfflineTxForUnknownId", False, "false"), ("AuthorizationCacheEnabled", False, "true"),
    ("AuthorizeRemoteTxRequests", False, "false"), ("BlinkRepeat", False, "3"),
    ("ClockAlignedDataInterval", False, "0"), ("ConnectionTimeOut", False, "60"),
    ("GetConfigurationMaxKeys", True, "50"), ("HeartbeatInterval", False, "300"),
    ("LightIntensity", False, "80"), ("LocalAuthorizeOffline", False, "true"),
    ("LocalPreAuthorize", False, "false"), ("MaxEnergyOnInvalidId", False, "0"),
    ("MeterValuesAlignedData", False, "Energy.Active.Import.Register"),
    ("MeterValuesAlignedDataMaxLength", True, "10"),
    ("MeterValuesSampledData", False, "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"),
    ("MeterValuesSampledDataMaxLength", True, "10"), ("MeterValueSampleInterval", False, "60"),
    ("MinimumStatusDuration", False, "0"), ("NumberOfConnectors", True, "1"), ("ResetRetries", False, "3"),
    ("ConnectorPhaseRotation", False, "0.RST,1.RST"), ("ConnectorPhaseRotationMaxLength", True, "2"),
    ("StopTransactionOnEVSideDisconnect", False, "true"), ("StopTransactionOnInvalidId", False, "true"),
    ("StopTxnAlignedData", False, ""), ("StopTxnAlignedDataMaxLength", True, "10"),
    ("StopTxnSampledData", False, ""), ("StopTxnSampledDataMaxLength", True, "10"),
    ("SupportedFeatureProfiles", True, "Core,FirmwareManagement,LocalAuthListManagement,SmartCharging,RemoteTrigger"),
    ("SupportedFeatureProfilesMaxLength", True, "6"), ("TransactionMessageAttempts", False, "3"),
    ("TransactionMessageRetryInterval", False, "60"), ("UnlockConnectorOnEVSideDisconnect", False, "true"),
    ("WebSocketPingInterval", False, "60"), ("LocalAuthListEnabled", False, "true"),
    ("LocalAuthListMaxLength", True, "200"), ("SendLocalListMaxLength", True, "100"),
    ("ChargeProfileMaxStackLevel", True, "10"), ("ChargingScheduleAllowedChargingRateUnit", True, "Current,Power"),
    ("ChargingScheduleMaxPeriods", True, "24"), ("MaxChargingProfilesInstalled", True, "10"),
)
HEARTBEATS, METER_VALUES = 16, 24
HEARTBEAT_S, SAMPLE_S, ANSWER_S = 300, 60, 0.1
SAMPLE_WH = 184  # 11,040 W for a minute
BEGIN = datetime(2026, 11, 21, 9, tzinfo=UTC)
_BEGIN_US = round(BEGIN.timestamp() * 1e6)
DAY_S = HEARTBEATS * HEARTBEAT_S + METER_VALUES * SAMPLE_S + 120  # as long as what is in it

Said = tuple[float, Side, bytes]


def conversation(station: str, day: int = 0) -> list[Said]:
    """(seconds since BEGIN, sender, frame) in order; ids are this station's own. The days of a station fit together:
    another transaction each, and a meter that goes on."""
    return list(_Day(station, day).frames())


def at(seconds: float) -> Instant:
    """The moment so many seconds after BEGIN."""
    at_us = _BEGIN_US + round(seconds * 1e6)
    return Instant(at_us, at_us * 1000)


def opened(station: str) -> Opened:
    """The connection of the station, named like it."""
    target, handshake = f"/ocpp/{station}", (("Host", "csms.example.com"),)
    return Opened(connection=station, at=at(-1), station=station, target=target, subprotocol="ocpp1.6",
                  offered=("ocpp1.6",), station_headers=handshake)


def closed(station: str, when: Instant) -> Closed:
    """The end of that connection."""
    return Closed(connection=station, at=when, by="station", code=1000)


class _Day:
    def __init__(self, station: str, day: int) -> None:
        self._ids = (f"{station}-{day}-{number}" for number in count(1))
        self._time = float(day * DAY_S) + sum(station.encode()) % 97 / 10  # no two do all at the same moment
        self._transaction = 4711 + day
        self._meter = day * METER_VALUES * SAMPLE_WH
        self._first = day == 0

    def frames(self) -> Iterator[Said]:
        if self._first:
            yield from self._asks("station", "BootNotification", traffic.BOOT,
                                  {"status": "Accepted", "currentTime": self._now(), "interval": HEARTBEAT_S})
            yield from self._status(0, "Available")
            yield from self._status(1, "Available")
        yield from self._asks("csms", "GetConfiguration", {}, {"configurationKey": [
            {"key": key, "readonly": readonly, "value": value} for key, readonly, value in CONFIGURATION]})
        for key, value in (("MeterValueSampleInterval", SAMPLE_S), ("HeartbeatInterval", HEARTBEAT_S)):
            yield from self._asks("csms", "ChangeConfiguration", {"key": key, "value": str(value)},
                                  {"status": "Accepted"})
        yield from self._refused("csms", "DataTransfer", {"vendorId": "com.example", "messageId": "Ping", "data": "{}"})
        for _ in range(HEARTBEATS):
            self._time += HEARTBEAT_S
            yield from self._asks("station", "Heartbeat", {}, {"currentTime": self._now()})
        yield from self._session()

    def _session(self) -> Iterator[Said]:
        tag, transaction = {"idTag": "04AABBCCDD"}, {"transactionId": self._transaction}
        yield from self._status(1, "Preparing")
        yield from self._asks("station", "Authorize", tag, {"idTagInfo": {"status": "Accepted"}})
        yield from self._asks("station", "StartTransaction",
                              {"connectorId": 1, **tag, "meterStart": self._meter, "timestamp": self._now()},
                              {**transaction, "idTagInfo": {"status": "Accepted"}})
        yield from self._status(1, "Charging")
        yield from self._asks("csms", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": {
            "chargingProfileId": 1, **transaction, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute", "chargingSchedule": {
                "chargingRateUnit": "A", "startSchedule": self._now(),
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 3600, "limit": 10.5}]}}},
            {"status": "Accepted"})
        for _ in range(METER_VALUES):
            self._time += SAMPLE_S
            self._meter += SAMPLE_WH
            message_id = next(self._ids)
            yield self._time, "station", traffic.meter_values(
                message_id.encode(), self._now().encode(), self._meter, self._transaction)
            yield self._time + ANSWER_S, "csms", traffic.result(message_id, {})
        self._time += 1
        yield from self._asks("csms", "RemoteStopTransaction", transaction, {"status": "Accepted"})
        yield from self._asks("station", "StopTransaction",
                              {**transaction, **tag, "meterStop": self._meter, "timestamp": self._now(),
                               "reason": "Remote"}, {"idTagInfo": {"status": "Accepted"}})
        yield from self._status(1, "Finishing")
        yield from self._status(1, "Available")

    def _status(self, connector: int, status: str) -> Iterator[Said]:
        yield from self._asks("station", "StatusNotification", {
            "connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": self._now()}, {})

    def _asks(self, caller: Side, action: str, request: dict[str, Any], response: dict[str, Any]) -> Iterator[Said]:
        message_id = next(self._ids)
        yield self._time, caller, traffic.call(message_id, action, request)
        yield self._time + ANSWER_S, OTHER_SIDE[caller], traffic.result(message_id, response)
        self._time += 1

    def _refused(self, caller: Side, action: str, request: dict[str, Any]) -> Iterator[Said]:
        message_id = next(self._ids)
        yield self._time, caller, traffic.call(message_id, action, request)
        error = b'[4,"%s","NotSupported","vendor is not known",{}]' % message_id.encode()
        yield self._time + ANSWER_S, OTHER_SIDE[caller], error
        self._time += 1

    def _now(self) -> str:
        return f"{(BEGIN + timedelta(seconds=int(self._time))).replace(tzinfo=None).isoformat()}.000Z"
