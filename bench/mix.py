"""A day of an OCPP 1.6 station in a hundred frames: what the analysis is measured on.

Decides the mix: a boot, the CSMS's questions, heartbeats, one charging session with its meter values, a
refusal. Proportions are those of ordinary logs: meter values and heartbeats are most of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from bench import traffic
from ocpp_proxy.core.frame import OTHER_SIDE, Side

# Keys and values as stations report them: 38, so that the answer is as long as they are in the field.
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
    ("ChargeProfileMaxStackLevel", True, "10"),
)
HEARTBEATS, METER_VALUES = 16, 24

Said = tuple[Side, bytes]


def conversation(station: str) -> list[Said]:
    """(sender, frame) in order; ids are this station's own."""
    return list(_Day(station).frames())


class _Day:
    def __init__(self, station: str) -> None:
        self._ids = (f"{station}-{number}" for number in count(1))
        self._seconds = count(0, 20)

    def frames(self) -> Iterator[Said]:
        yield from self._asks("station", "BootNotification", traffic.BOOT,
                              {"status": "Accepted", "currentTime": self._now(), "interval": 300})
        yield from self._status(0, "Available")
        yield from self._status(1, "Available")
        yield from self._asks("csms", "GetConfiguration", {}, {"configurationKey": [
            {"key": key, "readonly": readonly, "value": value} for key, readonly, value in CONFIGURATION]})
        for key, value in (("MeterValueSampleInterval", "60"), ("HeartbeatInterval", "300")):
            yield from self._asks("csms", "ChangeConfiguration", {"key": key, "value": value}, {"status": "Accepted"})
        yield from self._refused("csms", "DataTransfer", {"vendorId": "com.example", "messageId": "Ping", "data": "{}"})
        for _ in range(HEARTBEATS):
            yield from self._asks("station", "Heartbeat", {}, {"currentTime": self._now()})
        yield from self._session()

    def _session(self) -> Iterator[Said]:
        tag = {"idTag": "04AABBCCDD"}
        yield from self._status(1, "Preparing")
        yield from self._asks("station", "Authorize", tag, {"idTagInfo": {"status": "Accepted"}})
        yield from self._asks("station", "StartTransaction",
                              {"connectorId": 1, **tag, "meterStart": 0, "timestamp": self._now()},
                              {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}})
        yield from self._status(1, "Charging")
        yield from self._asks("csms", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": {
            "chargingProfileId": 1, "transactionId": 4711, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute", "chargingSchedule": {
                "chargingRateUnit": "A", "startSchedule": self._now(),
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 3600, "limit": 10.5}]}}},
            {"status": "Accepted"})
        for number in range(METER_VALUES):
            message_id = next(self._ids)
            yield "station", traffic.meter_values(message_id.encode(), self._now().encode(), number * 180)
            yield "csms", traffic.result(message_id, {})
        yield from self._asks("csms", "RemoteStopTransaction", {"transactionId": 4711}, {"status": "Accepted"})
        yield from self._asks("station", "StopTransaction",
                              {"transactionId": 4711, **tag, "meterStop": METER_VALUES * 180,
                               "timestamp": self._now(), "reason": "Remote"}, {"idTagInfo": {"status": "Accepted"}})
        yield from self._status(1, "Finishing")
        yield from self._status(1, "Available")

    def _status(self, connector: int, status: str) -> Iterator[Said]:
        yield from self._asks("station", "StatusNotification", {
            "connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": self._now()}, {})

    def _asks(self, caller: Side, action: str, request: dict[str, Any], response: dict[str, Any]) -> Iterator[Said]:
        message_id = next(self._ids)
        yield caller, traffic.call(message_id, action, request)
        yield OTHER_SIDE[caller], traffic.result(message_id, response)

    def _refused(self, caller: Side, action: str, request: dict[str, Any]) -> Iterator[Said]:
        message_id = next(self._ids)
        yield caller, traffic.call(message_id, action, request)
        yield OTHER_SIDE[caller], b'[4,"%s","NotSupported","vendor is not known",{}]' % message_id.encode()

    def _now(self) -> str:
        second = next(self._seconds)
        return f"2026-11-21T{9 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.000Z"
