import asyncio

import pytest

BOTH = pytest.mark.parametrize("version", ["2.0.1", "2.1"])
MANDATORY = {"ChargingStation", "EVSE", "Connector", "OCPPCommCtrlr", "SecurityCtrlr", "AuthCtrlr", "TxCtrlr",
             "SampledDataCtrlr", "AlignedDataCtrlr", "DeviceDataCtrlr", "ClockCtrlr"}
TOKEN = {"idToken": "REMOTE", "type": "Central"}


def name(component, variable, instance=None, **more):
    return {"component": {"name": component}, "variable": {"name": variable} | (
        {"instance": instance} if instance else {})} | more


async def charging(both, number=1):
    return await both.heard("TransactionEvent", lambda event: (
        event["transactionInfo"]["chargingState"] == "Charging" and event["seqNo"] == 1))


@BOTH
def test_variables_are_read_and_written(pair, version):
    async def story():
        async with pair(version) as both:
            asked = [name("OCPPCommCtrlr", "HeartbeatInterval"), name("ocppcommctrlr", "heartbeatinterval"),
                     name("Nonsense", "X"), name("TxCtrlr", "Nonsense"),
                     name("TxCtrlr", "TxStartPoint", attributeType="Target"),
                     name("SecurityCtrlr", "BasicAuthPassword"),
                     name("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")]
            read = (await both.ask("GetVariables", {"getVariableData": asked}))["getVariableResult"]
            assert [(one["attributeStatus"], one.get("attributeValue")) for one in read] == [
                ("Accepted", "300"), ("Accepted", "300"), ("UnknownComponent", None), ("UnknownVariable", None),
                ("NotSupportedAttributeType", None), ("Rejected", None), ("Accepted", "3")]
            assert [one["variable"] for one in read] == [one["variable"] for one in asked]
            writes = [name("OCPPCommCtrlr", "HeartbeatInterval", attributeValue="20"),
                      name("OCPPCommCtrlr", "HeartbeatInterval", attributeValue="-1"),
                      name("TxCtrlr", "TxStartPoint", attributeValue="Authorized"),
                      name("SampledDataCtrlr", "TxUpdatedMeasurands", attributeValue="Voltage,SoC"),
                      name("AuthCtrlr", "LocalPreAuthorize", attributeValue="maybe"),
                      name("Nonsense", "X", attributeValue="1"),
                      name("AuthCtrlr", "LocalPreAuthorize", attributeValue="true", attributeType="MinSet")]
            wrote = (await both.ask("SetVariables", {"setVariableData": writes}))["setVariableResult"]
            assert [one["attributeStatus"] for one in wrote] == [
                "Accepted", "Rejected", "Rejected", "Rejected", "Rejected", "UnknownComponent",
                "NotSupportedAttributeType"]
            await both.heard("Heartbeat")

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize("base", ["FullInventory", "ConfigurationInventory", "SummaryInventory"])
def test_a_base_report_comes_in_numbered_parts(pair, version, base):
    async def story():
        async with pair(version) as both:
            assert await both.ask("GetBaseReport", {"requestId": 7, "reportBase": base}) == {"status": "Accepted"}
            await both.heard("NotifyReport", lambda part: part["tbc"] is False)
            parts = both.frames.calls("NotifyReport")
            assert [part["seqNo"] for part in parts] == list(range(len(parts)))
            assert {part["requestId"] for part in parts} == {7}
            found = [one for part in parts for one in part["reportData"]]
            if base == "FullInventory":
                assert len(parts) > 2
                assert {one["component"]["name"] for one in found} >= MANDATORY
            if base == "ConfigurationInventory":
                assert {one["variableAttribute"][0]["mutability"] for one in found} == {"ReadWrite", "WriteOnly"}
            if base == "SummaryInventory":
                assert {one["variable"]["name"] for one in found} == {"AvailabilityState"}
            assert both.frames.invalid() == []

    asyncio.run(story())


@BOTH
def test_a_report_tells_what_was_asked_for(pair, version):
    async def story():
        async with pair(version) as both:
            asked = [{"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}},
                     {"component": {"name": "EVSE", "evse": {"id": 2}}}]
            await both.ask("GetReport", {"requestId": 3, "componentVariable": asked})
            report = await both.heard("NotifyReport")
            found = [(one["component"]["name"], one["variable"]["name"]) for one in report["reportData"]]
            assert ("TxCtrlr", "TxStartPoint") in found
            assert ("EVSE", "Power") in found
            assert {component for component, _ in found} == {"TxCtrlr", "EVSE"}
            for nothing in ({"componentVariable": [{"component": {"name": "Nonsense"}}]},
                            {"componentCriteria": ["Problem"]}):
                assert await both.ask("GetReport", {"requestId": 4} | nothing) == {"status": "EmptyResultSet"}

    asyncio.run(story())


@BOTH
def test_a_remote_start_and_stop_run_a_whole_transaction(pair, version):
    async def story():
        async with pair(version) as both:
            request = {"idToken": TOKEN, "remoteStartId": 77, "evseId": 1}
            assert await both.ask("RequestStartTransaction", request) == {"status": "Accepted"}
            event = await charging(both)
            assert await both.ask("RequestStartTransaction", request) == {"status": "Rejected"}
            transaction = {"transactionId": event["transactionInfo"]["transactionId"]}
            assert await both.ask("GetTransactionStatus", transaction) == {
                "ongoingIndicator": True, "messagesInQueue": False}
            assert await both.ask("GetTransactionStatus", {"transactionId": "x"}) == {
                "ongoingIndicator": False, "messagesInQueue": False}
            assert await both.ask("GetTransactionStatus") == {"messagesInQueue": False}
            assert await both.ask("RequestStopTransaction", {"transactionId": "x"}) == {"status": "Rejected"}
            assert await both.ask("RequestStopTransaction", transaction) == {"status": "Accepted"}
            ended = await both.heard("TransactionEvent", lambda event: event["eventType"] == "Ended")
            started = both.frames.calls("TransactionEvent")[0]
            assert started["triggerReason"] == "RemoteStart"
            assert started["transactionInfo"]["remoteStartId"] == 77
            assert started["idToken"] == TOKEN
            assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("RemoteStop", "Remote")
            assert both.frames.calls("Authorize") == [{"idToken": TOKEN}]

    asyncio.run(story())


@BOTH
def test_availability_is_told_and_waits_for_a_transaction(pair, version):
    async def story():
        async with pair(version) as both:
            statuses = both.csms.stations["CP1"].statuses
            running = asyncio.create_task(both.station.charge(1))
            await charging(both)
            assert await both.ask("ChangeAvailability", {"operationalStatus": "Inoperative"}) == {"status": "Scheduled"}
            await both.station.unplug(1)
            await running
            assert statuses == {(1, 1): "Unavailable", (2, 1): "Unavailable"}
            assert await both.station.charge(1, seconds=5) is None
            assert await both.ask("ChangeAvailability", {"operationalStatus": "Operative"}) == {"status": "Accepted"}
            assert await both.ask("ChangeAvailability", {
                "operationalStatus": "Inoperative", "evse": {"id": 2, "connectorId": 1}}) == {"status": "Accepted"}
            assert await both.ask("ChangeAvailability", {
                "operationalStatus": "Inoperative", "evse": {"id": 3}}) == {"status": "Rejected"}
            await both.settled()
            assert statuses == {(1, 1): "Available", (2, 1): "Unavailable"}

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize(("kind", "answer", "reason"), [
    ("Immediate", "Accepted", "RemoteReset"), ("OnIdle", "Scheduled", "ScheduledReset")])
def test_a_reset_ends_or_awaits_the_transaction(pair, version, kind, answer, reason):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1, seconds=60))
            await charging(both)
            seen = len(both.received)
            assert await both.ask("Reset", {"type": kind}) == {"status": answer}
            boot = await both.heard("BootNotification", after=seen)
            await running
            await both.station.until_ready()
            assert boot["reason"] == reason
            ended = both.frames.calls("TransactionEvent")[-1]
            assert ended["transactionInfo"]["stoppedReason"] == ("ImmediateReset" if kind == "Immediate" else "Local")
            kinds = [event["type"] for event in both.frames.calls("SecurityEventNotification")]
            assert kinds == ["StartupOfTheDevice", "ResetOrReboot"]

    asyncio.run(story())


@BOTH
def test_an_evse_has_no_reset_of_its_own(pair, version):
    async def story():
        async with pair(version) as both:
            assert await both.ask("Reset", {"type": "Immediate", "evseId": 1}) == {"status": "Rejected"}

    asyncio.run(story())


@BOTH
def test_unlocking_does_not_stop_a_transaction(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1))
            await charging(both)
            where = {"evseId": 1, "connectorId": 1}
            assert await both.ask("UnlockConnector", where) == {"status": "OngoingAuthorizedTransaction"}
            assert await both.ask("UnlockConnector", where | {"connectorId": 2}) == {"status": "UnknownConnector"}
            await both.station.unplug(1)
            await running
            assert await both.ask("UnlockConnector", where) == {"status": "Unlocked"}

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize("message", ["Heartbeat", "MeterValues", "FirmwareStatusNotification", "LogStatusNotification",
                                     "StatusNotification", "SignChargingStationCertificate"])
def test_a_trigger_is_followed(pair, version, message):
    async def story():
        async with pair(version) as both:
            seen = len(both.received)
            request = {"requestedMessage": message, "evse": {"id": 1, "connectorId": 1}}
            assert await both.ask("TriggerMessage", request) == {"status": "Accepted"}
            told = await both.heard("SignCertificate" if message.startswith("Sign") else message, after=seen)
            if message == "MeterValues":
                assert told["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
            if message.endswith("StatusNotification") and message != "StatusNotification":
                assert told == {"status": "Idle"}
            assert both.frames.invalid() == []

    asyncio.run(story())


@BOTH
def test_a_triggered_event_tells_of_the_running_transaction(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1))
            await charging(both)
            await both.ask("TriggerMessage", {"requestedMessage": "TransactionEvent"})
            event = await both.heard("TransactionEvent", lambda event: event["triggerReason"] == "Trigger")
            assert event["transactionInfo"]["chargingState"] == "Charging"
            assert event["meterValue"]
            await both.station.unplug(1)
            await running

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize(("request_", "status"), [
    ({"requestedMessage": "StatusNotification"}, "Rejected"),
    ({"requestedMessage": "BootNotification"}, "Rejected"),
    ({"requestedMessage": "Heartbeat", "evse": {"id": 9}}, "Rejected"),
    ({"requestedMessage": "SignV2GCertificate"}, "NotImplemented"),
])
def test_not_every_trigger_is_taken(pair, version, request_, status):
    async def story():
        async with pair(version) as both:
            assert await both.ask("TriggerMessage", request_) == {"status": status}

    asyncio.run(story())


@BOTH
def test_the_cache_is_cleared_where_there_is_one(pair, version):
    async def story():
        async with pair(version) as both:
            assert await both.ask("ClearCache") == {"status": "Accepted"}
            await both.ask("SetVariables", {"setVariableData": [
                name("AuthCacheCtrlr", "Enabled", attributeValue="false")]})
            assert await both.ask("ClearCache") == {"status": "Rejected"}
            assert await both.ask("DataTransfer", {"vendorId": "who"}) == {"status": "UnknownVendorId"}

    asyncio.run(story())
