"""What an OCPP 1.6 CSMS may ask of a station in the profiles Core and RemoteTrigger, and how a sound one answers.

Decides answers and what follows them. Refuses to know how what follows is carried out (`station16`).

Source: OCPP 1.6 sections 5.2 to 5.18; errata 3.23, 3.40, 3.87.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_proxy.sim.endpoint import Payload, Reply
from ocpp_proxy.sim.jobs import status

if TYPE_CHECKING:
    from ocpp_proxy.sim.connector import Connector
    from ocpp_proxy.sim.station16 import Station16

Operation16: TypeAlias = Callable[["Station16", Payload], Reply | Awaitable[Reply]]


def change_availability(station: Station16, request: Payload) -> Reply:
    number = request["connectorId"]
    if not 0 <= number < len(station.connectors):
        return status("Rejected")
    changed = station.connectors if number == 0 else [station.connectors[number]]
    for connector in changed:
        connector.operative = request["type"] == "Operative"
    waiting = request["type"] == "Inoperative" and any(connector.session for connector in changed)

    async def show() -> None:
        for connector in changed:
            if connector.session is None:
                await station.set_status(connector, connector.resting)

    return status("Scheduled" if waiting else "Accepted", lambda: station.host.spawn(show(), "availability"))


def change_configuration(station: Station16, request: Payload) -> Reply:
    result = station.configuration.change(request["key"], request["value"])
    return status(result, station.settings_changed if result == "Accepted" else None)


def get_configuration(station: Station16, request: Payload) -> Reply:
    return Reply(station.configuration.report(request.get("key")))


def clear_cache(station: Station16, _request: Payload) -> Reply:
    if not station.configuration.flag("AuthorizationCacheEnabled"):
        return status("Rejected")
    station.tokens.cache.clear()
    return status("Accepted")


def data_transfer(station: Station16, request: Payload) -> Reply:
    return status("UnknownMessageId" if request["vendorId"] == station.host.behaviour.vendor else "UnknownVendorId")


def remote_start(station: Station16, request: Payload) -> Reply:
    token = request["idTag"]
    wanted = request.get("connectorId")
    candidates = [connector for connector in station.connectors[1:] if wanted in (None, connector.number)]
    chosen = next((connector for connector in candidates if station.free(connector, token)), None)
    if chosen is None or not station.host.registration.accepted:
        return status("Rejected")
    profile = request.get("chargingProfile")

    async def start(connector: Connector) -> None:
        await station.charge(connector.number, token, profile=profile,
                             authorise=station.configuration.flag("AuthorizeRemoteTxRequests"))

    return status("Accepted", lambda: station.host.spawn(start(chosen), "remote start"))


def remote_stop(station: Station16, request: Payload) -> Reply:
    wanted = request["transactionId"]
    session = next((connector.session for connector in station.connectors
                    if connector.session and connector.session.transaction_id == wanted), None)
    if session is None or not station.host.registration.accepted:
        return status("Rejected")
    return status("Accepted", lambda: session.stop("Remote"))


def reset(station: Station16, request: Payload) -> Reply:
    soft = request["type"] == "Soft"

    async def restart() -> None:
        sessions = [connector.session for connector in station.connectors if connector.session]
        for session in sessions:
            session.stop("SoftReset" if soft else "HardReset")
        for session in sessions:
            await session.done.wait()
        await station.host.reboot("RemoteReset", abrupt=not soft)

    return status("Accepted", lambda: station.host.spawn(restart(), "reset"))


def unlock_connector(station: Station16, request: Payload) -> Reply:
    number = request["connectorId"]
    if not 0 < number < len(station.connectors):
        return status("NotSupported")

    async def unlock() -> None:
        connector = station.connectors[number]
        session = connector.session
        if session is not None:
            session.stop("UnlockCommand")
            await session.done.wait()
        await station.unplug(number)

    return status("Unlocked", lambda: station.host.spawn(unlock(), "unlock"))


async def _trigger_boot(station: Station16, _connectors: list[Connector]) -> None:
    station.host.registration.ask_now()


async def _trigger_heartbeat(station: Station16, _connectors: list[Connector]) -> None:
    await station.host.say("Heartbeat", {}, triggered=True)


async def _trigger_meter(station: Station16, connectors: list[Connector]) -> None:
    for connector in connectors:
        if connector.number:
            await station.tell_meter(connector, "Trigger", "MeterValuesSampledData")


async def _trigger_status(station: Station16, connectors: list[Connector]) -> None:
    for connector in connectors:
        await station.tell_status(connector, triggered=True)


def _trigger_job(action: str) -> Callable[[Station16, list[Connector]], Awaitable[None]]:
    async def tell(station: Station16, _connectors: list[Connector]) -> None:
        await station.host.say(action, station.jobs.get(action, {"status": "Idle"}), triggered=True)

    return tell


TRIGGERS: Final[Mapping[str, Callable[[Station16, list[Connector]], Awaitable[None]]]] = {
    "BootNotification": _trigger_boot,
    "DiagnosticsStatusNotification": _trigger_job("DiagnosticsStatusNotification"),
    "FirmwareStatusNotification": _trigger_job("FirmwareStatusNotification"),
    "Heartbeat": _trigger_heartbeat,
    "LogStatusNotification": _trigger_job("LogStatusNotification"),
    "MeterValues": _trigger_meter,
    "StatusNotification": _trigger_status,
}


def trigger_message(station: Station16, request: Payload) -> Reply:
    """TriggerMessage and ExtendedTriggerMessage."""
    message, number = request["requestedMessage"], request.get("connectorId")
    trigger = TRIGGERS.get(message)
    if trigger is None:
        return status("NotImplemented")
    if number is not None and not 0 <= number < len(station.connectors):
        return status("Rejected")
    if message == "BootNotification" and station.host.registration.accepted:
        return status("Rejected")
    connectors = station.connectors if number is None else [station.connectors[number]]
    return status("Accepted", lambda: station.host.spawn(_run(trigger, station, connectors), f"triggered {message}"))


async def _run(
    trigger: Callable[[Station16, list[Connector]], Awaitable[None]], station: Station16, connectors: list[Connector]
) -> None:
    await trigger(station, connectors)


OPERATIONS: Final[dict[str, Operation16]] = {
    "ChangeAvailability": change_availability,
    "ChangeConfiguration": change_configuration,
    "ClearCache": clear_cache,
    "DataTransfer": data_transfer,
    "GetConfiguration": get_configuration,
    "RemoteStartTransaction": remote_start,
    "RemoteStopTransaction": remote_stop,
    "Reset": reset,
    "TriggerMessage": trigger_message,
    "UnlockConnector": unlock_connector,
}
