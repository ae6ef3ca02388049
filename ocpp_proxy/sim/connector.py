"""The connectors of an OCPP 1.6 station.

Decides what is known of each, and what its status is while nothing runs there.

Source: OCPP 1.6 sections 4.9 and 7.7.
"""

from __future__ import annotations

from dataclasses import dataclass

from ocpp_proxy.sim.endpoint import Payload
from ocpp_proxy.sim.meter import Meter
from ocpp_proxy.sim.session import Session


@dataclass(slots=True, eq=False)
class Connector:
    """Number 0 is the station itself. `told` is what the CSMS last heard of status and error."""

    number: int
    meter: Meter
    status: str = "Available"
    error: str = "NoError"
    info: str = ""
    operative: bool = True
    plugged: bool = False
    session: Session | None = None
    reservation: Payload | None = None
    told: tuple[str, str] | None = None

    @property
    def resting(self) -> str:
        """The status where no session runs."""
        if self.error != "NoError":
            return "Faulted"
        if not self.operative:
            return "Unavailable"
        if self.plugged:
            return "Finishing"
        return "Reserved" if self.reservation else "Available"
