"""Security of 2.x: events that have to arrive, and network profiles that are set.

Source: OCPP 2.0.1 and 2.1 Part 2 A04, B09.FR.05; Part 2 appendices chapter 1 (security events); 2.0.1 errata 2.11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, kept
from ocpp_proxy.rules.checks.boot2x_standing import UNACCEPTED
from ocpp_proxy.rules.checks.inventory2x import Inventory
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, IN_2X, OPENED, answer, call, check, learn

EVENT = "SecurityEventNotification"
EVENTS_KEPT = 32
ROUNDS = 12
# Those that the appendices call critical; the last of them in 2.1 only.
CRITICAL = frozenset((
    "FirmwareUpdated", "SettingSystemTime", "StartupOfTheDevice", "ResetOrReboot", "SecurityLogWasCleared",
    "MemoryExhaustion", "TamperDetectionActivated", "InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate",
    "InvalidCsmsCertificate", "InvalidChargingStationCertificate", "InvalidTLSVersion", "InvalidTLSCipherSuite",
    "MaintenanceLoginAccepted", "MaintenanceLoginFailed", "DiscardedRenewedClientCertificate",
))  # fmt: skip


class Sent(NamedTuple):
    """A security event that was sent."""

    name: str
    ref: FrameRef


@dataclass(slots=True)
class Outgoing:
    """`open`: critical events without an answer so far, by connection and message id; `lost`: those that were left
    without one when their connection ended."""

    open: dict[tuple[str, str], Sent] = field(default_factory=dict)
    lost: list[Sent] = field(default_factory=list)


@learn(call(EVENT))
def event_sent(now: Now) -> None:
    name = kept(now.request, "type")
    if now.version == "1.6" or name not in CRITICAL or now.injected or now.exchange is None:
        return
    book = now.session.book(Outgoing)
    again = next((one for one in book.lost if one.name == name), None)
    if again is not None:
        book.lost.remove(again)
    book.open[now.connection, now.exchange.message_id] = Sent(name, now.ref)
    if len(book.open) > EVENTS_KEPT:
        del book.open[next(iter(book.open))]


@learn(answer(EVENT), versions=IN_2X)
def event_confirmed(now: Now) -> None:
    if now.exchange is not None:
        now.session.book(Outgoing).open.pop((now.connection, now.exchange.message_id), None)


@learn(CLOSED, versions=IN_2X)
def link_lost(now: Now) -> None:
    book = now.session.book(Outgoing)
    left = [key for key in book.open if key[0] == now.connection]
    for key in left:
        one = book.open.pop(key)
        if now.link is not None and now.link.whole and len(book.lost) < EVENTS_KEPT:
            book.lost.append(one)


@check("sev201", OPENED)
def back_online(now: Now) -> None:
    if now.session.book(Outgoing).lost:
        now.later(now.bounds.boot_soft_s, not_sent_again, data=ROUNDS)


def not_sent_again(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if now.session.registration.status in UNACCEPTED and deadline.data:
        now.later(now.bounds.boot_soft_s, not_sent_again, data=deadline.data - 1, place=deadline.place)
        return
    book = now.session.book(Outgoing)
    for one in book.lost:
        yield now.hit(f"The security event {one.name} was not confirmed before the connection ended, and is not sent"
                      f" again within {now.bounds.boot_soft_s:g} s of the next", "/type", seen=one.name,
                      place=deadline.place, frame=one.ref, by="station")
    book.lost.clear()


# Network profiles


@check("net201-profile", answer("SetNetworkProfile", by="csms"))
def network_profile(now: Now) -> Iterator[Hit]:
    slot, slots = integer(now.request, "configurationSlot"), now.session.book(Inventory).priorities
    if slots is None:
        yield from now.unknown("the slots of NetworkConfigurationPriority were not seen")
    elif now.status == "Accepted" and slot is not None and str(slot) not in slots:
        yield now.hit(f"A network profile for slot {slot} is accepted, which NetworkConfigurationPriority does not"
                      " have", "/status", seen="Accepted", expected="Rejected")
