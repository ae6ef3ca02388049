import asyncio
from itertools import pairwise

import pytest

from ocpp_proxy.core.instant import Instant

BOTH = pytest.mark.parametrize("version", ["2.0.1", "2.1"])


def status_of(both, evse):
    return both.csms.stations["CP1"].statuses[evse, 1]


def registers_of(events):
    return [event["meterValue"][0]["sampledValue"][0] for event in events if "meterValue" in event]


async def charging(both):
    return await both.heard("TransactionEvent", lambda event: event["transactionInfo"]["chargingState"] == "Charging")


@BOTH
def test_the_boot_names_the_sim_card_and_every_connector(pair, version):
    async def story():
        async with pair(version) as both:
            boot = both.csms.stations["CP1"].boot
            assert boot["reason"] == "PowerUp"
            assert len(boot["chargingStation"]["modem"]["iccid"]) == 19
            assert both.csms.stations["CP1"].statuses == {(1, 1): "Available", (2, 1): "Available"}
            told = "StatusNotification" if version == "2.0.1" else "NotifyEvent"
            assert [action for action, _ in both.received] == [
                "BootNotification", told, told, "SecurityEventNotification"]

    asyncio.run(story())


def test_21_tells_statuses_as_events_of_the_connector(pair):
    async def story():
        async with pair("2.1") as both:
            events = [request["eventData"][0] for request in both.frames.calls("NotifyEvent")]
            assert [event["eventId"] for event in events] == [1, 2]
            assert [event["component"] for event in events] == [
                {"name": "Connector", "evse": {"id": number, "connectorId": 1}} for number in (1, 2)]
            assert {(event["trigger"], event["variable"]["name"], event["actualValue"]) for event in events} == {
                ("Delta", "AvailabilityState", "Available")}

    asyncio.run(story())


@BOTH
def test_a_session_is_one_transaction_without_gaps(pair, version):
    async def story():
        async with pair(version) as both:
            seen = len(both.received)
            session = await both.station.charge(2, "04A1B2C3", seconds=150)
            status = "StatusNotification" if version == "2.0.1" else "NotifyEvent"
            assert [action for action, _ in both.received[seen:]] == [
                "Authorize", status, *["TransactionEvent"] * 5, status]
            events = both.frames.calls("TransactionEvent")
            assert [(event["eventType"], event["triggerReason"]) for event in events] == [
                ("Started", "CablePluggedIn"), ("Updated", "ChargingStateChanged"), ("Updated", "MeterValuePeriodic"),
                ("Updated", "MeterValuePeriodic"), ("Ended", "StopAuthorized")]
            assert [event["seqNo"] for event in events] == [0, 1, 2, 3, 4]
            assert {event["transactionInfo"]["transactionId"] for event in events} == {session.transaction_id}
            assert events[0]["idToken"] == {"idToken": "04A1B2C3", "type": "ISO14443"}
            assert events[0]["evse"] == {"id": 2, "connectorId": 1}
            assert not any("idToken" in event or "evse" in event for event in events[1:])
            assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
            assert not any(event["offline"] for event in events)
            assert [value["context"] for value in registers_of(events)] == [
                "Transaction.Begin", "Sample.Periodic", "Sample.Periodic", "Transaction.End"]
            registers = [value["value"] for value in registers_of(events)]
            assert all(earlier < later for earlier, later in pairwise(registers))
            for event in events:
                for value in event.get("meterValue", []):
                    assert value["timestamp"] <= event["timestamp"]
            assert status_of(both, 2) == "Available"
            assert both.frames.invalid() == []
            assert both.frames.overlaps() == []

    asyncio.run(story())


@BOTH
def test_what_happened_offline_comes_later_and_says_so(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1, seconds=130))
            await charging(both)
            await both.settled()
            await both.station.go_offline()
            await running
            both.station.go_online()
            await both.heard("TransactionEvent", lambda event: event["eventType"] == "Ended")
            events = both.frames.calls("TransactionEvent")
            assert [event["seqNo"] for event in events] == list(range(len(events)))
            assert [event["offline"] for event in events] == [False] * 2 + [True] * (len(events) - 2)
            times = [Instant.parse(event["timestamp"]).utc_us for event in events]
            assert times == sorted(times)

    asyncio.run(story())


@BOTH
def test_a_refused_card_starts_nothing(pair, version):
    async def story():
        async with pair(version) as both:
            assert await both.station.charge(1, "BLOCKED", seconds=10) is None
            assert both.frames.calls("TransactionEvent") == []

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize("stops", [True, False])
def test_a_refused_transaction_ends_or_draws_nothing(pair, version, stops):
    async def story():
        async with pair(version) as both:
            await both.ask("SetVariables", {"setVariableData": [
                variable("AuthCtrlr", "LocalPreAuthorize", "true"),
                variable("TxCtrlr", "StopTxOnInvalidId", str(stops).lower())]})
            await both.ask("SendLocalList", {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [
                {"idToken": {"idToken": "BLOCKED", "type": "Local"}, "idTokenInfo": {"status": "Accepted"}}]})
            await both.station.charge(1, "BLOCKED", seconds=90)
            events = both.frames.calls("TransactionEvent")
            assert len({value["value"] for value in registers_of(events)}) == 1
            ended = events[-1]
            if stops:
                assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == (
                    "Deauthorized", "DeAuthorized")
            else:
                assert events[1]["transactionInfo"]["chargingState"] == "SuspendedEVSE"

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize("stops", [True, False])
def test_pulling_the_cable_ends_or_suspends(pair, version, stops):
    async def story():
        async with pair(version) as both:
            await both.ask("SetVariables", {"setVariableData": [
                variable("TxCtrlr", "StopTxOnEVSideDisconnect", str(stops).lower())]})
            running = asyncio.create_task(both.station.charge(1, seconds=None if stops else 60))
            await charging(both)
            await both.station.unplug(1)
            await running
            events = both.frames.calls("TransactionEvent")
            lost = next(event for event in events if event["triggerReason"] == "EVCommunicationLost")
            assert lost["eventType"] == ("Ended" if stops else "Updated")
            assert lost["transactionInfo"]["chargingState"] == "Idle"

    asyncio.run(story())


@BOTH
def test_a_fault_is_told_ends_the_session_and_clears(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1))
            await charging(both)
            await both.station.fault(1, "GroundFailure")
            assert status_of(both, 1) == "Faulted"
            await running
            ended = both.frames.calls("TransactionEvent")[-1]
            assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("AbnormalCondition", "Other")
            await both.station.clear_fault(1)
            assert status_of(both, 1) == "Available"
            problems = [request["eventData"][0] for request in both.frames.calls("NotifyEvent")
                        if request["eventData"][0]["variable"]["name"] == "Problem"]
            assert [(event["actualValue"], event.get("cleared")) for event in problems] == [
                ("true", None), ("false", True)]
            assert both.frames.invalid() == []

    asyncio.run(story())


@BOTH
def test_clock_aligned_values_come_for_idle_and_busy(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1))
            await charging(both)
            await both.ask("SetVariables", {"setVariableData": [variable("AlignedDataCtrlr", "Interval", "30")]})
            values = await both.heard("MeterValues")
            assert values["evseId"] == 2
            event = await both.heard("TransactionEvent", lambda event: event["triggerReason"] == "MeterValueClock")
            assert event["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Clock"
            await both.station.unplug(1)
            await running

    asyncio.run(story())


def variable(component, name, value):
    return {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value}
