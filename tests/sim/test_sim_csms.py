import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.csms_behaviours import Accepting, csms_behaviour
from ocpp_proxy.sim.endpoint import CallFailed

BOOTS = {
    "ocpp1.6": {"chargePointVendor": "V", "chargePointModel": "M"},
    "ocpp2.0.1": {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}},
    "ocpp2.1": {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}},
}


def station(csms, name="CP1", *subprotocols):
    return connect(f"{csms.url}/ocpp/{name}", subprotocols=list(subprotocols or ["ocpp1.6"]), proxy=None)


async def ask(connection, action, payload):
    await connection.send(json.dumps([2, action, action, payload]))
    while True:
        answer = json.loads(await connection.recv())
        if answer[1] == action:
            return answer


@pytest.mark.parametrize("subprotocol", BOOTS)
def test_every_version_is_accepted_on_one_port(subprotocol):
    async def story():
        async with SimulatedCsms() as csms, station(csms, "CP%201", "ocpp9", subprotocol) as connection:
            assert connection.subprotocol == subprotocol
            kind, _, response = await ask(connection, "BootNotification", BOOTS[subprotocol])
            assert (kind, response["status"], response["interval"]) == (3, "Accepted", 300)
            assert csms.stations["CP 1"].boot == BOOTS[subprotocol]
            assert (await ask(connection, "Heartbeat", {}))[2]["currentTime"].endswith("Z")

    asyncio.run(story())


def test_a_foreign_subprotocol_is_closed_after_the_handshake():
    async def story():
        async with SimulatedCsms() as csms, station(csms, "CP1", "ocpp1.5") as connection:
            assert connection.subprotocol is None
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            assert connection.close_code == 1002

    asyncio.run(story())


def test_what_a_csms_does_not_answer_is_refused_by_name():
    async def story():
        async with SimulatedCsms() as csms, station(csms) as connection:
            assert (await ask(connection, "Reset", {"type": "Soft"}))[2] == "NotSupported"
            assert (await ask(connection, "Nonsense", {}))[2] == "NotImplemented"

    asyncio.run(story())


def test_transactions_are_numbered_over_all_stations_and_kept():
    async def story():
        start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-21T10:00:00Z"}
        async with SimulatedCsms() as csms, station(csms) as one, station(csms, "CP2") as two:
            assert (await ask(one, "StartTransaction", start))[2]["transactionId"] == 1
            assert (await ask(two, "StartTransaction", start))[2]["transactionId"] == 2
            assert (await ask(one, "StartTransaction", start))[2]["transactionId"] == 1  # told again: the same
            stop = {"transactionId": 1, "meterStop": 5, "timestamp": "2026-11-21T10:00:00Z"}
            assert (await ask(one, "StopTransaction", stop))[2] == {}
            assert csms.stations["CP1"].transactions == {1: {"StartTransaction": start, "StopTransaction": stop}}

    asyncio.run(story())


@pytest.mark.parametrize(("token", "status"), [("ABC", "Accepted"), ("blocked7", "Blocked"), ("EXPIRED", "Expired")])
def test_a_token_tells_by_its_name_how_it_fares(token, status):
    async def story():
        async with SimulatedCsms() as csms, station(csms) as connection:
            assert (await ask(connection, "Authorize", {"idTag": token}))[2] == {"idTagInfo": {"status": status}}

    asyncio.run(story())


@pytest.mark.parametrize(("behaviour", "status"), [("pending-first", "Pending"), ("rejecting", "Rejected")])
def test_an_unaccepted_station_may_not_speak(behaviour, status):
    async def story():
        async with SimulatedCsms(behaviour) as csms, station(csms) as connection:
            assert (await ask(connection, "BootNotification", BOOTS["ocpp1.6"]))[2]["status"] == status
            assert (await ask(connection, "Heartbeat", {}))[2] == "SecurityError"

    asyncio.run(story())


def test_a_station_that_needs_no_boot_may_speak_at_once():
    async def story():
        async with SimulatedCsms() as csms, station(csms) as connection:
            assert (await ask(connection, "Heartbeat", {}))[0] == 3

    asyncio.run(story())


def test_a_silent_csms_answers_nothing():
    async def story():
        async with SimulatedCsms("silent") as csms, station(csms) as connection:
            await connection.send(json.dumps([2, "1", "Heartbeat", {}]))
            await csms.wait_for("CP1", "Heartbeat")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.recv()

    asyncio.run(story())


def test_a_slow_csms_answers_late():
    async def story():
        async with SimulatedCsms("slow", scale=10) as csms, station(csms) as connection:
            began = asyncio.get_running_loop().time()
            assert (await ask(connection, "Heartbeat", {}))[0] == 3
            assert asyncio.get_running_loop().time() - began > 0.28

    asyncio.run(story())


def test_a_script_follows_each_boot_even_if_one_call_fails():
    script = [("Reset", {"type": "Soft"}), ("ClearCache", {})]

    async def story():
        async with SimulatedCsms(after_boot=script, scale=100) as csms, station(csms) as connection:
            await connection.send(json.dumps([2, "1", "BootNotification", BOOTS["ocpp1.6"]]))
            asked = []
            while len(asked) < 2:
                frame = json.loads(await connection.recv())
                if frame[0] == 2:
                    asked.append(frame[2:])
                    await connection.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
            assert asked == [list(step) for step in script]

    asyncio.run(story())


def test_the_newest_of_two_connections_counts():
    async def story():
        async with SimulatedCsms() as csms, station(csms) as old:
            async with station(csms) as new:
                await ask(old, "Heartbeat", {})
                await ask(new, "Heartbeat", {})
                call = asyncio.create_task(csms.call("CP1", "ClearCache", {}))
                frame = json.loads(await new.recv())
                await new.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                assert await call == {"status": "Accepted"}
            async with asyncio.timeout(5):
                while csms.connection("CP1") is not None:
                    await asyncio.sleep(0)

    asyncio.run(story())


def test_nobody_can_be_asked_who_is_not_there():
    async def story():
        async with SimulatedCsms() as csms:
            with pytest.raises(CallFailed, match="CP7 is not connected"):
                await csms.call("CP7", "ClearCache", {})
            with pytest.raises(TimeoutError):
                await csms.wait_for("CP7", "Heartbeat", timeout_s=0.01)

    asyncio.run(story())


def test_stopping_says_going_away_and_waits_for_nobody():
    async def story():
        csms = SimulatedCsms("slow")
        await csms.start()
        async with station(csms) as connection:
            await connection.send(json.dumps([2, "1", "Heartbeat", {}]))
            await asyncio.sleep(0.05)
            began = asyncio.get_running_loop().time()
            await csms.stop()
            assert asyncio.get_running_loop().time() - began < 2
            await connection.wait_closed()
            assert connection.close_code == 1001
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


def test_a_mistake_of_our_own_surfaces():
    class Broken(Accepting):
        async def ask(self, csms, station, script):
            raise ZeroDivisionError

    async def story():
        async with SimulatedCsms(Broken([("ClearCache", {})])) as csms, station(csms) as connection:
            await ask(connection, "BootNotification", BOOTS["ocpp1.6"])
            await ask(connection, "Heartbeat", {})

    with pytest.raises(ZeroDivisionError):
        asyncio.run(story())


def test_an_unknown_behaviour_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match=r"accepting, pending-first, .*trigger-after-boot"):
        csms_behaviour("perfect")
