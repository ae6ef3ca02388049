"""The events that 2.x stations tell, and the customer information that they are asked for.

Keeps the last EVENTS_KEPT event ids of a station, and how the last NotifyEvent went on.

Source: OCPP 2.0.1 and 2.1 Part 2 N05, N07 to N10, EventDataType, EventTriggerEnumType.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import flag, integer, member, numeral, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.checks.busy2x import waits
from ocpp_proxy.rules.checks.monitoring2x import Monitor, Monitors
from ocpp_proxy.rules.checks.reports2x import Reports
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, OPENED, answer, call, check, learn
from ocpp_proxy.rules.place import place_of

EVENTS_KEPT = 256
ROUNDS = 10
EVENT = "NotifyEvent"
INFORMATION = "NotifyCustomerInformation"
MONITORED = frozenset(("HardWiredMonitor", "PreconfiguredMonitor", "CustomMonitor"))
LEVEL = "MonitoringCtrlr.ActiveMonitoringLevel"
THRESHOLDS = ("UpperThreshold", "LowerThreshold")
# The trigger that an event has, by the type of its monitor.
TRIGGER: Mapping[str, str] = {
    "UpperThreshold": "Alerting", "LowerThreshold": "Alerting", "TargetDelta": "Alerting",
    "TargetDeltaRelative": "Alerting", "Delta": "Delta", "Periodic": "Periodic", "PeriodicClockAligned": "Periodic",
}  # fmt: skip
TRIGGERS = frozenset(TRIGGER.values())


class Part(NamedTuple):
    """The last NotifyEvent. `more`: another part follows; `content`: a hash."""

    seq: int | None
    more: bool
    content: int
    ref: FrameRef


@dataclass(slots=True)
class Events:
    """`last`: of the newest connection; `cut`: what came before was not brought to its end, so that anything may come
    next; `ids`: what the event of that id was about; `level`: of the last accepted SetMonitoringLevel, with its answer.
    """

    last: Part | None = None
    cut: bool = False
    ids: dict[int, tuple[str, FrameRef]] = field(default_factory=dict)
    level: tuple[int, FrameRef] | None = None

    def interrupt(self) -> None:
        """The station may begin anew, send the last part again, or go on."""
        self.cut = self.last is not None and (self.last.more or bool(self.last.seq))
        self.last = None


def _part(now: Now) -> Part:
    content = hash(now.exchange.call.raw.partition(b"{")[2]) if now.exchange is not None else 0
    return Part(integer(now.request, "seqNo"), flag(now.request, "tbc") is True, content, now.ref)


def _about(event: Any) -> str | None:
    return variable_name(member(event, "component"), member(event, "variable"))


@learn(call(EVENT))
def told(now: Now) -> None:
    book = now.session.book(Events)
    book.last, book.cut = _part(now), False
    for _, event in objects(now.request, "eventData"):
        number, name = integer(event, "eventId"), _about(event)
        if number is not None and name is not None:
            book.ids.pop(number, None)
            book.ids[number] = name, now.ref
            if len(book.ids) > EVENTS_KEPT:
                del book.ids[next(iter(book.ids))]


@learn(OPENED, versions=IN_2X)
def connected(now: Now) -> None:
    now.session.book(Events).interrupt()


@learn(call("BootNotification"), versions=IN_2X)
def booted(now: Now) -> None:
    """A station may count its events from the start again."""
    now.session.book(Events).ids.clear()


@learn(answer(EVENT))
def refused(now: Now) -> None:
    if not isinstance(now.frame, CallResult):
        now.session.book(Events).interrupt()


@learn(answer("SetMonitoringLevel", by="csms"))
def level_set(now: Now) -> None:
    severity = integer(now.request, "severity")
    if severity is not None and now.status == "Accepted":
        now.session.book(Events).level = severity, now.ref


# Whether the parts fit, and what is in them


@check("event201-seq", call(EVENT))
def in_order(now: Now) -> Iterator[Hit]:
    now.cancel()
    book, part = now.session.book(Events), _part(now)
    last = book.last
    again = last is not None and (part.seq, part.content) == (last.seq, last.content)
    if now.link is not None and now.link.whole and not again and not book.cut:
        yield from _numbered(now, last, part)
    for place, event in objects(now.request, "eventData"):
        kind = text(event, "eventNotificationType")
        if kind in MONITORED and integer(event, "variableMonitoringId") is None:
            yield now.hit(f"An event of a {kind} has no variableMonitoringId",
                          f"/eventData/{place}/variableMonitoringId", seen=None)
    yield from _reused(now)


def _numbered(now: Now, last: Part | None, part: Part) -> Iterator[Hit]:
    if last is None or not last.more:
        if part.seq:
            yield now.hit("NotifyEvent begins with another seqNo than 0", "/seqNo", expected=0,
                          also=[last.ref if last is not None else None])
    elif part.seq == 0:
        yield now.hit("NotifyEvent says that another part follows, and another NotifyEvent begins", "/tbc", seen=True,
                      frame=last.ref, also=[now.ref])
    elif part.seq is not None and last.seq is not None and part.seq != last.seq + 1:
        yield now.hit("The seqNo of NotifyEvent does not go up by one from part to part", "/seqNo",
                      expected=last.seq + 1, also=[last.ref])


def _reused(now: Now) -> Iterator[Hit]:
    ids = dict(now.session.book(Events).ids)
    for place, event in objects(now.request, "eventData"):
        number, name = integer(event, "eventId"), _about(event)
        if number is None or name is None:
            continue
        before = ids.get(number)
        if before is not None and before[0].casefold() != name.casefold():
            yield now.hit("An eventId is given to events of different variables", f"/eventData/{place}/eventId",
                          case="reused", also=[before[1]])
            return
        ids[number] = name, now.ref


@check("event201-seq", answer(EVENT))
def goes_on(now: Now) -> None:
    last = now.session.book(Events).last
    if isinstance(now.frame, CallResult) and last is not None and last.more and last.ref == now.call_ref:
        now.later(now.bounds.report_s, broken_off, data=ROUNDS, place=place_of(now, call=True))


def broken_off(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if deadline.data and waits(now):
        now.later(now.bounds.answer_warn_s, broken_off, data=deadline.data - 1, place=deadline.place)
        return
    yield now.hit(f"NotifyEvent says that another part follows, and none has come within {now.bounds.report_s:g} s",
                  "/tbc", seen=True, place=deadline.place)


# Whether an event fits its monitor


def _monitored(now: Now) -> Iterator[tuple[int, dict[str, Any], Monitor]]:
    """The events of monitors that are known, each with its position."""
    known = now.session.book(Monitors).known
    for place, event in objects(now.request, "eventData"):
        number = integer(event, "variableMonitoringId")
        monitor = known.get(number) if number is not None else None
        if monitor is not None and (_about(event) or "").casefold() == monitor.name:
            yield place, event, monitor


@check("event201-trigger", call(EVENT))
def trigger(now: Now) -> Iterator[Hit]:
    found = list(_monitored(now))
    if not found:
        yield from now.unknown("no event of a monitor was seen whose type is known")
    for place, event, monitor in found:
        given, expected = text(event, "trigger"), TRIGGER.get(monitor.kind)
        if expected is not None and given in TRIGGERS and given != expected:
            yield now.hit(f"The event of the {monitor.kind} monitor has the trigger {given}",
                          f"/eventData/{place}/trigger", seen=given, expected=expected, also=[monitor.ref])
        elif monitor.kind in THRESHOLDS:
            yield from _cleared(now, place, event, monitor)


def _cleared(now: Now, place: int, event: dict[str, Any], monitor: Monitor) -> Iterator[Hit]:
    """Whether the event says rightly that the value is within the threshold again."""
    value, limit = numeral(text(event, "actualValue")), numeral(monitor.value)
    if value is None or limit is None or value == limit:
        return
    beyond = value > limit if monitor.kind == "UpperThreshold" else value < limit
    cleared = flag(event, "cleared") is True
    if cleared == beyond:
        what = "is cleared with a value beyond" if cleared else "is not cleared with a value within"
        yield now.hit(f"The event of the {monitor.kind} monitor {what} the threshold", f"/eventData/{place}/cleared",
                      seen=flag(event, "cleared"), expected=not beyond, also=[monitor.ref])


@check("event201-severity", call(EVENT))
def severity(now: Now) -> Iterator[Hit]:
    level = now.session.book(Events).level
    limit = level[0] if level is not None else now.session.settings.integer(LEVEL)
    if limit is None:
        yield from now.unknown("no monitoring level was seen")
        return
    known = {place: monitor.severity for place, _, monitor in _monitored(now)}
    for place, event in objects(now.request, "eventData"):
        if text(event, "eventNotificationType") not in MONITORED:
            continue
        own = integer(event, "severity")
        given = own if own is not None else known.get(place)
        if given is not None and given > limit:
            yield now.hit(f"An event of severity {given} is told, and the monitoring level is {limit}",
                          f"/eventData/{place}", seen=given, expected=limit, also=[level[1] if level else None])


# Customer information


@check("cust201", answer("CustomerInformation", by="csms"))
def customer(now: Now) -> Iterator[Hit]:
    report, clear = flag(now.request, "report"), flag(now.request, "clear")
    if now.status != "Accepted":
        return
    if report is False and clear is False:
        yield now.hit("CustomerInformation that asks neither for a report nor for clearing is accepted", "/status",
                      seen="Accepted", expected="Rejected", case="nothing")
        return
    number = integer(now.request, "requestId")
    asked = now.session.book(Reports).asked.get((INFORMATION, number)) if number is not None else None
    if (report or clear) and asked is not None and not asked.followed:
        now.later(now.bounds.report_s, not_informed, key=number, data=(number, ROUNDS))


@check("cust201", call(INFORMATION))
def informed(now: Now) -> None:
    number, book = integer(now.request, "requestId"), now.session.book(Reports)
    awaited = book.awaited(INFORMATION)
    if number is not None and (INFORMATION, number) not in book.asked and len(awaited) == 1:
        number = awaited[0][1]  # it bears another id, for which report-requestid speaks
    now.cancel(number)


def not_informed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    number, rounds = deadline.data
    if rounds and waits(now):
        now.later(now.bounds.answer_warn_s, not_informed, key=number, data=(number, rounds - 1), place=deadline.place)
        return
    yield now.hit(f"No NotifyCustomerInformation has come within {now.bounds.report_s:g} s after CustomerInformation"
                  " was accepted", place=deadline.place)
