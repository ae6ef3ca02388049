import asyncio

import pytest

from ocpp_proxy.sim.behaviours import Conformant
from ocpp_proxy.sim.endpoint import CallFailed

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Quick(Conformant):
    reboot_s = 1.0


def test_new_firmware_is_told_step_by_step_and_booted(pair):
    async def story():
        async with pair(behaviour=Quick(), scale=500) as both:
            assert await both.ask("UpdateFirmware", {
                "location": "https://files.example/fw.bin", "retrieveDate": both.station.clock.timestamp(30)}) == {}
            boot = await both.heard("BootNotification", after=1)
            assert boot["firmwareVersion"] == "2.4.0"
            told = [request["status"] for request in both.frames.calls("FirmwareStatusNotification")]
            assert told == ["Downloading", "Downloaded", "Installing", "Installed"]

    asyncio.run(story())


def test_firmware_is_installed_after_the_session(pair):
    async def story():
        async with pair(behaviour=Quick(), scale=500) as both:
            running = asyncio.create_task(both.station.charge(1, seconds=300))
            await both.status(1, "Charging")
            update = {"location": "ftp://x/fw.bin", "retrieveDate": "2020-01-01T00:00:00.000Z"}
            await both.ask("UpdateFirmware", update)
            await running
            await both.heard("FirmwareStatusNotification", lambda request: request["status"] == "Installed")
            actions = [(action, request.get("status")) for action, request in both.received]
            installing = ("FirmwareStatusNotification", "Installing")
            assert actions.index(("StopTransaction", None)) < actions.index(installing)

    asyncio.run(story())


def test_firmware_from_nowhere_fails_to_download(pair):
    async def story():
        async with pair(scale=500) as both:
            await both.ask("UpdateFirmware", {"location": "nowhere", "retrieveDate": "2020-01-01T00:00:00.000Z"})
            await both.heard("FirmwareStatusNotification", lambda request: request["status"] == "DownloadFailed")
            assert both.csms.stations["CP1"].boots == 1

    asyncio.run(story())


@pytest.mark.parametrize(("location", "last"), [("ftp://x/up", "Uploaded"), ("nowhere", "UploadFailed")])
def test_diagnostics_are_told_step_by_step(pair, location, last):
    async def story():
        async with pair(scale=500) as both:
            assert "CP1" in (await both.ask("GetDiagnostics", {"location": location}))["fileName"]
            await both.heard("DiagnosticsStatusNotification", lambda request: request["status"] == last)
            told = [request["status"] for request in both.frames.calls("DiagnosticsStatusNotification")]
            assert told == ["Uploading", last]

    asyncio.run(story())


def test_a_log_is_told_with_its_number_and_may_be_triggered_meanwhile(pair):
    async def story():
        async with pair() as both:
            asked = {"log": {"remoteLocation": "https://x/"}, "logType": "SecurityLog", "requestId": 42}
            assert (await both.ask("GetLog", asked))["status"] == "Accepted"
            await both.heard("LogStatusNotification")
            seen = len(both.received)
            assert (await both.ask("GetLog", asked))["status"] == "AcceptedCanceled"
            await both.ask("ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"})
            told = await both.heard("LogStatusNotification", after=seen)
            assert told["requestId"] == 42

    asyncio.run(story())


def test_the_local_list_is_kept(pair):
    async def story():
        async with pair() as both:
            assert await both.ask("GetLocalListVersion") == {"listVersion": 0}
            entry = {"idTag": "LOCAL", "idTagInfo": {"status": "Accepted"}}
            send = {"listVersion": 5, "updateType": "Full", "localAuthorizationList": [entry]}
            assert await both.ask("SendLocalList", send) == {"status": "Accepted"}
            assert await both.ask("GetLocalListVersion") == {"listVersion": 5}
            assert await both.ask("SendLocalList", {"listVersion": 5, "updateType": "Differential"}) == {
                "status": "VersionMismatch"}
            await both.station.go_offline()
            assert await both.station.charge(1, "LOCAL", seconds=5) is not None
            both.station.go_online()
            await both.station.until_ready()
            await both.ask("ChangeConfiguration", {"key": "LocalAuthListEnabled", "value": "false"})
            assert await both.ask("GetLocalListVersion") == {"listVersion": -1}
            assert await both.ask("SendLocalList", send) == {"status": "NotSupported"}

    asyncio.run(story())


def test_a_reservation_holds_cancels_and_expires(pair):
    async def story():
        async with pair() as both:
            reserve = {"connectorId": 1, "idTag": "MINE", "reservationId": 9,
                       "expiryDate": both.station.clock.timestamp(3600)}
            assert await both.ask("ReserveNow", reserve) == {"status": "Accepted"}
            await both.status(1, "Reserved")
            assert await both.ask("ReserveNow", reserve | {"reservationId": 8}) == {"status": "Occupied"}
            assert await both.ask("CancelReservation", {"reservationId": 8}) == {"status": "Rejected"}
            seen = len(both.received)
            assert await both.ask("CancelReservation", {"reservationId": 9}) == {"status": "Accepted"}
            await both.status(1, "Available", after=seen)
            await both.ask("ReserveNow", reserve | {"expiryDate": both.station.clock.timestamp(20)})
            seen = len(both.received)
            await both.status(1, "Available", after=seen)

    asyncio.run(story())


def test_a_reservation_is_for_its_card_alone(pair):
    async def story():
        async with pair() as both:
            await both.ask("ReserveNow", {"connectorId": 1, "idTag": "MINE", "reservationId": 9,
                                          "expiryDate": both.station.clock.timestamp(3600)})
            assert await both.station.charge(1, "THINE", seconds=5) is None
            assert await both.station.charge(1, "MINE", seconds=5) is not None
            assert both.frames.calls("StartTransaction")[0]["reservationId"] == 9

    asyncio.run(story())


@pytest.mark.parametrize(("happening", "status"), [("fault", "Faulted"), ("off", "Unavailable"), ("plug", "Occupied")])
def test_a_reservation_is_refused_for_what_stands_in_its_way(pair, happening, status):
    async def story():
        async with pair() as both:
            if happening == "off":
                await both.ask("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})
            else:
                await getattr(both.station, happening)(1)
            assert await both.ask("ReserveNow", {"connectorId": 1, "idTag": "X", "reservationId": 1,
                                                 "expiryDate": "2099-01-01T00:00:00.000Z"}) == {"status": status}

    asyncio.run(story())


def profile(limit, purpose="TxDefaultProfile", **more):
    return {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Absolute", "chargingSchedule": {
                "chargingRateUnit": "A", "startSchedule": "2020-01-01T00:00:00.000Z",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}} | more


def test_a_limit_is_obeyed_at_once_and_told(pair):
    async def story():
        async with pair() as both:
            await both.ask("ChangeConfiguration", {"key": "MeterValuesSampledData", "value": "Current.Import"})
            running = asyncio.create_task(both.station.charge(1, unplug=False))
            await both.status(1, "Charging")
            assert await both.ask("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile(8.1)}) == {
                "status": "Accepted"}
            values = await both.heard("MeterValues")
            assert all(7.5 < float(one["value"]) <= 8.1 for one in values["meterValue"][0]["sampledValue"])
            await both.ask("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile(0.0)})
            await both.status(1, "SuspendedEVSE")
            composite = await both.ask("GetCompositeSchedule", {"connectorId": 1, "duration": 60})
            assert composite["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 0.0}]
            seen = len(both.received)
            assert await both.ask("ClearChargingProfile", {"id": 1}) == {"status": "Accepted"}
            await both.status(1, "Charging", after=seen)
            assert await both.ask("ClearChargingProfile", {"id": 1}) == {"status": "Unknown"}
            await both.ask("RemoteStopTransaction", {"transactionId": 1})
            await running
            assert both.frames.invalid() == []

    asyncio.run(story())


@pytest.mark.parametrize(("connector", "given"), [
    (1, profile(8.0, "TxProfile")), (1, profile(8.0, "ChargePointMaxProfile")), (0, profile(8.0, stackLevel=11))])
def test_a_profile_out_of_place_is_rejected(pair, connector, given):
    async def story():
        async with pair() as both:
            assert await both.ask("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": given}) == {
                "status": "Rejected"}

    asyncio.run(story())


def test_a_profile_for_no_connector_is_an_error(pair):
    async def story():
        async with pair() as both:
            with pytest.raises(CallFailed, match="PropertyConstraintViolation"):
                await both.ask("SetChargingProfile", {"connectorId": 5, "csChargingProfiles": profile(8.0)})

    asyncio.run(story())


def test_certificates_come_are_listed_and_go(pair):
    async def story():
        async with pair() as both:
            kind = {"certificateType": "CentralSystemRootCertificate"}
            assert await both.ask("GetInstalledCertificateIds", kind) == {"status": "NotFound"}
            assert await both.ask("InstallCertificate", kind | {"certificate": "no"}) == {"status": "Rejected"}
            assert await both.ask("InstallCertificate", kind | {"certificate": CERTIFICATE}) == {"status": "Accepted"}
            hashes, = (await both.ask("GetInstalledCertificateIds", kind))["certificateHashData"]
            assert await both.ask("DeleteCertificate", {"certificateHashData": hashes}) == {"status": "Accepted"}
            assert await both.ask("DeleteCertificate", {"certificateHashData": hashes}) == {"status": "NotFound"}

    asyncio.run(story())


def test_a_certificate_is_asked_for_and_taken(pair):
    async def story():
        async with pair() as both:
            assert await both.ask("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}) == {
                "status": "Accepted"}
            assert "CERTIFICATE REQUEST" in (await both.heard("SignCertificate"))["csr"]
            assert await both.ask("CertificateSigned", {"certificateChain": CERTIFICATE}) == {"status": "Accepted"}
            assert await both.ask("CertificateSigned", {"certificateChain": "no"}) == {"status": "Rejected"}

    asyncio.run(story())


def signed(certificate=CERTIFICATE):
    return {"requestId": 3, "firmware": {"location": "https://x/fw", "retrieveDateTime": "2020-01-01T00:00:00.000Z",
                                         "signingCertificate": certificate, "signature": "c2ln"}}


def test_a_secured_station_takes_signed_firmware_alone(pair):
    async def story():
        async with pair(behaviour="secured", scale=500) as both:
            await both.heard("SecurityEventNotification", lambda event: event["type"] == "StartupOfTheDevice")
            with pytest.raises(CallFailed, match="NotSupported"):
                await both.ask("UpdateFirmware", {"location": "x", "retrieveDate": "2020-01-01T00:00:00.000Z"})
            assert await both.ask("SignedUpdateFirmware", signed("no")) == {"status": "InvalidCertificate"}
            await both.heard("SecurityEventNotification",
                             lambda event: event["type"] == "InvalidFirmwareSigningCertificate")
            assert await both.ask("SignedUpdateFirmware", signed()) == {"status": "Accepted"}
            await both.heard("BootNotification", after=1)
            told = both.frames.calls("SignedFirmwareStatusNotification")
            assert [one["status"] for one in told] == ["Downloading", "Downloaded", "SignatureVerified", "Installing",
                                                       "Installed"]
            assert {one["requestId"] for one in told} == {3}
            assert both.frames.invalid() == []

    asyncio.run(story())


def test_a_station_without_signatures_says_so(pair):
    async def story():
        async with pair() as both:
            with pytest.raises(CallFailed, match="NotSupported"):
                await both.ask("SignedUpdateFirmware", signed())

    asyncio.run(story())
