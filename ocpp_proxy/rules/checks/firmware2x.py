"""Firmware updates of 2.x stations.

Keeps the update that was accepted last, and the ids of a few before it. Refuses to judge an update whose request was
not seen, but for what each message shows by itself.

Source: OCPP 2.0.1 and 2.1 Part 2 L01, L02, F06.FR.16, FirmwareStatusEnumType.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, kept, member, text
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, IN_2X, answer, call, check, learn

STATUS = "FirmwareStatusNotification"
EVENT = "SecurityEventNotification"
FORMER_KEPT = 8
ROUNDS = 48
TAKEN = ("Accepted", "AcceptedCanceled")
ENDED = ("DownloadFailed", "InstallationFailed")  # what may be told of an update that was cancelled (L01.FR.24)

# What has to have been told before: one of each group.
BEFORE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Downloaded": (("Downloading",),),
    "SignatureVerified": (("Downloaded",),),
    "InvalidSignature": (("Downloaded",),),
    "InstallScheduled": (("Downloaded",),),
    "Installing": (("Downloaded",),),
    "InstallRebooting": (("Downloaded",),),
    "InstallVerificationFailed": (("Downloaded",),),
    "Installed": (("Downloaded",), ("Installing", "InstallRebooting")),
}
# Statuses that another has to follow, and the bound that says when.
PROGRESS: Mapping[str, str] = {
    "Downloading": "download_s", "Downloaded": "install_s", "SignatureVerified": "install_s", "Installing": "install_s",
    "InstallRebooting": "install_s",
}  # fmt: skip
UPDATED = "FirmwareUpdated"  # the security event that goes with Installed


@dataclass(slots=True)
class Update:
    """`secure`: it has a signing certificate; `dated`: it is to be installed at a given time; `cancels`: another update
    ends with it; `told`: the statuses told so far; `whole`: no connection has ended since it was accepted."""

    number: int | None
    call: FrameRef
    secure: bool
    dated: bool
    cancels: bool
    told: set[str] = field(default_factory=set)
    whole: bool = True


@dataclass(slots=True)
class Updates:
    """`former`: ids of earlier requests and of one that is not answered; `triggered`: the status was asked for since
    the last update; `updated`: when the security event UPDATED was last told."""

    current: Update | None = None
    former: deque[int | None] = field(default_factory=lambda: deque(maxlen=FORMER_KEPT))
    triggered: bool = False
    updated: float | None = None


@learn(call("UpdateFirmware", by="csms"), versions=IN_2X)
def requested(now: Now) -> None:
    now.session.book(Updates).former.append(integer(now.request, "requestId"))


@learn(answer("UpdateFirmware", by="csms"), versions=IN_2X)
def accepted(now: Now) -> None:
    if now.status not in TAKEN:
        return
    book = now.session.book(Updates)
    firmware = member(now.request, "firmware")
    book.triggered = False
    book.current = Update(integer(now.request, "requestId"), now.call_ref,
                          text(firmware, "signingCertificate") is not None,
                          text(firmware, "installDateTime") is not None, now.status == "AcceptedCanceled")


@learn(call("TriggerMessage", by="csms"), versions=IN_2X)
def triggered(now: Now) -> None:
    if text(now.request, "requestedMessage") == STATUS:
        now.session.book(Updates).triggered = True


@learn(CLOSED, versions=IN_2X)
def left(now: Now) -> None:
    if (current := now.session.book(Updates).current) is not None:
        current.whole = False


@learn(call(STATUS), versions=IN_2X)
def told(now: Now) -> None:
    current, status = now.session.book(Updates).current, kept(now.request, "status")
    ours = current is not None and integer(now.request, "requestId") == current.number
    if current is not None and ours and status is not None and (status in BEFORE or status in PROGRESS):
        current.told.add(status)


@learn(call(EVENT), versions=IN_2X)
def event_told(now: Now) -> None:
    if text(now.request, "type") == UPDATED:
        now.session.book(Updates).updated = now.time


# What each status shows


@check("fw201-flow", call(STATUS))
def status(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Updates), text(now.request, "status")
    if name == "Idle":
        if not book.triggered and now.link is not None and now.link.whole:
            yield now.hit("The status Idle is told unasked", "/status", seen=name)
        return
    number, current = integer(now.request, "requestId"), book.current
    if number is None:
        yield now.hit("The firmware status bears no requestId", "/requestId", seen=None)
    elif current is not None and number != current.number and number not in book.former:
        if current.cancels and name in ENDED:
            return
        yield now.hit("The firmware status bears a requestId that no update had", "/requestId", seen=number,
                      expected=current.number, also=[current.call])
    elif current is not None and number == current.number and current.whole and now.link and now.link.whole:
        yield from _skipped(now, current, name or "")


def _skipped(now: Now, current: Update, name: str) -> Iterator[Hit]:
    missing = [" or ".join(group) for group in BEFORE.get(name, ()) if current.told.isdisjoint(group)]
    if missing:
        yield now.hit(f"{name} is told, and {' and '.join(missing)} was not", "/status", seen=name, also=[current.call])
    elif name == "Installing" and current.secure and "SignatureVerified" not in current.told:
        yield now.hit("Installing is told for a signed firmware, and SignatureVerified was not", "/status", seen=name,
                      case="unverified", also=[current.call])


# What has to follow


@check("fw201-flow", answer("UpdateFirmware", by="csms"))
def begins(now: Now) -> None:
    now.cancel("progress")
    if now.status in TAKEN:
        now.later(now.bounds.report_s, not_begun, key="first")


def not_begun(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"No FirmwareStatusNotification has come within {now.bounds.report_s:g} s after UpdateFirmware was"
                  " accepted", place=deadline.place)


@check("fw201-flow", call(STATUS))
def goes_on(now: Now) -> None:
    name = text(now.request, "status") or ""
    current = now.session.book(Updates).current
    now.cancel("first")
    now.cancel("progress")
    if current is None or integer(now.request, "requestId") != current.number:
        return
    if name in PROGRESS:
        now.later(getattr(now.bounds, PROGRESS[name]), stuck, key="progress", data=(name, ROUNDS), across=True)
    updated = now.session.book(Updates).updated
    if current.secure and name == "Installed" and (updated is None or updated < now.time - now.bounds.install_s):
        now.later(now.bounds.boot_hard_s, no_event, key=UPDATED, data=ROUNDS, across=True)


def stuck(now: Now, deadline: Deadline) -> Iterator[Hit]:
    name, rounds = deadline.data
    seconds = getattr(now.bounds, PROGRESS[name])
    waits = name in ("Downloaded", "SignatureVerified") and now.session.transactions.open
    if (now.link is None or waits) and rounds:
        now.later(seconds, stuck, key="progress", data=(name, rounds - 1), across=True, place=deadline.place)
        return
    yield now.hit(f"No other firmware status has come within {seconds:g} s after {name}", "/status", seen=name,
                  place=deadline.place)


@check("fw201-flow", call(EVENT))
def event_came(now: Now) -> None:
    if text(now.request, "type") == UPDATED:
        now.cancel(UPDATED)


def no_event(now: Now, deadline: Deadline) -> Iterator[Hit]:
    rounds = deadline.data
    if now.link is None and rounds:
        now.later(now.bounds.boot_hard_s, no_event, key=UPDATED, data=rounds - 1, across=True, place=deadline.place)
        return
    yield now.hit(f"No security event {UPDATED} has come within {now.bounds.boot_hard_s:g} s of Installed",
                  place=deadline.place)
