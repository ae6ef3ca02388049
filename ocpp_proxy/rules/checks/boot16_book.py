"""What the rules of booting and registration keep of a station, and what they conclude from it.

Decides whether a BootNotification was asked for, whether the station can have booted since the last one, and how it
stands with the CSMS, each only where the frames leave no doubt. Refuses to judge.

Source: OCPP 1.6 edition 2 sections 4.2, 5.14 and 5.17; OCPP 2.0.1 Part 2 B01 to B03, BootReasonEnumType.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import kept, member, objects, text
from ocpp_proxy.core.record import Closed
from ocpp_proxy.core.station.registration import Boot
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import CLOSED, OPENED, answer, call, learn

EARLY_KEPT = 8
BOOTS_KEPT = 3
TRIGGERED_S = 300.0  # so long a message may come after it was asked for
QUICK_S = 2.0       # nothing boots and connects in less
ALIVE_S = 10.0      # who spoke so shortly before the other side ended the connection had not lost its power
AWAY_S = 300.0      # and comes back within this, if all it does is to connect again

# What a CALL of the CSMS asks the station to send, besides the message that a trigger names.
LEADS_TO: Mapping[str, tuple[str, ...]] = {
    "GetBaseReport": ("NotifyReport",),
    "GetReport": ("NotifyReport",),
    "GetMonitoringReport": ("NotifyMonitoringReport",),
    "CustomerInformation": ("NotifyCustomerInformation",),
    "GetDisplayMessages": ("NotifyDisplayMessages",),
    "GetChargingProfiles": ("ReportChargingProfiles",),
    "GetDiagnostics": ("DiagnosticsStatusNotification",),
    "GetLog": ("LogStatusNotification",),
    "UpdateFirmware": ("FirmwareStatusNotification",),
    "SignedUpdateFirmware": ("SignedFirmwareStatusNotification",),
    "ChangeAvailability": ("StatusNotification", "NotifyEvent"),
}
TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")
# What a trigger names otherwise than the action that it leads to.
TRIGGERED: Mapping[str, tuple[str, ...]] = {
    "FirmwareStatusNotification": ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
    "StatusNotification": ("StatusNotification", "NotifyEvent"),
    "SignChargePointCertificate": ("SignCertificate",),
    "SignChargingStationCertificate": ("SignCertificate",),
    "SignV2GCertificate": ("SignCertificate",),
    "SignV2G20Certificate": ("SignCertificate",),
    "SignCombinedCertificate": ("SignCertificate",),
}
# BootReasonEnumType: those that speak of a boot, and of them those that somebody asked for.
ASKED_FOR = frozenset({"RemoteReset", "ScheduledReset", "FirmwareUpdate", "Triggered"})
BOOTED = frozenset({"PowerUp", "LocalReset", "Watchdog", "ApplicationReset"}) | ASKED_FOR - {"Triggered"}
# Words of the station that speak of a boot which the CSMS did not ask for.
STARTED = frozenset({"StartupOfTheDevice", "ResetOrReboot", "FirmwareUpdated"})
STOPPED = frozenset({"PowerLoss", "Reboot", "HardReset", "SoftReset", "ImmediateReset"})

UNACCEPTED = ("Pending", "Rejected")

# What tells one station from another, by version.
IDENTITY_16 = ("chargePointVendor", "chargePointModel", "chargePointSerialNumber", "chargeBoxSerialNumber")
IDENTITY_2X = ("vendorName", "model", "serialNumber")


@dataclass(frozen=True, slots=True)
class Reset:
    """A Reset that the station accepted and has not sent a BootNotification after. `kind`: Hard, Soft, …"""

    kind: str
    ref: FrameRef
    time: float


@dataclass(slots=True)
class Boots:
    """`early`: the first CALLs of the connection `early_on` before its BootNotification, EARLY_KEPT of them; `booting`:
    the BootNotification of a real boot that has not been completed; `guessed`: the station was accepted before, so that
    it may only have connected again; `completed`: the last one was accepted, None where
    none was seen; `times`: of the last boots that nobody asked for; `identity`: what the last one said, by pointer.

    `triggers`: when the CSMS last asked for a message; `asked`: it asked for something that ends in a boot; `sure`: the
    station has not booted since its last BootNotification was answered; `patchy`: a connection that has ended may have
    told something that is not on record; `ended_alive`: the other side ended the last one while the station was alive;
    `on_demand`: the last BootNotification was asked for.
    """

    early: list[tuple[FrameRef, str]] = field(default_factory=list)
    early_on: str = ""
    booting: FrameRef | None = None
    guessed: bool = False
    completed: bool | None = None
    times: deque[tuple[float, FrameRef]] = field(default_factory=lambda: deque(maxlen=BOOTS_KEPT))
    identity: dict[str, str] = field(default_factory=dict)
    triggers: dict[str, float] = field(default_factory=dict)
    reset: Reset | None = None
    asked: bool = False
    sure: bool = False
    patchy: bool = False
    ended_alive: bool = False
    on_demand: bool = False


# What can be concluded


def book(now: Occasion) -> Boots:
    return now.session.book(Boots)


def standing(now: Now) -> Boot | None:
    """The answer to the last BootNotification, where nothing that may have come after it is missing."""
    last = now.session.registration.last
    if last is None or now.link is None or not now.link.whole:
        return None
    return None if last.answer.connection != now.connection and book(now).patchy else last


def refused(now: Now, *statuses: str) -> Boot | None:
    """The last BootNotification, if the station stands where its answer said one of these."""
    last = standing(now)
    return last if last is not None and last.status in statuses else None


def unaccepted(now: Now) -> Boot | None:
    """The last BootNotification, if the station stands where it was answered with Pending or Rejected."""
    boots = now.session.registration.boots
    return refused(now, *UNACCEPTED) if boots and boots[-1].status in UNACCEPTED else None


def wanted(now: Now, action: str) -> bool:
    """Whether the CSMS asked for such a message lately."""
    asked = book(now).triggers.get(action)
    return asked is not None and now.time - asked <= TRIGGERED_S


def boot_wanted(now: Now) -> bool:
    """Whether the CSMS has asked for a BootNotification that has not come so far."""
    return "BootNotification" in book(now).triggers


def not_booted(now: Now) -> bool:
    """Whether the station, which sends a BootNotification, has certainly not booted since the last one was answered."""
    last = now.session.registration.last
    if last is None or (last.answer.connection != now.connection and text(now.request, "reason") in BOOTED):
        return False
    return book(now).sure


def real_boot(now: Now) -> bool:
    """Whether a BootNotification may be taken for a boot: it was not asked for, and it is not known that there was
    none."""
    return not boot_wanted(now) and not not_booted(now)


def unasked_boot(now: Now) -> bool:
    """Whether it tells of a boot that nobody asked for: it is no further attempt to register, and does not just come
    with a new connection."""
    told, last = book(now), now.session.registration.last
    if boot_wanted(now) or told.asked or told.completed is False or text(now.request, "reason") in ASKED_FOR:
        return False
    return last is None or last.answer.connection == now.connection or not not_booted(now)


def identity(now: Now) -> dict[str, str]:
    """What a BootNotification says of the station's identity, by pointer; blank texts say nothing."""
    names, path = (IDENTITY_16, ()) if now.version == "1.6" else (IDENTITY_2X, ("chargingStation",))
    prefix = "".join(f"/{one}" for one in path)
    told = {f"{prefix}/{name}": kept(member(now.request, *path), name) for name in names}
    return {pointer: value.strip() for pointer, value in told.items() if value and value.strip()}


# What is kept


@learn(call(*LEADS_TO, *TRIGGERS, by="csms"))
def asked_for(now: Now) -> None:
    """Remember what the CSMS asks for; at the CALL, since stations may send it before they answer."""
    if now.action in TRIGGERS:
        message = text(now.request, "requestedMessage") or ""
        messages = TRIGGERED.get(message) or (message[:40],)
    else:
        messages = LEADS_TO[now.action]
    triggers = book(now).triggers
    for message in messages:
        if len(triggers) < 64 or message in triggers:
            triggers[message] = now.time


@learn(answer("Reset", "UpdateFirmware", "SignedUpdateFirmware", "ChangeConfiguration", "SetVariables", by="csms"))
def asked_to_boot(now: Now) -> None:
    if not isinstance(now.frame, CallResult) or now.status == "Rejected":
        return
    kept_book = book(now)
    if now.action == "Reset":
        kept_book.reset = Reset(kept(now.request, "type") or "", now.ref, now.time)
    elif now.action in ("ChangeConfiguration", "SetVariables") and not _reboot_required(now.response):
        return
    kept_book.asked, kept_book.sure = True, False


def _reboot_required(response: Any) -> bool:
    return text(response, "status") == "RebootRequired" or any(
        text(one, "attributeStatus") == "RebootRequired" for _, one in objects(response, "setVariableResult"))


@learn(call("SecurityEventNotification", "StopTransaction", "TransactionEvent", "FirmwareStatusNotification",
            "SignedFirmwareStatusNotification"))  # fmt: skip
def told_of_boot(now: Now) -> None:
    request, told = now.request, book(now)
    if now.action.endswith("FirmwareStatusNotification"):
        told.asked = told.asked or (text(request, "status") or "").startswith("Install")
        told.sure = told.sure and not told.asked
    elif (text(request, "type") in STARTED or text(request, "reason") in STOPPED
          or text(request, "transactionInfo", "stoppedReason") in STOPPED):
        told.sure = False


@learn(call())
def spoken_early(now: Now) -> None:
    told, link = book(now), now.link
    if link is None or (told.early_on != now.connection and "station" in link.called):
        return
    if now.action == "BootNotification" or now.injected:
        return
    if "station" not in link.called:
        told.early_on, told.early = now.connection, []
    if len(told.early) < EARLY_KEPT and not wanted(now, now.action):
        told.early.append((now.ref, now.action))


@learn(call("BootNotification"))
def boot_called(now: Now) -> None:
    if now.injected:
        return
    told = book(now)
    real = real_boot(now)
    told.booting = now.ref if real else None
    told.guessed = now.session.registration.status == "Accepted" and not told.asked
    if unasked_boot(now):
        told.times.append((now.time, now.ref))
    told.identity |= identity(now)
    told.on_demand = told.triggers.pop("BootNotification", None) is not None
    told.early, told.early_on = [], ""
    told.reset, told.asked, told.completed = None, False, False


@learn(answer("BootNotification"))
def boot_answered(now: Now) -> None:
    told, status = book(now), now.status
    if status is None:
        return
    told.booting, told.patchy = None, False
    told.completed = status == "Accepted"
    told.sure = not told.asked


@learn(CLOSED)
def link_ended(now: Now) -> None:
    told, link, record = book(now), now.link, now.record
    if link is None:
        return
    last = max(link.heard.get("station", link.opened_time), link.pinged.get("station", link.opened_time))
    by = record.by if isinstance(record, Closed) else "proxy"
    told.patchy = told.patchy or not link.whole or by == "proxy"  # what the station did without us is not known
    told.ended_alive = record is not None and by != "station" and now.time - last <= ALIVE_S
    if told.booting is not None and told.booting.connection == now.connection:
        told.booting = None


@learn(OPENED)
def link_begun(now: Now) -> None:
    """The station may have booted while it was away, unless the other side ended the connection or it was back in no
    time."""
    told, since = book(now), now.session.links.offline_since
    if since is None:
        told.sure = False
        return
    away_s = now.time - since[0]
    told.sure = told.sure and (away_s <= QUICK_S or (told.ended_alive and away_s <= AWAY_S))
