"""What an OCPP 2.x CSMS may ask of a station about charging: provisioning, transactions, availability, reset, triggers.

Decides answers and what follows them. Refuses to know how what follows is carried out (`station2x`).

Source: OCPP 2.0.1 B05 to B12, C11, E14, F01 to F06, G03, G04.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_proxy.sim.endpoint import Payload, Reply, dig
from ocpp_proxy.sim.jobs import signing_request, status
from ocpp_proxy.sim.variables import Variable

if TYPE_CHECKING:
    from ocpp_proxy.sim.evse import Evse
    from ocpp_proxy.sim.station2x import Station2x

Operation2x: TypeAlias = Callable[["Station2x", Payload], Reply | Awaitable[Reply]]

Trigger: TypeAlias = Callable[["Station2x", list["Evse"]], Awaitable[None]]

REPORT_ITEMS = 20  # in each NotifyReport


def get_variables(station: Station2x, request: Payload) -> Reply:
    return Reply({"getVariableResult": [station.model.get(asked) for asked in request["getVariableData"]]})


def set_variables(station: Station2x, request: Payload) -> Reply:
    results = [station.model.set(asked) for asked in request["setVariableData"]]
    return Reply({"setVariableResult": results}, station.settings_changed)


async def _notify_report(station: Station2x, request_id: int, found: list[Variable]) -> None:
    data = [variable.report() for variable in found]
    parts = [data[start:start + REPORT_ITEMS] for start in range(0, len(data), REPORT_ITEMS)]
    for number, part in enumerate(parts):
        await station.host.say("NotifyReport", {
            "requestId": request_id, "generatedAt": station.clock.timestamp(), "seqNo": number,
            "tbc": number + 1 < len(parts), "reportData": part}, triggered=True)


def _report(station: Station2x, request_id: int, found: Iterable[Variable]) -> Reply:
    variables = list(found)
    if not variables:
        return status("EmptyResultSet")
    return status("Accepted", lambda: station.host.spawn(_notify_report(station, request_id, variables), "report"))


def get_base_report(station: Station2x, request: Payload) -> Reply:
    chosen: dict[str, Callable[[Variable], bool]] = {
        "ConfigurationInventory": lambda one: one.mutability != "ReadOnly",
        "FullInventory": lambda _one: True,
        "SummaryInventory": lambda one: one.name[0] in ("AvailabilityState", "Problem"),
    }
    return _report(station, request["requestId"], filter(chosen[request["reportBase"]], station.model))


def get_report(station: Station2x, request: Payload) -> Reply:
    asked, criteria = request.get("componentVariable"), request.get("componentCriteria")
    found: list[Variable] = []
    for variable in station.model:
        told = variable.report()
        named = asked is None or any(
            _covers(one["component"], told["component"]) and _covers(one.get("variable", {}), told["variable"])
            for one in asked)
        # a component without such a variable counts as available and enabled, not as active or in trouble
        meets = criteria is None or bool({"Available", "Enabled"} & set(criteria))
        if named and meets:
            found.append(variable)
    return _report(station, request["requestId"], found)


def _covers(asked: Payload, found: Payload) -> bool:
    """Whether what was asked for names `found`: what it leaves out counts for every one."""
    return all(found.get(key) == value for key, value in asked.items() if key != "customData")


def request_start(station: Station2x, request: Payload) -> Reply:
    identity, wanted = request["idToken"], request.get("evseId")
    token = identity["idToken"]
    chosen = next((evse for evse in station.evses[1:]
                   if wanted in (None, evse.number) and station.free(evse, token)), None)
    if chosen is None or not station.host.registration.accepted:
        return status("Rejected")

    async def start(evse: Evse) -> None:
        await station.charge(
            evse.number, token, identity=identity, remote_start_id=request["remoteStartId"],
            profile=request.get("chargingProfile"), authorise=station.model.flag("AuthCtrlr", "AuthorizeRemoteStart"))

    return status("Accepted", lambda: station.host.spawn(start(chosen), "remote start"))


def request_stop(station: Station2x, request: Payload) -> Reply:
    session = next((evse.session for evse in station.evses
                    if evse.session and evse.session.transaction_id == request["transactionId"]), None)
    if session is None or not station.host.registration.accepted:
        return status("Rejected")
    return status("Accepted", lambda: session.stop("Remote"))


def get_transaction_status(station: Station2x, request: Payload) -> Reply:
    answer: Payload = {"messagesInQueue": len(station.host.outbox) > 0}
    wanted = request.get("transactionId")
    if wanted is not None:
        answer["ongoingIndicator"] = any(evse.session and evse.session.transaction_id == wanted
                                         for evse in station.evses)
    return Reply(answer)


def change_availability(station: Station2x, request: Payload) -> Reply:
    number = dig(request, int, "evse", "id") or 0
    if not 0 <= number < len(station.evses) or dig(request, int, "evse", "connectorId") not in (None, 1):
        return status("Rejected")
    changed = station.evses if number == 0 else [station.evses[number]]
    for evse in changed:
        evse.operative = request["operationalStatus"] == "Operative"
    waiting = request["operationalStatus"] == "Inoperative" and any(evse.session for evse in changed)

    async def show() -> None:
        for evse in changed:
            await station.update_status(evse)

    return status("Scheduled" if waiting else "Accepted", lambda: station.host.spawn(show(), "availability"))


def reset(station: Station2x, request: Payload) -> Reply:
    kind = request["type"]
    if "evseId" in request or kind not in ("Immediate", "OnIdle"):
        return status("Rejected")  # no EVSE of its own to reset, no transaction to resume
    sessions = [evse.session for evse in station.evses if evse.session]

    async def restart() -> None:
        for session in sessions:
            if kind == "Immediate":
                session.stop("ImmediateReset")
            await session.done.wait()
        waited = kind == "OnIdle" and sessions
        await station.host.reboot("ScheduledReset" if waited else "RemoteReset", abrupt=False)

    answer = "Scheduled" if kind == "OnIdle" and sessions else "Accepted"
    return status(answer, lambda: station.host.spawn(restart(), "reset"))


def unlock_connector(station: Station2x, request: Payload) -> Reply:
    number = request["evseId"]
    if not 0 < number < len(station.evses) or request["connectorId"] != 1:
        return status("UnknownConnector")
    if station.evses[number].session is not None:
        return status("OngoingAuthorizedTransaction")
    return status("Unlocked", lambda: station.host.spawn(station.host.unplug(number), "unlock"))


def clear_cache(station: Station2x, _request: Payload) -> Reply:
    if not station.model.flag("AuthCacheCtrlr", "Enabled"):
        return status("Rejected")
    station.tokens.cache.clear()
    return status("Accepted")


def data_transfer(station: Station2x, request: Payload) -> Reply:
    return status("UnknownMessageId" if request["vendorId"] == station.host.behaviour.vendor else "UnknownVendorId")


async def _trigger_boot(station: Station2x, _evses: list[Evse]) -> None:
    station.host.registration.ask_now()


async def _trigger_heartbeat(station: Station2x, _evses: list[Evse]) -> None:
    await station.host.say("Heartbeat", {}, triggered=True)


async def _trigger_meter(station: Station2x, evses: list[Evse]) -> None:
    for evse in evses:
        await station.tell_meter(evse, "Trigger")


async def _trigger_status(station: Station2x, evses: list[Evse]) -> None:
    for evse in evses:
        await station.tell_status(evse, triggered=True)


async def _trigger_event(station: Station2x, evses: list[Evse]) -> None:
    for evse in evses:
        if evse.session is not None:
            value = station.sample(evse, "Trigger", "SampledDataCtrlr", "TxUpdatedMeasurands")
            await station.event(evse, evse.session, "Updated", "Trigger", value)


async def _trigger_certificate(station: Station2x, _evses: list[Evse]) -> None:
    await station.host.say("SignCertificate", {
        "csr": signing_request(station.host.address.station_id), "certificateType": "ChargingStationCertificate"},
        triggered=True)


def _trigger_job(action: str) -> Trigger:
    async def tell(station: Station2x, _evses: list[Evse]) -> None:
        await station.host.say(action, station.jobs.get(action, {"status": "Idle"}), triggered=True)

    return tell


TRIGGERS: Final[Mapping[str, Trigger]] = {
    "BootNotification": _trigger_boot,
    "FirmwareStatusNotification": _trigger_job("FirmwareStatusNotification"),
    "Heartbeat": _trigger_heartbeat,
    "LogStatusNotification": _trigger_job("LogStatusNotification"),
    "MeterValues": _trigger_meter,
    "SignChargingStationCertificate": _trigger_certificate,
    "StatusNotification": _trigger_status,
    "TransactionEvent": _trigger_event,
}


def trigger_message(station: Station2x, request: Payload) -> Reply:
    message, number = request["requestedMessage"], dig(request, int, "evse", "id")
    trigger = TRIGGERS.get(message)
    if trigger is None:
        return status("NotImplemented")
    unclear = message == "StatusNotification" and dig(request, int, "evse", "connectorId") != 1
    late = message == "BootNotification" and station.host.registration.accepted
    if unclear or late or (number is not None and not 0 < number < len(station.evses)):
        return status("Rejected")
    evses = station.evses[1:] if number is None else [station.evses[number]]

    async def follow(chosen: Trigger) -> None:
        await chosen(station, evses)

    return status("Accepted", lambda: station.host.spawn(follow(trigger), f"triggered {message}"))


OPERATIONS: Final[dict[str, Operation2x]] = {
    "ChangeAvailability": change_availability,
    "ClearCache": clear_cache,
    "DataTransfer": data_transfer,
    "GetBaseReport": get_base_report,
    "GetReport": get_report,
    "GetTransactionStatus": get_transaction_status,
    "GetVariables": get_variables,
    "RequestStartTransaction": request_start,
    "RequestStopTransaction": request_stop,
    "Reset": reset,
    "SetVariables": set_variables,
    "TriggerMessage": trigger_message,
    "UnlockConnector": unlock_connector,
}
