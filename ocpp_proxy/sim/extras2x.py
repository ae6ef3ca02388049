"""What an OCPP 2.x CSMS may ask of a station besides: firmware, logs, certificates, local list, reservations, smart
charging, monitoring, customer data.

Decides answers and what follows them. Refuses to know how long things in the background take (`jobs`).

Source: OCPP 2.0.1 B09, D01, D02, H01 to H04, K01 to K10, L01, M03 to M05, N01, N04, N09; OCPP 2.1 N13, N14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ocpp_proxy.sim.endpoint import Payload, Reply, dig
from ocpp_proxy.sim.jobs import get_log, reachable, seconds_until, status, tell_job
from ocpp_proxy.sim.operations2x import Operation2x
from ocpp_proxy.sim.profiles import parse

if TYPE_CHECKING:
    from ocpp_proxy.sim.evse import Evse
    from ocpp_proxy.sim.station2x import Station2x

NETWORK_SLOTS = (1, 2)
PEM = "-----BEGIN CERTIFICATE-----"


def update_firmware(station: Station2x, request: Payload) -> Reply:
    firmware, extra = request["firmware"], {"requestId": request["requestId"]}
    certificate = firmware.get("signingCertificate")
    tell = "FirmwareStatusNotification"
    if certificate is not None and PEM not in certificate:
        return status("InvalidCertificate", lambda: station.host.spawn(
            station.tell_security_event("InvalidFirmwareSigningCertificate"), "invalid certificate"))

    async def update() -> None:
        await station.clock.sleep(seconds_until(station.clock, firmware["retrieveDateTime"]))
        if not reachable(firmware["location"]):
            await tell_job(station, tell, ["Downloading", "DownloadFailed"], extra)
            return
        signed = ["SignatureVerified"] if firmware.get("signature") else []
        await tell_job(station, tell, ["Downloading", "Downloaded", *signed], extra)
        await station.clock.sleep(seconds_until(station.clock, firmware.get("installDateTime")))
        for evse in station.evses:
            if evse.session is not None:
                await evse.session.done.wait()
        await tell_job(station, tell, ["Installing", "Installed"], extra)
        station.firmware = station.host.behaviour.next_firmware
        await station.tell_security_event("FirmwareUpdated")
        await station.host.reboot("FirmwareUpdate", abrupt=False)

    answer = "AcceptedCanceled" if tell in station.jobs else "Accepted"
    return status(answer, lambda: station.host.spawn(update(), "firmware update"))


def get_local_list_version(station: Station2x, _request: Payload) -> Reply:
    enabled = station.model.flag("LocalAuthListCtrlr", "Enabled")
    return Reply({"versionNumber": station.tokens.local_list.version if enabled else 0})


def send_local_list(station: Station2x, request: Payload) -> Reply:
    if not station.model.flag("LocalAuthListCtrlr", "Enabled"):
        return status("Failed")
    entries = [(entry["idToken"]["idToken"], dig(entry, str, "idTokenInfo", "status"))
               for entry in request.get("localAuthorizationList") or []]
    answer = station.tokens.local_list.update(request["versionNumber"], request["updateType"], entries)
    station.model.put("LocalAuthListCtrlr", "Entries", str(len(station.tokens.local_list)))
    return status(answer)


def reserve_now(station: Station2x, request: Payload) -> Reply:
    number = request.get("evseId")
    if number is not None and not 0 < number < len(station.evses):
        return status("Rejected")
    candidates = station.evses[1:] if number is None else [station.evses[number]]
    held = next((evse for evse in candidates if dig(evse.reservation, int, "id") == request["id"]), None)
    chosen = held or next((evse for evse in candidates if evse.status == "Available"), None)
    if chosen is None:
        found = candidates[0].status
        return status(found if found in ("Faulted", "Unavailable") else "Occupied")
    chosen.reservation = request

    async def hold(evse: Evse) -> None:
        await station.update_status(evse)
        await station.clock.sleep(seconds_until(station.clock, request["expiryDateTime"]))
        if evse.reservation is request:
            evse.reservation = None
            await station.host.say("ReservationStatusUpdate", {
                "reservationId": request["id"], "reservationUpdateStatus": "Expired"})
            await station.update_status(evse)

    return status("Accepted", lambda: station.host.spawn(hold(chosen), "reservation"))


def cancel_reservation(station: Station2x, request: Payload) -> Reply:
    held = next((evse for evse in station.evses
                 if dig(evse.reservation, int, "id") == request["reservationId"]), None)
    if held is None:
        return status("Rejected")
    held.reservation = None
    return status("Accepted", lambda: station.host.spawn(station.update_status(held), "reservation cancelled"))


def set_charging_profile(station: Station2x, request: Payload) -> Reply:
    number, profile = request["evseId"], request["chargingProfile"]
    if not 0 <= number < len(station.evses):
        return status("Rejected")
    session = station.evses[number].session
    purpose = profile["chargingProfilePurpose"]
    mine = session is not None and profile.get("transactionId") == session.transaction_id
    if (purpose == "ChargingStationMaxProfile" and number != 0) or (purpose == "TxProfile" and not mine) \
            or purpose == "ChargingStationExternalConstraints":
        return status("Rejected")
    station.profiles.add(parse(profile, number))
    return status("Accepted", station.settings_changed)


def clear_charging_profile(station: Station2x, request: Payload) -> Reply:
    criteria = request.get("chargingProfileCriteria") or {}
    found = station.profiles.clear(
        identifier=request.get("chargingProfileId"), connector=criteria.get("evseId"),
        purpose=criteria.get("chargingProfilePurpose"), stack=criteria.get("stackLevel"))
    return status("Accepted", station.settings_changed) if found else status("Unknown")


def get_charging_profiles(station: Station2x, request: Payload) -> Reply:
    criteria = request["chargingProfile"]
    sources = criteria.get("chargingLimitSource")
    found = station.profiles.find(
        connector=request.get("evseId"), purpose=criteria.get("chargingProfilePurpose"),
        stack=criteria.get("stackLevel"), identifiers=criteria.get("chargingProfileId"))
    if not found or (sources is not None and "CSO" not in sources):
        return status("NoProfiles")

    async def tell() -> None:
        for place, profile in enumerate(found):
            await station.host.say("ReportChargingProfiles", {
                "requestId": request["requestId"], "chargingLimitSource": "CSO", "evseId": profile.connector,
                "tbc": place + 1 < len(found), "chargingProfile": [profile.given]})

    return status("Accepted", lambda: station.host.spawn(tell(), "charging profiles"))


def get_composite_schedule(station: Station2x, request: Payload) -> Reply:
    number, unit = request["evseId"], request.get("chargingRateUnit", "A")
    if not 0 <= number < len(station.evses):
        return status("Rejected")
    periods = station.profiles.schedule(number, station.clock.now(), request["duration"], unit)
    return Reply({"status": "Accepted", "schedule": {
        "evseId": number, "duration": request["duration"], "scheduleStart": station.clock.timestamp(),
        "chargingRateUnit": unit, "chargingSchedulePeriod": periods}})


def install_certificate(station: Station2x, request: Payload) -> Reply:
    return status(station.certificates.install(request["certificateType"], request["certificate"]))


def delete_certificate(station: Station2x, request: Payload) -> Reply:
    return status(station.certificates.delete(request["certificateHashData"]))


def get_installed_certificate_ids(station: Station2x, request: Payload) -> Reply:
    found = [{"certificateType": kind, "certificateHashData": hashes}
             for kind, hashes in station.certificates.listed(request.get("certificateType"))]
    return Reply({"status": "Accepted", "certificateHashDataChain": found} if found else {"status": "NotFound"})


def certificate_signed(_station: Station2x, request: Payload) -> Reply:
    return status("Accepted" if PEM in request["certificateChain"] else "Rejected")


def set_network_profile(_station: Station2x, request: Payload) -> Reply:
    """Takes a profile that is no step down; nothing comes of it before the priorities name its slot."""
    sound = request["configurationSlot"] in NETWORK_SLOTS and request["connectionData"]["securityProfile"] >= 1
    return status("Accepted" if sound else "Rejected")


def customer_information(station: Station2x, request: Payload) -> Reply:
    if not request["report"]:
        return status("Accepted" if request["clear"] else "Rejected")

    async def tell() -> None:
        await station.host.say("NotifyCustomerInformation", {
            "data": "", "seqNo": 0, "tbc": False, "generatedAt": station.clock.timestamp(),
            "requestId": request["requestId"]})

    return status("Accepted", lambda: station.host.spawn(tell(), "customer information"))


EXTRAS: Final[dict[str, Operation2x]] = {
    "CancelReservation": cancel_reservation,
    "CertificateSigned": certificate_signed,
    "ClearChargingProfile": clear_charging_profile,
    "ClearVariableMonitoring": lambda station, request: station.monitors.clear(request),
    "CostUpdated": lambda _station, _request: Reply({}),
    "CustomerInformation": customer_information,
    "DeleteCertificate": delete_certificate,
    "GetChargingProfiles": get_charging_profiles,
    "GetCompositeSchedule": get_composite_schedule,
    "GetInstalledCertificateIds": get_installed_certificate_ids,
    "GetLocalListVersion": get_local_list_version,
    "GetLog": get_log,
    "InstallCertificate": install_certificate,
    "ReserveNow": reserve_now,
    "SendLocalList": send_local_list,
    "SetChargingProfile": set_charging_profile,
    "SetNetworkProfile": set_network_profile,
    "SetVariableMonitoring": lambda station, request: station.monitors.set(request),
    "UpdateFirmware": update_firmware,
}
STREAMS: Final[dict[str, Operation2x]] = {  # in 2.1 alone
    "AdjustPeriodicEventStream": lambda station, request: station.monitors.adjust(request),
    "GetPeriodicEventStream": lambda station, request: station.monitors.streams(request),
}
