"""The EVSEs of an OCPP 2.x station, the transactions on them, and the hardware in its device model.

Decides what is known of each. Refuses to know when it is told (`station2x`).

Source: OCPP 2.0.1 E01, G01 (connector statuses), and the referenced components ChargingStation, EVSE, Connector.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from ocpp_proxy.sim.endpoint import Payload
from ocpp_proxy.sim.meter import Meter
from ocpp_proxy.sim.session import Session
from ocpp_proxy.sim.variables import Variable

if TYPE_CHECKING:
    from ocpp_proxy.sim.station2x import Station2x

# Why a session ended: the triggerReason and the stoppedReason that say so.
ENDINGS: Final[dict[str, tuple[str, str]]] = {
    "Local": ("StopAuthorized", "Local"),
    "Remote": ("RemoteStop", "Remote"),
    "EVDisconnected": ("EVCommunicationLost", "EVDisconnected"),
    "DeAuthorized": ("Deauthorized", "DeAuthorized"),
    "ImmediateReset": ("ResetCommand", "ImmediateReset"),
    "PowerLoss": ("AbnormalCondition", "PowerLoss"),
    "Fault": ("AbnormalCondition", "Other"),
}


@dataclass(slots=True, eq=False)
class Evse:
    """Number 0 is the station itself. `told` is the connector status that the CSMS last heard."""

    number: int
    meter: Meter
    operative: bool = True
    plugged: bool = False
    fault: str = ""
    session: Transaction | None = None
    reservation: Payload | None = None
    told: str | None = None

    @property
    def status(self) -> str:
        if self.fault:
            return "Faulted"
        if self.plugged:
            return "Occupied"
        if not self.operative:
            return "Unavailable"
        return "Reserved" if self.reservation else "Available"


@dataclass(slots=True, eq=False)
class Transaction(Session):
    """`identity` is the IdToken; it and the EVSE stand in the first event only."""

    identity: Payload = field(default_factory=dict)
    remote_start_id: int | None = None
    reservation_id: int | None = None
    charging_state: str = "EVConnected"
    numbers: Iterator[int] = field(default_factory=itertools.count)


def hardware(station: Station2x) -> Iterator[Variable]:
    """The variables of the station, its EVSEs and their connectors."""
    traits = station.host.behaviour
    whole = ("ChargingStation", None, None, None)
    yield Variable(whole, ("AvailabilityState", None), lambda: station.evses[0].status, "OptionList")
    yield Variable(whole, ("Available", None), "true", "boolean")
    yield Variable(whole, ("Model", None), traits.model)
    yield Variable(whole, ("VendorName", None), traits.vendor)
    yield Variable(whole, ("FirmwareVersion", None), lambda: station.firmware)
    yield Variable(whole, ("SupplyPhases", None), "3", "integer")
    yield Variable(("ClockCtrlr", None, None, None), ("DateTime", None), station.clock.timestamp, "dateTime")
    for evse in station.evses[1:]:
        for place in (("EVSE", None, evse.number, None), ("Connector", None, evse.number, 1)):
            yield Variable(place, ("AvailabilityState", None), partial(getattr, evse, "status"), "OptionList")
            yield Variable(place, ("Available", None), "true", "boolean")
            yield Variable(place, ("SupplyPhases", None), "3", "integer")
        yield Variable(("EVSE", None, evse.number, None), ("Power", None), evse.meter.power, "decimal", unit="W")
        yield Variable(("Connector", None, evse.number, 1), ("ConnectorType", None), "sType2")

