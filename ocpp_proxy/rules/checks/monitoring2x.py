"""The monitors of 2.x stations: how they are set and cleared.

Keeps up to MONITORS_KEPT monitors of a station, as it has accepted or reported them. A boot or another monitoring base
may change them and their ids: then they are forgotten. Refuses to know monitors that were not seen.

Source: OCPP 2.0.1 and 2.1 Part 2 N02 to N06.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import Number, integer, items, member, number, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, answer, call, check, learn

MONITORS_KEPT = 512
CLEARED_KEPT = 64
RESULT = "setMonitoringResult"


@dataclass(frozen=True, slots=True)
class Monitor:
    """`name`: of the variable, folded; `kind`: its type, UpperThreshold for one."""

    id: int
    name: str
    kind: str
    severity: int | None
    value: Number | None
    ref: FrameRef


@dataclass(slots=True)
class Monitors:
    """`known`: by id; `cleared`: ids that the station has cleared and not given again."""

    known: dict[int, Monitor] = field(default_factory=dict)
    cleared: dict[int, FrameRef] = field(default_factory=dict)

    def put(self, monitor: Monitor) -> None:
        self.known.pop(monitor.id, None)
        self.cleared.pop(monitor.id, None)
        self.known[monitor.id] = monitor
        if len(self.known) > MONITORS_KEPT:
            del self.known[next(iter(self.known))]

    def drop(self, one: int, ref: FrameRef) -> None:
        self.known.pop(one, None)
        self.cleared[one] = ref
        if len(self.cleared) > CLEARED_KEPT:
            del self.cleared[next(iter(self.cleared))]

    def forget(self) -> None:
        self.known.clear()
        self.cleared.clear()


class Wanted(NamedTuple):
    """An element of a SetVariableMonitoring, or a result of one. `shown`: the variable as spelled."""

    place: int
    shown: str
    kind: str | None
    severity: int | None
    id: int | None
    value: Number | None
    status: str | None

    @property
    def name(self) -> str:
        return self.shown.casefold()

    @property
    def key(self) -> tuple[str, str | None, int | None]:
        return self.name, self.kind, self.severity


def elements(payload: Any, key: str) -> list[Wanted]:
    return [Wanted(place, name, text(one, "type"), integer(one, "severity"), integer(one, "id"), number(one, "value"),
                   text(one, "status"))
            for place, one in objects(payload, key)
            if (name := variable_name(member(one, "component"), member(one, "variable"))) is not None]


def paired(now: Now) -> Iterator[tuple[Wanted, Wanted]]:
    """Each element with its result: the next one of the same variable, type and severity."""
    results = elements(now.response, RESULT)
    for one in elements(now.request, "setMonitoringData"):
        found = next((result for result in results if result.key == one.key), None)
        if found is not None:
            results.remove(found)
            yield one, found


# The book


@learn(answer("SetVariableMonitoring", by="csms"))
def were_set(now: Now) -> None:
    book = now.session.book(Monitors)
    for one, result in paired(now):
        given = result.id if result.id is not None else one.id
        if result.status == "Accepted" and given is not None and one.kind is not None:
            book.put(Monitor(given, one.name, one.kind, one.severity, one.value, now.ref))


@learn(answer("ClearVariableMonitoring", by="csms"))
def were_cleared(now: Now) -> None:
    book = now.session.book(Monitors)
    for _, result in objects(now.response, "clearMonitoringResult"):
        one = integer(result, "id")
        if one is not None and text(result, "status") == "Accepted":
            book.drop(one, now.ref)


@learn(call("NotifyMonitoringReport"))
def reported(now: Now) -> None:
    book = now.session.book(Monitors)
    for _, entry in objects(now.request, "monitor"):
        name = variable_name(member(entry, "component"), member(entry, "variable"))
        for _, one in objects(entry, "variableMonitoring"):
            given, kind = integer(one, "id"), text(one, "type")
            if name is not None and given is not None and kind is not None:
                severity, value = integer(one, "severity"), number(one, "value")
                book.put(Monitor(given, name.casefold(), kind, severity, value, now.ref))


@learn(answer("SetMonitoringBase", by="csms"))
def base_set(now: Now) -> None:
    if now.status == "Accepted":
        now.session.book(Monitors).forget()


@learn(call("BootNotification"), versions=IN_2X)
def booted(now: Now) -> None:
    now.session.book(Monitors).forget()


# Setting


@check("mon201-result", answer("SetVariableMonitoring", by="csms"))
def results_of_setting(now: Now) -> Iterator[Hit]:
    if not isinstance(now.frame, CallResult):
        return
    asked, told = len(items(now.request, "setMonitoringData")), len(items(now.response, RESULT))
    if asked != told:
        yield now.hit(f"SetVariableMonitoring with {asked} elements is answered with {told} results", f"/{RESULT}",
                      seen=told, expected=asked)
        return
    wanted, given = elements(now.request, "setMonitoringData"), elements(now.response, RESULT)
    missing = Counter(one.name for one in wanted) - Counter(one.name for one in given)
    for one in [one for one in wanted if one.name in missing][:5]:
        yield now.hit(f"SetVariableMonitoring asks for {one.shown} and gets no result for it", f"/{RESULT}",
                      expected=one.shown)
    fresh: dict[tuple[str, str | None, int | None], int | None] = {}
    for one, result in paired(now):
        hit = _wrongly_set(now, one, result, fresh)
        if hit is not None:
            yield hit
        if result.status == "Accepted":
            fresh[one.key] = one.id


def _wrongly_set(
    now: Now, one: Wanted, result: Wanted, fresh: dict[tuple[str, str | None, int | None], int | None]
) -> Hit | None:
    """`fresh`: the monitors set by the elements before."""
    book, pointer = now.session.book(Monitors), f"/{RESULT}/{result.place}/status"
    if result.status != "Accepted":
        return None
    if one.id is None and result.id is None:
        return now.hit(f"A new monitor on {one.shown} is accepted and given no id", f"/{RESULT}/{result.place}/id")
    if one.kind == "Delta" and one.value is not None and one.value < 0:
        return now.hit(f"A Delta monitor with a negative value on {one.shown} is accepted", pointer, seen="Accepted",
                       expected="Rejected")
    if one.id is not None:
        return _wrongly_replaced(now, one, pointer)
    same = next((known for known in book.known.values() if (known.name, known.kind, known.severity) == one.key), None)
    if same is not None or one.key in fresh:
        return now.hit(f"A second {one.kind} monitor of severity {one.severity} on {one.shown} is accepted", pointer,
                       seen="Accepted", expected="Duplicate", also=[same.ref if same is not None else None])
    return None


def _wrongly_replaced(now: Now, one: Wanted, pointer: str) -> Hit | None:
    book = now.session.book(Monitors)
    known = book.known.get(one.id) if one.id is not None else None
    if known is not None and known.name != one.name:
        return now.hit(f"Monitor {one.id} is moved to the variable {one.shown}", pointer, seen="Accepted",
                       expected="Rejected", also=[known.ref])
    if known is None and one.id in book.cleared:
        return now.hit(f"Monitor {one.id} is replaced after it was cleared", pointer, seen="Accepted",
                       expected="Rejected", also=[book.cleared[one.id]])
    return None


# Clearing


@check("mon201-result", answer("ClearVariableMonitoring", by="csms"))
def results_of_clearing(now: Now) -> Iterator[Hit]:
    if not isinstance(now.frame, CallResult):
        return
    asked = [integer(one) for one in items(now.request, "id")]
    told = [integer(one, "id") for _, one in objects(now.response, "clearMonitoringResult")]
    if Counter(asked) != Counter(told):
        yield now.hit(f"ClearVariableMonitoring with {len(asked)} ids is answered with {len(told)} results or others",
                      "/clearMonitoringResult", seen=told[:20], expected=asked[:20])
        return
    book, gone = now.session.book(Monitors), set[int]()
    for place, result in objects(now.response, "clearMonitoringResult"):
        one, status = integer(result, "id"), text(result, "status")
        if one is None:
            continue
        pointer, known = f"/clearMonitoringResult/{place}/status", book.known.get(one)
        if status == "NotFound" and known is not None and one not in gone:
            yield now.hit(f"Monitor {one} is not found, and the station has told of it before", pointer, seen=status,
                          also=[known.ref])
        elif status == "Accepted" and one in book.cleared:
            yield now.hit(f"Monitor {one} is cleared once more", pointer, seen=status, expected="NotFound",
                          also=[book.cleared[one]])
        if status == "Accepted":
            gone.add(one)
