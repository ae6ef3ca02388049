"""A station's life: registration, heartbeats, lost links, reboots, and a clean end."""

import asyncio
import json
import threading
from itertools import pairwise
from typing import ClassVar

import pytest
from websockets.asyncio.server import serve

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.csms_behaviours import Accepting, PendingFirst, Rejecting
from ocpp_proxy.sim.link import Unreachable
from ocpp_proxy.sim.station import SimulatedStation

VERSIONS = ["1.6", "2.0.1", "2.1"]


def seconds(text):
    return Instant.parse(text).utc_us / 1e6


@pytest.mark.parametrize("version", VERSIONS)
def test_pending_first_waits_answers_and_is_accepted(pair, version):
    async def story():
        async with pair(version, csms="pending-first") as both:
            boots = [answer[2] for _, action, _, answer in both.frames.exchanges() if action == "BootNotification"]
            assert [boot["status"] for boot in boots] == ["Pending", "Accepted"]
            waited = seconds(boots[1]["currentTime"]) - seconds(boots[0]["currentTime"])
            assert 10 <= waited < 25
            actions = [action for action, _ in both.received]
            if version == "1.6":
                assert both.frames.calls("GetConfiguration", sender="csms") == [{}]
                assert actions[:3] == ["BootNotification", "BootNotification", "StatusNotification"]
            else:
                assert both.frames.calls("GetBaseReport", sender="csms")
                parts = both.frames.calls("NotifyReport")
                assert [part["seqNo"] for part in parts] == list(range(len(parts)))
                assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
            assert all(answer[0] == 3 for *_, answer in both.frames.exchanges())
            assert both.frames.invalid() == []

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_trigger_brings_the_boot_forward_while_pending(pair, version):
    async def story():
        class Asking(PendingFirst):
            pending_interval_s = 10_000
            questions: ClassVar = {
                one: [("TriggerMessage", {"requestedMessage": "BootNotification"})] for one in VERSIONS}

        async with pair(version, csms=Asking()) as both:
            assert both.csms.stations["CP1"].boots == 2
            if version != "1.6":
                assert [boot["reason"] for boot in both.frames.calls("BootNotification")] == ["PowerUp", "Triggered"]
            again = await both.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
            assert again == {"status": "Rejected"}

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rejected_station_keeps_quiet_until_its_time(pair, version):
    async def story():
        async with pair(version, csms="rejecting", ready=False) as both:
            await both.heard("BootNotification")
            question = ("GetConfiguration", {}) if version == "1.6" else ("ClearCache", {})
            asked = asyncio.create_task(both.ask(*question))
            await both.heard("BootNotification", after=1)
            if version != "1.6":
                await both.settled()
            assert [action for action, _ in both.received] == ["BootNotification"] * 2
            times = [seconds(answer[2]["currentTime"]) for _, action, _, answer in both.frames.exchanges()
                     if action == "BootNotification" and answer]
            assert version == "1.6" or 60 <= times[1] - times[0] < 90
            answers = [frame for sender, frame in both.frames.passed if sender == "station" and frame[0] != 2]
            if version == "1.6":
                assert answers == []
                asked.cancel()
            else:
                assert answers[0][2] == "SecurityError"
            await asyncio.gather(asked, return_exceptions=True)
            assert not both.station.ready.is_set()

    asyncio.run(story())


def test_a_close_while_pending_shortens_no_wait(pair):
    async def story():
        async with pair(csms="closing-while-pending") as both:
            boots = [seconds(answer[2]["currentTime"]) for _, action, _, answer in both.frames.exchanges()
                     if action == "BootNotification"]
            assert len(boots) == 2
            assert boots[1] - boots[0] >= 10

    asyncio.run(story())


def test_a_silent_csms_gets_a_boot_a_minute(pair):
    async def story():
        async with pair(csms="silent", ready=False, response_timeout_s=0.1) as both:
            await both.heard("BootNotification", after=1)
            assert [action for action, _ in both.received] == ["BootNotification"] * 2
            assert not both.station.ready.is_set()

    asyncio.run(story())


def test_a_slow_csms_is_waited_for(pair):
    async def story():
        async with pair(csms="slow") as both:
            assert await both.station.charge(1, seconds=30) is not None
            assert both.frames.overlaps() == []
            assert all(answer is not None for *_, answer in both.frames.exchanges())

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_heartbeats_come_at_the_interval_of_the_boot(pair, version):
    class Often(Accepting):
        heartbeat_interval_s = 60

    async def story():
        async with pair(version, csms=Often()) as both:
            await both.heard("Heartbeat")
            await both.heard("Heartbeat", after=len(both.received))
            await both.settled()
            times = [seconds(answer[2]["currentTime"]) for _, action, _, answer in both.frames.exchanges()
                     if action == "Heartbeat"]
            assert 60 <= times[1] - times[0] < 75

    asyncio.run(story())


def test_a_new_heartbeat_interval_counts_at_once(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "20"})
            await both.heard("Heartbeat")

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lost_link_is_no_boot(pair, version):
    async def story():
        async with pair(version) as both:
            before = len(both.received)
            await both.station.go_offline()
            assert not both.station.online
            await both.station.plug(1)
            both.station.go_online()
            await both.station.until_ready()
            after = both.received[before:]
            assert [action for action, _ in after] == ["NotifyEvent" if version == "2.1" else "StatusNotification"]
            assert both.csms.stations["CP1"].boots == 1

    asyncio.run(story())


def test_a_conformant_station_delivers_what_happened_offline(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "AllowOfflineTxForUnknownId", "value": "true"})
            before = len(both.received)
            await both.station.go_offline()
            assert await both.station.charge(1, "TAG1", seconds=130) is not None
            online_again = both.station.clock.now().utc_us / 1e6
            both.station.go_online()
            stop = await both.heard("StopTransaction")
            told = [action for action, _ in both.received[before:] if action != "StatusNotification"]
            assert told == ["StartTransaction", "MeterValues", "MeterValues", "StopTransaction"]
            start, = both.frames.calls("StartTransaction")
            values = both.frames.calls("MeterValues")
            times = [start["timestamp"], *(one["meterValue"][0]["timestamp"] for one in values), stop["timestamp"]]
            assert times == sorted(times)
            assert seconds(times[-1]) < online_again
            assert {request["transactionId"] for request in [*values, stop]} == {1}

    asyncio.run(story())


def test_a_wallbox_forgets_what_happened_offline(pair):
    async def story():
        async with pair(behaviour="wallbox-cpb1") as both:
            await both.ask("ChangeConfiguration", {"key": "AllowOfflineTxForUnknownId", "value": "true"})
            before = len(both.received)
            await both.station.go_offline()
            assert await both.station.charge(1, "TAG1", seconds=130) is not None
            both.station.go_online()
            await both.station.until_ready()
            await both.station.charge(1, "TAG2", seconds=30)
            told = [action for action, _ in both.received[before:] if action != "StatusNotification"]
            assert told == ["Authorize", "StartTransaction", "StopTransaction"]
            assert both.frames.calls("StartTransaction")[0]["idTag"] == "TAG2"

    asyncio.run(story())


def test_a_session_goes_on_while_the_link_is_down(pair):
    async def story():
        async with pair() as both:
            running = asyncio.create_task(both.station.charge(1, "TAG1", seconds=200))
            await both.status(1, "Charging")
            await both.station.go_offline()
            await both.station.clock.sleep(70)
            both.station.go_online()
            await running
            await both.heard("StopTransaction")
            values = both.frames.calls("MeterValues")
            assert len(values) == 3
            assert both.frames.calls("StopTransaction")[0]["transactionId"] == 1

    asyncio.run(story())


def test_an_unknown_card_cannot_start_offline_unless_allowed(pair):
    async def story():
        async with pair() as both:
            await both.station.charge(1, "KNOWN", seconds=10)
            await both.station.go_offline()
            assert await both.station.charge(1, "UNKNOWN", seconds=10) is None
            assert await both.station.charge(1, "KNOWN", seconds=10) is not None

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_power_cut_ends_the_session_and_boots_anew(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1))
            await both.heard("StartTransaction" if version == "1.6" else "TransactionEvent")
            before = len(both.received)
            await both.station.reboot()
            await running
            await both.station.until_ready()
            ended = await both.heard("StopTransaction") if version == "1.6" else await both.heard(
                "TransactionEvent", lambda request: request["eventType"] == "Ended")
            assert "PowerLoss" in (ended.get("reason"), ended.get("transactionInfo", {}).get("stoppedReason"))
            assert both.received[before][0] == "BootNotification"

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_seed_tells_the_same_story(pair, version):
    async def story(seed):
        async with pair(version, seed=seed) as both:
            await both.station.charge(1, "04A1B2C3", seconds=130)
            await both.station.charge(2, "04A1B2C3", energy_wh=100)
            return [_timeless(frame) for sender, frame in both.frames.passed if sender == "station"]

    first, again, other = (asyncio.run(story(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert len({frame[1] for frame in first}) == len(first)


def _timeless(value):
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items()
                if key not in ("timestamp", "generatedAt", "currentTime")}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def test_a_station_keeps_trying_with_a_growing_wait(pair):
    async def story():
        async with SimulatedCsms() as csms:
            port = csms.url.rpartition(":")[2]
        refused = []

        async def refuse(_reader, writer):
            refused.append(asyncio.get_running_loop().time())
            writer.close()

        async with await asyncio.start_server(refuse, "127.0.0.1", int(port)):
            station = SimulatedStation(f"ws://127.0.0.1:{port}", scale=100, retry=True)
            await station.start()
            while len(refused) < 5:
                await asyncio.sleep(0.01)
            await station.stop()
        gaps = [later - earlier for earlier, later in pairwise(refused)]
        assert gaps[3] > gaps[0] * 2

    asyncio.run(story())


def test_a_csms_that_is_not_there_is_an_error_unless_told_to_retry():
    async def story():
        with pytest.raises(Unreachable):
            await SimulatedStation("ws://127.0.0.1:1").run()

    asyncio.run(story())


def test_the_clock_is_set_by_the_csms():
    async def story():
        async def csms(connection):
            async for raw in connection:
                _, message_id, action, _ = json.loads(raw)
                answer = {"currentTime": "2031-05-05T05:05:05Z", "interval": 60, "status": "Accepted"}
                await connection.send(json.dumps([3, message_id, answer if action == "BootNotification" else {}]))

        async with serve(csms, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with SimulatedStation(f"ws://127.0.0.1:{port}") as station:
                await station.until_ready()
                assert station.clock.timestamp().startswith("2031-05-05T05:05:0")

    asyncio.run(story())


@pytest.mark.parametrize("answer", [{}, {"status": 5, "interval": "soon"}, {"status": "Accepted", "interval": -1},
                                    {"status": "Accepted", "currentTime": "now", "interval": 5}])
@pytest.mark.parametrize("version", VERSIONS)
def test_nonsense_for_an_answer_does_not_end_a_station(version, answer):
    async def story():
        asked = asyncio.Queue()

        async def csms(connection):
            async for raw in connection:
                asked.put_nowait(json.loads(raw))
                await connection.send(json.dumps([3, json.loads(raw)[1], answer]))

        async with serve(csms, "127.0.0.1", 0, subprotocols=[f"ocpp{version}"]) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with SimulatedStation(f"ws://127.0.0.1:{port}", version=version, scale=1000) as station:
                for _ in range(2):
                    await asked.get()
                if station.online:
                    await station.charge(1, seconds=100)

    asyncio.run(story())


@pytest.mark.parametrize("csms", ["accepting", "silent", "rejecting", "slow"])
def test_stopping_leaves_nothing_behind(pair, csms):
    async def story():
        async with pair(csms=csms, ready=False) as both:
            await both.heard("BootNotification")
            if csms == "accepting":
                await both.station.until_ready()
                running = asyncio.create_task(both.station.charge(1))
                await both.status(1, "Charging")
        if csms == "accepting":
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    before = threading.active_count()
    asyncio.run(story())
    assert threading.active_count() <= before


def test_a_mistake_of_our_own_is_raised_and_ends_the_station(pair):
    async def fail():
        raise ZeroDivisionError

    async def story():
        async with pair() as both:
            both.station.spawn(fail(), "mistake")
            await both.station.ended()
            both.station.ready.clear()
            with pytest.raises(ZeroDivisionError):
                await both.station.until_ready()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(story())


def test_rejecting_may_end(pair):
    class Relenting(Rejecting):
        def register(self, csms, station):
            return super().register(csms, station) if station.boots < 3 else Accepting.register(self, csms, station)

    async def story():
        async with pair(csms=Relenting()) as both:
            assert both.csms.stations["CP1"].boots == 3

    asyncio.run(story())
