"""The device model of an OCPP 2.x station: components, their variables, and reports of them.

Decides which variables there are, what may be written to them and how they are listed. Refuses to know what a
variable does: whoever depends on one reads it when it matters.

Source: OCPP 2.0.1 B05 to B08 and Part 2, the referenced components and variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ocpp_proxy.sim.endpoint import Payload
from ocpp_proxy.sim.meter import MEASURANDS

Mutability: TypeAlias = Literal["ReadOnly", "ReadWrite", "WriteOnly"]
Place: TypeAlias = tuple[str, str | None, int | None, int | None]  # component, its instance, EVSE, connector
Name: TypeAlias = tuple[str, str | None]  # variable, its instance

_TYPES = {int: "integer", bool: "boolean", str: "string"}


@dataclass(slots=True)
class Variable:
    """`value` is a text, or a function where it is measured. `values` are the members a list may have."""

    place: Place
    name: Name
    value: str | Callable[[], str]
    kind: str = "string"
    mutability: Mutability = "ReadOnly"
    unit: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    values: frozenset[str] | None = None

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else self.value()

    def takes(self, value: str) -> bool:
        if self.kind == "boolean":
            return value.lower() in ("true", "false")
        if self.kind == "integer":
            if not value.removeprefix("-").isdecimal():
                return False
            low, high = self.minimum, self.maximum
            return (low is None or int(value) >= low) and (high is None or int(value) <= high)
        if self.values is not None:
            return {part.strip() for part in value.split(",") if part.strip()} <= self.values
        return True

    def report(self) -> Payload:
        """A ReportDataType element."""
        attribute: Payload = {"type": "Actual", "mutability": self.mutability, "persistent": True, "constant": False}
        if self.mutability != "WriteOnly":
            attribute["value"] = self.text
        traits: Payload = {"dataType": self.kind, "supportsMonitoring": callable(self.value)}
        if self.unit:
            traits["unit"] = self.unit
        if self.minimum is not None:
            traits["minLimit"] = self.minimum
        if self.maximum is not None:
            traits["maxLimit"] = self.maximum
        if self.values is not None:
            traits["valuesList"] = ",".join(sorted(self.values))
        return {"component": component(self.place), "variable": variable(self.name), "variableAttribute": [attribute],
                "variableCharacteristics": traits}


def component(place: Place) -> Payload:
    name, instance, evse, connector = place
    where = None if evse is None else {"id": evse} | ({} if connector is None else {"connectorId": connector})
    return {"name": name} | ({"instance": instance} if instance else {}) | ({"evse": where} if where else {})


def variable(name: Name) -> Payload:
    return {"name": name[0]} | ({"instance": name[1]} if name[1] else {})


def place_of(found: Payload) -> Place:
    """The place that a ComponentType names."""
    evse = found.get("evse") or {}
    return found["name"], found.get("instance"), evse.get("id"), evse.get("connectorId")


class DeviceModel:
    """Names are told apart without regard to case."""

    def __init__(self, variables: Iterable[Variable]) -> None:
        self._variables = {self._key(one.place, one.name): one for one in variables}

    @staticmethod
    def _key(place: Place, name: Name) -> tuple[Any, ...]:
        return tuple(part.lower() if isinstance(part, str) else part for part in (*place, *name))

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._variables.values())

    def find(self, asked: Payload) -> Variable | str:
        """The variable that `asked` (with component and variable) names, or the status that says why not."""
        place = place_of(asked["component"])
        name = (asked["variable"]["name"], asked["variable"].get("instance"))
        found = self._variables.get(self._key(place, name))
        if found is not None:
            return found
        key = self._key(place, ("", None))[:4]
        known = any(self._key(one.place, ("", None))[:4] == key for one in self)
        return "UnknownVariable" if known else "UnknownComponent"

    def text(self, controller: str, name: str, instance: str | None = None) -> str:
        return self._variables[self._key((controller, None, None, None), (name, instance))].text

    def number(self, controller: str, name: str, instance: str | None = None) -> int:
        return int(self.text(controller, name, instance))

    def flag(self, controller: str, name: str) -> bool:
        return self.text(controller, name).lower() == "true"

    def listed(self, controller: str, name: str) -> list[str]:
        return [part.strip() for part in self.text(controller, name).split(",") if part.strip()]

    def put(self, controller: str, name: str, value: str) -> None:
        """Set a variable of the station's own accord, read-only or not."""
        self._variables[self._key((controller, None, None, None), (name, None))].value = value

    def get(self, asked: Payload) -> Payload:
        """A GetVariableResult element."""
        found = self.find(asked)
        result = _echo(asked)
        if isinstance(found, str):
            return result | {"attributeStatus": found}
        if asked.get("attributeType", "Actual") != "Actual":
            return result | {"attributeStatus": "NotSupportedAttributeType"}
        if found.mutability == "WriteOnly":
            return result | {"attributeStatus": "Rejected"}
        return result | {"attributeStatus": "Accepted", "attributeValue": found.text}

    def set(self, asked: Payload) -> Payload:
        """A SetVariableResult element; the value is in effect if it is Accepted."""
        found = self.find(asked)
        result = _echo(asked)
        if isinstance(found, str):
            return result | {"attributeStatus": found}
        if asked.get("attributeType", "Actual") != "Actual":
            return result | {"attributeStatus": "NotSupportedAttributeType"}
        if found.mutability == "ReadOnly" or not found.takes(asked["attributeValue"]):
            return result | {"attributeStatus": "Rejected"}
        found.value = asked["attributeValue"]
        return result | {"attributeStatus": "Accepted"}


def _echo(asked: Payload) -> Payload:
    """What a result repeats of the question; one without an attributeType was about Actual (B05.FR.12, B06.FR.11)."""
    return {"component": asked["component"], "variable": asked["variable"],
            "attributeType": asked.get("attributeType", "Actual")}


def controllers() -> Iterator[Variable]:
    """The variables of the station's controllers, as a station of this kind has them."""
    measurands = frozenset(MEASURANDS)
    register = "Energy.Active.Import.Register"
    sampled = f"{register},Power.Active.Import,Current.Import,Voltage"
    table: list[tuple[str, str, str | None, int | bool | str, Mutability, str | None, frozenset[str] | None]] = [
        ("AlignedDataCtrlr", "Enabled", None, True, "ReadWrite", None, None),
        ("AlignedDataCtrlr", "Interval", None, 0, "ReadWrite", "s", None),
        ("AlignedDataCtrlr", "Measurands", None, register, "ReadWrite", None, measurands),
        ("AlignedDataCtrlr", "SendDuringIdle", None, False, "ReadWrite", None, None),
        ("AlignedDataCtrlr", "TxEndedInterval", None, 0, "ReadWrite", "s", None),
        ("AlignedDataCtrlr", "TxEndedMeasurands", None, "", "ReadWrite", None, measurands),
        ("AuthCacheCtrlr", "Enabled", None, True, "ReadWrite", None, None),
        ("AuthCtrlr", "AuthorizeRemoteStart", None, True, "ReadWrite", None, None),
        ("AuthCtrlr", "Enabled", None, True, "ReadOnly", None, None),
        ("AuthCtrlr", "LocalAuthorizeOffline", None, True, "ReadWrite", None, None),
        ("AuthCtrlr", "LocalPreAuthorize", None, False, "ReadWrite", None, None),
        ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", None, False, "ReadWrite", None, None),
        ("ClockCtrlr", "TimeSource", None, "Heartbeat", "ReadOnly", None, None),
        ("DeviceDataCtrlr", "BytesPerMessage", "GetReport", 65536, "ReadOnly", None, None),
        ("DeviceDataCtrlr", "BytesPerMessage", "GetVariables", 65536, "ReadOnly", None, None),
        ("DeviceDataCtrlr", "BytesPerMessage", "SetVariables", 65536, "ReadOnly", None, None),
        ("DeviceDataCtrlr", "ItemsPerMessage", "GetReport", 100, "ReadOnly", None, None),
        ("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables", 100, "ReadOnly", None, None),
        ("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables", 100, "ReadOnly", None, None),
        ("LocalAuthListCtrlr", "BytesPerMessage", None, 65536, "ReadOnly", None, None),
        ("LocalAuthListCtrlr", "Enabled", None, True, "ReadWrite", None, None),
        ("LocalAuthListCtrlr", "Entries", None, 0, "ReadOnly", None, None),
        ("LocalAuthListCtrlr", "ItemsPerMessage", None, 100, "ReadOnly", None, None),
        ("MonitoringCtrlr", "Enabled", None, True, "ReadOnly", None, None),
        ("OCPPCommCtrlr", "FileTransferProtocols", None, "HTTP,HTTPS,FTP,FTPS,SFTP", "ReadOnly", None, None),
        ("OCPPCommCtrlr", "HeartbeatInterval", None, 300, "ReadWrite", "s", None),
        ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent", 30, "ReadWrite", "s", None),
        ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent", 3, "ReadWrite", None, None),
        ("OCPPCommCtrlr", "MessageTimeout", "Default", 30, "ReadOnly", "s", None),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority", None, "1", "ReadOnly", None, None),
        ("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", None, 3, "ReadOnly", None, None),
        ("OCPPCommCtrlr", "OfflineThreshold", None, 300, "ReadWrite", "s", None),
        ("OCPPCommCtrlr", "ResetRetries", None, 1, "ReadWrite", None, None),
        ("OCPPCommCtrlr", "RetryBackOffRandomRange", None, 1, "ReadOnly", "s", None),
        ("OCPPCommCtrlr", "RetryBackOffRepeatTimes", None, 5, "ReadOnly", None, None),
        ("OCPPCommCtrlr", "RetryBackOffWaitMinimum", None, 2, "ReadOnly", "s", None),
        ("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", None, True, "ReadWrite", None, None),
        ("OCPPCommCtrlr", "WebSocketPingInterval", None, 0, "ReadOnly", "s", None),
        ("ReservationCtrlr", "Enabled", None, True, "ReadOnly", None, None),
        ("SampledDataCtrlr", "Enabled", None, True, "ReadOnly", None, None),
        ("SampledDataCtrlr", "TxEndedInterval", None, 0, "ReadOnly", "s", None),
        ("SampledDataCtrlr", "TxEndedMeasurands", None, register, "ReadWrite", None, measurands),
        ("SampledDataCtrlr", "TxStartedMeasurands", None, register, "ReadWrite", None, measurands),
        ("SampledDataCtrlr", "TxUpdatedInterval", None, 60, "ReadWrite", "s", None),
        ("SampledDataCtrlr", "TxUpdatedMeasurands", None, sampled, "ReadWrite", None, measurands),
        ("SecurityCtrlr", "BasicAuthPassword", None, "", "WriteOnly", None, None),
        ("SecurityCtrlr", "CertificateEntries", None, 0, "ReadOnly", None, None),
        ("SecurityCtrlr", "OrganizationName", None, "Loopback Charging", "ReadWrite", None, None),
        ("SecurityCtrlr", "SecurityProfile", None, 1, "ReadOnly", None, None),
        ("SmartChargingCtrlr", "Enabled", None, True, "ReadOnly", None, None),
        ("SmartChargingCtrlr", "Entries", "ChargingProfiles", 20, "ReadOnly", None, None),
        ("SmartChargingCtrlr", "LimitChangeSignificance", None, 5, "ReadOnly", "Percent", None),
        ("SmartChargingCtrlr", "PeriodsPerSchedule", None, 24, "ReadOnly", None, None),
        ("SmartChargingCtrlr", "ProfileStackLevel", None, 10, "ReadOnly", None, None),
        ("SmartChargingCtrlr", "RateUnit", None, "A,W", "ReadOnly", None, None),
        ("TxCtrlr", "EVConnectionTimeOut", None, 60, "ReadWrite", "s", None),
        ("TxCtrlr", "MaxEnergyOnInvalidId", None, 0, "ReadOnly", "Wh", None),
        ("TxCtrlr", "StopTxOnEVSideDisconnect", None, True, "ReadWrite", None, None),
        ("TxCtrlr", "StopTxOnInvalidId", None, True, "ReadWrite", None, None),
        ("TxCtrlr", "TxStartPoint", None, "PowerPathClosed", "ReadOnly", None, None),
        ("TxCtrlr", "TxStopPoint", None, "PowerPathClosed", "ReadOnly", None, None),
    ]
    for controller, name, instance, value, mutability, unit, values in table:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        kind = "MemberList" if values is not None else _TYPES[type(value)]
        minimum = 0 if type(value) is int and mutability == "ReadWrite" else None
        yield Variable((controller, None, None, None), (name, instance), text, kind, mutability, unit,
                       minimum=minimum, values=values)
