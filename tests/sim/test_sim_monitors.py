import asyncio

import pytest

POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}


def monitor(**more):
    return {"setMonitoringData": [{"value": 10, "type": "Periodic", "severity": 8} | POWER | more]}


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_periodic_monitor_tells_until_it_is_cleared(pair, version):
    async def story():
        async with pair(version) as both:
            result, = (await both.ask("SetVariableMonitoring", monitor()))["setMonitoringResult"]
            assert (result["status"], result["id"]) == ("Accepted", 1)
            event = await both.heard("NotifyEvent", lambda told: told["eventData"][0]["trigger"] == "Periodic")
            assert event["eventData"][0]["variableMonitoringId"] == 1
            assert float(event["eventData"][0]["actualValue"]) == 0
            cleared = await both.ask("ClearVariableMonitoring", {"id": [1, 5]})
            assert [one["status"] for one in cleared["clearMonitoringResult"]] == ["Accepted", "NotFound"]
            await both.station.clock.sleep(15)
            await both.settled()
            seen = len(both.received)
            await both.station.clock.sleep(30)
            assert both.received[seen:] == []
            assert both.frames.invalid() == []

    asyncio.run(story())


@pytest.mark.parametrize(("more", "status"), [
    ({"component": {"name": "Nonsense"}}, "UnknownComponent"), ({"variable": {"name": "Nonsense"}}, "UnknownVariable"),
    ({"type": "UpperThreshold"}, "UnsupportedMonitorType"), ({"value": 0}, "Rejected"), ({"id": 9}, "Rejected")])
def test_other_monitors_are_refused(pair, more, status):
    async def story():
        async with pair("2.1") as both:
            result, = (await both.ask("SetVariableMonitoring", monitor(**more)))["setMonitoringResult"]
            assert result["status"] == status

    asyncio.run(story())


def test_a_stream_is_opened_fed_by_sends_adjusted_and_closed(pair):
    async def story():
        async with pair("2.1") as both:
            running = asyncio.create_task(both.station.charge(1))
            stream = {"interval": 60, "values": 3}
            await both.ask("SetVariableMonitoring", monitor(periodicEventStream=stream))
            assert (await both.heard("OpenPeriodicEventStream"))["constantStreamData"] == {
                "id": 1, "variableMonitoringId": 1, "params": stream}
            told = await both.heard("NotifyPeriodicEventStream")
            assert len(told["data"]) == 3
            assert [round(one["t"] / 10) for one in told["data"]] == [1, 2, 3]
            assert float(told["data"][-1]["v"]) > 10_000
            assert (await both.ask("GetPeriodicEventStream"))["constantStreamData"][0]["params"] == stream
            assert await both.ask("AdjustPeriodicEventStream", {"id": 1, "params": {"values": 1}}) == {
                "status": "Accepted"}
            assert await both.ask("AdjustPeriodicEventStream", {"id": 2, "params": {"values": 1}}) == {
                "status": "Rejected"}
            await both.heard("NotifyPeriodicEventStream", lambda told: len(told["data"]) == 1)
            await both.ask("ClearVariableMonitoring", {"id": [1]})
            assert await both.heard("ClosePeriodicEventStream") == {"id": 1}
            await both.station.unplug(1)
            await running
            sends = [frame for _, frame in both.frames.passed if frame[0] == 6]
            assert len(sends) >= 2
            answered = {frame[1] for _, frame in both.frames.passed if frame[0] in (3, 4)}
            assert not answered & {frame[1] for frame in sends}
            assert both.frames.invalid() == []

    asyncio.run(story())
