"""How simulated CSMSs differ: one class a behaviour, each overriding what is different about it.

Decides what a station is answered and what it is asked after its boot. Refuses to know connections (`csms`).

Source: OCPP 1.6 section 4.2; OCPP 2.0.1 B01 to B03 (registration: Accepted, Pending, Rejected).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from ocpp.exceptions import NotSupportedError, SecurityError

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim.answers import ANSWERS, StationState
from ocpp_proxy.sim.endpoint import CallFailed, Payload, Reply

if TYPE_CHECKING:
    from ocpp_proxy.sim.csms import SimulatedCsms

Script: TypeAlias = Sequence[tuple[str, Payload]]


class Accepting:
    """Takes every station and answers everything soundly."""

    name: ClassVar[str] = "accepting"
    heartbeat_interval_s = 300
    settle_s = 2.0  # from the boot to the first CALL of `after_boot`

    def __init__(self, after_boot: Script | None = None) -> None:
        if after_boot is not None:
            self.after_boot = after_boot

    after_boot: Script = ()

    async def answer(self, csms: SimulatedCsms, station: StationState, action: str, request: Payload) -> Reply:
        if action == "BootNotification":
            return self.register(csms, station)
        invited = station.registration == "Pending" and action in station.invited
        if station.registration in ("Pending", "Rejected") and not invited:
            raise SecurityError(f"{station.station_id} is not accepted yet")
        answer = ANSWERS[station.version].get(action)
        if answer is None:
            raise NotSupportedError(f"{action} is nothing that a CSMS answers")
        return Reply(answer(station, request))

    def register(self, csms: SimulatedCsms, station: StationState) -> Reply:
        return self.registered(csms, station, "Accepted", self.heartbeat_interval_s, self.after_boot)

    def registered(
        self, csms: SimulatedCsms, station: StationState, status: str, interval_s: int, script: Script
    ) -> Reply:
        """The response to a BootNotification; `script` follows it."""
        station.registration = status
        response = {"status": status, "currentTime": csms.clock.timestamp(), "interval": interval_s}
        return Reply(response, (lambda: csms.spawn(self.ask(csms, station, script))) if script else None)

    async def ask(self, csms: SimulatedCsms, station: StationState, script: Script) -> None:
        """One CALL after the other; a failed one does not stop the rest."""
        await csms.pause(self.settle_s)
        for action, payload in script:
            try:
                await csms.call(station.station_id, action, payload)
            except CallFailed:
                continue


class PendingFirst(Accepting):
    """Answers the first boot with Pending; asks for the configuration meanwhile, and accepts the second boot."""

    name = "pending-first"
    pending_interval_s = 10
    questions: ClassVar[dict[Version, Script]] = {
        "1.6": [("GetConfiguration", {})],
        "2.0.1": [("GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"})],
        "2.1": [("GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"})],
    }

    def register(self, csms: SimulatedCsms, station: StationState) -> Reply:
        if station.registration is None:
            return self.registered(csms, station, "Pending", self.pending_interval_s, self.questions[station.version])
        return super().register(csms, station)


class ClosingWhilePending(PendingFirst):
    """Closes the connection after Pending: it must not. Accepts the second boot."""

    name = "closing-while-pending"

    async def ask(self, csms: SimulatedCsms, station: StationState, script: Script) -> None:
        if station.registration != "Pending":
            await super().ask(csms, station, script)
            return
        await csms.pause(self.settle_s)
        await csms.disconnect(station.station_id, 1000, "not configured")


class Slow(Accepting):
    """Answers soundly, but only after a while."""

    name = "slow"
    delay_s = 3.0

    async def answer(self, csms: SimulatedCsms, station: StationState, action: str, request: Payload) -> Reply:
        await csms.pause(self.delay_s)
        return await super().answer(csms, station, action, request)


class Rejecting(Accepting):
    """Rejects every boot."""

    name = "rejecting"
    retry_interval_s = 60

    def register(self, csms: SimulatedCsms, station: StationState) -> Reply:
        return self.registered(csms, station, "Rejected", self.retry_interval_s, ())


class Silent(Accepting):
    """Takes the connection and never answers."""

    name = "silent"

    async def answer(self, _csms: SimulatedCsms, _station: StationState, _action: str, _request: Payload) -> Reply:
        return Reply(None)


class TriggerAfterBoot(Accepting):
    """Asks for all statuses after each boot: as many CSMSs do."""

    name = "trigger-after-boot"
    after_boot: Script = (("TriggerMessage", {"requestedMessage": "StatusNotification"}),)

    def register(self, csms: SimulatedCsms, station: StationState) -> Reply:
        script = self.after_boot
        if station.version != "1.6":  # there it wants a connector (F06.FR.13)
            script = [(action, payload | {"evse": {"id": 1, "connectorId": 1}}) for action, payload in script]
        return self.registered(csms, station, "Accepted", self.heartbeat_interval_s, script)


CSMS_BEHAVIOURS: Final[dict[str, type[Accepting]]] = {
    behaviour.name: behaviour for behaviour in (
        Accepting, PendingFirst, ClosingWhilePending, Slow, Rejecting, Silent, TriggerAfterBoot)
}


def csms_behaviour(name: str, after_boot: Script | None = None) -> Accepting:
    """The behaviour of that name. Raises BadInput, naming the allowed ones."""
    behaviour = CSMS_BEHAVIOURS.get(name)
    if behaviour is None:
        raise BadInput(f"no CSMS behaviour {name!r}; there are {', '.join(CSMS_BEHAVIOURS)}")
    return behaviour(after_boot)
