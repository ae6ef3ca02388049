import asyncio
from itertools import pairwise

from ocpp_proxy.core.instant import Instant


def test_the_boot_names_the_sim_card_and_every_connector(pair):
    async def story():
        async with pair() as both:
            assert [action for action, _ in both.received] == ["BootNotification"] + ["StatusNotification"] * 3
            boot = both.csms.stations["CP1"].boot
            assert len(boot["iccid"]) == 19
            assert boot["iccid"].isdecimal()
            assert len(boot["imsi"]) == 15
            assert boot["chargePointSerialNumber"]
            assert both.csms.stations["CP1"].statuses == {0: "Available", 1: "Available", 2: "Available"}

    asyncio.run(story())


def test_a_session_tells_its_whole_story_in_order(pair):
    async def story():
        async with pair() as both:
            session = await both.station.charge(1, "TAG1", seconds=150)
            told = [(action, request.get("status")) for action, request in both.received[4:]]
            assert told == [
                ("Authorize", None), ("StatusNotification", "Preparing"), ("StartTransaction", None),
                ("StatusNotification", "Charging"), ("MeterValues", None), ("MeterValues", None),
                ("StopTransaction", None), ("StatusNotification", "Finishing"), ("StatusNotification", "Available"),
            ]
            start, = both.frames.calls("StartTransaction")
            stop, = both.frames.calls("StopTransaction")
            values = both.frames.calls("MeterValues")
            assert start["idTag"] == stop["idTag"] == "TAG1"
            assert stop["reason"] == session.reason == "Local"
            assert {request["transactionId"] for request in [*values, stop]} == {session.transaction_id}
            registers = [start["meterStart"], *map(_register, values), stop["meterStop"]]
            assert all(earlier < later for earlier, later in pairwise(registers))
            assert 350 < registers[-1] - registers[0] < 470  # about 10.8 kW for 150 s
            at = [Instant.parse(request["meterValue"][0]["timestamp"]).utc_us / 1e6 for request in values]
            assert 60 <= at[1] - at[0] < 75
            assert [value["sampledValue"][0]["context"] for value in stop["transactionData"]] == [
                "Transaction.Begin", "Transaction.End"]
            assert both.frames.invalid() == []
            assert both.frames.overlaps() == []

    asyncio.run(story())


def test_values_come_with_their_units_phases_and_context(pair):
    async def story():
        async with pair() as both:
            await both.station.charge(2, seconds=65)
            values, = both.frames.calls("MeterValues")
            sampled = values["meterValue"][0]["sampledValue"]
            told = [(one["measurand"], one.get("phase"), one["unit"]) for one in sampled]
            assert told == [
                ("Energy.Active.Import.Register", None, "Wh"), ("Power.Active.Import", None, "W"),
                ("Current.Import", "L1", "A"), ("Current.Import", "L2", "A"), ("Current.Import", "L3", "A"),
                ("Voltage", "L1-N", "V"), ("Voltage", "L2-N", "V"), ("Voltage", "L3-N", "V"),
            ]
            assert {one["context"] for one in sampled} == {"Sample.Periodic"}
            amperes = [float(one["value"]) for one in sampled if one["measurand"] == "Current.Import"]
            volts = [float(one["value"]) for one in sampled if one["measurand"] == "Voltage"]
            power, = (float(one["value"]) for one in sampled if one["measurand"] == "Power.Active.Import")
            assert abs(sum(u * i for u, i in zip(volts, amperes, strict=True)) - power) < 0.01 * power

    asyncio.run(story())


def test_energy_ends_a_session_too(pair):
    async def story():
        async with pair(scale=2000) as both:
            await both.station.charge(1, energy_wh=1000)
            start, = both.frames.calls("StartTransaction")
            stop, = both.frames.calls("StopTransaction")
            assert stop["meterStop"] - start["meterStart"] == 1000

    asyncio.run(story())


def test_a_refused_card_starts_nothing(pair):
    async def story():
        async with pair() as both:
            assert await both.station.charge(1, "BLOCKED1", seconds=60) is None
            assert [action for action, _ in both.received[4:]] == ["Authorize"]

    asyncio.run(story())


def test_a_second_session_on_the_same_connector_is_refused(pair):
    async def story():
        async with pair() as both:
            first = asyncio.create_task(both.station.charge(1, "TAG1"))
            await both.status(1, "Charging")
            assert await both.station.charge(1, "TAG2", seconds=60) is None
            await both.station.unplug(1)
            await first
            assert len(both.frames.calls("StartTransaction")) == 1

    asyncio.run(story())


def test_a_refused_transaction_is_stopped_as_deauthorized(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "LocalPreAuthorize", "value": "true"})
            await both.ask("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [
                {"idTag": "BLOCKED1", "idTagInfo": {"status": "Accepted"}}]})
            await both.station.charge(1, "BLOCKED1", seconds=600)
            assert both.frames.calls("Authorize") == []
            stop, = both.frames.calls("StopTransaction")
            assert stop["reason"] == "DeAuthorized"
            assert "Charging" not in [request["status"] for request in both.frames.calls("StatusNotification")]

    asyncio.run(story())


def test_a_refused_transaction_goes_on_without_energy_where_the_key_says_so(pair):
    async def story():
        async with pair() as both:
            for key, value in {"LocalPreAuthorize": "true", "StopTransactionOnInvalidId": "false"}.items():
                await both.ask("ChangeConfiguration", {"key": key, "value": value})
            await both.ask("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [
                {"idTag": "BLOCKED1", "idTagInfo": {"status": "Accepted"}}]})
            await both.station.charge(1, "BLOCKED1", seconds=90)
            start, = both.frames.calls("StartTransaction")
            stop, = both.frames.calls("StopTransaction")
            assert stop["meterStop"] == start["meterStart"]
            await both.status(1, "SuspendedEVSE")

    asyncio.run(story())


def test_pulling_the_cable_ends_the_session(pair):
    async def story():
        async with pair() as both:
            running = asyncio.create_task(both.station.charge(1))
            await both.status(1, "Charging")
            await both.station.unplug(1)
            await running
            stop, = both.frames.calls("StopTransaction")
            assert stop["reason"] == "EVDisconnected"
            assert both.frames.calls("StatusNotification")[-1]["status"] == "Available"

    asyncio.run(story())


def test_pulling_the_cable_suspends_where_the_key_says_so(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "StopTransactionOnEVSideDisconnect", "value": "false"})
            running = asyncio.create_task(both.station.charge(1))
            await both.status(1, "Charging")
            await both.station.unplug(1)
            await both.status(1, "SuspendedEV")
            assert both.frames.calls("StopTransaction") == []
            await both.ask("RemoteStopTransaction", {"transactionId": 1})
            await running

    asyncio.run(story())


def test_a_cable_without_a_card_times_out(pair):
    async def story():
        async with pair() as both:
            await both.station.plug(1)
            await both.status(1, "Preparing")
            await both.status(1, "Finishing")
            seen = len(both.received)
            await both.station.unplug(1)
            await both.status(1, "Available", after=seen)
            assert both.frames.calls("StartTransaction") == []

    asyncio.run(story())


def test_a_fault_is_told_with_its_code_ends_the_session_and_clears(pair):
    async def story():
        async with pair() as both:
            running = asyncio.create_task(both.station.charge(1, unplug=False))
            await both.status(1, "Charging")
            await both.station.fault(1, "GroundFailure", "PE open")
            await running
            faulted, = (told for told in both.frames.calls("StatusNotification") if told["status"] == "Faulted")
            assert faulted["errorCode"] == "GroundFailure"
            assert faulted["vendorErrorCode"]
            assert both.frames.calls("StopTransaction")[0]["reason"] == "Other"
            await both.station.clear_fault(1)
            assert both.csms.stations["CP1"].statuses[1] == "Finishing"
            assert both.frames.invalid() == []

    asyncio.run(story())


def test_clock_aligned_values_come_on_round_times(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "ClockAlignedDataInterval", "value": "60"})
            values = await both.heard("MeterValues")
            assert values["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Clock"
            second = float(values["meterValue"][0]["timestamp"][17:23])
            assert second < 15

    asyncio.run(story())


def _register(values):
    return int(values["meterValue"][0]["sampledValue"][0]["value"])
