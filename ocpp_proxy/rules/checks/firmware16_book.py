"""Firmware updates and uploads as far as they are known: what was asked for, and what was told of it.

Keeps one of each kind a station: the last request that the station has taken, the one that is not answered yet, and the
last status. In 2.x as well, where a rule covers it.

Source: OCPP 1.6 edition 2 sections 4.4, 4.5, 5.9 and 5.19; Improved security for OCPP 1.6-J edition 3, L01 and N01;
OCPP 2.0.1 and 2.1 Part 2, L01 and N01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, kept, moment_us, text
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import answer, call, learn

IDLE = "Idle"
TAKEN = ("Accepted", "AcceptedCanceled")
UPDATE = ("UpdateFirmware", "SignedUpdateFirmware")
UPDATE_STATUS = ("FirmwareStatusNotification", "SignedFirmwareStatusNotification")


@dataclass(frozen=True, slots=True)
class Request:
    """`number`: its requestId; `due_us`: when the firmware may be fetched, in UTC microseconds, None where that is not
    told with its zone."""

    number: int | None
    call: FrameRef
    called: float
    due_us: int | None


@dataclass(slots=True)
class Process:
    """`asked`: the last request that the station took, with its answer; `named`: which named a file; `pending`: one
    without an answer. `state`: the last status told, but for Idle: "" if none was since the station took a request
    while it was idle, None if nothing is known. `numbers`: the requestIds that statuses may bear, none if not known."""

    ends: ClassVar[frozenset[str]] = frozenset()

    asked: Request | None = None
    answer: FrameRef | None = None
    named: bool = False
    pending: Request | None = None
    state: str | None = None
    ref: FrameRef | None = None
    time: float = 0.0
    numbers: set[int] = field(default_factory=set)

    @property
    def busy(self) -> bool:
        return bool(self.state) and self.state not in self.ends

    def called(self, now: Now) -> None:
        self.pending = Request(integer(now.request, "requestId"), now.ref, now.called_time, _due_us(now))

    def answered(self, now: Now) -> None:
        request, self.pending = self.pending, None
        if request is None or request.call != now.call_ref or not _taken(now):
            return
        begun = self.state is not None and self.time >= request.called
        certain = self.state is not None or now.status != "AcceptedCanceled"
        if not self.busy or not certain:
            self.numbers.clear()
        if request.number is not None and certain:
            self.numbers.add(request.number)
        if not begun:
            self.state = "" if certain and not self.busy else None
        self.asked, self.answer = request, now.ref
        self.named = bool((text(now.response, "fileName") or text(now.response, "filename") or "").strip())

    def told(self, now: Now) -> None:
        name, number = kept(now.request, "status"), integer(now.request, "requestId")
        if name is None or name == IDLE:
            return
        self.state, self.ref, self.time = name, now.ref, now.time
        if self.asked is None and self.pending is None and number is not None:
            self.numbers = {number}  # an older one's


def _taken(now: Now) -> bool:
    """Whether the station will do it: where the answer has no status, any CALLRESULT says so that is not cut off."""
    return isinstance(now.response, dict) and (now.status is None or now.status in TAKEN)


def _due_us(now: Now) -> int | None:
    told = text(now.request, "retrieveDate") or text(now.request, "firmware", "retrieveDateTime") or ""
    zoned = told[-1:] in ("Z", "z") or "+" in told[10:] or "-" in told[10:]
    return moment_us(told) if zoned else None


@dataclass(slots=True)
class Updates(Process):
    """`signed`: the station knows the messages of the security extension."""

    ends: ClassVar[frozenset[str]] = frozenset((
        "Installed", "DownloadFailed", "InstallationFailed", "InvalidSignature", "InstallVerificationFailed"))

    signed: bool = False


@dataclass(slots=True)
class Diagnostics(Process):
    ends: ClassVar[frozenset[str]] = frozenset(("Uploaded", "UploadFailed"))


@dataclass(slots=True)
class Logs(Process):
    ends: ClassVar[frozenset[str]] = frozenset((
        "Uploaded", "UploadFailure", "UploadFailed", "BadMessage", "PermissionDenied", "NotSupportedOperation",
        "AcceptedCanceled"))


OF_ACTION: Mapping[str, type[Process]] = {
    **dict.fromkeys((*UPDATE, *UPDATE_STATUS), Updates),
    "GetDiagnostics": Diagnostics, "DiagnosticsStatusNotification": Diagnostics,
    "GetLog": Logs, "LogStatusNotification": Logs,
}  # fmt: skip


@learn(call(*UPDATE, "GetDiagnostics", "GetLog", by="csms"))
def called(now: Now) -> None:
    now.session.book(OF_ACTION[now.action]).called(now)


@learn(answer(*UPDATE, "GetDiagnostics", "GetLog", by="csms"))
def answered(now: Now) -> None:
    now.session.book(OF_ACTION[now.action]).answered(now)
    if now.action == "SignedUpdateFirmware" and isinstance(now.frame, CallResult):
        now.session.book(Updates).signed = True


@learn(call(*UPDATE_STATUS, "DiagnosticsStatusNotification", "LogStatusNotification"))
def told(now: Now) -> None:
    now.session.book(OF_ACTION[now.action]).told(now)
    if now.action == "SignedFirmwareStatusNotification":
        now.session.book(Updates).signed = True
