"""What an OCPP 1.6 station says: its statuses, its charging sessions, its meter values.

Decides the order of messages as connectors and sessions change. Refuses to know how a message gets to the CSMS
(`station`, `outbox`) and how the CSMS's own CALLs are answered (`operations16`, `extras16`).

Source: OCPP 1.6 sections 3.4, 3.5, 3.16, 4.1 to 4.10, 9.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from ocpp_proxy.sim.connector import Connector
from ocpp_proxy.sim.endpoint import Payload, dig
from ocpp_proxy.sim.jobs import Certificates
from ocpp_proxy.sim.meter import Meter, sampled16
from ocpp_proxy.sim.outbox import Entry
from ocpp_proxy.sim.profiles import Profiles, parse
from ocpp_proxy.sim.session import Session, draw
from ocpp_proxy.sim.tokens import Setting, Tokens

if TYPE_CHECKING:
    from ocpp_proxy.sim.station import SimulatedStation

UNPLUG_S = 5.0  # between the end of a session and the cable's removal
DAY_S = 86_400
SETTINGS: Final[dict[Setting, str]] = {
    "cache": "AuthorizationCacheEnabled", "local list": "LocalAuthListEnabled", "local first": "LocalPreAuthorize",
    "local offline": "LocalAuthorizeOffline", "unknown offline": "AllowOfflineTxForUnknownId",
}


class Station16:
    """`host` lives the life; this speaks."""

    def __init__(self, host: SimulatedStation) -> None:
        self.host = host
        self.clock = host.clock
        self.configuration = host.behaviour.configuration(host.connectors)
        self.configuration.put("WebSocketPingInterval", str(int(host.address.ping_interval_s or 0)))
        self.operations = host.behaviour.operations16()
        self.firmware = host.behaviour.firmware
        self.tokens = Tokens(host, "idTagInfo", lambda setting: self.configuration.flag(SETTINGS[setting]))
        self.profiles = Profiles()
        self.certificates = Certificates()
        self.jobs: dict[str, Payload] = {}
        self.connectors = [
            Connector(number, Meter(random.Random(f"{host.seed}/meter/{number}"), 1000.0 * number))
            for number in range(host.connectors + 1)
        ]

    # What the host asks

    def boot_request(self, _reason: str) -> Payload:
        traits, seed = self.host.behaviour, self.host.seed
        return {
            "chargePointVendor": traits.vendor, "chargePointModel": traits.model,
            "chargePointSerialNumber": traits.serial(seed), "firmwareVersion": self.firmware,
        } | traits.modem(seed) | {"meterType": "MID", "meterSerialNumber": f"M{traits.serial(seed)}"}

    @property
    def heartbeat_interval_s(self) -> float:
        return float(self.configuration.number("HeartbeatInterval"))

    @heartbeat_interval_s.setter
    def heartbeat_interval_s(self, seconds: float) -> None:
        self.configuration.put("HeartbeatInterval", str(int(seconds)))

    @property
    def ping_interval_s(self) -> float | None:
        return self.configuration.number("WebSocketPingInterval") or None

    def message_attempts(self) -> int:
        return self.configuration.number("TransactionMessageAttempts")

    def retry_interval_s(self) -> float:
        return float(self.configuration.number("TransactionMessageRetryInterval"))

    async def report(self, *, booted: str | None) -> None:
        for connector in self.connectors:
            if booted is not None or connector.told != (connector.status, connector.error):
                await self.tell_status(connector)
        if booted is not None and self.host.behaviour.tells_security_events:
            await self.tell_security_event("StartupOfTheDevice")

    def power_lost(self) -> None:
        """What was running has ended; what was said is forgotten, but not what was set."""
        for connector in self.connectors:
            connector.told = None
            if connector.session is not None:
                connector.session.stop("PowerLoss")

    async def run_clock(self) -> None:
        """Meter values on the clock's round times, for every outlet."""
        while True:
            interval_s = self.configuration.number("ClockAlignedDataInterval")
            if interval_s <= 0:
                await self.host.settings_changed.wait(self.clock, DAY_S)
                continue
            past_s = (self.clock.now().utc_us / 1e6) % DAY_S % interval_s
            if not await self.host.settings_changed.wait(self.clock, interval_s - past_s):
                for connector in self.connectors[1:]:
                    await self.tell_meter(connector, "Sample.Clock", "MeterValuesAlignedData")

    # Statuses and values

    async def set_status(self, connector: Connector, status: str) -> None:
        if connector.status != status or connector.told != (status, connector.error):
            connector.status = status
            await self.tell_status(connector)

    async def tell_status(self, connector: Connector, *, triggered: bool = False) -> None:
        said = (connector.status, connector.error)
        payload = {"connectorId": connector.number, "errorCode": connector.error, "status": connector.status,
                   "timestamp": self.clock.timestamp()}
        if connector.error != "NoError":
            payload["info"] = connector.info
            if code := self.host.behaviour.vendor_error_code:
                payload |= {"vendorId": self.host.behaviour.vendor, "vendorErrorCode": code}
        if await self.host.say("StatusNotification", payload, triggered=triggered) is not None:
            connector.told = said

    async def tell_security_event(self, kind: str) -> None:
        await self.host.say("SecurityEventNotification", {"type": kind, "timestamp": self.clock.timestamp()})

    def sample(self, connector: Connector, context: str, key: str) -> dict[str, Any]:
        """A MeterValue with the measurands that configuration `key` lists."""
        values = sampled16(connector.meter, self.configuration.listed(key), context)
        return {"timestamp": self.clock.timestamp(), "sampledValue": values}

    async def tell_meter(self, connector: Connector, context: str, key: str) -> None:
        """Meter values of no transaction's queue: on the clock, or triggered."""
        value = self.sample(connector, context, key)
        if not value["sampledValue"]:
            return
        payload: Payload = {"connectorId": connector.number, "meterValue": [value]}
        if connector.session is not None and connector.session.transaction_id is not None:
            payload["transactionId"] = connector.session.transaction_id
        await self.host.say("MeterValues", payload, triggered=context == "Trigger")

    # Sessions

    def free(self, connector: Connector, token: str) -> bool:
        reserved_for = (connector.reservation or {}).get("idTag", token)
        return (connector.session is None and connector.operative and self.connectors[0].operative
                and connector.error == self.connectors[0].error == "NoError" and reserved_for == token)

    async def charge(
        self, connector: int, token: str, *, seconds: float | None = None, energy_wh: float | None = None,
        unplug: bool = True, authorise: bool = True, profile: Payload | None = None,
    ) -> Session | None:
        outlet = self.connectors[connector]
        if not self.free(outlet, token) or (authorise and not await self.tokens.authorised(token, {"idTag": token})):
            return None
        session = outlet.session = Session(connector, token, outlet.meter.reading_wh, self.clock.timestamp())
        outlet.plugged = True
        await self.set_status(outlet, "Preparing")
        session.meter_start_wh, session.started_at = outlet.meter.reading_wh, self.clock.timestamp()
        reservation, outlet.reservation = outlet.reservation, None
        self.profiles.transaction_began(connector, self.clock.now())
        if profile is not None:
            self.profiles.add(parse(profile, connector))
        begin = self.sample(outlet, "Transaction.Begin", "StopTxnSampledData")
        start = {"connectorId": connector, "idTag": token, "meterStart": session.meter_start_wh,
                 "timestamp": session.started_at}
        if reservation is not None:
            start["reservationId"] = reservation["reservationId"]
        await self._queued("StartTransaction", start, lambda response: self._started(session, response))
        await self._show_charging(outlet, session)
        await draw(
            session, outlet.meter, self.clock, seconds=seconds, energy_wh=energy_wh,
            interval_s=lambda: float(self.configuration.number("MeterValueSampleInterval")),
            sample=lambda: self._sampled(outlet, session),
        )
        await self._end(outlet, session, begin, unplug=unplug)
        return session

    def _started(self, session: Session, response: Payload) -> None:
        session.transaction_id = dig(response, int, "transactionId")
        if self.tokens.remember(session.token, response) != "Accepted":
            if self.configuration.flag("StopTransactionOnInvalidId"):
                session.stop("DeAuthorized")
            else:
                session.paused = True

    def settings_changed(self) -> None:
        """Let what is going on see what the CSMS has just set."""
        self.host.settings_changed()
        for outlet in self.connectors[1:]:
            if outlet.session is not None:
                self.host.spawn(self._show_charging(outlet, outlet.session), "new settings")

    async def _show_charging(self, outlet: Connector, session: Session) -> None:
        """Apply the limit of the moment, and tell the status that it makes."""
        outlet.meter.limit_a = self.profiles.limit_a(outlet.number, self.clock.now())
        session.look_again()
        if session.stopping:
            return
        if not outlet.plugged:
            await self.set_status(outlet, "SuspendedEV")
        else:
            held = session.paused or not outlet.meter.may_charge
            await self.set_status(outlet, "SuspendedEVSE" if held else "Charging")

    async def _sampled(self, outlet: Connector, session: Session) -> None:
        value = self.sample(outlet, "Sample.Periodic", "MeterValuesSampledData")
        if value["sampledValue"]:
            await self._queued("MeterValues", {"connectorId": outlet.number, "meterValue": [value]},
                               transaction=session)
        await self._show_charging(outlet, session)

    async def _end(self, outlet: Connector, session: Session, begin: Payload, *, unplug: bool) -> None:
        session.stop("Local")
        if session.reason == "EVDisconnected":
            outlet.plugged = False
        stop: Payload = {"meterStop": outlet.meter.reading_wh, "timestamp": self.clock.timestamp(),
                         "reason": session.reason}
        if session.reason == "Local":
            stop["idTag"] = session.token
        if begin["sampledValue"]:
            end = self.sample(outlet, "Transaction.End", "StopTxnSampledData")
            stop["transactionData"] = [begin, end] if end["sampledValue"] else [begin]
        await self._queued("StopTransaction", stop, transaction=session)
        self.profiles.transaction_ended(outlet.number)
        outlet.session = None
        session.done.set()
        await self.set_status(outlet, outlet.resting)
        if unplug and outlet.plugged:
            await self.clock.sleep(UNPLUG_S)
            await self.unplug(outlet.number)

    async def _queued(
        self, action: str, payload: Payload, on_response: Any = lambda _response: None, *,
        transaction: Session | None = None,
    ) -> None:
        """Hand a transaction message to the queue; back when it is delivered or the link is down. A transaction
        whose start the CSMS never answered has the id -1."""

        def build() -> Payload:
            if transaction is None:
                return payload
            known = transaction.transaction_id
            return payload | {"transactionId": -1 if known is None else known}

        entry: Entry = self.host.outbox.put(action, build, on_response)
        await entry.released.wait()

    # What people and cars do

    async def plug(self, connector: int) -> None:
        outlet = self.connectors[connector]
        if outlet.plugged:
            return
        outlet.plugged = True
        if outlet.session is None and outlet.resting == "Finishing":
            await self.set_status(outlet, "Preparing")
            self.host.spawn(self._time_out(outlet), "connection timeout")

    async def _time_out(self, outlet: Connector) -> None:
        await self.clock.sleep(self.configuration.number("ConnectionTimeOut"))
        if outlet.session is None and outlet.status == "Preparing":
            await self.set_status(outlet, outlet.resting)

    async def unplug(self, connector: int) -> None:
        outlet = self.connectors[connector]
        outlet.plugged = False
        if outlet.session is None:
            await self.set_status(outlet, outlet.resting)
        elif self.configuration.flag("StopTransactionOnEVSideDisconnect"):
            outlet.session.stop("EVDisconnected")
        else:
            outlet.session.paused = True
            await self._show_charging(outlet, outlet.session)

    async def fault(self, connector: int, error: str, info: str) -> None:
        outlet = self.connectors[connector]
        outlet.error, outlet.info = error, info or "simulated fault"
        await self.set_status(outlet, "Faulted")
        for running in self.connectors if connector == 0 else [outlet]:
            if running.session is not None:
                running.session.stop("Other")

    async def clear_fault(self, connector: int) -> None:
        outlet = self.connectors[connector]
        outlet.error, outlet.info = "NoError", ""
        await self.set_status(outlet, outlet.resting)
