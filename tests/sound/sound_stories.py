"""Sound traffic: conformant simulators live through a day behind the real relay, and everything is recorded.

Decides what happens on that day, in each version. Nothing of it breaks a rule, so that no rule may say so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ocpp_proxy.capture import Recorder, open_capture
from ocpp_proxy.clock import now
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.proxy import RelaySettings
from ocpp_proxy.relay.service import Service
from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.csms_behaviours import Accepting, PendingFirst
from ocpp_proxy.sim.endpoint import CallFailed
from ocpp_proxy.sim.station import SimulatedStation

STATION = "CP1"
PASSWORD = "a0b1c2d3e4f5g6h7"  # 16 characters, as both editions of the security rules allow
HEARTBEAT_S = 60
PATIENCE_S = 60.0
LONG_AGO = "2020-01-01T00:00:00.000Z"
TOKEN = {"idToken": "REMOTE", "type": "Central"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Often(Accepting):
    heartbeat_interval_s = HEARTBEAT_S


class OftenAfterPending(PendingFirst):
    heartbeat_interval_s = HEARTBEAT_S


@dataclass
class Day:
    """The two of them, and what a story needs to go on."""

    csms: SimulatedCsms
    station: SimulatedStation
    clock: ScaledClock

    async def ask(self, action: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        """A CALL of the CSMS; a CALLERROR is an answer too."""
        try:
            return await self.csms.call(STATION, action, payload or {})
        except CallFailed as failed:
            return {"error": str(failed)}

    async def heard(self, action: str, where: Callable[[Any], bool] = lambda _: True, after: int = 0) -> Any:
        return await self.csms.wait_for(STATION, action, where, after=after, timeout_s=PATIENCE_S)

    @property
    def so_far(self) -> int:
        return len(self.csms.stations[STATION].received)

    async def passes(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def ready_again(self) -> None:
        await asyncio.wait_for(self.station.ready.wait(), PATIENCE_S)
        await self.passes(3)


Story = Callable[[Day], Awaitable[None]]


@dataclass(frozen=True)
class Lived:
    """`live`: what was found while it ran; `capture`: where it is on record; `began`: when its clock was set going."""

    capture: Path
    live: list[Finding]
    began: Instant
    scale: float

    def records(self) -> Iterator[Record]:
        """The records as if the day had taken its own time: the relay's clock runs like that of the payloads."""
        with open_capture(self.capture) as capture:
            for record in capture.records():
                if record.at is not None:
                    at_us = self.began.utc_us + round((record.at.utc_us - self.began.utc_us) * self.scale)
                    record = replace(record, at=Instant(at_us, at_us * 1000))
                yield record


async def recorded(
    capture: Path, version: Version, behaviour: str, story: Story, *, scale: float, csms: Accepting | None = None
) -> Lived:
    """Live through the story behind a real relay. The capture is left at `capture`."""
    began = now()
    clock = ScaledClock(scale)
    pipeline = Pipeline(load_rules(), Schemas(load_schema), time_scale=scale)
    recorder = Recorder.create(capture, "sound", time_scale=scale, on_trouble=_fail)
    async with SimulatedCsms(csms or Often(), clock=clock, response_timeout_s=20) as server:
        settings = RelaySettings(upstream=server.url, listen=("127.0.0.1:0",))
        service = Service(settings, recorder, pipeline, on_notice=_fail)
        [address] = await service.start()
        try:
            async with SimulatedStation(address, STATION, version, behaviour, clock=clock, response_timeout_s=20,
                                        user=STATION, password=PASSWORD) as station:
                async with asyncio.timeout(PATIENCE_S):
                    await station.until_ready()
                day = Day(server, station, clock)
                await story(day)
                await day.passes(20)
        finally:
            await service.stop()
    return Lived(capture, pipeline.findings(), began, scale)


def _fail(text: str) -> None:
    raise AssertionError(text)


async def short(day: Day) -> None:
    """What is no trouble to wait for in true time: clocks are held against each other then."""
    await day.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await day.station.charge(1, "TAG1", seconds=3)
    await day.ask("Reset", {"type": "Soft"} if day.station.version == "1.6" else {"type": "OnIdle"})


# OCPP 1.6


async def day_16(day: Day) -> None:
    await day.passes(HEARTBEAT_S * 2.5)
    await day.station.charge(1, "TAG1", seconds=150)
    await asyncio.gather(day.station.charge(1, "TAG1", seconds=130), day.station.charge(2, "TAG2", seconds=100))
    await day.station.plug(1)
    await day.passes(10)
    await day.station.unplug(1)
    await _configuration_16(day)
    await _availability_16(day)
    for message in ("Heartbeat", "StatusNotification", "MeterValues", "FirmwareStatusNotification",
                    "DiagnosticsStatusNotification"):
        await day.ask("TriggerMessage", {"requestedMessage": message})
        await day.passes(5)
    await _remote_16(day)
    await _lists_16(day)
    await _resets(day, "Soft", "Hard")
    await _offline(day)
    await _firmware_16(day)
    if day.station.behaviour.name == "secured":
        await _certificates(day, "CentralSystemRootCertificate")
    await day.passes(HEARTBEAT_S * 1.5)


async def _configuration_16(day: Day) -> None:
    await day.ask("GetConfiguration")
    await day.ask("GetConfiguration", {"key": ["HeartbeatInterval", "Nonsense"]})
    for key, value in (("MeterValueSampleInterval", "30"), ("Nonsense", "1"), ("NumberOfConnectors", "7"),
                       ("MeterValuesSampledData", "Energy.Active.Import.Register,Nonsense"),
                       ("WebSocketPingInterval", "-1"), ("HeartbeatInterval", str(HEARTBEAT_S))):
        await day.ask("ChangeConfiguration", {"key": key, "value": value})
    await day.ask("GetConfiguration", {"key": ["MeterValueSampleInterval"]})
    await day.ask("DataTransfer", {"vendorId": "nobody"})
    await day.ask("ClearCache")


async def _availability_16(day: Day) -> None:
    for connector in (1, 2, 0):
        for kind in ("Inoperative", "Operative"):
            await day.ask("ChangeAvailability", {"connectorId": connector, "type": kind})
            await day.passes(60)
    await day.ask("ChangeAvailability", {"connectorId": 0, "type": "Operative"})
    charging = asyncio.create_task(day.station.charge(1, "TAG1", seconds=60))
    await day.passes(30)
    await day.ask("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
    await charging
    await day.passes(5)
    await day.ask("ChangeAvailability", {"connectorId": 1, "type": "Operative"})
    await day.ask("UnlockConnector", {"connectorId": 2})


async def _remote_16(day: Day) -> None:
    before = day.so_far
    await day.ask("RemoteStartTransaction", {"connectorId": 1, "idTag": "REMOTE"})
    await day.heard("MeterValues", after=before)
    transaction = day.csms.stations[STATION]
    number = next(request["transactionId"] for name, request in reversed(transaction.received) if name == "MeterValues")
    await day.ask("RemoteStopTransaction", {"transactionId": 999_999})
    await day.ask("RemoteStopTransaction", {"transactionId": number})
    await day.heard("StopTransaction", after=before)
    await day.passes(10)
    await day.station.charge(1, "INVALID1", seconds=5)
    await day.passes(5)


async def _lists_16(day: Day) -> None:
    entry = {"idTag": "LOCAL", "idTagInfo": {"status": "Accepted"}}
    await day.ask("GetLocalListVersion")
    await day.ask("SendLocalList", {"listVersion": 5, "updateType": "Full", "localAuthorizationList": [entry]})
    await day.ask("GetLocalListVersion")
    await day.ask("SendLocalList", {"listVersion": 5, "updateType": "Differential"})
    reserve = {"connectorId": 1, "idTag": "MINE", "reservationId": 9, "expiryDate": day.clock.timestamp(3600)}
    await day.ask("ReserveNow", reserve)
    await day.passes(3)
    await day.ask("ReserveNow", reserve | {"reservationId": 8})
    await day.ask("CancelReservation", {"reservationId": 8})
    await day.ask("CancelReservation", {"reservationId": 9})
    await day.ask("ReserveNow", reserve | {"reservationId": 10, "expiryDate": day.clock.timestamp(30)})
    await day.passes(45)
    await day.ask("ReserveNow", reserve | {"reservationId": 11, "expiryDate": day.clock.timestamp(3600)})
    await day.passes(3)
    await day.station.charge(1, "MINE", seconds=20)
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
    profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
               "chargingProfileKind": "Relative", "chargingSchedule": schedule}
    await day.ask("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})
    await day.station.charge(1, "TAG1", seconds=70)
    await day.ask("GetCompositeSchedule", {"connectorId": 1, "duration": 600})
    await day.ask("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile | {
        "chargingProfilePurpose": "TxProfile", "chargingProfileId": 2}})
    await day.ask("ClearChargingProfile", {"id": 1})
    await day.ask("ClearChargingProfile", {"id": 1})


async def _firmware_16(day: Day) -> None:
    before = day.so_far
    secured = day.station.behaviour.name == "secured"
    await day.ask("UpdateFirmware", {"location": "https://x.example/fw", "retrieveDate": LONG_AGO})
    if secured:
        firmware = {"location": "https://x.example/fw", "retrieveDateTime": LONG_AGO, "signingCertificate": PEM,
                    "signature": "c2ln"}
        await day.ask("SignedUpdateFirmware", {"requestId": 3, "firmware": firmware})
        asked = {"log": {"remoteLocation": "https://x.example/"}, "logType": "SecurityLog", "requestId": 42}
        await day.heard("BootNotification", after=before)
        await day.ready_again()
        before = day.so_far
        await day.ask("GetLog", asked)
        await day.heard("LogStatusNotification", lambda told: told["status"] == "Uploaded", before)
        await day.ask("ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"})
        await day.passes(5)
        return
    await day.heard("BootNotification", after=before)
    await day.ready_again()
    before = day.so_far
    await day.ask("GetDiagnostics", {"location": "ftp://x.example/logs"})
    await day.heard("DiagnosticsStatusNotification", lambda told: told["status"] == "Uploaded", before)


# All versions


async def _resets(day: Day, *kinds: str) -> None:
    for kind in kinds:
        before = day.so_far
        await day.ask("Reset", {"type": kind})
        await day.heard("BootNotification", after=before)
        await day.ready_again()
    before = day.so_far
    charging = asyncio.create_task(_cut_short(day, day.station.charge(1, "TAG1")))
    await day.passes(40)
    await day.ask("Reset", {"type": kinds[0] if day.station.version == "1.6" else "Immediate"})
    await day.heard("BootNotification", after=before)
    await charging
    await day.ready_again()


async def _cut_short(day: Day, charging: Awaitable[Any]) -> None:
    with contextlib.suppress(ConnectionError, CallFailed):
        await charging


async def _offline(day: Day) -> None:
    charging = asyncio.create_task(day.station.charge(1, "TAG1", seconds=120))
    await day.passes(50)
    await day.station.go_offline()
    await day.passes(40)
    day.station.go_online()
    await charging
    await day.passes(10)
    await day.station.go_offline()
    await day.passes(20)
    day.station.go_online()
    await day.ready_again()


# OCPP 2.0.1 and 2.1


async def day_2x(day: Day) -> None:
    await day.passes(HEARTBEAT_S * 2.5)
    await day.station.charge(1, "TAG1", seconds=150)
    await asyncio.gather(day.station.charge(1, "TAG1", seconds=130), day.station.charge(2, "TAG2", seconds=100))
    await day.station.plug(1)
    await day.passes(10)
    await day.station.unplug(1)
    await _variables_2x(day)
    await _availability_2x(day)
    for message in ("Heartbeat", "MeterValues", "FirmwareStatusNotification", "LogStatusNotification"):
        await day.ask("TriggerMessage", {"requestedMessage": message})
        await day.passes(5)
    evse = {"id": 1, "connectorId": 1}
    await day.ask("TriggerMessage", {"requestedMessage": "StatusNotification", "evse": evse})
    await day.passes(5)
    await _remote_2x(day)
    await _lists_2x(day)
    await _monitors_2x(day)
    await _certificates(day, "CSMSRootCertificate")
    await _resets(day, "OnIdle", "Immediate")
    await _offline(day)
    await _firmware_2x(day)
    await day.passes(HEARTBEAT_S * 1.5)


def _variable(component: str, variable: str, **more: Any) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": variable}} | more


async def _variables_2x(day: Day) -> None:
    before = day.so_far
    await day.ask("GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"})
    await day.heard("NotifyReport", lambda part: part.get("tbc", False) is False, before)
    asked = [_variable("OCPPCommCtrlr", "HeartbeatInterval"), _variable("Nonsense", "X"),
             _variable("TxCtrlr", "Nonsense"), _variable("SecurityCtrlr", "BasicAuthPassword")]
    await day.ask("GetVariables", {"getVariableData": asked})
    await day.ask("SetVariables", {"setVariableData": [
        _variable("SampledDataCtrlr", "TxUpdatedInterval", attributeValue="30"),
        _variable("OCPPCommCtrlr", "HeartbeatInterval", attributeValue=str(HEARTBEAT_S)),
        _variable("Nonsense", "X", attributeValue="1")]})
    await day.ask("GetVariables", {"getVariableData": [_variable("SampledDataCtrlr", "TxUpdatedInterval")]})
    await day.ask("GetReport", {"requestId": 8, "componentVariable": [{"component": {"name": "TxCtrlr"}}]})
    await day.ask("GetReport", {"requestId": 9, "componentVariable": [{"component": {"name": "Nonsense"}}]})
    await day.passes(5)
    await day.ask("ClearCache")
    await day.ask("DataTransfer", {"vendorId": "nobody"})


async def _availability_2x(day: Day) -> None:
    for evse in ({"id": 1}, {"id": 2, "connectorId": 1}, None):
        for kind in ("Inoperative", "Operative"):
            await day.ask("ChangeAvailability", {"operationalStatus": kind} | ({"evse": evse} if evse else {}))
            await day.passes(60)
    charging = asyncio.create_task(day.station.charge(1, "TAG1", seconds=60))
    await day.passes(30)
    await day.ask("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    await charging
    await day.passes(5)
    await day.ask("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 1}})
    await day.ask("UnlockConnector", {"evseId": 2, "connectorId": 1})


async def _remote_2x(day: Day) -> None:
    before = day.so_far
    await day.ask("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 77, "evseId": 1})
    event = await day.heard("TransactionEvent", lambda told: (
        told["transactionInfo"].get("chargingState") == "Charging"), before)
    transaction = {"transactionId": event["transactionInfo"]["transactionId"]}
    await day.passes(40)
    await day.ask("GetTransactionStatus", transaction)
    await day.ask("GetTransactionStatus")
    await day.ask("RequestStopTransaction", {"transactionId": "unknown"})
    await day.ask("RequestStopTransaction", transaction)
    await day.heard("TransactionEvent", lambda told: told["eventType"] == "Ended", before)
    await day.passes(10)
    await day.station.charge(1, "INVALID1", seconds=5)
    await day.passes(5)


async def _lists_2x(day: Day) -> None:
    entry = {"idToken": {"idToken": "LOCAL", "type": "Central"}, "idTokenInfo": {"status": "Accepted"}}
    await day.ask("GetLocalListVersion")
    await day.ask("SendLocalList", {"versionNumber": 5, "updateType": "Full", "localAuthorizationList": [entry]})
    await day.ask("GetLocalListVersion")
    await day.ask("SendLocalList", {"versionNumber": 5, "updateType": "Differential"})
    reserve = {"id": 9, "evseId": 1, "idToken": {"idToken": "MINE", "type": "Central"},
               "expiryDateTime": day.clock.timestamp(3600)}
    await day.ask("ReserveNow", reserve)
    await day.passes(3)
    await day.ask("ReserveNow", reserve | {"id": 8})
    await day.ask("CancelReservation", {"reservationId": 8})
    await day.ask("CancelReservation", {"reservationId": 9})
    await day.ask("ReserveNow", reserve | {"id": 10, "expiryDateTime": day.clock.timestamp(30)})
    await day.passes(45)
    await day.ask("ReserveNow", reserve | {"id": 11, "expiryDateTime": day.clock.timestamp(3600)})
    await day.passes(3)
    await day.station.charge(1, "MINE", seconds=20)
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
    profile = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
               "chargingProfileKind": "Relative", "chargingSchedule": [schedule]}
    await day.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})
    before = day.so_far
    await day.ask("GetChargingProfiles", {"requestId": 4, "chargingProfile": {}})
    await day.heard("ReportChargingProfiles", after=before)
    await day.station.charge(1, "TAG1", seconds=70)
    await day.ask("GetCompositeSchedule", {"evseId": 1, "duration": 600})
    await day.ask("ClearChargingProfile", {"chargingProfileId": 1})
    await day.ask("ClearChargingProfile", {"chargingProfileId": 1})


async def _monitors_2x(day: Day) -> None:
    monitor = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}, "severity": 8,
               "type": "Periodic", "value": 10}
    before = day.so_far
    told = await day.ask("SetVariableMonitoring", {"setMonitoringData": [monitor]})
    if told["setMonitoringResult"][0]["status"] == "Accepted":
        await day.heard("NotifyEvent", lambda event: event["eventData"][0]["trigger"] == "Periodic", before)
    await day.ask("ClearVariableMonitoring", {"id": [1, 5]})
    await day.passes(20)
    data = {"ocppInterface": "Wireless0", "ocppTransport": "JSON", "messageTimeout": 30, "securityProfile": 1,
            "ocppCsmsUrl": "wss://csms.example.com", "ocppVersion": "OCPP20"}
    for slot in (2, 7):
        await day.ask("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data})
    before = day.so_far
    await day.ask("CustomerInformation", {"requestId": 1, "report": True, "clear": False})
    await day.heard("NotifyCustomerInformation", after=before)
    await day.ask("CustomerInformation", {"requestId": 2, "report": False, "clear": True})


async def _certificates(day: Day, kind: str) -> None:
    await day.ask("GetInstalledCertificateIds", {"certificateType": kind if day.station.version == "1.6" else [kind]})
    await day.ask("InstallCertificate", {"certificateType": kind, "certificate": "no"})
    await day.ask("InstallCertificate", {"certificateType": kind, "certificate": PEM})
    await day.ask("GetInstalledCertificateIds", {"certificateType": kind if day.station.version == "1.6" else [kind]})
    before = day.so_far
    trigger = "SignChargePointCertificate" if day.station.version == "1.6" else "SignChargingStationCertificate"
    action = "ExtendedTriggerMessage" if day.station.version == "1.6" else "TriggerMessage"
    answer = await day.ask(action, {"requestedMessage": trigger})
    if answer.get("status") == "Accepted":
        await day.heard("SignCertificate", after=before)
        await day.passes(5)
        await day.ask("CertificateSigned", {"certificateChain": PEM})


async def _firmware_2x(day: Day) -> None:
    before = day.so_far
    firmware = {"location": "https://x.example/fw", "retrieveDateTime": LONG_AGO, "signingCertificate": PEM,
                "signature": "c2ln"}
    await day.ask("UpdateFirmware", {"requestId": 5, "firmware": firmware})
    await day.heard("BootNotification", after=before)
    await day.ready_again()
    before = day.so_far
    asked = {"log": {"remoteLocation": "https://x.example/"}, "logType": "DiagnosticsLog", "requestId": 42}
    await day.ask("GetLog", asked)
    await day.heard("LogStatusNotification", lambda told: told["status"] == "Uploaded", before)
