"""What an OCPP 2.0.1 or 2.1 station says: its statuses, its transaction events, its meter values.

Decides the order of messages as EVSEs and sessions change. Refuses to know how a message gets to the CSMS
(`station`, `outbox`) and how the CSMS's own CALLs are answered (`operations2x`). Each EVSE has one connector.

Source: OCPP 2.0.1 B01, C01, E01 to E12, G01, J01, J02; OCPP 2.1 G01 (statuses by NotifyEvent).
"""

from __future__ import annotations

import itertools
import random
import uuid
from typing import TYPE_CHECKING, Any, Final

from ocpp_proxy.sim.endpoint import Payload, dig
from ocpp_proxy.sim.evse import ENDINGS, Evse, Transaction, hardware
from ocpp_proxy.sim.jobs import Certificates
from ocpp_proxy.sim.meter import MAX_CURRENT_A, Meter, sampled2x
from ocpp_proxy.sim.monitors import Monitors
from ocpp_proxy.sim.profiles import Profiles, parse
from ocpp_proxy.sim.session import Session, draw
from ocpp_proxy.sim.tokens import Setting, Tokens
from ocpp_proxy.sim.variables import DeviceModel, controllers

if TYPE_CHECKING:
    from ocpp_proxy.sim.station import SimulatedStation

UNPLUG_S = 5.0  # between the end of a session and the cable's removal
DAY_S = 86_400
SETTINGS: Final[dict[Setting, tuple[str, str]]] = {
    "cache": ("AuthCacheCtrlr", "Enabled"), "local list": ("LocalAuthListCtrlr", "Enabled"),
    "local first": ("AuthCtrlr", "LocalPreAuthorize"), "local offline": ("AuthCtrlr", "LocalAuthorizeOffline"),
    "unknown offline": ("AuthCtrlr", "OfflineTxForUnknownIdEnabled"),
}

class Station2x:
    """`host` lives the life; this speaks."""

    def __init__(self, host: SimulatedStation) -> None:
        self.host = host
        self.clock = host.clock
        self.operations = host.behaviour.operations2x(host.version)
        self.firmware = host.behaviour.firmware
        self.tokens = Tokens(host, "idTokenInfo", lambda setting: self.model.flag(*SETTINGS[setting]))
        self.profiles = Profiles()
        self.certificates = Certificates()
        self.jobs: dict[str, Payload] = {}
        self.evses = [Evse(number, Meter(random.Random(f"{host.seed}/meter/{number}"), 1000.0 * number))
                      for number in range(host.connectors + 1)]
        self.model = DeviceModel([*controllers(), *hardware(self)])
        self.model.put("OCPPCommCtrlr", "WebSocketPingInterval", str(int(host.address.ping_interval_s or 0)))
        self.monitors: Monitors = Monitors(self)
        self.event_ids = itertools.count(1)
        self._transaction_ids = random.Random(f"{host.seed}/transactions")

    # What the host asks

    def boot_request(self, reason: str) -> Payload:
        traits, seed = self.host.behaviour, self.host.seed
        station: Payload = {"model": traits.model, "vendorName": traits.vendor, "firmwareVersion": self.firmware,
                            "serialNumber": traits.serial(seed)}
        if modem := traits.modem(seed):
            station["modem"] = modem
        return {"reason": reason, "chargingStation": station}

    @property
    def heartbeat_interval_s(self) -> float:
        return float(max(1, self.model.number("OCPPCommCtrlr", "HeartbeatInterval")))

    @heartbeat_interval_s.setter
    def heartbeat_interval_s(self, seconds: float) -> None:
        self.model.put("OCPPCommCtrlr", "HeartbeatInterval", str(int(seconds)))

    @property
    def ping_interval_s(self) -> float | None:
        return self.model.number("OCPPCommCtrlr", "WebSocketPingInterval") or None

    def message_attempts(self) -> int:
        return self.model.number("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")

    def retry_interval_s(self) -> float:
        return float(self.model.number("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"))

    async def report(self, *, booted: str | None) -> None:
        for evse in self.evses[1:]:
            if booted is not None or evse.told != evse.status:
                await self.tell_status(evse)
        if booted is not None:
            kind = "ResetOrReboot" if booted in ("RemoteReset", "ScheduledReset") else "StartupOfTheDevice"
            await self.tell_security_event(kind)

    def power_lost(self) -> None:
        """What was running has ended; what was said is forgotten, but not what was set."""
        for evse in self.evses:
            evse.told = None
            if evse.session is not None:
                evse.session.stop("PowerLoss")

    async def run_clock(self) -> None:
        """Meter values on the clock's round times, for every EVSE."""
        while True:
            interval_s = self.model.number("AlignedDataCtrlr", "Interval")
            if interval_s <= 0:
                await self.host.settings_changed.wait(self.clock, DAY_S)
                continue
            past_s = (self.clock.now().utc_us / 1e6) % DAY_S % interval_s
            if await self.host.settings_changed.wait(self.clock, interval_s - past_s):
                continue
            idle_only = self.model.flag("AlignedDataCtrlr", "SendDuringIdle")
            for evse in self.evses[1:]:
                if evse.session is None:
                    await self.tell_meter(evse, "Sample.Clock")
                elif not idle_only:
                    value = self.sample(evse, "Sample.Clock", "AlignedDataCtrlr", "Measurands")
                    await self.event(evse, evse.session, "Updated", "MeterValueClock", value)

    def settings_changed(self) -> None:
        """Let what is going on see what the CSMS has just set."""
        self.host.settings_changed()
        for evse in self.evses[1:]:
            if evse.session is not None:
                self.host.spawn(self._show_charging(evse, evse.session), "new settings")

    # Statuses and values

    async def tell_status(self, evse: Evse, *, triggered: bool = False) -> None:
        """The status of the EVSE's connector: by NotifyEvent in 2.1, unless a StatusNotification was asked for."""
        said = evse.status
        if self.host.version == "2.1" and not triggered:
            response = await self.notify(
                {"name": "Connector", "evse": {"id": evse.number, "connectorId": 1}}, "AvailabilityState", said)
        else:
            response = await self.host.say("StatusNotification", {
                "timestamp": self.clock.timestamp(), "connectorStatus": said, "evseId": evse.number,
                "connectorId": 1}, triggered=triggered)
        if response is not None:
            evse.told = said

    async def update_status(self, evse: Evse) -> None:
        while evse.number and evse.told != (status := evse.status):
            await self.tell_status(evse)
            if evse.told != status:
                break  # not heard; told once there is a connection again

    async def notify(
        self, component: Payload, variable: str, value: str, trigger: str = "Delta", **more: Any
    ) -> Payload | None:
        """A NotifyEvent with one event."""
        event = {"eventId": next(self.event_ids), "timestamp": self.clock.timestamp(), "trigger": trigger,
                 "actualValue": value, "component": component, "variable": {"name": variable},
                 "eventNotificationType": "HardWiredNotification"} | more
        return await self.host.say("NotifyEvent", {
            "generatedAt": self.clock.timestamp(), "seqNo": 0, "tbc": False, "eventData": [event]})

    async def tell_security_event(self, kind: str) -> None:
        await self.host.say("SecurityEventNotification", {"type": kind, "timestamp": self.clock.timestamp()})

    def sample(self, evse: Evse, context: str, controller: str, name: str) -> list[Payload]:
        """One MeterValue with the measurands that a variable lists; none if it lists none."""
        values = sampled2x(evse.meter, self.model.listed(controller, name), context)
        return [{"timestamp": self.clock.timestamp(), "sampledValue": values}] if values else []

    async def tell_meter(self, evse: Evse, context: str) -> None:
        """Meter values outside a transaction: on the clock, or triggered."""
        if value := self.sample(evse, context, "AlignedDataCtrlr", "Measurands"):
            await self.host.say("MeterValues", {"evseId": evse.number, "meterValue": value},
                                triggered=context == "Trigger")

    # Sessions

    def free(self, evse: Evse, token: str) -> bool:
        reserved_for = dig(evse.reservation, str, "idToken", "idToken") or token
        return (evse.session is None and evse.operative and self.evses[0].operative
                and not evse.fault and not self.evses[0].fault and reserved_for == token)

    async def charge(
        self, connector: int, token: str, *, seconds: float | None = None, energy_wh: float | None = None,
        unplug: bool = True, authorise: bool = True, identity: Payload | None = None,
        remote_start_id: int | None = None, profile: Payload | None = None,
    ) -> Session | None:
        evse = self.evses[connector]
        identity = identity or {"idToken": token, "type": "ISO14443"}
        if not self.free(evse, token) or (authorise and not await self.tokens.authorised(token, {"idToken": identity})):
            return None
        session = evse.session = Transaction(
            connector, token, evse.meter.reading_wh, self.clock.timestamp(), identity=identity,
            transaction_id=str(uuid.UUID(int=self._transaction_ids.getrandbits(128), version=4)),
            remote_start_id=remote_start_id, reservation_id=dig(evse.reservation, int, "id"))
        was_plugged, evse.plugged, evse.reservation = evse.plugged, True, None
        await self.update_status(evse)
        self.profiles.transaction_began(connector, self.clock.now())
        if profile is not None:
            self.profiles.add(parse(profile, connector))
        trigger = "RemoteStart" if remote_start_id is not None else "Authorized" if was_plugged else "CablePluggedIn"
        begin = self.sample(evse, "Transaction.Begin", "SampledDataCtrlr", "TxStartedMeasurands")
        await self.event(evse, session, "Started", trigger, begin)
        await self._show_charging(evse, session)
        await draw(
            session, evse.meter, self.clock, seconds=seconds, energy_wh=energy_wh,
            interval_s=lambda: float(self.model.number("SampledDataCtrlr", "TxUpdatedInterval")),
            sample=lambda: self._sampled(evse, session))
        await self._end(evse, session, unplug=unplug)
        return session

    async def event(
        self, evse: Evse, session: Transaction, kind: str, trigger: str, meter: list[Payload]
    ) -> None:
        """Queue a TransactionEvent; back when it is delivered or the link is down."""
        info: Payload = {"transactionId": session.transaction_id, "chargingState": session.charging_state}
        number = next(session.numbers)
        payload: Payload = {"eventType": kind, "timestamp": self.clock.timestamp(), "triggerReason": trigger,
                            "seqNo": number, "offline": not self.host.online, "transactionInfo": info}
        if kind == "Ended":
            info["stoppedReason"] = ENDINGS[session.reason or "Local"][1]
        if number == 0:
            payload |= {"evse": {"id": evse.number, "connectorId": 1}, "idToken": session.identity,
                        "numberOfPhasesUsed": 3, "cableMaxCurrent": int(MAX_CURRENT_A)}
            if session.remote_start_id is not None:
                info["remoteStartId"] = session.remote_start_id
            if session.reservation_id is not None:
                payload["reservationId"] = session.reservation_id
        if meter:
            payload["meterValue"] = meter
        entry = self.host.outbox.put(
            "TransactionEvent", lambda: payload, lambda response: self._acknowledged(session, response))
        await entry.released.wait()

    def _acknowledged(self, session: Transaction, response: Payload) -> None:
        if dig(response, dict, "idTokenInfo") is None:
            return
        if self.tokens.remember(session.token, response) != "Accepted":
            if self.model.flag("TxCtrlr", "StopTxOnInvalidId"):
                session.stop("DeAuthorized")
            else:
                session.paused = True

    async def _show_charging(self, evse: Evse, session: Transaction) -> None:
        """Apply the limit of the moment, and tell the charging state that it makes."""
        evse.meter.limit_a = self.profiles.limit_a(evse.number, self.clock.now())
        session.look_again()
        if session.stopping:
            return
        held = "SuspendedEVSE" if session.paused or not evse.meter.may_charge else "Charging"
        state = held if evse.plugged else "Idle"
        if state != session.charging_state:
            session.charging_state = state
            trigger = "ChargingStateChanged" if evse.plugged else "EVCommunicationLost"
            await self.event(evse, session, "Updated", trigger, [])

    async def _sampled(self, evse: Evse, session: Transaction) -> None:
        value = self.sample(evse, "Sample.Periodic", "SampledDataCtrlr", "TxUpdatedMeasurands")
        if value:
            await self.event(evse, session, "Updated", "MeterValuePeriodic", value)
        await self._show_charging(evse, session)

    async def _end(self, evse: Evse, session: Transaction, *, unplug: bool) -> None:
        session.stop("Local")
        if session.reason == "EVDisconnected":
            evse.plugged = False
        session.charging_state = "EVConnected" if evse.plugged else "Idle"
        end = self.sample(evse, "Transaction.End", "SampledDataCtrlr", "TxEndedMeasurands")
        await self.event(evse, session, "Ended", ENDINGS[session.reason or "Local"][0], end)
        self.profiles.transaction_ended(evse.number)
        evse.session = None
        session.done.set()
        await self.update_status(evse)
        if unplug and evse.plugged:
            await self.clock.sleep(UNPLUG_S)
            await self.unplug(evse.number)

    # What people and cars do

    async def plug(self, connector: int) -> None:
        self.evses[connector].plugged = True
        await self.update_status(self.evses[connector])

    async def unplug(self, connector: int) -> None:
        evse = self.evses[connector]
        evse.plugged = False
        if evse.session is None:
            await self.update_status(evse)
        elif self.model.flag("TxCtrlr", "StopTxOnEVSideDisconnect"):
            evse.session.stop("EVDisconnected")
        else:
            evse.session.paused = True
            await self._show_charging(evse, evse.session)

    async def fault(self, connector: int, error: str, info: str) -> None:
        for evse in self.evses if connector == 0 else [self.evses[connector]]:
            evse.fault = error
            await self.update_status(evse)
            if evse.session is not None:
                evse.session.stop("Fault")
        await self.notify(_faulty(connector), "Problem", "true", "Alerting", techCode=error,
                          techInfo=info or "simulated fault")

    async def clear_fault(self, connector: int) -> None:
        for evse in self.evses if connector == 0 else [self.evses[connector]]:
            evse.fault = ""
            await self.update_status(evse)
        await self.notify(_faulty(connector), "Problem", "false", "Alerting", cleared=True)


def _faulty(connector: int) -> Payload:
    """The component that a fault is told of; connector 0 is the station."""
    if connector == 0:
        return {"name": "ChargingStation"}
    return {"name": "Connector", "evse": {"id": connector, "connectorId": 1}}
