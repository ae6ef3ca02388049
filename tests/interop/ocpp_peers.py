"""A station and a CSMS in the style of the `ocpp` package's own examples: subclasses of its ChargePoint on websockets.

They note every frame they send and get, so that both ends and the capture can be compared byte for byte. The package
validates each payload against its schemas, both ways; what it refuses is noted as a failure.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import ocpp.v16
import ocpp.v21
import ocpp.v201
from ocpp.routing import after, on
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

TIMEOUT_S = 20.0
AT = "2026-11-21T09:00:00.000Z"
TAG = "04AABBCCDD"
TOKEN = {"id_token": TAG, "type": "ISO14443"}


@dataclass
class Transcript:
    """What one end saw of its conversation."""

    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    close: dict[str, Any] | None = None
    protocol: str | None = None
    session: dict[str, Any] = field(default_factory=dict)


class Noting:
    """A connection as ChargePoint wants it, which notes what passes."""

    def __init__(self, connection: ClientConnection | ServerConnection) -> None:
        self.connection = connection
        self.notes = Transcript(protocol=connection.subprotocol)

    async def recv(self) -> str:
        message = await self.connection.recv()
        assert isinstance(message, str)
        self.notes.received.append(message)
        return message

    async def send(self, message: str) -> None:
        self.notes.sent.append(message)
        await self.connection.send(message)


class Failures(logging.Handler):
    """The package logs what it refuses and goes on."""

    def __init__(self, notes: Transcript) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.failures.append(record.getMessage())


class Peer:
    """What both ends have: `wanted` are the other side's requests that the conversation waits for."""

    def __init__(self, name: str, connection: ClientConnection | ServerConnection) -> None:
        self.noting = Noting(connection)
        logger = logging.Logger(name)
        logger.addHandler(Failures(self.noting.notes))
        super().__init__(name, self.noting, response_timeout=TIMEOUT_S, logger=logger)
        self.came: dict[str, asyncio.Event] = {}

    def wanted(self, action: str) -> asyncio.Event:
        return self.came.setdefault(action, asyncio.Event())

    async def say(self, message: Any) -> Any:
        return await self.call(message, suppress=False)


class Station16(Peer, ocpp.v16.ChargePoint):
    async def talk(self) -> None:
        call = ocpp.v16.call
        booted = await self.say(call.BootNotification(
            charge_point_model="Py 11", charge_point_vendor="Interop", iccid="8900000000000000003"))
        assert booted.status == "Accepted"
        await self.status(0, "Available")
        await self.status(1, "Available")
        await self.wanted("TriggerMessage").wait()
        await self.say(call.Heartbeat())
        await self.wanted("RemoteStartTransaction").wait()
        await self.status(1, "Preparing")
        await self.say(call.Authorize(id_tag=TAG))
        started = await self.say(call.StartTransaction(connector_id=1, id_tag=TAG, meter_start=0, timestamp=AT))
        await self.status(1, "Charging")
        await self.say(call.MeterValues(
            connector_id=1, transaction_id=started.transaction_id,
            meter_value=[{"timestamp": AT, "sampled_value": [{"value": "12", "unit": "Wh"}]}]))
        await self.wanted("RemoteStopTransaction").wait()
        await self.say(call.StopTransaction(
            transaction_id=started.transaction_id, id_tag=TAG, meter_stop=12, timestamp=AT, reason="Remote"))
        await self.status(1, "Finishing")
        await self.status(1, "Available")

    async def status(self, connector: int, status: str) -> None:
        await self.say(ocpp.v16.call.StatusNotification(
            connector_id=connector, error_code="NoError", status=status, timestamp=AT))

    @on("GetConfiguration")
    def on_get_configuration(self, **_: Any) -> Any:
        return ocpp.v16.call_result.GetConfiguration(configuration_key=[
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core,RemoteTrigger,SmartCharging"}])

    @on("ChangeConfiguration")
    def on_change_configuration(self, **_: Any) -> Any:
        return ocpp.v16.call_result.ChangeConfiguration(status="Accepted")

    @on("SetChargingProfile")
    def on_set_charging_profile(self, **_: Any) -> Any:
        return ocpp.v16.call_result.SetChargingProfile(status="Accepted")

    @on("TriggerMessage")
    def on_trigger(self, **_: Any) -> Any:
        return ocpp.v16.call_result.TriggerMessage(status="Accepted")

    @after("TriggerMessage")
    def after_trigger(self, **_: Any) -> None:
        self.wanted("TriggerMessage").set()

    @on("RemoteStartTransaction")
    def on_remote_start(self, **_: Any) -> Any:
        return ocpp.v16.call_result.RemoteStartTransaction(status="Accepted")

    @after("RemoteStartTransaction")
    def after_remote_start(self, **_: Any) -> None:
        self.wanted("RemoteStartTransaction").set()

    @on("RemoteStopTransaction")
    def on_remote_stop(self, **_: Any) -> Any:
        return ocpp.v16.call_result.RemoteStopTransaction(status="Accepted")

    @after("RemoteStopTransaction")
    def after_remote_stop(self, **_: Any) -> None:
        self.wanted("RemoteStopTransaction").set()


class Csms16(Peer, ocpp.v16.ChargePoint):
    async def talk(self) -> None:
        call = ocpp.v16.call
        await self.wanted("BootNotification").wait()
        await self.say(call.GetConfiguration())
        await self.say(call.ChangeConfiguration(key="MeterValueSampleInterval", value="60"))
        await self.say(call.TriggerMessage(requested_message="Heartbeat"))
        await self.say(call.RemoteStartTransaction(id_tag=TAG, connector_id=1))
        await self.wanted("MeterValues").wait()
        await self.say(call.SetChargingProfile(connector_id=1, cs_charging_profiles={
            "charging_profile_id": 1, "transaction_id": 4711, "stack_level": 0,
            "charging_profile_purpose": "TxProfile", "charging_profile_kind": "Absolute",
            "charging_schedule": {"charging_rate_unit": "A", "start_schedule": AT, "charging_schedule_period": [
                {"start_period": 0, "limit": 16.5}]}}))
        await self.say(call.RemoteStopTransaction(transaction_id=4711))

    @on("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        return ocpp.v16.call_result.BootNotification(current_time=AT, interval=300, status="Accepted")

    @after("BootNotification")
    def after_boot(self, **_: Any) -> None:
        self.wanted("BootNotification").set()

    @on("Heartbeat")
    def on_heartbeat(self) -> Any:
        return ocpp.v16.call_result.Heartbeat(current_time=AT)

    @on("StatusNotification")
    def on_status(self, **_: Any) -> Any:
        return ocpp.v16.call_result.StatusNotification()

    @on("Authorize")
    def on_authorize(self, **_: Any) -> Any:
        return ocpp.v16.call_result.Authorize(id_tag_info={"status": "Accepted"})

    @on("StartTransaction")
    def on_start(self, **_: Any) -> Any:
        return ocpp.v16.call_result.StartTransaction(transaction_id=4711, id_tag_info={"status": "Accepted"})

    @on("MeterValues")
    def on_meter_values(self, **_: Any) -> Any:
        return ocpp.v16.call_result.MeterValues()

    @after("MeterValues")
    def after_meter_values(self, **_: Any) -> None:
        self.wanted("MeterValues").set()

    @on("StopTransaction")
    def on_stop(self, **_: Any) -> Any:
        return ocpp.v16.call_result.StopTransaction(id_tag_info={"status": "Accepted"})


class Station2(Peer):
    """2.0.1 and 2.1, which have the same messages here; `messages` is the package's module of the version."""

    messages: Any

    async def talk(self) -> None:
        call = self.messages.call
        booted = await self.say(call.BootNotification(reason="PowerUp", charging_station={
            "model": "Py 22", "vendor_name": "Interop", "modem": {"iccid": "8900000000000000003"}}))
        assert booted.status == "Accepted"
        await self.status("Available")
        await self.wanted("TriggerMessage").wait()
        await self.say(call.Heartbeat())
        await self.wanted("RequestStartTransaction").wait()
        await self.status("Occupied")
        await self.say(call.TransactionEvent(
            event_type="Started", timestamp=AT, trigger_reason="RemoteStart", seq_no=0,
            transaction_info={"transaction_id": "tx-1", "charging_state": "EVConnected", "remote_start_id": 7},
            evse={"id": 1, "connector_id": 1}, id_token=TOKEN))
        await self.say(call.TransactionEvent(
            event_type="Updated", timestamp=AT, trigger_reason="MeterValuePeriodic", seq_no=1,
            transaction_info={"transaction_id": "tx-1", "charging_state": "Charging"},
            meter_value=[{"timestamp": AT, "sampled_value": [{"value": 12.5}]}]))
        await self.wanted("RequestStopTransaction").wait()
        await self.say(call.TransactionEvent(
            event_type="Ended", timestamp=AT, trigger_reason="RemoteStop", seq_no=2,
            transaction_info={"transaction_id": "tx-1", "stopped_reason": "Remote"}))
        await self.status("Available")

    async def status(self, status: str) -> None:
        await self.say(self.messages.call.StatusNotification(
            timestamp=AT, connector_status=status, evse_id=1, connector_id=1))

    @on("GetVariables")
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        return self.messages.call_result.GetVariables(get_variable_result=[
            {**one, "attribute_status": "Accepted", "attribute_value": "300"} for one in get_variable_data])

    @on("SetVariables")
    def on_set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        return self.messages.call_result.SetVariables(set_variable_result=[
            {"attribute_status": "Accepted", "component": one["component"], "variable": one["variable"]}
            for one in set_variable_data])

    @on("TriggerMessage")
    def on_trigger(self, **_: Any) -> Any:
        return self.messages.call_result.TriggerMessage(status="Accepted")

    @after("TriggerMessage")
    def after_trigger(self, **_: Any) -> None:
        self.wanted("TriggerMessage").set()

    @on("RequestStartTransaction")
    def on_start(self, **_: Any) -> Any:
        return self.messages.call_result.RequestStartTransaction(status="Accepted")

    @after("RequestStartTransaction")
    def after_start(self, **_: Any) -> None:
        self.wanted("RequestStartTransaction").set()

    @on("RequestStopTransaction")
    def on_stop(self, **_: Any) -> Any:
        return self.messages.call_result.RequestStopTransaction(status="Accepted")

    @after("RequestStopTransaction")
    def after_stop(self, **_: Any) -> None:
        self.wanted("RequestStopTransaction").set()


class Csms2(Peer):
    messages: Any

    async def talk(self) -> None:
        call = self.messages.call
        await self.wanted("BootNotification").wait()
        heartbeat = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
        await self.say(call.GetVariables(get_variable_data=[heartbeat]))
        await self.say(call.SetVariables(set_variable_data=[{**heartbeat, "attribute_value": "300"}]))
        await self.say(call.TriggerMessage(requested_message="Heartbeat"))
        await self.say(call.RequestStartTransaction(remote_start_id=7, evse_id=1, id_token=TOKEN))
        started = self.wanted("TransactionEvent")
        await started.wait()
        await self.say(call.RequestStopTransaction(transaction_id=self.transaction))

    @on("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        return self.messages.call_result.BootNotification(current_time=AT, interval=300, status="Accepted")

    @after("BootNotification")
    def after_boot(self, **_: Any) -> None:
        self.wanted("BootNotification").set()

    @on("Heartbeat")
    def on_heartbeat(self) -> Any:
        return self.messages.call_result.Heartbeat(current_time=AT)

    @on("StatusNotification")
    def on_status(self, **_: Any) -> Any:
        return self.messages.call_result.StatusNotification()

    @on("TransactionEvent")
    def on_transaction(self, transaction_info: dict[str, Any], id_token: Any = None, **_: Any) -> Any:
        self.transaction = transaction_info["transaction_id"]
        return self.messages.call_result.TransactionEvent(
            id_token_info=None if id_token is None else {"status": "Accepted"})

    @after("TransactionEvent")
    def after_transaction(self, **_: Any) -> None:
        self.wanted("TransactionEvent").set()


class Station201(Station2, ocpp.v201.ChargePoint):
    messages = ocpp.v201


class Station21(Station2, ocpp.v21.ChargePoint):
    messages = ocpp.v21


class Csms201(Csms2, ocpp.v201.ChargePoint):
    messages = ocpp.v201


class Csms21(Csms2, ocpp.v21.ChargePoint):
    messages = ocpp.v21


STATIONS = {"ocpp1.6": Station16, "ocpp2.0.1": Station201, "ocpp2.1": Station21}
CSMSS = {"ocpp1.6": Csms16, "ocpp2.0.1": Csms201, "ocpp2.1": Csms21}


async def station(url: str, identity: str, password: str, subprotocol: str) -> Transcript:
    """A whole conversation as a station; closes with 1000."""
    basic = base64.b64encode(f"{identity}:{password}".encode()).decode()
    async with asyncio.timeout(TIMEOUT_S), connect(
        f"{url}/{quote(identity)}", subprotocols=[subprotocol], additional_headers={"Authorization": f"Basic {basic}"},
        user_agent_header="interop-station/1.0 (ocpp)", ping_interval=0.1, ping_timeout=5, proxy=None,
    ) as connection:
        peer = STATIONS[connection.subprotocol](identity, connection)
        await _until_closed(peer, peer.talk(), hang_up=True)
        return peer.noting.notes


@asynccontextmanager
async def csms(password: str):
    """A CSMS for one station: (port, future of its transcript)."""
    done: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()

    async def accept(connection: ServerConnection) -> None:
        endpoint, _, identity = connection.request.path.rpartition("/")
        peer = CSMSS[connection.subprotocol](identity, connection)
        offered = connection.request.headers["Sec-WebSocket-Protocol"]
        peer.noting.notes.session = {
            "identity": unquote(identity), "endpoint": endpoint, "agent": connection.request.headers["User-Agent"],
            "protocols": [one.strip() for one in offered.split(",")]}
        await _until_closed(peer, peer.talk(), hang_up=False)
        done.set_result(peer.noting.notes)

    def admit(connection: ServerConnection, request: Any) -> Any:
        basic = request.headers["Authorization"].removeprefix("Basic ")
        given = base64.b64decode(basic).decode().partition(":")[2]
        return None if given == password else connection.respond(401, "wrong password\n")

    async with serve(accept, "127.0.0.1", 0, subprotocols=list(CSMSS), process_request=admit, ping_interval=0.1,
                     ping_timeout=5) as server:
        yield next(iter(server.sockets)).getsockname()[1], done


async def _until_closed(peer: Any, talk: Any, *, hang_up: bool) -> None:
    listening = asyncio.create_task(peer.start())
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await talk
    except Exception as failure:
        peer.noting.notes.failures.append(repr(failure))
    connection = peer.noting.connection
    if hang_up:
        await asyncio.sleep(0.15)  # one keepalive at least
        await connection.close(1000, "done for today")
    with suppress(ConnectionClosed):
        await listening
    peer.noting.notes.close = {"code": connection.close_code, "reason": connection.close_reason}
