"""Reading and setting variables in 2.x.

Source: OCPP 2.0.1 and 2.1 Part 2 B05, B06, B08.FR.06, N04.FR.09, N06.FR.04.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.payload import items, member, objects, text
from ocpp_proxy.core.secrets import is_secret_name
from ocpp_proxy.core.station.settings import Setting, variable_name
from ocpp_proxy.rules.checks.inventory2x import Inventory, Variable
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

ACTUAL = "Actual"
# Action → where its elements are in the request and in the response.
LISTS: Mapping[str, tuple[str, str]] = {
    "GetVariables": ("getVariableData", "getVariableResult"),
    "SetVariables": ("setVariableData", "setVariableResult"),
}
UNKNOWN_COMPONENT, UNKNOWN_VARIABLE = "UnknownComponent", "UnknownVariable"
WITHOUT_VALUE = (UNKNOWN_COMPONENT, UNKNOWN_VARIABLE, "NotSupportedAttributeType")
SHOWN_MOST = 5
# Action → where the elements are, and the variable that says how many there may be.
LIMITED: Mapping[str, tuple[str, str]] = {
    "GetVariables": ("getVariableData", "DeviceDataCtrlr.ItemsPerMessage[GetVariables]"),
    "SetVariables": ("setVariableData", "DeviceDataCtrlr.ItemsPerMessage[SetVariables]"),
    "GetReport": ("componentVariable", "DeviceDataCtrlr.ItemsPerMessage[GetReport]"),
    "SetVariableMonitoring": ("setMonitoringData", "MonitoringCtrlr.ItemsPerMessage[SetVariableMonitoring]"),
    "ClearVariableMonitoring": ("id", "MonitoringCtrlr.ItemsPerMessage[ClearVariableMonitoring]"),
}


class Element(NamedTuple):
    """One of the variables asked for or answered. `kind`: its attributeType, None where left out."""

    place: int
    name: str
    kind: str | None
    entry: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.name.casefold(), self.kind or ACTUAL


def elements(payload: Any, key: str) -> list[Element]:
    return [Element(place, name, text(entry, "attributeType"), entry) for place, entry in objects(payload, key)
            if (name := variable_name(member(entry, "component"), member(entry, "variable"))) is not None]


@check("var-count", answer(*LISTS, by="csms"))
def count(now: Now) -> Iterator[Hit]:
    if not isinstance(now.frame, CallResult):
        return
    asked_key, told_key = LISTS[now.action]
    asked, told = len(items(now.request, asked_key)), len(items(now.response, told_key))
    if asked != told:
        yield now.hit(f"{now.action} with {asked} elements is answered with {told} results", f"/{told_key}", seen=told,
                      expected=asked)
        return
    wanted, given = elements(now.request, asked_key), elements(now.response, told_key)
    missing = Counter(one.name.casefold() for one in wanted) - Counter(one.name.casefold() for one in given)
    for one in [one for one in wanted if one.name.casefold() in missing][:SHOWN_MOST]:
        yield now.hit(f"{now.action} asks for {one.name} and gets no result for it", f"/{told_key}", expected=one.name)
    if not missing:
        yield from _kinds(now, told_key, wanted, given)


def _kinds(now: Now, told_key: str, wanted: list[Element], given: list[Element]) -> Iterator[Hit]:
    """Whether each result names the attribute that was asked for."""
    kinds: dict[str, set[str]] = {}
    for one in wanted:
        kinds.setdefault(one.name.casefold(), set()).add(one.kind or ACTUAL)
    left_out = False
    for one in given:
        asked = kinds.get(one.name.casefold())
        if asked is None:
            continue  # an element that names no variable may have asked for it
        if one.kind is None and asked == {ACTUAL}:
            left_out = True
        elif one.kind not in asked:
            yield now.hit(f"{now.action} asks for the attribute {' and '.join(sorted(asked))} of {one.name} and gets"
                          f" {one.kind or 'none named'}", f"/{told_key}/{one.place}/attributeType", seen=one.kind,
                          expected=sorted(asked))
    if left_out:
        yield now.hit(f"A result of {now.action} leaves out the attributeType Actual", f"/{told_key}", expected=ACTUAL,
                      case="left-out")


@check("var-status", answer(*LISTS, by="csms"))
def status(now: Now) -> Iterator[Hit]:
    if not isinstance(now.frame, CallResult):
        return
    key = LISTS[now.action][1]
    judge = _read if now.action == "GetVariables" else _set
    for one in elements(now.response, key):
        said = text(one.entry, "attributeStatus")
        hit = judge(now, one, f"/{key}/{one.place}") or _unknown(now, one, f"/{key}/{one.place}/attributeStatus", said)
        if hit is not None:
            yield hit


def _read(now: Now, one: Element, pointer: str) -> Hit | None:
    said, value = text(one.entry, "attributeStatus"), one.entry.get("attributeValue")
    if said in WITHOUT_VALUE and value is not None:
        return now.hit(f"The result {said} for {one.name} has an attributeValue", f"{pointer}/attributeValue",
                       seen=value)
    if said != "Accepted":
        return None
    if value is None:
        return now.hit(f"The result Accepted for {one.name} has no attributeValue", f"{pointer}/attributeValue")
    secret = is_secret_name(text(one.entry, "variable", "name") or "")  # for those there is another rule
    if one.name.casefold() in now.session.book(Inventory).write_only and one.key[1] == ACTUAL and not secret:
        return now.hit(f"{one.name} is write-only and can be read", f"{pointer}/attributeStatus", seen=said,
                       expected="Rejected")
    return None


def _set(now: Now, one: Element, pointer: str) -> Hit | None:
    said, known = text(one.entry, "attributeStatus"), _known(now, one.name)
    if said in ("Accepted", "RebootRequired") and known is not None and known.readonly and one.key[1] == ACTUAL:
        return now.hit(f"{one.name} is read-only and can be set", f"{pointer}/attributeStatus", seen=said,
                       expected="Rejected", also=[known.source])
    return None


def _unknown(now: Now, one: Element, pointer: str, said: str | None) -> Hit | None:
    """What the status says of the device model, against what the station has told of it."""
    known = _known(now, one.name)
    if said in (UNKNOWN_COMPONENT, UNKNOWN_VARIABLE) and known is not None:
        return now.hit(f"{one.name} is answered with {said}, and the station has told of it before", pointer, seen=said,
                       also=[known.source])
    book = now.session.book(Inventory)
    if said != "Rejected" or book.variables is None:
        return None
    variable = _variable(one)
    expected = UNKNOWN_COMPONENT if variable[0] not in (book.components or ()) else UNKNOWN_VARIABLE
    if variable not in book.variables and one.name.casefold() not in book.write_only:
        return now.hit(f"{one.name} is not in the station's full inventory and is answered with Rejected", pointer,
                       seen=said, expected=expected)
    return None


def _variable(one: Element) -> Variable:
    component, variable = (text(one.entry, part, "name") or "" for part in ("component", "variable"))
    return component.casefold(), variable.casefold()


def _known(now: Now, name: str) -> Setting | None:
    """What the station itself has told of a variable since its last boot, which may have changed its device model."""
    setting, since = now.session.settings.find(name), now.session.registration.since
    if setting is None or setting.by not in ("NotifyReport", "GetVariables"):
        return None
    return setting if since is None or setting.time > since else None


@check("var-items-per-message", call(*LIMITED, by="csms"))
def too_many(now: Now) -> Iterator[Hit]:
    key, variable = LIMITED[now.action]
    number, limit = len(items(now.request, key)), now.session.settings.integer(variable)
    if limit is not None and 0 < limit < number:
        yield now.hit(f"{now.action} has {number} elements, and the station takes no more than {limit}", f"/{key}",
                      seen=number, expected=limit)
    if now.action == "SetVariables":
        again = _again(elements(now.request, key))
        if again is not None:
            yield now.hit(f"SetVariables sets {again.name} more than once", f"/{key}/{again.place}", seen=again.name)
    elif limit is None:
        yield from now.unknown("ItemsPerMessage was not seen")


def _again(given: list[Element]) -> Element | None:
    """The first that stands there already."""
    seen: set[tuple[str, str]] = set()
    for one in given:
        if one.key in seen:
            return one
        seen.add(one.key)
    return None
