"""What the stations of the benchmark say: OCPP 1.6 frames as a wallbox words them, each with its own id."""

from __future__ import annotations

import json
import time
from typing import Any

_METER_VALUES = (
    b'[2,"%s","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%s","sampledValue":['
    b'{"value":"%d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","location":"Outlet",'
    b'"unit":"Wh"},'
    b'{"value":"11040.0","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"W"},'
    b'{"value":"16.0","context":"Sample.Periodic","measurand":"Current.Import","phase":"L1","unit":"A"},'
    b'{"value":"230.1","context":"Sample.Periodic","measurand":"Voltage","phase":"L1-N","unit":"V"}]}]}]'
)


def meter_values(message_id: bytes, timestamp: bytes, energy_wh: int, transaction: int = 4711) -> bytes:
    """About 550 bytes: four measurands, as most stations report them each minute."""
    return _METER_VALUES % (message_id, transaction, timestamp, energy_wh)


def call(message_id: str, action: str, payload: dict[str, Any]) -> bytes:
    return json.dumps([2, message_id, action, payload], separators=(",", ":")).encode()


def result(message_id: str, payload: dict[str, Any]) -> bytes:
    return json.dumps([3, message_id, payload], separators=(",", ":")).encode()


BOOT = {
    "chargePointVendor": "Example", "chargePointModel": "Bench 11", "chargePointSerialNumber": "BN-000001",
    "firmwareVersion": "1.4.2", "iccid": "8900000000000000001", "imsi": "001010000000001",
}


def opening(station: str) -> list[bytes]:
    """What a station says before its meter values mean anything."""
    now = timestamp().decode()
    return [
        call(f"{station}-boot", "BootNotification", BOOT),
        call(f"{station}-status", "StatusNotification",
             {"connectorId": 1, "errorCode": "NoError", "status": "Preparing", "timestamp": now}),
        call(f"{station}-start", "StartTransaction",
             {"connectorId": 1, "idTag": "04AABBCCDD", "meterStart": 0, "timestamp": now}),
        call(f"{station}-charging", "StatusNotification",
             {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": now}),
    ]


def timestamp() -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()).encode()
