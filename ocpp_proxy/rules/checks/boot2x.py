"""Boot and registration of 2.x: what may be sent before the CSMS has accepted the station.

Source: OCPP 2.0.1 and 2.1 Part 2 B01 to B03, F06; 2.0.1 errata 2.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.payload import text
from ocpp_proxy.core.record import Closed
from ocpp_proxy.core.station.registration import Boot
from ocpp_proxy.rules.checks.boot2x_standing import (
    BOOT,
    UNACCEPTED,
    Standing,
    before,
    pending,
    settled,
    shown,
    tells_of_boot,
    unaccepted,
)
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, answer, call, check

QUEUE_MOST = 16   # so many Calls before its BootNotification may be a queue that a station empties on connecting
LOST = 1006       # RFC 6455 section 7.1.5
RETRY_SHARE = 2   # what is later than this many intervals and RETRY_S is missing, which is another rule's
RETRY_S = 60.0
REMOTE = ("RequestStartTransaction", "RequestStopTransaction")
NOT_PENDING = "no BootNotification was answered with Pending"
NOT_REFUSED = "no BootNotification was answered with Pending or Rejected"


@check("boot201-first", call())
def first(now: Now) -> Iterator[Hit] | None:
    book = now.session.book(Standing)
    return _first(now, book) if book.early is not None or book.boot is not None else None


def _first(now: Now, book: Standing) -> Iterator[Hit]:
    if now.link is None or not now.link.whole or now.injected:
        return
    if now.action == BOOT:
        early = book.early
        if early and early[0].connection == now.connection and book.calls <= QUEUE_MOST and tells_of_boot(now):
            yield now.hit(f"{shown(early[1])} is sent on a new connection before the BootNotification about a boot",
                          frame=early[0], also=[now.ref])
    elif book.boot is not None and now.session.registration.status not in UNACCEPTED:
        yield now.hit(f"{shown(now.action)} is sent before BootNotification has been answered with Accepted or Pending",
                      also=[book.boot])


@check("boot201-pending-call", call())
def pending_call(now: Now) -> Iterator[Hit] | None:
    boot = pending(now)
    return _unasked(now, boot) if boot is not None else now.unknown(NOT_PENDING)


def _unasked(now: Now, boot: Boot) -> Iterator[Hit]:
    if now.action != BOOT and not now.injected and not now.session.book(Standing).wanted(now.action):
        yield now.hit(f"{shown(now.action)} is sent unasked after BootNotification was answered with Pending",
                      also=[boot.answer])


@check("boot201-pending-early", call(BOOT))
def pending_early(now: Now) -> Iterator[Hit]:
    boot = pending(now)
    if boot is None:
        yield from now.unknown(NOT_PENDING)
        return
    interval, passed = boot.interval_s or 0, now.time - boot.time
    if interval <= 0 or boot.answer.connection != now.connection or now.injected:
        return
    if now.session.book(Standing).trigger is None and passed < interval - now.bounds.tolerance_s(interval):
        yield now.hit(f"BootNotification is sent again before the {interval} s of the answer Pending have passed",
                      expected=interval, also=[boot.answer])


@check("boot201-pending-late", call(BOOT))
def pending_late(now: Now) -> Iterator[Hit]:
    boot = unaccepted(now)
    if boot is None:
        yield from now.unknown(NOT_REFUSED)
        return
    interval, passed = boot.interval_s or 0, now.time - boot.time
    if interval <= 0 or now.injected or now.session.links.offline_between(boot.time, now.time):
        return
    latest = interval + now.bounds.tolerance_s(interval) + now.bounds.answer_warn_s
    if latest < passed <= RETRY_SHARE * interval + RETRY_S:
        yield now.hit(f"BootNotification is sent again later than after the {interval} s of the answer {boot.status}",
                      expected=interval, also=[boot.answer])


@check("boot201-pending-remote", answer(*REMOTE, by="csms"))
def pending_remote(now: Now) -> Iterator[Hit]:
    boot, status = pending(now), (now.status or "Rejected")[:20]
    if boot is None:
        yield from now.unknown(NOT_PENDING)
    elif before(boot, now) and status != "Rejected":
        yield now.hit(f"{now.action} is answered with {status} after BootNotification was answered with Pending",
                      "/status", seen=status, expected="Rejected", also=[boot.answer])


@check("boot201-pending-remote", call(*REMOTE, by="csms"))
def pending_remote_sent(now: Now) -> Iterator[Hit]:
    boot = pending(now)
    if boot is not None and not now.injected:
        yield now.hit(f"{now.action} is sent to a station whose BootNotification was answered with Pending",
                      case="sent", also=[boot.answer])


@check("boot201-pending-close", CLOSED)
def pending_close(now: Now) -> Iterator[Hit]:
    boot, record = pending(now), now.record
    if boot is None:
        yield from now.unknown(NOT_PENDING)
        return
    if not isinstance(record, Closed) or record.by == "proxy" or record.code == LOST:
        return
    if now.session.book(Standing).reset or len(now.session.links.open) > 1 or boot.answer.connection != now.connection:
        return
    yield now.hit(f"The connection is closed with {record.code} after BootNotification was answered with Pending",
                  seen=record.code, by=record.by, also=[boot.answer])


@check("boot201-security-error", answer())
def security_error(now: Now) -> Iterator[Hit] | None:
    boot = unaccepted(now)
    if boot is None:
        return now.unknown(NOT_REFUSED)
    return _refused(now, boot)


def _refused(now: Now, boot: Boot) -> Iterator[Hit]:
    if now.error is None or now.action == BOOT or now.injected or not before(boot, now):
        return
    code, faults = shown(str(now.error["code"])), now.exchange.faults if now.exchange is not None else ()
    if code != "SecurityError" and not faults and not now.session.book(Standing).wanted(now.action):
        yield now.hit(f"{shown(now.action)} of a station that was answered {boot.status} is refused with {code}, not"
                      " with SecurityError", "/code", seen=code, expected="SecurityError", also=[boot.answer])


@check("boot201-trigger-accepted", answer("TriggerMessage", by="csms"))
def trigger_accepted(now: Now) -> Iterator[Hit]:
    if text(now.request, "requestedMessage") != BOOT:
        return
    boot, book = settled(now), now.session.book(Standing)
    if boot is None or now.session.registration.pending_call is not None or book.boot is not None:
        yield from now.unknown("no answer to a BootNotification was seen before the trigger")
    elif boot.status == "Accepted" and before(boot, now) and now.status == "Accepted":
        yield now.hit("The station accepts a trigger for BootNotification although it has been accepted", "/status",
                      seen="Accepted", expected="Rejected", also=[boot.answer])
