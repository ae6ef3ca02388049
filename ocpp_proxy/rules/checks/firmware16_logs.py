"""Uploads of diagnostics and logs in 1.6; the requestId of logs in 2.x as well.

Source: OCPP 1.6 edition 2 sections 4.4, 5.9 and 7.24; 1.6 errata 3.31; Improved security for OCPP 1.6-J edition 3, N01
and section 5.13; OCPP 2.0.1 and 2.1 Part 2, N01.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.rules.checks.firmware16_book import IDLE, Diagnostics, Logs
from ocpp_proxy.rules.checks.remote16_state import all_seen, blocked, boot_since, fresh, from_boot
from ocpp_proxy.rules.checks.remote16_trigger import triggered
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

STATUS = "DiagnosticsStatusNotification"
UPLOADING, UPLOADED, FAILED = "Uploading", "Uploaded", "UploadFailed"


# Diagnostics


@check("diag-sequence", answer("GetDiagnostics", by="csms"))
def upload_promised(now: Now) -> None:
    book = now.session.book(Diagnostics)
    request = book.pending
    if request is None or request.call != now.call_ref or not (text(now.response, "fileName") or "").strip():
        return
    now.cancel("end")
    if book.ref is None or book.time < request.called:
        now.later(now.bounds.upload_s, nothing_told, key="begin", data=now.time)


@check("diag-sequence", call(STATUS))
def upload_told(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Diagnostics), text(now.request, "status")
    if name not in (UPLOADING, UPLOADED, FAILED):
        return
    now.cancel("begin")
    now.cancel("end")
    if name == UPLOADING:
        now.later(now.bounds.upload_s, not_ended, key="end", data=now.time)
        return
    if book.asked is None or book.pending is not None or not fresh(now, max(book.time, book.asked.called)):
        return
    if name == UPLOADED and book.state in ("", FAILED):
        yield now.hit("Uploaded was told without Uploading before it", "/status", seen=UPLOADED, expected=UPLOADING,
                      also=[book.ref if book.state else book.answer])
    elif name == FAILED and book.state == UPLOADED:
        yield now.hit("Uploaded is followed by UploadFailed", "/status", seen=FAILED, also=[book.ref])


def nothing_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if all_seen(now, deadline.data) and not blocked(now):
        yield now.hit(f"GetDiagnostics was answered with a file name, and no {STATUS} came within "
                      f"{now.bounds.upload_s:g} s", place=deadline.place, case="nothing")


def not_ended(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if all_seen(now, deadline.data) and not blocked(now):
        yield now.hit("Uploading was told, and neither Uploaded nor UploadFailed came within "
                      f"{now.bounds.upload_s:g} s", "/status", place=deadline.place)


@check("diag-nofile", call(STATUS))
def uploaded_all_the_same(now: Now) -> Iterator[Hit]:
    book = now.session.book(Diagnostics)
    if text(now.request, "status") not in (UPLOADING, UPLOADED) or book.asked is None or book.pending is not None:
        return
    if book.state == "" and not book.named:
        yield now.hit("An upload is told of, though GetDiagnostics was answered without a file name", "/status",
                      seen=text(now.request, "status"), also=[book.answer])


@check("diag-unsolicited", call(STATUS))
def not_asked(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Diagnostics), text(now.request, "status")
    if name not in (UPLOADING, UPLOADED, FAILED) or book.pending is not None or triggered(now, STATUS):
        return
    if book.state == UPLOADED:
        again = name == UPLOADED and boot_since(now.session, book.time) is None
        if name != FAILED and not again and all_seen(now, book.time):
            yield now.hit(f"{name} is told after the last upload has ended, and no other was asked for", "/status",
                          seen=name, also=[book.ref])
    elif name == UPLOADING and book.state is None and book.asked is None and from_boot(now):
        yield now.hit(f"{name} is told, and none were asked for since the capture began", "/status", seen=name)


# Logs


@check("log-reqid", call("LogStatusNotification"))
def log_numbered(now: Now) -> Iterator[Hit]:
    book, name = now.session.book(Logs), text(now.request, "status")
    number = integer(now.request, "requestId")
    if name is None or name == IDLE:
        return
    if number is None:
        if name == UPLOADING or book.busy or not triggered(now, "LogStatusNotification"):
            yield now.hit(f"LogStatusNotification {name} has no requestId", "/requestId",
                          expected="the requestId of GetLog")
        return
    pending = book.pending.number if book.pending is not None else None
    if book.asked is not None and book.numbers and number not in book.numbers and number != pending:
        yield now.hit("LogStatusNotification has another requestId than GetLog", "/requestId", seen=number,
                      expected=sorted(book.numbers), also=[book.asked.call])


@check("log-cancel", answer("GetLog", by="csms"))
def asked_again(now: Now) -> None:
    book = now.session.book(Logs)
    if not isinstance(now.frame, CallResult) or now.status not in ("Accepted", "Rejected"):
        return
    if book.state == UPLOADING and book.time < now.called_time and fresh(now, book.time) and (
            now.time - book.time < now.bounds.upload_s):
        now.later(now.bounds.status_s, not_cancelled, key="again", data=(now.time, now.status, book.ref))


@check("log-cancel", call("LogStatusNotification"))
def log_ended(now: Now) -> None:
    """An upload that had ended when the next was asked for, and tells of it only now."""
    if text(now.request, "status") == UPLOADED:
        now.cancel("again")


def not_cancelled(now: Now, deadline: Deadline) -> Iterator[Hit]:
    since, status, ref = deadline.data
    if all_seen(now, since) and not blocked(now):
        yield now.hit(f"GetLog was answered {status} while an upload was going on", "/status", place=deadline.place,
                      seen=status, expected="AcceptedCanceled", also=[ref])
