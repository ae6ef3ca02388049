"""What tells of a boot, and what has to come of one.

Decides whether a station boots when and as it should. Refuses to take a BootNotification for a boot where it may have
another cause (`boot16_book`).

Source: OCPP 1.6 edition 2 sections 4.2 and 5.14; OCPP-J 1.6 section 5.4; OCPP 2.0.1 Part 4 section 5.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import kept, member, text
from ocpp_proxy.rules.checks.boot16_book import (
    BOOTS_KEPT,
    book,
    boot_wanted,
    identity,
    not_booted,
    real_boot,
    unasked_boot,
    wanted,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check
from ocpp_proxy.rules.place import SHOWN

EARLY_S = 120.0       # what was said longer before a BootNotification has nothing to do with it
HOUR_S = 3600.0
SPOKEN_S = 60.0       # so long a station that is back has at least until its BootNotification


# Before the BootNotification is answered


@check("boot-first", call())
def before_completion(now: Now) -> Iterator[Hit] | None:
    booting = book(now).booting
    return _before_completion(now, booting) if booting is not None else None


def _before_completion(now: Now, booting: FrameRef) -> Iterator[Hit]:
    if now.action == "BootNotification" or booting.connection != now.connection or now.injected:
        return
    if now.session.registration.status in ("Pending", "Rejected") or wanted(now, now.action) or not _whole(now):
        return
    yield now.hit(f"{now.action} is sent before BootNotification has been accepted", also=[booting],
                  case="guessed" if book(now).guessed else None)


@check("boot-first", call("BootNotification"))
def before_boot(now: Now) -> Iterator[Hit]:
    told, link = book(now), now.link
    if told.early_on != now.connection or link is None or link.opened is None or not link.whole:
        return
    if not real_boot(now) or now.time - link.opened_time > EARLY_S:
        return
    reset = told.reset
    proven = reset is not None and reset.time < link.opened_time
    for ref, action in told.early:
        yield now.hit(f"{action} is sent before BootNotification has been accepted", frame=ref, also=[now.ref],
                      case=None if proven else "guessed", connector=None, transaction=None)


def _whole(now: Now) -> bool:
    return now.link is not None and now.link.whole


# Missing after a reset


@check("boot-missing-after-reset", call())
def back_without(now: Now) -> None:
    reset, link = book(now).reset, now.link
    if reset is None or link is None or link.opened is None or link.opened_time < reset.time:
        return
    if now.action == "BootNotification" or now.injected or now.expected() is not None:
        return
    bound_s = now.bounds.boot_hard_s if reset.kind == "Hard" else now.bounds.boot_soft_s
    now.later(max(reset.time + bound_s - now.time, SPOKEN_S), no_boot, data=(reset, bound_s), across=True)


@check("boot-missing-after-reset", call("BootNotification", retries=True))
def boots(now: Now) -> None:
    now.cancel()


def no_boot(now: Now, deadline: Deadline) -> Iterator[Hit]:
    reset, bound_s = deadline.data
    if now.link is not None and now.link.whole and not book(now).patchy:
        yield now.hit(f"The station is back after Reset {reset.kind} and has not sent BootNotification within "
                      f"{bound_s:g} s", place=deadline.place, by="station", also=[reset.ref], connector=None,
                      transaction=None)  # fmt: skip


# Boots that are none, or too many


@check("boot-on-reconnect", call("BootNotification"))
def again_on_reconnect(now: Now) -> Iterator[Hit]:
    registration, links = now.session.registration, now.session.links
    last, exchange = registration.last, now.exchange
    if last is None or exchange is None or last.status != "Accepted" or last.answer.connection == now.connection:
        return
    if registration.pending_call is not None or boot_wanted(now) or not not_booted(now) or not links.windows:
        return
    if hash(exchange.call.raw.partition(b"{")[2]) == last.content:
        by = SHOWN[links.windows[-1].by]
        yield now.hit(f"The {by} ended the connection, and the station came back with the same BootNotification "
                      "without having booted", also=[last.call])


@check("boot-frequent", call("BootNotification"))
def frequent(now: Now) -> Iterator[Hit]:
    earlier = [ref for time, ref in book(now).times if now.time - time <= HOUR_S]
    if unasked_boot(now) and not now.injected and len(earlier) >= BOOTS_KEPT - 1:
        yield now.hit(f"{BOOTS_KEPT} BootNotifications within an hour that nobody asked for",
                      also=earlier[1 - BOOTS_KEPT:])  # fmt: skip


# Another device, or other firmware


@check("boot-identity-change", call("BootNotification"))
def other_device(now: Now) -> Iterator[Hit]:
    before = book(now).identity
    if not now.session.registration.boots:
        return
    for pointer, value in identity(now).items():
        if (old := before.get(pointer)) is not None and old != value:
            last = now.session.registration.last
            yield now.hit(f"{pointer.rpartition('/')[2]} was {old} and is now {value}", pointer, seen=value,
                          expected=old, also=[last.call if last is not None else None])


@dataclass(slots=True)
class Update:
    """A firmware update that is under way. `version`: before it; `installing`: it is being installed, or has been;
    `installed`: where the station said that it is; `booted`: a BootNotification after that began, with the old
    version."""

    version: str | None = None
    installing: bool = False
    installed: FrameRef | None = None
    booted: FrameRef | None = None


FIRMWARE_STATUS = ("FirmwareStatusNotification", "SignedFirmwareStatusNotification")
BEGUN = frozenset({"DownloadScheduled", "Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"})
INSTALLING = frozenset({"Installing", "InstallRebooting"})
FAILED = frozenset({"DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature"})


@check("boot-fw-unchanged-after-update", call(*FIRMWARE_STATUS))
def update_told(now: Now) -> Iterator[Hit]:
    status, update = text(now.request, "status"), now.session.book(Update)
    last = now.session.registration.last
    if status in FAILED:
        _forget(update)
    elif status in BEGUN | INSTALLING:
        if update.installed is not None:
            _forget(update)  # the next one
        update.version = update.version or (last.device.firmware if last is not None else None)
        update.installing = update.installing or status in INSTALLING
    elif status == "Installed" and update.version is not None:
        update.installed = now.ref
        if update.booted is not None:
            yield from _unchanged(now, update)


@check("boot-fw-unchanged-after-update", answer("UpdateFirmware", "SignedUpdateFirmware", by="csms"))
def update_asked(now: Now) -> None:
    last, update = now.session.registration.last, now.session.book(Update)
    if isinstance(now.frame, CallResult) and now.status in (None, "Accepted"):
        _forget(update)
        update.version = last.device.firmware if last is not None else None


@check("boot-fw-unchanged-after-update", call("BootNotification"))
def update_booted(now: Now) -> Iterator[Hit]:
    update = now.session.book(Update)
    version = kept(member(now.request, "chargingStation") or now.request, "firmwareVersion")
    if update.version is None or version is None or boot_wanted(now):
        return
    if version != update.version:
        _forget(update)
    elif update.installed is not None:
        yield from _unchanged(now, update)
    elif update.installing:
        update.booted = now.ref


def _unchanged(now: Now, update: Update) -> Iterator[Hit]:
    version, refs = update.version, (update.installed, update.booted)
    _forget(update)
    yield now.hit(f"The firmware update is reported as Installed, and firmwareVersion is still {version}",
                  seen=version, also=refs)


def _forget(update: Update) -> None:
    update.version, update.installing, update.installed, update.booted = None, False, None, None
