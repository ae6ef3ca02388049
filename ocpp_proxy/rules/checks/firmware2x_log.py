"""Uploads of logs by 2.x stations.

Keeps the upload that was accepted last.

Source: OCPP 2.0.1 and 2.1 Part 2 N01, F06.FR.15, UploadLogStatusEnumType; 2.0.1 errata 2.58 and 6.2.97.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, IN_2X, answer, call, check, learn

STATUS = "LogStatusNotification"
RETRIES_MOST_S = 86400.0
TAKEN = ("Accepted", "AcceptedCanceled")
CANCELED = "AcceptedCanceled"


@dataclass(slots=True)
class Upload:
    """`uploading`: its last status was Uploading; `begun`: it has been Uploading; `patience_s`: how long it may take;
    `whole`: no connection has ended since it was accepted."""

    number: int | None
    call: FrameRef
    patience_s: float
    uploading: bool = False
    begun: bool = False
    whole: bool = True


@dataclass(slots=True)
class Uploads:
    """`canceled`: when the status AcceptedCanceled was last told."""

    current: Upload | None = None
    canceled: float | None = None


@learn(answer("GetLog", by="csms"), versions=IN_2X)
def accepted(now: Now) -> None:
    if now.status not in TAKEN:
        return
    now.session.book(Uploads).current = Upload(integer(now.request, "requestId"), now.call_ref, _patience_s(now))


def _patience_s(now: Now) -> float:
    retries, interval = integer(now.request, "retries") or 0, integer(now.request, "retryInterval") or 0
    return now.bounds.upload_s + min(max(retries * interval, 0), RETRIES_MOST_S)


@learn(CLOSED, versions=IN_2X)
def left(now: Now) -> None:
    if (current := now.session.book(Uploads).current) is not None:
        current.whole = False


@learn(call(STATUS), versions=IN_2X)
def told(now: Now) -> None:
    book, name = now.session.book(Uploads), text(now.request, "status")
    if name == CANCELED:
        book.canceled = now.time
    elif book.current is not None and integer(now.request, "requestId") == book.current.number:
        book.current.uploading = name == "Uploading"
        book.current.begun |= name == "Uploading"


@check("log201-flow", call(STATUS))
def status(now: Now) -> Iterator[Hit]:
    current, name = now.session.book(Uploads).current, text(now.request, "status")
    whole = current is not None and current.whole and now.link is not None and now.link.whole
    if current is None or integer(now.request, "requestId") != current.number:
        return  # idle-only-triggered and log-reqid speak of these
    if name == "Uploaded" and not current.begun and whole:
        yield now.hit("Uploaded is told, and Uploading was not", "/status", seen=name, also=[current.call])


@check("log201-flow", answer("GetLog", by="csms"))
def begins(now: Now) -> Iterator[Hit]:
    before, book = now.session.book(Uploads).current, now.session.book(Uploads)
    if now.status not in TAKEN:
        return
    ongoing = before is not None and before.uploading and before.whole
    if before is not None and ongoing and now.status == "Accepted":
        yield now.hit("GetLog is answered with Accepted while another log is being uploaded", "/status",
                      seen="Accepted", expected=CANCELED, case="not-canceled", also=[before.call])
    if ongoing and now.status == CANCELED and (book.canceled is None or book.canceled < now.called_time):
        now.later(now.bounds.report_s, not_canceled, key=CANCELED)
    seconds = _patience_s(now)
    now.later(seconds, unfinished, key="upload", data=(None, seconds))


@check("log201-flow", call(STATUS))
def goes_on(now: Now) -> None:
    name, current = text(now.request, "status"), now.session.book(Uploads).current
    if name == CANCELED:
        now.cancel(CANCELED)
    elif current is not None and integer(now.request, "requestId") == current.number:
        now.cancel("upload")
        if name == "Uploading":
            now.later(current.patience_s, unfinished, key="upload", data=(name, current.patience_s))


def unfinished(now: Now, deadline: Deadline) -> Iterator[Hit]:
    name, seconds = deadline.data
    what, after = ("", "GetLog was accepted") if name is None else ("other ", name)
    yield now.hit(f"No {what}LogStatusNotification has come within {seconds:g} s after {after}", place=deadline.place)


def not_canceled(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"No LogStatusNotification AcceptedCanceled has come within {now.bounds.report_s:g} s after GetLog"
                  " was answered with AcceptedCanceled", place=deadline.place)
