"""Firmware updates in 1.6, with and without the security extension; where a rule says so, in 2.x as well.

Source: OCPP 1.6 edition 2 sections 4.5, 5.19, 6.55 and 7.25; 1.6 errata 3.12, 3.47 and 3.49; Improved security for OCPP
1.6-J edition 3, L01 and section 6.8; OCPP 2.0.1 and 2.1 Part 2, L01.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from ocpp_proxy.core.frame import CallError, CallResult
from ocpp_proxy.core.payload import folded, integer, text
from ocpp_proxy.rules.checks.firmware16_book import IDLE, TAKEN, UPDATE, UPDATE_STATUS, Request, Updates
from ocpp_proxy.rules.checks.remote16_state import IN_SESSION, all_running, all_seen, blocked, boot_since, from_boot
from ocpp_proxy.rules.checks.remote16_trigger import triggered
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

ASKED = ""  # nothing was told yet since the request
DONE = "Installed"
FAILURES = frozenset(("DownloadFailed", "InstallationFailed", "InvalidSignature", "InstallVerificationFailed"))

# From a status, those that may come next. A repeat is no step, and after Installed there is nothing left to come.
STEPS: Mapping[str, tuple[str, ...]] = {before: tuple(after.split()) for before, after in {
    ASKED: "Downloading DownloadFailed",
    "Downloading": "Downloaded DownloadFailed",
    "DownloadFailed": "Downloading",
    "Downloaded": "Installing",
    "Installing": "Installed InstallationFailed",
    "InstallationFailed": "Downloading Installing",
}.items()}  # fmt: skip
SIGNED_STEPS: Mapping[str, tuple[str, ...]] = {before: tuple(after.split()) for before, after in {
    ASKED: "Downloading DownloadScheduled DownloadFailed",
    "DownloadScheduled": "Downloading DownloadFailed",
    "Downloading": "Downloaded DownloadPaused DownloadFailed",
    "DownloadPaused": "Downloading DownloadFailed",
    "DownloadFailed": "Downloading DownloadScheduled",
    "Downloaded": "SignatureVerified InvalidSignature",
    "SignatureVerified": "Installing InstallScheduled InstallRebooting InstallVerificationFailed",
    "InstallScheduled": "Installing InstallRebooting InstallVerificationFailed InstallationFailed",
    "InstallRebooting": "Installing Installed InstallVerificationFailed InstallationFailed",
    "Installing": "Installed InstallRebooting InstallVerificationFailed InstallationFailed",
    "InvalidSignature": "Downloading DownloadScheduled",
    "InstallVerificationFailed": "Downloading DownloadScheduled Installing",
    "InstallationFailed": "Downloading DownloadScheduled Installing",
}.items()}  # fmt: skip
OF_ACTION = {"FirmwareStatusNotification": STEPS, "SignedFirmwareStatusNotification": SIGNED_STEPS}
STATUSES = frozenset((*STEPS, *SIGNED_STEPS, DONE)) - {ASKED}
# Those between which a station restarts for the sake of its firmware.
BEFORE_REBOOT = frozenset(("Downloaded", "SignatureVerified", "InstallScheduled", "InstallRebooting", "Installing"))


def skipped(steps: Mapping[str, tuple[str, ...]], before: str, after: str) -> tuple[str, ...] | None:
    """The statuses left out on the shortest way from one to the other, no failure among them; None: there is no way."""
    ways: deque[tuple[str, ...]] = deque([(before,)])
    met = {before}
    while ways:
        way = ways.popleft()
        for step in steps.get(way[-1], ()):
            if step == after:
                return way[1:]
            if step not in met and step not in FAILURES:
                met.add(step)
                ways.append((*way, step))
    return None


@check("fw-sequence", call(*UPDATE_STATUS))
def in_order(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Updates), text(now.request, "status")
    before, steps = book.state, OF_ACTION[now.action]
    if before is None or before not in steps or name is None or name == before or name not in STATUSES:
        return
    since = book.time if before else book.asked.called if book.asked is not None else 0.0
    booted = boot_since(now.session, since) is not None
    if not all_seen(now, since) or (now.session.links.offline_between(since, now.time) and not booted):
        return  # what is missing may have been told meanwhile
    left_out = skipped(steps, before, name)
    also = [book.ref if before else book.answer]
    told = f"{before} is followed by {name}" if before else f"The first status after the request is {name}"
    if left_out is None and before and not booted:
        yield now.hit(f"{told}, which cannot come after it", "/status", seen=name,
                      expected=list(steps.get(before, ())), also=also, case="order")
    elif left_out:
        yield now.hit(f"{told}; {' and '.join(left_out)} {'was' if len(left_out) == 1 else 'were'} not told", "/status",
                      seen=name, expected=list(steps[before]), also=also)


@check("fw-missing", answer(*UPDATE, by="csms"))
def update_taken(now: Now) -> None:
    book = now.session.book(Updates)
    request = book.pending
    if request is None or request.call != now.call_ref or not isinstance(now.response, dict):
        return
    if (now.action == "SignedUpdateFirmware" and now.status not in TAKEN) or (book.ref and book.time >= request.called):
        return
    wait_s = max(0.0, ((request.due_us or 0) - now.at.utc_us) / 1e6)
    now.later(wait_s + now.bounds.download_s, nothing_told, key="told", across=True, data=now.time)


@check("fw-missing", call(*UPDATE_STATUS))
def update_told(now: Now) -> None:
    if text(now.request, "status") != IDLE:
        now.cancel("told")


def nothing_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    since: float = deadline.data
    if now.link is None or not all_seen(now, since) or blocked(now):
        return
    if now.session.links.offline_between(since, now.time) and boot_since(now.session, since) is None:
        return  # the station may have told nobody
    yield now.hit(f"{deadline.place.action} was taken, and no status of the update came within "
                  f"{now.bounds.download_s:g} s after the firmware could be fetched", place=deadline.place)


@check("fw-early", call(*UPDATE_STATUS))
def fetched(now: Now) -> Iterator[Hit]:
    book = now.session.book(Updates)
    if text(now.request, "status") != "Downloading" or book.state not in (ASKED, "DownloadScheduled"):
        return
    request = book.asked
    if request is None or request.due_us is None or book.pending is not None:
        return
    early_s = (request.due_us - now.at.utc_us) / 1e6
    if early_s > now.bounds.time_warn_s:
        yield now.hit("The firmware is being fetched before the date and time that the request gives for it", "/status",
                      seen="Downloading", also=[request.call])


@check("fw-unsolicited", call(*UPDATE_STATUS))
def unasked(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Updates), text(now.request, "status")
    if name not in STATUSES or book.pending is not None:
        return
    if book.state == DONE:
        if name != DONE and all_seen(now, book.time):
            yield now.hit(f"{name} is told after the last update has ended, and no other was asked for", "/status",
                          seen=name, also=[book.ref])
    elif name in ("Downloading", "DownloadScheduled") and book.state is None and book.asked is None and from_boot(now):
        yield now.hit(f"{name} is told, and no update was asked for since the capture began", "/status", seen=name)


# Transactions


@check("fw-during-tx", call(*UPDATE_STATUS))
def installs(now: Now) -> Iterator[Hit]:
    if text(now.request, "status") != "Installing":
        return
    for one in all_running(now):
        yield now.hit("The firmware is being installed while a transaction runs", "/status", seen="Installing",
                      also=[one.start], connector=one.place, transaction=one.id)


@check("fw-during-tx", call("BootNotification"))
def reboots(now: Now) -> Iterator[Hit]:
    book = now.session.book(Updates)
    if book.state not in BEFORE_REBOOT or boot_since(now.session, book.time) is not None:
        return
    if any(now.session.commands.since(book.time, "Reset")) or not all_seen(now, book.time):
        return
    for one in now.session.transactions.open:
        known = now.session.connectors.get(one.place)
        status = known.status if known is not None else None
        if one.start is not None and status is not None and status.name in IN_SESSION and status.time > one.start_time:
            yield now.hit("The station boots during a firmware update while a transaction has not ended",
                          also=[book.ref, one.start], connector=one.place, transaction=one.id)


# The security extension


@check("fw-legacy-with-security", answer("UpdateFirmware", by="csms"))
def legacy_answered(now: Now) -> Iterator[Hit]:
    if not now.session.book(Updates).signed:
        yield from now.unknown("whether the station knows SignedUpdateFirmware was not seen")
    elif isinstance(now.frame, CallResult):
        yield now.hit("UpdateFirmware was accepted by a station that knows SignedUpdateFirmware",
                      expected="CALLERROR NotSupported")
    elif isinstance(now.frame, CallError) and now.frame.code != "NotSupported":
        yield now.hit("UpdateFirmware was refused with another CALLERROR than NotSupported by a station that knows "
                      "SignedUpdateFirmware", "/code", seen=now.frame.code, expected="NotSupported", case="other-error")


@check("fw-signed-reqid", call("SignedFirmwareStatusNotification"))
def update_numbered(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Updates), text(now.request, "status")
    number = integer(now.request, "requestId")
    if name is None or name == IDLE:
        return
    if number is None:
        if book.busy or not triggered(now, "FirmwareStatusNotification"):
            yield now.hit(f"SignedFirmwareStatusNotification {name} has no requestId", "/requestId",
                          expected="the requestId of SignedUpdateFirmware")
        return
    allowed = book.numbers | _number_of(book.pending)
    if (book.asked is not None and book.numbers) and number not in allowed:
        yield now.hit("SignedFirmwareStatusNotification has another requestId than SignedUpdateFirmware", "/requestId",
                      seen=number, expected=sorted(book.numbers), also=[book.asked.call])


def _number_of(request: Request | None) -> set[int]:
    return {request.number} if request is not None and request.number is not None else set()


# What is wrong with the firmware → the security event that tells of it.
EVENTS: Mapping[str, str] = {
    "InvalidSignature": "InvalidFirmwareSignature",
    "InvalidCertificate": "InvalidFirmwareSigningCertificate",
    "RevokedCertificate": "InvalidFirmwareSigningCertificate",
}
_FOLDED = {event.casefold() for event in EVENTS.values()}


@dataclass(slots=True)
class Events:
    """When each of the events of EVENTS was last told, by its folded name."""

    told: dict[str, float] = field(default_factory=dict)


@learn(call("SecurityEventNotification"))
def event_told(now: Now) -> None:
    name = folded(now.request, "type")
    if name in _FOLDED:
        now.session.book(Events).told[name] = now.time


@check("fw-signed-security-event", call(*UPDATE_STATUS))
def found_invalid(now: Now) -> None:
    name = text(now.request, "status")
    if name == "InvalidSignature":
        _await(now, name, now.time)


@check("fw-signed-security-event", answer(*UPDATE, by="csms"))
def refused(now: Now) -> None:
    if (status := now.status or "") in EVENTS:
        _await(now, status, now.called_time)


def _await(now: Now, why: str, since: float) -> None:
    within_s = now.bounds.report_s
    if now.session.book(Events).told.get(EVENTS[why].casefold(), -inf) < since - within_s:
        now.later(within_s, no_event, key=why, data=(why, now.time))


def no_event(now: Now, deadline: Deadline) -> Iterator[Hit]:
    why, since = deadline.data
    event = EVENTS[why]
    if now.session.book(Events).told.get(event.casefold(), -1.0) >= since or blocked(now) or not all_seen(now, since):
        return
    yield now.hit(f"{why} was told, and no SecurityEventNotification {event} within {now.bounds.report_s:g} s",
                  "/status", place=deadline.place, seen=why)
