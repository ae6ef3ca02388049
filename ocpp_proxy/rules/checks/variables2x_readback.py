"""Whether a variable that was set shows the new value.

Keeps the last WRITTEN_KEPT values that a station has accepted. Refuses to judge passwords, which captures do not hold,
and the clock, which goes on.

Source: OCPP 2.0.1 and 2.1 Part 2 B05.FR.10 and B06.FR.10.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import moment_us, numeral, text
from ocpp_proxy.core.secrets import is_secret_name
from ocpp_proxy.rules.checks.variables2x import ACTUAL, Element, elements
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, answer, call, check, learn

WRITTEN_KEPT = 256
LONGEST_VALUE = 1000
CUT_FROM = 50  # characters; ReportingValueSize may shorten a value that is read
HEARTBEAT = "ocppcommctrlr.heartbeatinterval"  # which the answer to a boot sets as well
CLOCK = "clockctrlr.datetime"


@dataclass(frozen=True, slots=True)
class Value:
    """`before`: as known until then, None if it was not."""

    value: str
    before: str | None
    ref: FrameRef


@dataclass(slots=True)
class Written:
    """By name, folded, and attribute."""

    values: dict[tuple[str, str], Value] = field(default_factory=dict)


@learn(answer("SetVariables", by="csms"))
def written(now: Now) -> None:
    book = now.session.book(Written).values
    wanted = {one.key: text(one.entry, "attributeValue") for one in elements(now.request, "setVariableData")}
    for one in elements(now.response, "setVariableResult"):
        status, value = text(one.entry, "attributeStatus"), wanted.get(one.key)
        if status not in ("Accepted", "RebootRequired"):
            continue
        book.pop(one.key, None)
        if status == "Accepted" and value is not None and _steady(one):
            before = now.session.settings.value(one.name) if one.key[1] == ACTUAL else None
            book[one.key] = Value(value[:LONGEST_VALUE], before, now.ref)
            if len(book) > WRITTEN_KEPT:
                del book[next(iter(book))]


@learn(answer("BootNotification"), versions=IN_2X)
def booted(now: Now) -> None:
    now.session.book(Written).values.pop((HEARTBEAT, ACTUAL), None)


@learn(call("FirmwareStatusNotification"), versions=IN_2X)
def updated(now: Now) -> None:
    """New firmware may have settings of its own."""
    if text(now.request, "status") == "Installed":
        now.session.book(Written).values.clear()


@check("var-readback", answer("GetVariables", by="csms"))
def read_back(now: Now) -> Iterator[Hit]:
    book = now.session.book(Written).values
    for one in elements(now.response, "getVariableResult"):
        known, value = book.get(one.key), text(one.entry, "attributeValue")
        if known is None or value is None or text(one.entry, "attributeStatus") != "Accepted":
            continue
        if same(known.value, value):
            continue
        old = known.before is not None and same(known.before, value)
        yield now.hit(f"{one.name} was set to {known.value[:60]!r} and reads {value[:60]!r}"
                      f"{', as before' if old else ''}", f"/getVariableResult/{one.place}/attributeValue",
                      seen=value[:200], expected=known.value[:200], case=None if old else "other", also=[known.ref])


def _steady(one: Element) -> bool:
    return one.key[0] != CLOCK and not is_secret_name(text(one.entry, "variable", "name") or "")


def same(left: str, right: str) -> bool:
    """Whether two values mean the same, whichever way they are written."""
    if left.strip().casefold() == right.strip().casefold():
        return True
    if len(right) >= CUT_FROM and left.startswith(right):
        return True
    numbers, moments = (numeral(left), numeral(right)), (moment_us(left), moment_us(right))
    if None not in numbers:
        return numbers[0] == numbers[1]
    if None not in moments:
        return moments[0] == moments[1]
    return _members(left) == _members(right)


def _members(value: str) -> frozenset[str]:
    return frozenset(one.strip().casefold() for one in value.split(",") if one.strip())
