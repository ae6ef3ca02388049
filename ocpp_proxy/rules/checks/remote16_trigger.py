"""TriggerMessage and ExtendedTriggerMessage, in 1.6 and 2.x: what comes of them, and in which order.

Decides which messages answer a trigger and when one has certainly been sent because of it. A message that would have
come anyway looks like a triggered one: what came before the answer counts as triggered only where it says so itself, or
where nothing comes after the answer.

Source: OCPP 1.6 edition 2 sections 4.4, 4.5, 5.17, 7.24 and 7.25; Improved security for OCPP 1.6-J edition 3 sections
5.5, 6.8, 6.16 and 6.19; OCPP 2.0.1 and 2.1 Part 2 F06, MessageTriggerEnumType and UploadLogStatusEnumType.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, objects, text
from ocpp_proxy.core.station.connectors import availability_place
from ocpp_proxy.rules.checks.remote16_state import all_seen, blocked, heard_of, numbers
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

TRIGGERS_KEPT = 16
SENT_KEPT = 128
JUST_S = 2.0    # what was sent so long before a trigger counts as its answer
IDLE_S = 60.0   # how long after a trigger its message may come
LISTENING_S = 600.0

_CERTIFICATES = ("SignChargePointCertificate", "SignChargingStationCertificate", "SignV2GCertificate",
                 "SignV2G20Certificate", "SignCombinedCertificate")  # fmt: skip
# What can be asked for → the actions that are it. (2.x may tell a connector's status by NotifyEvent.)
ANSWERS: Mapping[str, frozenset[str]] = {
    **{name: frozenset((name,)) for name in (
        "BootNotification", "Heartbeat", "MeterValues", "DiagnosticsStatusNotification", "LogStatusNotification",
        "TransactionEvent", "PublishFirmwareStatusNotification")},
    **dict.fromkeys(_CERTIFICATES, frozenset(("SignCertificate",))),
    "StatusNotification": frozenset(("StatusNotification", "NotifyEvent")),
    "FirmwareStatusNotification": frozenset(("FirmwareStatusNotification", "SignedFirmwareStatusNotification")),
}  # fmt: skip
SENT = tuple(sorted(frozenset().union(*ANSWERS.values())))
TRIGGER = ("TriggerMessage", "ExtendedTriggerMessage")
PLACED = frozenset(("StatusNotification", "MeterValues"))  # those that a connector or EVSE matters to

# The actions whose status Idle is for triggers only. In 2.x that of the firmware belongs to fw201-flow.
IDLE: Mapping[str, str] = {
    "DiagnosticsStatusNotification": "DiagnosticsStatusNotification",
    "FirmwareStatusNotification": "FirmwareStatusNotification",
    "SignedFirmwareStatusNotification": "FirmwareStatusNotification",
    "LogStatusNotification": "LogStatusNotification",
    "PublishFirmwareStatusNotification": "PublishFirmwareStatusNotification",
}  # fmt: skip

Spot = tuple[int | None, int | None]  # connector of 1.6, or EVSE and its connector


@dataclass(slots=True)
class Trigger:
    """`early`: the first message asked for that came before the answer, `sure`: it says itself that it was triggered;
    `sent`: the first that came after the answer; `told`: the connectors of StatusNotifications since the Call."""

    wanted: str
    spot: Spot
    call: FrameRef
    called: float
    answered: bool = False
    early: FrameRef | None = None
    sure: bool = False
    sent: FrameRef | None = None
    told: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Triggers:
    """`recent`: the TRIGGERS_KEPT last; `last`: when each message was last sent, for SENT_KEPT places; `custom`: when
    MicroOcpp's CustomOperation was, which it sends for what it lacks."""

    recent: deque[Trigger] = field(default_factory=lambda: deque(maxlen=TRIGGERS_KEPT))
    last: dict[tuple[str, Spot], float] = field(default_factory=dict)
    custom: tuple[FrameRef, float] | None = None

    def of(self, ref: FrameRef) -> Trigger | None:
        return next((one for one in self.recent if one.call == ref), None)


@learn(call(*TRIGGER, by="csms"))
def asked(now: Now) -> None:
    request = now.request
    wanted = text(request, "requestedMessage")
    if wanted is None:
        return
    spot: Spot = (integer(request, "connectorId"), None)
    if now.version != "1.6":
        spot = (integer(request, "evse", "id"), integer(request, "evse", "connectorId"))
    now.session.book(Triggers).recent.append(Trigger(wanted[:60], spot, now.ref, now.called_time))


@learn(answer(*TRIGGER, by="csms"))
def answered(now: Now) -> None:
    trigger = now.session.book(Triggers).of(now.call_ref)
    if trigger is not None:
        trigger.answered = True


@learn(call(*SENT))
def sent(now: Now) -> None:
    book = now.session.book(Triggers)
    spot, connector = _spot(now), integer(now.request, "connectorId")
    key = (now.action, spot)
    book.last.pop(key, None)
    book.last[key] = now.time
    if len(book.last) > SENT_KEPT:
        del book.last[next(iter(book.last))]
    for one in reversed(book.recent):
        if one.called < now.time - LISTENING_S:
            return
        if one.called <= now.time and _is_for(one, now.action, spot):
            _note(one, now, connector)


def _note(trigger: Trigger, now: Now, connector: int | None) -> None:
    if connector is not None and now.action == "StatusNotification" and len(trigger.told) <= SENT_KEPT:
        trigger.told.add(connector)
    if trigger.answered:
        trigger.sent = trigger.sent or now.ref
    elif trigger.early is None or not trigger.sure:
        sure = _says_triggered(now)
        if trigger.early is None or sure:
            trigger.early, trigger.sure = now.ref, sure


@learn(call("CustomOperation"))
def custom(now: Now) -> None:
    now.session.book(Triggers).custom = (now.ref, now.time)


def _spot(now: Now) -> Spot:
    request = now.request
    if now.version == "1.6":
        return integer(request, "connectorId"), None
    if now.action == "NotifyEvent":
        return next((place for _, event in objects(request, "eventData")
                     if (place := availability_place(event)) is not None), (None, None))
    return integer(request, "evseId"), integer(request, "connectorId")


def _is_for(trigger: Trigger, action: str, spot: Spot) -> bool:
    if action not in ANSWERS.get(trigger.wanted, ()):
        return False
    if action == "NotifyEvent" and spot == (None, None):
        return False
    if trigger.wanted not in PLACED:
        return True
    return all(wanted is None or told is None or wanted == told
               for wanted, told in zip(trigger.spot, spot, strict=True))


def _says_triggered(now: Now) -> bool:
    """Whether the message itself names a trigger as its reason."""
    request = now.request
    if text(request, "triggerReason") == "Trigger" or text(request, "reason") == "Triggered":
        return True
    return any(text(value, "context") == "Trigger" for _, one in objects(request, "meterValue")
               for _, value in objects(one, "sampledValue"))


# Order


@check("trigger-order", answer(*TRIGGER, by="csms"))
def accepted_late(now: Now) -> Iterator[Hit]:
    trigger = now.session.book(Triggers).of(now.call_ref)
    if trigger is None or now.status != "Accepted" or trigger.early is None:
        return
    if trigger.sure:
        yield _early(now, trigger)
    else:
        now.later(now.bounds.trigger_s, only_before, key=trigger.call, data=trigger)


def only_before(now: Now, deadline: Deadline) -> Iterator[Hit]:
    trigger: Trigger = deadline.data
    if trigger.sent is None and not blocked(now) and all_seen(now, trigger.called):
        yield _early(now, trigger, deadline)


def _early(now: Now, trigger: Trigger, deadline: Deadline | None = None) -> Hit:
    return now.hit(f"{trigger.wanted} was sent before the answer to the trigger that asks for it", frame=trigger.early,
                   by="station", place=deadline.place if deadline is not None else None)


# What follows


@check("trigger-follow", answer(*TRIGGER, by="csms"))
def accepted(now: Now) -> None:
    book = now.session.book(Triggers)
    trigger = book.of(now.call_ref)
    if trigger is None or now.status != "Accepted" or trigger.wanted not in ANSWERS or trigger.early is not None:
        return
    if _just_sent(book, trigger):
        return
    now.later(_within_s(now, trigger), not_followed, key=trigger.call, data=trigger)


def _within_s(now: Now, trigger: Trigger) -> float:
    """A request for a certificate takes longer, since a key has to be made for it."""
    return now.bounds.report_s if trigger.wanted in _CERTIFICATES else now.bounds.trigger_s


def _just_sent(book: Triggers, trigger: Trigger) -> bool:
    return any(_is_for(trigger, action, spot) and trigger.called - time <= JUST_S
               for (action, spot), time in book.last.items())


def not_followed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    trigger: Trigger = deadline.data
    if trigger.sent is not None or blocked(now) or not all_seen(now, trigger.called):
        return
    custom = now.session.book(Triggers).custom
    instead = custom is not None and custom[1] >= trigger.called
    yield now.hit(f"A trigger for {trigger.wanted} was accepted, and none came within "
                  f"{_within_s(now, trigger):g} s"
                  + ("; CustomOperation came instead" if instead else ""),
                  place=deadline.place, also=[custom[0]] if custom is not None and instead else [])


@check("trigger-connectors", answer(*TRIGGER, by="csms"))
def accepted_for_all(now: Now) -> Iterator[Hit]:
    trigger = now.session.book(Triggers).of(now.call_ref)
    if trigger is None or now.status != "Accepted":
        return
    if trigger.wanted != "StatusNotification" or trigger.spot[0] is not None:
        return
    known = numbers(now) or heard_of(now)
    if not known:
        yield from now.unknown("NumberOfConnectors was not seen")
        return
    now.later(now.bounds.trigger_s * (len(known) + 1), not_all_told, key=trigger.call, data=(trigger, (0, *known)))


def not_all_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    trigger, expected = deadline.data
    just = {spot[0] for (action, spot), time in now.session.book(Triggers).last.items()
            if action == "StatusNotification" and time >= trigger.called - JUST_S}
    told = trigger.told | just
    missing = [one for one in expected if one not in told]
    if not missing or not trigger.told or blocked(now) or not all_seen(now, trigger.called):
        return
    yield now.hit(f"A trigger for StatusNotification without connectorId was accepted, and none came for "
                  f"{_listed(missing)}", place=deadline.place, seen=sorted(one for one in told if one is not None),
                  expected=list(expected))


def _listed(connectors: list[int]) -> str:
    shown = ", ".join(map(str, connectors[:10]))
    return f"connector {shown}" if len(connectors) == 1 else f"connectors {shown}"


# Idle


def triggered(now: Now, wanted: str) -> bool:
    """Whether such a message was asked for lately, whatever the station answered."""
    return any(one.wanted == wanted and one.called >= now.time - IDLE_S for one in now.session.book(Triggers).recent)


@check("idle-only-triggered", call(*IDLE))
def idle(now: Now) -> Iterator[Hit]:
    if text(now.request, "status") != "Idle" or (now.version != "1.6" and now.action == "FirmwareStatusNotification"):
        return
    if triggered(now, IDLE[now.action]):
        return
    if not all_seen(now, now.time - IDLE_S):
        yield from now.unknown("frames before it are missing")
        return
    yield now.hit(f"{now.action} with status Idle came without a trigger", "/status", seen="Idle",
                  expected="Idle only after a trigger for it")
