import asyncio

import pytest


def test_availability_is_told_for_every_connector(pair):
    async def story():
        async with pair() as both:
            for number, kind, status in ((1, "Inoperative", "Unavailable"), (1, "Operative", "Available"),
                                         (0, "Inoperative", "Unavailable"), (0, "Operative", "Available")):
                seen = len(both.received)
                assert await both.ask("ChangeAvailability", {"connectorId": number, "type": kind}) == {
                    "status": "Accepted"}
                for connector in range(3) if number == 0 else [number]:
                    await both.status(connector, status, after=seen)
            seen = len(both.received)
            for connector, status in ((0, "Accepted"), (9, "Rejected")):
                assert await both.ask("ChangeAvailability", {"connectorId": connector, "type": "Operative"}) == {
                    "status": status}
            assert len(both.received) == seen

    asyncio.run(story())


def test_availability_waits_for_a_transaction_and_outlives_a_reset(pair):
    async def story():
        async with pair() as both:
            running = asyncio.create_task(both.station.charge(1))
            await both.status(1, "Charging")
            request = {"connectorId": 1, "type": "Inoperative"}
            assert await both.ask("ChangeAvailability", request) == {"status": "Scheduled"}
            await both.station.unplug(1)
            await running
            await both.status(1, "Unavailable")
            assert await both.station.charge(1, seconds=10) is None
            await both.ask("Reset", {"type": "Soft"})
            await both.heard("BootNotification", after=1)
            await both.station.until_ready()
            assert both.csms.stations["CP1"].statuses == {0: "Available", 1: "Unavailable", 2: "Available"}

    asyncio.run(story())


def test_a_changed_interval_changes_the_cadence(pair):
    async def story():
        async with pair() as both:
            assert await both.ask("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "20"}) == {
                "status": "Accepted"}
            assert await both.ask("ChangeConfiguration", {"key": "MeterValuesSampledData", "value": "Voltage"}) == {
                "status": "Accepted"}
            read = await both.ask("GetConfiguration", {"key": ["MeterValueSampleInterval"]})
            assert read["configurationKey"][0]["value"] == "20"
            await both.station.charge(1, seconds=70)
            values = both.frames.calls("MeterValues")
            assert len(values) == 3
            assert {one["measurand"] for one in values[0]["meterValue"][0]["sampledValue"]} == {"Voltage"}

    asyncio.run(story())


def test_an_interval_of_nought_stops_the_samples(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "0"})
            await both.station.charge(1, seconds=150)
            assert both.frames.calls("MeterValues") == []
            assert both.frames.calls("StopTransaction")[0]["meterStop"] > both.frames.calls(
                "StartTransaction")[0]["meterStart"]

    asyncio.run(story())


@pytest.mark.parametrize("authorise", ["true", "false"])
def test_a_remote_start_and_stop_run_a_whole_session(pair, authorise):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "AuthorizeRemoteTxRequests", "value": authorise})
            assert await both.ask("RemoteStartTransaction", {"connectorId": 2, "idTag": "REMOTE"}) == {
                "status": "Accepted"}
            await both.status(2, "Charging")
            assert [one["idTag"] for one in both.frames.calls("Authorize")] == ["REMOTE"] * (authorise == "true")
            start, = both.frames.calls("StartTransaction")
            assert (start["connectorId"], start["idTag"]) == (2, "REMOTE")
            assert (await both.ask("RemoteStartTransaction", {"connectorId": 2, "idTag": "X"}))["status"] == "Rejected"
            assert (await both.ask("RemoteStopTransaction", {"transactionId": 99}))["status"] == "Rejected"
            assert (await both.ask("RemoteStopTransaction", {"transactionId": 1}))["status"] == "Accepted"
            stop = await both.heard("StopTransaction")
            assert stop["reason"] == "Remote"
            assert "idTag" not in stop
            await both.status(2, "Available", after=len(both.received))
            assert both.frames.invalid() == []

    asyncio.run(story())


def test_a_remote_start_without_a_connector_takes_the_first_free_one(pair):
    async def story():
        async with pair() as both:
            for number in (1, 2):
                assert (await both.ask("RemoteStartTransaction", {"idTag": "R"}))["status"] == "Accepted"
                await both.status(number, "Charging")
            assert (await both.ask("RemoteStartTransaction", {"idTag": "R"}))["status"] == "Rejected"

    asyncio.run(story())


@pytest.mark.parametrize(("kind", "reason", "code"), [("Soft", "SoftReset", 1001), ("Hard", "HardReset", 1006)])
def test_a_reset_stops_the_session_and_boots(pair, kind, reason, code):
    async def story():
        async with pair() as both:
            running = asyncio.create_task(both.station.charge(1))
            await both.status(1, "Charging")
            seen = len(both.received)
            link = both.csms.connection("CP1")
            assert await both.ask("Reset", {"type": kind}) == {"status": "Accepted"}
            await both.heard("BootNotification", after=seen)
            await running
            await both.station.until_ready()
            assert both.frames.calls("StopTransaction")[0]["reason"] == reason
            actions = [action for action, _ in both.received[seen:]]
            assert actions.index("StopTransaction") < actions.index("BootNotification")
            assert actions[-3:] == ["StatusNotification"] * 3
            assert link.close_code == code
            if kind == "Soft":
                assert all(answer for *_, answer in both.frames.exchanges())

    asyncio.run(story())


def test_unlocking_ends_the_session(pair):
    async def story():
        async with pair() as both:
            running = asyncio.create_task(both.station.charge(1, unplug=False))
            await both.status(1, "Charging")
            seen = len(both.received)
            assert await both.ask("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
            await both.status(1, "Available", after=seen)
            await running
            assert both.frames.calls("StopTransaction")[0]["reason"] == "UnlockCommand"
            assert await both.ask("UnlockConnector", {"connectorId": 3}) == {"status": "NotSupported"}

    asyncio.run(story())


@pytest.mark.parametrize("message", ["StatusNotification", "MeterValues", "Heartbeat", "FirmwareStatusNotification",
                                     "DiagnosticsStatusNotification"])
def test_a_trigger_is_answered_first_and_then_followed(pair, message):
    async def story():
        async with pair() as both:
            seen = len(both.received)
            assert await both.ask("TriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
            request = await both.heard(message, after=seen)
            if message == "StatusNotification":
                for connector in range(3):
                    await both.status(connector, "Available", after=seen)
            if message == "MeterValues":
                assert {one["context"] for one in request["meterValue"][0]["sampledValue"]} == {"Trigger"}
            if message in ("FirmwareStatusNotification", "DiagnosticsStatusNotification"):
                assert request == {"status": "Idle"}
            frames = [frame for _, frame in both.frames.passed]
            answered = next(place for place, frame in enumerate(frames) if frame[0] == 3 and frame[2] == {
                "status": "Accepted"} and place > 5)
            assert message in [frame[2] for frame in frames[answered:] if frame[0] == 2]

    asyncio.run(story())


def test_a_trigger_for_one_connector_tells_of_that_alone(pair):
    async def story():
        async with pair() as both:
            seen = len(both.received)
            await both.ask("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 2})
            await both.heard("StatusNotification", after=seen)
            await both.settled()
            assert [request["connectorId"] for _, request in both.received[seen:]] == [2]
            assert await both.ask("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 7}) == {
                "status": "Rejected"}

    asyncio.run(story())


def test_the_cache_is_what_clearing_clears(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "LocalPreAuthorize", "value": "true"})
            for expected in (1, 1):
                await both.station.charge(1, "CARD", seconds=5)
                assert len(both.frames.calls("Authorize")) == expected
            assert await both.ask("ClearCache") == {"status": "Accepted"}
            await both.station.charge(1, "CARD", seconds=5)
            assert len(both.frames.calls("Authorize")) == 2
            await both.ask("ChangeConfiguration", {"key": "AuthorizationCacheEnabled", "value": "false"})
            assert await both.ask("ClearCache") == {"status": "Rejected"}

    asyncio.run(story())


def test_data_of_an_unknown_vendor_is_answered_so(pair):
    async def story():
        async with pair() as both:
            assert await both.ask("DataTransfer", {"vendorId": "who"}) == {"status": "UnknownVendorId"}
            assert await both.ask("DataTransfer", {"vendorId": "Loopback Charging"}) == {"status": "UnknownMessageId"}

    asyncio.run(story())
