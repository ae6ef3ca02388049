"""What a 2.x station says of itself when it boots: why it did, and who it is.

Source: OCPP 2.0.1 and 2.1 Part 2 B01.FR.09, B01.FR.11, B01.FR.12, BootReasonEnumType, A00.FR.405, A00.FR.511.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.rules.checks.boot2x_standing import BOOT, TRIGGERED, Standing
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, IN_2X, answer, call, check, learn

# What the reason may be after a cause. That the station crashed in between (Watchdog, ApplicationReset) is always
# possible; so is an update that comes with a reset.
CRASHED = ("ApplicationReset", "Watchdog")
FITTING: Mapping[str, tuple[str, ...]] = {
    "Reset Immediate": ("RemoteReset", "FirmwareUpdate", *CRASHED),
    "Reset": ("RemoteReset", "ScheduledReset", "FirmwareUpdate", *CRASHED),
    "Installing": ("FirmwareUpdate", *CRASHED),
    "InstallRebooting": ("FirmwareUpdate", *CRASHED),
    "TriggerMessage": (TRIGGERED,),
}
UPDATING = ("Installing", "InstallRebooting")
REASONS = frozenset((
    "ApplicationReset", "FirmwareUpdate", "LocalReset", "PowerUp", "RemoteReset", "ScheduledReset", "Triggered",
    "Unknown", "Watchdog",
))  # fmt: skip


@dataclass(slots=True)
class Cause:
    """What makes the next BootNotification come: a name in FITTING, None if nothing is known to; `ref`, `time`: of the
    frame that tells. `lost`: the connection has ended since then."""

    name: str | None = None
    ref: FrameRef | None = None
    time: float = 0.0
    lost: bool = False

    def put(self, name: str | None, now: Now) -> None:
        self.name, self.ref, self.time, self.lost = name, now.ref, now.time, False


@learn(answer("Reset", by="csms"), versions=IN_2X)
def reset(now: Now) -> None:
    if now.status in ("Accepted", "Scheduled") and integer(now.request, "evseId") is None:
        at_once = now.status == "Accepted" and text(now.request, "type") == "Immediate"
        now.session.book(Cause).put("Reset Immediate" if at_once else "Reset", now)


@learn(call("FirmwareStatusNotification"), versions=IN_2X)
def updating(now: Now) -> None:
    status = text(now.request, "status")
    now.session.book(Cause).put(status if status in UPDATING else None, now)


@learn(answer("TriggerMessage", by="csms"), versions=IN_2X)
def triggered(now: Now) -> None:
    if text(now.request, "requestedMessage") == BOOT and now.status == "Accepted":
        now.session.book(Cause).put("TriggerMessage", now)


@learn(CLOSED, versions=IN_2X)
def left(now: Now) -> None:
    now.session.book(Cause).lost = True


@learn(call(BOOT), versions=IN_2X)
def told(now: Now) -> None:
    now.session.book(Cause).put(None, now)


@check("boot201-reason", call(BOOT))
def reason(now: Now) -> Iterator[Hit]:
    cause, given = now.session.book(Cause), text(now.request, "reason")
    if given not in REASONS or now.injected or now.link is None or not now.link.whole:
        return
    if cause.name is None or not _explains(now, cause):
        if given == TRIGGERED and _untriggered(now, cause):
            yield now.hit("BootNotification gives the reason Triggered, and no TriggerMessage has asked for it",
                          "/reason", seen=given)
        else:
            yield from now.unknown("nothing was seen that tells why the station boots")
        return
    fitting = FITTING[cause.name]
    if given not in fitting:
        what = "an accepted TriggerMessage" if cause.name == "TriggerMessage" else (
            "an accepted Reset" if cause.name.startswith("Reset") else f"the firmware status {cause.name}")
        yield now.hit(f"BootNotification gives the reason {given} after {what}", "/reason", seen=given,
                      expected=list(fitting), also=[cause.ref])


def _untriggered(now: Now, cause: Cause) -> bool:
    """Whether a trigger would have been seen."""
    standing = now.session.book(Standing)
    heard = standing.calls > 0 or now.session.registration.last is not None
    return heard and standing.sure and standing.trigger is None and cause.name != "TriggerMessage"


def _explains(now: Now, cause: Cause) -> bool:
    """Whether the BootNotification comes of what is known to have made it come."""
    if cause.name == "TriggerMessage":
        last = now.session.registration.last
        due = last is not None and last.status != "Accepted" and now.time - last.time >= (last.interval_s or 0)
        return not cause.lost and not due and now.time - cause.time <= now.bounds.trigger_s
    since = cause.time
    if cause.name == "Reset":
        transactions = now.session.transactions
        if transactions.open:
            return False
        since = max([since, *(one.stop_time for one in transactions.closed.values())])
    return cause.lost and now.time - since <= now.bounds.boot_hard_s


@check("boot201-serial-cert", answer(BOOT))
def serial(now: Now) -> Iterator[Hit]:
    opened = now.link.opened if now.link is not None else None
    name = _common_name(text(opened.tls.get("station"), "certificate", "subject")) if opened is not None else None
    number = text(now.request, "chargingStation", "serialNumber")
    if name is None or not number:
        yield from now.unknown("no certificate of a station was seen that has given its serial number")
    elif now.status == "Accepted" and number.strip().casefold() not in name.casefold():
        yield now.hit(f"The serial number {number[:25]} is not in the common name {name[:60]} of the station's"
                      " certificate", "/chargingStation/serialNumber", seen=number[:25], expected=name[:60], call=True,
                      also=[now.ref])


def _common_name(subject: str | None) -> str | None:
    """Of a subject in words: "CN=…, O=…"."""
    parts = (subject or "").split(", ")
    return next((part[3:] for part in parts if part.startswith("CN=")), None)
