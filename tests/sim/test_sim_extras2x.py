import asyncio

import pytest

from ocpp_proxy.sim.behaviours import Conformant
from ocpp_proxy.sim.endpoint import CallFailed

BOTH = pytest.mark.parametrize("version", ["2.0.1", "2.1"])
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
LONG_AGO = "2020-01-01T00:00:00.000Z"


class Quick(Conformant):
    reboot_s = 1.0


async def charging(both):
    return await both.heard("TransactionEvent", lambda event: event["transactionInfo"]["chargingState"] == "Charging")


@BOTH
@pytest.mark.parametrize("signed", [True, False])
def test_new_firmware_is_told_with_its_number_and_booted(pair, version, signed):
    async def story():
        async with pair(version, Quick(), scale=500) as both:
            firmware = {"location": "https://x/fw", "retrieveDateTime": LONG_AGO} | (
                {"signingCertificate": PEM, "signature": "c2ln"} if signed else {})
            request = {"requestId": 5, "firmware": firmware}
            assert await both.ask("UpdateFirmware", request) == {"status": "Accepted"}
            boot = await both.heard("BootNotification", after=1)
            assert (boot["reason"], boot["chargingStation"]["firmwareVersion"]) == ("FirmwareUpdate", "2.4.0")
            told = both.frames.calls("FirmwareStatusNotification")
            assert [one["status"] for one in told] == [
                "Downloading", "Downloaded", *["SignatureVerified"] * signed, "Installing", "Installed"]
            assert {one["requestId"] for one in told} == {5}
            assert "FirmwareUpdated" in [one["type"] for one in both.frames.calls("SecurityEventNotification")]
            assert both.frames.invalid() == []

    asyncio.run(story())


@BOTH
def test_firmware_is_refused_or_fails(pair, version):
    async def story():
        async with pair(version, scale=500) as both:
            firmware = {"location": "nowhere", "retrieveDateTime": LONG_AGO}
            bad = {"requestId": 5, "firmware": firmware | {"signingCertificate": "no", "signature": "x"}}
            assert await both.ask("UpdateFirmware", bad) == {"status": "InvalidCertificate"}
            await both.heard("SecurityEventNotification",
                             lambda event: event["type"] == "InvalidFirmwareSigningCertificate")
            await both.ask("UpdateFirmware", {"requestId": 6, "firmware": firmware})
            await both.heard("FirmwareStatusNotification", lambda told: told["status"] == "DownloadFailed")

    asyncio.run(story())


@BOTH
def test_a_log_is_told_with_its_number(pair, version):
    async def story():
        async with pair(version, scale=500) as both:
            request = {"log": {"remoteLocation": "https://x/"}, "logType": "DiagnosticsLog", "requestId": 42}
            assert (await both.ask("GetLog", request))["status"] == "Accepted"
            await both.heard("LogStatusNotification", lambda told: told["status"] == "Uploaded")
            assert {told["requestId"] for told in both.frames.calls("LogStatusNotification")} == {42}

    asyncio.run(story())


@BOTH
def test_the_local_list_is_kept(pair, version):
    async def story():
        async with pair(version) as both:
            assert await both.ask("GetLocalListVersion") == {"versionNumber": 0}
            entry = {"idToken": {"idToken": "LOCAL", "type": "Local"}, "idTokenInfo": {"status": "Accepted"}}
            send = {"versionNumber": 5, "updateType": "Full", "localAuthorizationList": [entry]}
            assert await both.ask("SendLocalList", send) == {"status": "Accepted"}
            assert await both.ask("GetLocalListVersion") == {"versionNumber": 5}
            assert await both.ask("SendLocalList", {"versionNumber": 4, "updateType": "Differential"}) == {
                "status": "VersionMismatch"}
            off = {"component": {"name": "LocalAuthListCtrlr"}, "variable": {"name": "Enabled"},
                   "attributeValue": "false"}
            await both.ask("SetVariables", {"setVariableData": [off]})
            assert await both.ask("GetLocalListVersion") == {"versionNumber": 0}
            assert await both.ask("SendLocalList", send) == {"status": "Failed"}

    asyncio.run(story())


@BOTH
def test_a_reservation_holds_is_used_cancels_and_expires(pair, version):
    async def story():
        async with pair(version) as both:
            statuses = both.csms.stations["CP1"].statuses
            mine = {"idToken": "MINE", "type": "Local"}
            reserve = {"id": 9, "expiryDateTime": both.station.clock.timestamp(3600), "idToken": mine, "evseId": 1}
            assert await both.ask("ReserveNow", reserve) == {"status": "Accepted"}
            assert await both.station.charge(1, "THINE", seconds=5) is None
            assert await both.ask("ReserveNow", reserve | {"id": 8}) == {"status": "Occupied"}
            assert await both.ask("ReserveNow", reserve | {"evseId": 9}) == {"status": "Rejected"}
            assert statuses[1, 1] == "Reserved"
            assert await both.station.charge(1, "MINE", seconds=5) is not None
            assert both.frames.calls("TransactionEvent")[0]["reservationId"] == 9
            await both.ask("ReserveNow", reserve)
            assert await both.ask("CancelReservation", {"reservationId": 9}) == {"status": "Accepted"}
            assert await both.ask("CancelReservation", {"reservationId": 9}) == {"status": "Rejected"}
            await both.ask("ReserveNow", reserve | {"expiryDateTime": both.station.clock.timestamp(20)})
            told = await both.heard("ReservationStatusUpdate")
            assert told == {"reservationId": 9, "reservationUpdateStatus": "Expired"}
            await both.settled()
            assert both.frames.invalid() == []

    asyncio.run(story())


@BOTH
def test_a_connector_reserved_anew_before_the_cancelling_was_told_is_told_as_reserved(pair, version):
    async def story():
        async with pair(version) as both:
            statuses = both.csms.stations["CP1"].statuses

            async def reserved():
                async with asyncio.timeout(10):
                    while statuses.get((1, 1)) != "Reserved":
                        await asyncio.sleep(0.005)

            reserve = {"id": 9, "expiryDateTime": both.station.clock.timestamp(3600), "evseId": 1,
                       "idToken": {"idToken": "MINE", "type": "Local"}}
            await both.ask("ReserveNow", reserve)
            await reserved()
            await both.settled()
            await both.ask("CancelReservation", {"reservationId": 9})
            await both.ask("ReserveNow", reserve)
            async with asyncio.timeout(10):
                while statuses[1, 1] != "Available":
                    await asyncio.sleep(0.005)
            await reserved()

    asyncio.run(story())


def profile(limit, purpose="TxDefaultProfile", **more):
    return {"id": 1, "stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute",
            "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "startSchedule": LONG_AGO,
                                  "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}]} | more


@BOTH
def test_a_limit_is_obeyed_told_listed_and_cleared(pair, version):
    async def story():
        async with pair(version) as both:
            running = asyncio.create_task(both.station.charge(1))
            started = await charging(both)
            transaction = started["transactionInfo"]["transactionId"]
            given = profile(0.0, "TxProfile", transactionId=transaction)
            assert await both.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": given}) == {
                "status": "Accepted"}
            await both.heard("TransactionEvent", lambda event: (
                event["transactionInfo"]["chargingState"] == "SuspendedEVSE"))
            composite = (await both.ask("GetCompositeSchedule", {"evseId": 1, "duration": 60}))["schedule"]
            assert composite["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 0.0}]
            asked = {"requestId": 4, "evseId": 1, "chargingProfile": {}}
            assert await both.ask("GetChargingProfiles", asked) == {"status": "Accepted"}
            told = await both.heard("ReportChargingProfiles")
            assert (told["requestId"], told["tbc"], told["chargingProfile"]) == (4, False, [given])
            assert await both.ask("ClearChargingProfile", {"chargingProfileId": 1}) == {"status": "Accepted"}
            assert await both.ask("ClearChargingProfile", {"chargingProfileId": 1}) == {"status": "Unknown"}
            assert await both.ask("GetChargingProfiles", asked) == {"status": "NoProfiles"}
            await both.station.unplug(1)
            await running
            states = [event["transactionInfo"]["chargingState"] for event in both.frames.calls("TransactionEvent")]
            assert states[1:4] == ["Charging", "SuspendedEVSE", "Charging"]
            assert both.frames.invalid() == []

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize(("evse", "given"), [
    (1, profile(8.0, "TxProfile", transactionId="x")), (1, profile(8.0, "ChargingStationMaxProfile")),
    (9, profile(8.0)), (0, profile(8.0, "ChargingStationExternalConstraints"))])
def test_a_profile_out_of_place_is_rejected(pair, version, evse, given):
    async def story():
        async with pair(version) as both:
            assert await both.ask("SetChargingProfile", {"evseId": evse, "chargingProfile": given}) == {
                "status": "Rejected"}

    asyncio.run(story())


@BOTH
def test_certificates_come_are_listed_and_go(pair, version):
    async def story():
        async with pair(version) as both:
            kind = "CSMSRootCertificate"
            install = {"certificateType": kind, "certificate": PEM}
            assert await both.ask("InstallCertificate", install | {"certificate": "no"}) == {"status": "Rejected"}
            assert await both.ask("InstallCertificate", install) == {"status": "Accepted"}
            chain, = (await both.ask("GetInstalledCertificateIds", {"certificateType": [kind]}))[
                "certificateHashDataChain"]
            assert chain["certificateType"] == kind
            assert len((await both.ask("GetInstalledCertificateIds"))["certificateHashDataChain"]) == 1
            delete = {"certificateHashData": chain["certificateHashData"]}
            assert await both.ask("DeleteCertificate", delete) == {"status": "Accepted"}
            assert await both.ask("DeleteCertificate", delete) == {"status": "NotFound"}
            assert await both.ask("GetInstalledCertificateIds") == {"status": "NotFound"}
            assert await both.ask("CertificateSigned", {"certificateChain": PEM}) == {"status": "Accepted"}

    asyncio.run(story())


@BOTH
def test_the_rest_is_answered(pair, version):
    async def story():
        async with pair(version) as both:
            data = {"ocppInterface": "Wireless0", "ocppTransport": "JSON", "messageTimeout": 30, "securityProfile": 1,
                    "ocppCsmsUrl": "wss://csms.example", "ocppVersion": "OCPP20"}
            for slot, status in ((2, "Accepted"), (7, "Rejected")):
                assert await both.ask("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data}) == {
                    "status": status}
            for report, clear, status in ((True, False, "Accepted"), (False, True, "Accepted"),
                                          (False, False, "Rejected")):
                assert await both.ask("CustomerInformation", {
                    "requestId": 1, "report": report, "clear": clear}) == {"status": status}
            await both.heard("NotifyCustomerInformation")
            assert await both.ask("CostUpdated", {"totalCost": 1.5, "transactionId": "x"}) == {}
            with pytest.raises(CallFailed, match="NotSupported"):
                await both.ask("ClearDisplayMessage", {"id": 1})
            assert both.frames.invalid() == []

    asyncio.run(story())
