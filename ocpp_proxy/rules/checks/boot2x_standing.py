"""Where a 2.x station stands with its CSMS: what its last boot came to, and what it was asked to send meanwhile.

Decides whether that is certain: after missing frames it is not, until the next boot is answered. Refuses to judge.

Source: OCPP 2.0.1 and 2.1 Part 2 B01 to B03, F06.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import text
from ocpp_proxy.core.station.registration import Boot
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import CLOSED, IN_2X, OPENED, answer, call, learn

BOOT = "BootNotification"
TRIGGERED = "Triggered"  # the reason of a BootNotification that tells of no boot
UNACCEPTED = frozenset(("Pending", "Rejected"))
ANYTHING = "*"
LONGEST_ACTION = 50

# What a Call of the CSMS makes a station send. Only the first three may ask an unaccepted station (B02.FR.02); what the
# others ask for is not the station's doing either.
ASKED_BY: Mapping[str, tuple[str, ...]] = {
    "GetBaseReport": ("NotifyReport",),
    "GetReport": ("NotifyReport",),
    "TriggerMessage": (),  # what it names
    "CertificateSigned": ("SecurityEventNotification",),
    "CustomerInformation": ("NotifyCustomerInformation",),
    "GetChargingProfiles": ("ReportChargingProfiles",),
    "GetDisplayMessages": ("NotifyDisplayMessages",),
    "GetLog": ("LogStatusNotification",),
    "GetMonitoringReport": ("NotifyMonitoringReport",),
    "PublishFirmware": ("PublishFirmwareStatusNotification",),
    "UpdateFirmware": ("FirmwareStatusNotification", "SecurityEventNotification"),
}
# Where the name in TriggerMessage is not that of the message.
TRIGGERS: Mapping[str, tuple[str, ...]] = {
    "CustomTrigger": (ANYTHING,),
    "SignChargingStationCertificate": ("SignCertificate",),
    "SignCombinedCertificate": ("SignCertificate",),
    "SignV2G20Certificate": ("SignCertificate",),
    "SignV2GCertificate": ("SignCertificate",),
    "StatusNotification": ("StatusNotification", "NotifyEvent"),
}


@dataclass(slots=True)
class Standing:
    """`boot`: a BootNotification about a boot that has no CALLRESULT so far. `asked`: the actions that the CSMS has
    asked for since it last accepted or rejected the station; `trigger`: its last TriggerMessage for a BootNotification
    since it answered one; `reset`: it has asked for a reset since then. `early`: the first Call on the newest
    connection and its action, if no BootNotification came before; `calls`: how many there were on it. `sure`: no frame
    is missing since the last answer to a boot."""

    boot: FrameRef | None = None
    asked: set[str] = field(default_factory=set)
    trigger: FrameRef | None = None
    reset: bool = False
    early: tuple[FrameRef, str] | None = None
    calls: int = 0
    sure: bool = True

    def wanted(self, action: str) -> bool:
        return action in self.asked or ANYTHING in self.asked


def settled(now: Now) -> Boot | None:
    """The last answered boot, None where it is not known for certain."""
    if not now.session.book(Standing).sure or now.link is None or not now.link.whole:
        return None
    return now.session.registration.last


def pending(now: Now) -> Boot | None:
    """The last boot, if it was answered with Pending and that is certain."""
    boots = now.session.registration.boots
    return settled(now) if boots and boots[-1].status == "Pending" else None


def unaccepted(now: Now) -> Boot | None:
    """The last boot, if it was answered with Pending or Rejected and that is certain."""
    boots = now.session.registration.boots
    return settled(now) if boots and boots[-1].status in UNACCEPTED else None


def before(boot: Boot, now: Now) -> bool:
    """Whether the boot was answered before the Call of this exchange was made."""
    call_ref = now.call_ref
    return boot.answer.connection != call_ref.connection or boot.answer.seq < call_ref.seq


def shown(action: str) -> str:
    """An action, which a peer chose, in a sentence."""
    return action[:LONGEST_ACTION]


def tells_of_boot(now: Now) -> bool:
    return now.action == BOOT and not now.injected and text(now.request, "reason") != TRIGGERED


@learn(OPENED, versions=IN_2X)
def connected(now: Now) -> None:
    book = now.session.book(Standing)
    book.early, book.calls = None, 0


@learn(CLOSED, versions=IN_2X)
def left(now: Now) -> None:
    if now.link is not None and not now.link.whole:
        now.session.book(Standing).sure = False


@learn(call(), versions=IN_2X)
def called(now: Now) -> None:
    book = now.session.book(Standing)
    if now.action == BOOT:
        book.early = None
        book.calls += 1
        if tells_of_boot(now):
            book.boot = now.ref
    elif not now.injected:
        if book.calls == 0 and book.boot is None and now.session.registration.status not in UNACCEPTED:
            book.early = now.ref, now.action
        book.calls += 1


@learn(call(*ASKED_BY, "Reset", by="csms"), versions=IN_2X)
def asked(now: Now) -> None:
    book = now.session.book(Standing)
    if now.action == "Reset":
        book.reset, book.early = True, None
    elif now.action == "TriggerMessage":
        wanted = text(now.request, "requestedMessage") or ""
        book.asked.update(TRIGGERS.get(wanted, (wanted,) if wanted in ACTIONS[now.version] else ()))
        if wanted == BOOT:
            book.trigger, book.early = now.ref, None
    else:
        book.asked.update(ASKED_BY[now.action])


@learn(answer(BOOT), versions=IN_2X)
def answered(now: Now) -> None:
    if not isinstance(now.frame, CallResult):
        return
    book = now.session.book(Standing)
    book.boot, book.trigger, book.reset, book.sure = None, None, False, True
    if now.status != "Pending":
        book.asked.clear()


@learn(answer(), versions=IN_2X)
def refused(now: Now) -> None:
    """A CSMS that does not know the station makes it boot again."""
    if now.error is not None and now.error["code"] == "SecurityError":
        now.session.book(Standing).early = None
