"""What an OCPP 1.6 CSMS may ask of a station beyond Core: firmware, diagnostics, local list, reservations, smart
charging and the security extension.

Decides answers and what follows them. Refuses to know how long things in the background take (`jobs`).

Source: OCPP 1.6 sections 4.4, 4.5, 5.1, 5.5 to 5.7, 5.9 to 5.10, 5.13, 5.15 to 5.16, 5.19; the security whitepaper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ocpp.exceptions import PropertyConstraintViolationError

from ocpp_proxy.sim.endpoint import Payload, Reply
from ocpp_proxy.sim.jobs import get_log, reachable, seconds_until, signing_request, status, tell_job, upload
from ocpp_proxy.sim.operations16 import Operation16, trigger_message
from ocpp_proxy.sim.profiles import parse

if TYPE_CHECKING:
    from ocpp_proxy.sim.station16 import Station16

def update_firmware(station: Station16, request: Payload) -> Reply:
    async def update() -> None:
        await station.clock.sleep(seconds_until(station.clock, request["retrieveDate"]))
        tell = "FirmwareStatusNotification"
        if not reachable(request["location"]):
            await tell_job(station, tell, ["Downloading", "DownloadFailed"], {})
            return
        await tell_job(station, tell, ["Downloading", "Downloaded"], {})
        await _install(station, tell, {})

    return Reply({}, lambda: station.host.spawn(update(), "firmware update"))


def get_diagnostics(station: Station16, request: Payload) -> Reply:
    name = f"diagnostics-{station.host.address.station_id}.zip"[:255]
    return Reply({"fileName": name}, upload(
        station, "DiagnosticsStatusNotification", request["location"], "UploadFailed", {}))


def get_local_list_version(station: Station16, _request: Payload) -> Reply:
    if not station.configuration.flag("LocalAuthListEnabled"):
        return Reply({"listVersion": -1})
    return Reply({"listVersion": station.tokens.local_list.version})


def send_local_list(station: Station16, request: Payload) -> Reply:
    if not station.configuration.flag("LocalAuthListEnabled"):
        return status("NotSupported")
    entries = [(entry["idTag"], (entry.get("idTagInfo") or {}).get("status"))
               for entry in request.get("localAuthorizationList") or []]
    if len(entries) > station.configuration.number("SendLocalListMaxLength"):
        return status("Failed")
    return status(station.tokens.local_list.update(request["listVersion"], request["updateType"], entries))


def reserve_now(station: Station16, request: Payload) -> Reply:
    number = request["connectorId"]
    if not 0 < number < len(station.connectors):
        return status("Rejected")
    connector = station.connectors[number]
    same = (connector.reservation or {}).get("reservationId") == request["reservationId"]
    if connector.error != "NoError":
        return status("Faulted")
    if not connector.operative:
        return status("Unavailable")
    if connector.session or connector.plugged or (connector.reservation and not same):
        return status("Occupied")
    connector.reservation = request

    async def hold() -> None:
        await station.set_status(connector, connector.resting)
        await station.clock.sleep(seconds_until(station.clock, request["expiryDate"]))
        if connector.reservation is request:
            connector.reservation = None
            await station.set_status(connector, connector.resting)

    return status("Accepted", lambda: station.host.spawn(hold(), "reservation"))


def cancel_reservation(station: Station16, request: Payload) -> Reply:
    for connector in station.connectors:
        if (connector.reservation or {}).get("reservationId") == request["reservationId"]:
            connector.reservation = None
            return status("Accepted", lambda held=connector: station.host.spawn(  # type: ignore[misc]
                station.set_status(held, held.resting), "reservation cancelled"))
    return status("Rejected")


def set_charging_profile(station: Station16, request: Payload) -> Reply:
    number, profile = request["connectorId"], request["csChargingProfiles"]
    if not 0 <= number < len(station.connectors):
        raise PropertyConstraintViolationError(f"there is no connector {number}")
    session = station.connectors[number].session
    if profile["chargingProfilePurpose"] == "ChargePointMaxProfile" and number != 0:
        return status("Rejected")
    if profile["chargingProfilePurpose"] == "TxProfile" and (
            session is None or profile.get("transactionId", session.transaction_id) != session.transaction_id):
        return status("Rejected")
    if profile["stackLevel"] > station.configuration.number("ChargeProfileMaxStackLevel"):
        return status("Rejected")
    station.profiles.add(parse(profile, number))
    return status("Accepted", station.settings_changed)


def clear_charging_profile(station: Station16, request: Payload) -> Reply:
    found = station.profiles.clear(
        identifier=request.get("id"), connector=request.get("connectorId"),
        purpose=request.get("chargingProfilePurpose"), stack=request.get("stackLevel"),
    )
    return status("Accepted", station.settings_changed) if found else status("Unknown")


def get_composite_schedule(station: Station16, request: Payload) -> Reply:
    number, unit = request["connectorId"], request.get("chargingRateUnit", "A")
    if not 0 <= number < len(station.connectors):
        return status("Rejected")
    now = station.clock.now()
    return Reply({
        "status": "Accepted", "connectorId": number, "scheduleStart": station.clock.timestamp(),
        "chargingSchedule": {
            "duration": request["duration"], "chargingRateUnit": unit,
            "chargingSchedulePeriod": station.profiles.schedule(number, now, request["duration"], unit),
        },
    })


def install_certificate(station: Station16, request: Payload) -> Reply:
    return status(station.certificates.install(request["certificateType"], request["certificate"]))


def delete_certificate(station: Station16, request: Payload) -> Reply:
    return status(station.certificates.delete(request["certificateHashData"]))


def get_installed_certificate_ids(station: Station16, request: Payload) -> Reply:
    found = [hashes for _, hashes in station.certificates.listed([request["certificateType"]])]
    return Reply({"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"})


def certificate_signed(_station: Station16, request: Payload) -> Reply:
    return status("Accepted" if "BEGIN CERTIFICATE" in request["certificateChain"] else "Rejected")


def extended_trigger_message(station: Station16, request: Payload) -> Reply:
    if request["requestedMessage"] != "SignChargePointCertificate":
        return trigger_message(station, request)
    csr = signing_request(station.host.address.station_id)
    return status("Accepted", lambda: station.host.spawn(station.host.say("SignCertificate", {"csr": csr}), "csr"))


def signed_update_firmware(station: Station16, request: Payload) -> Reply:
    """Of stations that take signed firmware alone."""
    firmware, extra = request["firmware"], {"requestId": request["requestId"]}
    tell = "SignedFirmwareStatusNotification"
    if "BEGIN CERTIFICATE" not in firmware["signingCertificate"]:
        return status("InvalidCertificate", lambda: station.host.spawn(
            station.tell_security_event("InvalidFirmwareSigningCertificate"), "invalid certificate"))

    async def update() -> None:
        await station.clock.sleep(seconds_until(station.clock, firmware["retrieveDateTime"]))
        if not reachable(firmware["location"]):
            await tell_job(station, tell, ["Downloading", "DownloadFailed"], extra)
            return
        await tell_job(station, tell, ["Downloading", "Downloaded", "SignatureVerified"], extra)
        await station.clock.sleep(seconds_until(station.clock, firmware.get("installDateTime")))
        await _install(station, tell, extra)

    answer = "AcceptedCanceled" if tell in station.jobs else "Accepted"
    return status(answer, lambda: station.host.spawn(update(), "firmware update"))


async def _install(station: Station16, tell: str, extra: Payload) -> None:
    for connector in station.connectors:
        if connector.session is not None:
            await connector.session.done.wait()
    await tell_job(station, tell, ["Installing", "Installed"], extra)
    station.firmware = station.host.behaviour.next_firmware
    await station.host.reboot("FirmwareUpdate", abrupt=False)


EXTRAS: Final[dict[str, Operation16]] = {
    "CancelReservation": cancel_reservation,
    "CertificateSigned": certificate_signed,
    "ClearChargingProfile": clear_charging_profile,
    "DeleteCertificate": delete_certificate,
    "ExtendedTriggerMessage": extended_trigger_message,
    "GetCompositeSchedule": get_composite_schedule,
    "GetDiagnostics": get_diagnostics,
    "GetInstalledCertificateIds": get_installed_certificate_ids,
    "GetLocalListVersion": get_local_list_version,
    "GetLog": get_log,
    "InstallCertificate": install_certificate,
    "ReserveNow": reserve_now,
    "SendLocalList": send_local_list,
    "SetChargingProfile": set_charging_profile,
    "UpdateFirmware": update_firmware,
}
