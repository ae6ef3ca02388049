"""Conversations as the pipeline tells them, for the tests of the views: a method, the events of one record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ocpp_proxy.core.event import ConnectionClosed, ConnectionOpened, Event, FindingRaised, FrameSeen, GapSeen
from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import Call, CallError, CallResult, Defect, Frame, Malformed
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, FrameRecord, Gap, Opened

START = Instant.parse("2026-11-21T09:00:00Z")
BOOT = {"chargePointVendor": "Wall Box Chargers", "chargePointModel": "CPB1-S-2-4", "firmwareVersion": "4.3.6"}
CLOCK = "2026-11-21T09:00:00Z"


class Story:
    """One connection of one station. `clock` is shared between stations that talk at the same time."""

    def __init__(
        self, station: str | None = "CP001", connection: str = "c1", clock: list[Instant] | None = None
    ) -> None:
        self.station = station
        self.connection = connection
        self.clock = [Instant(START.utc_us, 0)] if clock is None else clock
        self.seq = 0
        self.open: dict[tuple[str, str], Exchange] = {}
        self.last_id = 0

    @property
    def now(self) -> Instant:
        return self.clock[0]

    def wait(self, ms: float) -> Story:
        ns = int(ms * 1_000_000)
        self.clock[0] = Instant(self.now.utc_us + ns // 1000, (self.now.mono_ns or 0) + ns)
        return self

    def opened(self, **changes: Any) -> list[Event]:
        record = Opened(connection=self.connection, at=self.now, station=self.station,
                        station_address="192.0.2.7:40112", offered=("ocpp1.6",), subprotocol="ocpp1.6", dial_ms=12.4)
        return [ConnectionOpened(replace(record, **changes))]

    def closed(self, by: Any = "station", code: int = 1000, reason: str = "", **changes: Any) -> list[Event]:
        return [ConnectionClosed(Closed(connection=self.connection, at=self.now, by=by, code=code, reason=reason,
                                        **changes), self.station)]

    def gap(self, first_seq: int, lost: int, reason: str = "disk full") -> list[Event]:
        return [GapSeen(Gap(connection=self.connection, at=self.now, first_seq=first_seq, lost=lost, reason=reason))]

    def record(self, sender: Any, data: bytes, **changes: Any) -> FrameRecord:
        self.seq += 1
        fields: dict[str, Any] = {"to": "csms" if sender == "station" else "station", "opcode": "text", **changes}
        return FrameRecord(connection=self.connection, seq=self.seq, at=self.now, sender=sender, data=data, **fields)

    def seen(self, record: FrameRecord, frame: Frame | None, exchange: Exchange | None = None) -> list[Event]:
        return [FrameSeen(record, self.station, frame, exchange)]

    def call(self, sender: Any, action: str, payload: Any = None, *, message_id: str = "", injected: bool = False,
             **changes: Any) -> list[Event]:
        self.last_id += 1
        message_id = message_id or str(self.last_id)
        payload = {} if payload is None else payload
        raw = json.dumps([2, message_id, action, payload]).encode()
        call = Call(raw, (), message_id, action, payload)
        caller: Any = "csms" if sender == "proxy" else sender
        if injected:
            changes["origin"] = "injected"
        record = self.record(sender, raw, **changes)
        exchange = Exchange(self.connection, caller, message_id, call, record.seq, self.now, injected)
        self.open[caller, message_id] = exchange
        return self.seen(record, call, exchange)

    def _answer(
        self, sender: Any, frame: CallResult | CallError, exchange: Exchange, changes: dict[str, Any]
    ) -> list[Event]:
        record = self.record(sender, frame.raw, **changes)
        exchange.answer, exchange.answer_seq, exchange.answered_at = frame, record.seq, self.now
        return self.seen(record, frame, exchange)

    def _pending(self, sender: Any) -> tuple[str, Exchange]:
        caller = "csms" if sender == "station" else "station"
        key = next(key for key in reversed(self.open) if key[0] == caller)
        return key[1], self.open.pop(key)

    def result(self, sender: Any, payload: Any = None, **changes: Any) -> list[Event]:
        """Answers the newest open CALL of the other side."""
        message_id, exchange = self._pending(sender)
        payload = {} if payload is None else payload
        frame = CallResult(json.dumps([3, message_id, payload]).encode(), (), message_id, payload)
        return self._answer(sender, frame, exchange, changes)

    def error(self, sender: Any, code: str, description: Any = "", **changes: Any) -> list[Event]:
        message_id, exchange = self._pending(sender)
        frame = CallError(b"[4]", (), message_id, code, description, {})
        return self._answer(sender, frame, exchange, changes)

    def orphan(self, sender: Any, message_id: str = "nobody's") -> list[Event]:
        return self.seen(self.record(sender, b"[3]"), CallResult(b"[3]", (), message_id, {}))

    def malformed(self, sender: Any, raw: bytes = b"{oops", why: str = "not JSON") -> list[Event]:
        return self.seen(self.record(sender, raw), Malformed(raw, (Defect("not-json", why, 0),)))

    def control(self, sender: Any, opcode: str, data: bytes = b"") -> list[Event]:
        return self.seen(self.record(sender, data, opcode=opcode), None)

    def finding(self, rule: str = "boot-missing-iccid", **changes: Any) -> list[Event]:
        """About the frame seen last, or `frames`."""
        fields: dict[str, Any] = {
            "severity": "warning", "axis": "compatibility", "at_fault": "station", "frames": [self.seq],
            "message": "the station names no ICCID", "references": ("OCPP 1.6 section 6.3",), "pointer": "/iccid",
            "fix": "Insert a SIM card, or declare the site with --site no-sim.", **changes}
        return [FindingRaised(Finding(rule=rule, station=self.station, connection=self.connection, **fields), True)]

    def heartbeat(self, ms: float = 35) -> list[Event]:
        asked = self.call("station", "Heartbeat")
        self.wait(ms)
        return asked + self.result("csms", {"currentTime": CLOCK})


def reading(wh: str, watts: str = "7200") -> list[dict[str, Any]]:
    return [{"timestamp": CLOCK, "sampledValue": [
        {"value": wh, "unit": "Wh"}, {"value": watts, "measurand": "Power.Active.Import", "unit": "W"},
        {"value": "230", "measurand": "Voltage", "unit": "V", "phase": "L1-N"},
        {"value": "31.3", "measurand": "Current.Import", "unit": "A"}]}]


def day() -> list[list[Event]]:
    """A commissioning morning with everything that a view has to show; a batch for each record."""
    cp = Story()
    told: list[list[Event]] = [cp.opened()]
    tell = told.append
    cp.wait(120)
    tell(cp.call("station", "BootNotification", BOOT) + cp.finding())
    cp.wait(41)
    tell(cp.result("csms", {"status": "Accepted", "currentTime": CLOCK, "interval": 300}))
    cp.wait(30)
    tell(cp.call("station", "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"}))
    cp.wait(12)
    tell(cp.result("csms"))
    cp.wait(200)
    tell(cp.call("csms", "TriggerMessage", {"requestedMessage": "StatusNotification"}))
    cp.wait(35)
    tell(cp.result("station", {"status": "NotImplemented"}) + cp.finding(
        "trigger-message-not-implemented", severity="error", axis="conformance", pointer="/status",
        message="TriggerMessage is answered NotImplemented, although SupportedFeatureProfiles claims RemoteTrigger",
        fix="Ask the manufacturer for firmware with the RemoteTrigger profile.",
        references=("OCPP 1.6 section 5.17", "OCPP 1.6 section 9.1.29")))
    for _ in range(3):
        cp.wait(20_000)
        beat = cp.heartbeat()
        told += [beat[:1], beat[1:], cp.control("station", "ping")]
        cp.wait(3)
        tell(cp.control("csms", "pong"))
    cp.wait(3_000)
    tell(cp.call("station", "MeterValues", {"connectorId": 1, "transactionId": 17, "meterValue": reading("1234")}))
    cp.wait(1_500)
    tell(cp.result("csms"))
    cp.wait(100)
    tell(cp.call("csms", "Reset", {"type": "Soft"}))
    cp.wait(40)
    tell(cp.error("station", "NotSupported", "Soft reset is not available on this board"))
    tell(cp.call("proxy", "TriggerMessage", {"requestedMessage": "Heartbeat"}, injected=True))
    cp.wait(20)
    tell(cp.result("station", {"status": "Rejected"}, origin="withheld"))
    tell(cp.call("csms", "UnlockConnector", {"connectorId": 1}, held_ms=120.0))
    cp.wait(31_000)
    tell(cp.malformed("station", b'[2,"x","Heart\x1b[31mbeat",{]'))
    tell(cp.orphan("csms"))
    tell(cp.call("station", "StatusNotification", {
        "connectorId": 1, "status": "Faulted", "errorCode": "GroundFailure",
        "info": "充電エラー\n10:01:38.009 CP001 ← csms StatusNotification ✓ 1 ms"}))
    cp.wait(10)
    tell(cp.gap(27, 3))
    tell(cp.closed("station", 1006))
    other = Story("NL-GFX-E12345-000017", "c2", cp.clock)
    other.wait(2_000)
    tell(other.opened(subprotocol="ocpp2.0.1", offered=("ocpp2.0.1", "ocpp1.6")))
    tell(other.call("station", "BootNotification", {"reason": "PowerUp", "chargingStation": {
        "model": "Sirius", "vendorName": "ACME", "firmwareVersion": "1.0.17"}}))
    other.wait(33)
    tell(other.result("csms", {"status": "Pending", "interval": 10, "currentTime": CLOCK}))
    tell(Story("CP009", "c3", cp.clock).opened(status=401, refused_by="csms", subprotocol=None))
    other.wait(86_400_000)
    tell(other.closed("csms", 1001, "maintenance"))
    return told
