import asyncio

import pytest

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.sim.behaviours import STATION_BEHAVIOURS, Conformant, WallboxCpb1, station_behaviour
from ocpp_proxy.sim.endpoint import CallFailed


def luhn(digits):
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10


def test_the_wallbox_boots_as_on_its_sheet(pair):
    async def story():
        async with pair(behaviour="wallbox-cpb1") as both:
            boot = both.csms.stations["CP1"].boot
            assert boot["chargePointVendor"] == "Wall Box Chargers"
            assert boot["chargePointModel"] == "CPB1-S-2-4"
            assert boot["firmwareVersion"] == "4.3.6"
            assert boot["chargePointSerialNumber"]
            assert not {"iccid", "imsi"} & set(boot)
            assert both.csms.stations["CP1"].statuses == {0: "Available", 1: "Available"}

    asyncio.run(story())


def test_the_wallbox_has_thirty_eight_keys(pair):
    async def story():
        async with pair(behaviour="wallbox-cpb1") as both:
            keys = (await both.ask("GetConfiguration"))["configurationKey"]
            assert len(keys) == len({one["key"].lower() for one in keys}) == 38
            values = {one["key"]: one["value"] for one in keys}
            assert "RemoteTrigger" not in values["SupportedFeatureProfiles"]
            assert values["NumberOfConnectors"] == "1"
            assert await both.ask("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "30"}) == {
                "status": "Accepted"}

    asyncio.run(story())


def test_the_wallbox_implements_no_trigger(pair):
    async def story():
        async with pair(behaviour="wallbox-cpb1", csms="trigger-after-boot") as both:
            seen = len(both.received)
            assert await both.ask("TriggerMessage", {"requestedMessage": "StatusNotification"}) == {
                "status": "NotImplemented"}
            await both.station.clock.sleep(20)
            await both.settled()
            answers = [answer[2] for _, action, _, answer in both.frames.exchanges() if action == "TriggerMessage"]
            assert answers == [{"status": "NotImplemented"}] * 2
            assert both.received[seen:] == []

    asyncio.run(story())


def test_the_wallbox_has_no_vendor_error_codes(pair):
    async def story():
        async with pair(behaviour="wallbox-cpb1") as both:
            await both.station.fault(1, "GroundFailure")
            told = both.frames.calls("StatusNotification")[-1]
            assert (told["status"], told["errorCode"]) == ("Faulted", "GroundFailure")
            assert not {"vendorErrorCode", "vendorId"} & set(told)

    asyncio.run(story())


@pytest.mark.parametrize("action", ["ReserveNow", "GetLog"])
def test_the_wallbox_says_what_it_lacks(pair, action):
    requests = {"ReserveNow": {"connectorId": 1, "expiryDate": "2099-01-01T00:00:00Z", "idTag": "A",
                               "reservationId": 1},
                "GetLog": {"log": {"remoteLocation": "x"}, "logType": "SecurityLog", "requestId": 1}}

    async def story():
        async with pair(behaviour="wallbox-cpb1") as both:
            with pytest.raises(CallFailed, match="NotSupported"):
                await both.ask(action, requests[action])

    asyncio.run(story())


def test_the_wallbox_does_what_its_sheet_calls_ok(pair):
    async def story():
        async with pair(behaviour="wallbox-cpb1") as both:
            for number, kind, status in ((0, "Inoperative", "Unavailable"), (0, "Operative", "Available")):
                seen = len(both.received)
                await both.ask("ChangeAvailability", {"connectorId": number, "type": kind})
                for connector in (0, 1):
                    await both.status(connector, status, after=seen)
            await both.ask("RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG"})
            await both.status(1, "Charging")
            await both.ask("RemoteStopTransaction", {"transactionId": 1})
            seen = len(both.received)
            await both.status(1, "Available", after=seen)
            assert await both.ask("ClearCache") == {"status": "Accepted"}
            for number, kind in enumerate(("Soft", "Hard"), 2):
                assert await both.ask("Reset", {"type": kind}) == {"status": "Accepted"}
                await both.heard("BootNotification", after=len(both.received))
                await both.station.until_ready()
                assert both.csms.stations["CP1"].boots == number
            assert both.frames.invalid() == []
            assert both.frames.overlaps() == []

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(5))
def test_a_sim_card_has_a_valid_number(seed):
    card = Conformant().modem(seed)
    assert card == Conformant().modem(seed) != Conformant().modem(seed + 1)
    assert len(card["iccid"]) == 19
    assert luhn(card["iccid"]) == 0
    assert WallboxCpb1().modem(seed) == {}


def test_an_unknown_behaviour_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match="conformant, secured, wallbox-cpb1"):
        station_behaviour("perfect", "1.6")
    with pytest.raises(BadInput, match=r"speaks OCPP 1\.6, not 2\.1"):
        station_behaviour("wallbox-cpb1", "2.1")


def test_every_behaviour_says_what_it_is():
    for name, behaviour in STATION_BEHAVIOURS.items():
        assert behaviour.__doc__, name


def test_a_behaviour_may_be_made_of_another(pair):
    class Mute(WallboxCpb1):
        def operations16(self):
            return {}

    async def story():
        async with pair(behaviour=Mute()) as both:
            with pytest.raises(CallFailed, match="NotSupported"):
                await both.ask("GetConfiguration")

    asyncio.run(story())
