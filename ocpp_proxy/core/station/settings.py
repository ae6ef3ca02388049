"""How the station is configured, as far as it was told: keys of 1.6, variables of 2.x.

Keeps up to SETTINGS_KEPT of them, each cut to LONGEST_VALUE characters. A value is known from the station's own
answer (GetConfiguration, GetVariables, a report), from a change that it accepted, and, for the heartbeat, from the
answer to its boot. One that takes effect after a reboot only is not known until it is read.

Source: OCPP 1.6 edition 2 sections 4.2, 5.3, 5.8 and chapter 9; OCPP 2.0.1 Part 2 B05 to B08.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import flag, integer, member, objects, text

SETTINGS_KEPT = 1000
LONGEST_VALUE = 1000
LONGEST_KEY = 120


@dataclass(slots=True)
class Setting:
    """`name`: as first spelled; `value`: None where it has none, cannot be read, or waits for a reboot; `source`: the
    frame that told, `time` when; `by`: the action that told it; `readonly`: None where nobody said."""

    name: str
    value: str | None
    source: FrameRef
    time: float
    by: str
    readonly: bool | None = None


@dataclass(slots=True)
class Settings:
    """Keys are compared without regard to case. `listed`: when the station last gave a complete list, by
    GetConfiguration of 1.6 without keys; None if never."""

    known: dict[str, Setting] = field(default_factory=dict)
    listed: float | None = None

    def find(self, name: str) -> Setting | None:
        """By its key in 1.6, by `variable_name` in 2.x."""
        return self.known.get(name.casefold())

    def value(self, name: str) -> str | None:
        setting = self.known.get(name.casefold())
        return setting.value if setting is not None else None

    def integer(self, name: str) -> int | None:
        value = self.value(name)
        try:
            return int(value) if value is not None and len(value) < 12 else None
        except ValueError:
            return None

    def flag(self, name: str) -> bool | None:
        return {"true": True, "1": True, "false": False, "0": False}.get((self.value(name) or "").strip().casefold())

    def words(self, name: str) -> list[str] | None:
        """A comma-separated list, without the spaces around its members; empty for an empty value."""
        value = self.value(name)
        return None if value is None else [word.strip() for word in value.split(",") if word.strip()]

    def put(self, setting: Setting) -> None:
        key = setting.name.casefold()
        before = self.known.pop(key, None)
        if before is not None and setting.readonly is None:
            setting.readonly = before.readonly
        self.known[key] = setting
        if len(self.known) > SETTINGS_KEPT:
            del self.known[next(iter(self.known))]


def variable_name(component: Any, variable: Any) -> str | None:
    """A name for a variable of 2.x: "OCPPCommCtrlr.HeartbeatInterval", "EVSE#1.Power", "Connector#1/2.Available", with
    "[instance]" behind the part that has one. None where a name is missing."""
    names = [text(component, "name"), text(variable, "name")]
    if names[0] is None or names[1] is None:
        return None
    evse = member(component, "evse")
    number, connector = integer(evse, "id"), integer(evse, "connectorId")
    place = "" if number is None else f"#{number}" if connector is None else f"#{number}/{connector}"
    parts = [f"{name}[{instance}]" if (instance := text(holder, "instance")) else name
             for name, holder in zip(names, (component, variable), strict=True)]
    return f"{parts[0]}{place}.{parts[1]}"[:LONGEST_KEY]


def booted(now: Occasion) -> None:
    """The interval in the answer becomes the heartbeat's, where the station was accepted."""
    interval = integer(now.response, "interval")
    if now.status == "Accepted" and interval is not None and interval > 0:
        name = "HeartbeatInterval" if now.version == "1.6" else "OCPPCommCtrlr.HeartbeatInterval"
        _learn(now, name, str(interval))


def configuration_read(now: Occasion) -> None:
    if not isinstance(now.frame, CallResult):
        return
    for _, entry in objects(now.response, "configurationKey"):
        if (key := text(entry, "key")) is not None:
            _learn(now, key, text(entry, "value"), flag(entry, "readonly"))
    if isinstance(now.response, dict) and not member(now.request, "key"):  # not where the answer is cut off
        now.session.settings.listed = now.time


def configuration_changed(now: Occasion) -> None:
    key = text(now.request, "key")
    if key is not None and now.status in ("Accepted", "RebootRequired"):
        _learn(now, key, text(now.request, "value") if now.status == "Accepted" else None)


def variables_read(now: Occasion) -> None:
    for _, entry in objects(now.response, "getVariableResult"):
        name = variable_name(member(entry, "component"), member(entry, "variable"))
        if name and text(entry, "attributeStatus") == "Accepted" and _actual(entry):
            _learn(now, name, text(entry, "attributeValue"))


def variables_set(now: Occasion) -> None:
    for place, entry in objects(now.response, "setVariableResult"):
        name = variable_name(member(entry, "component"), member(entry, "variable"))
        status = text(entry, "attributeStatus")
        if name and status in ("Accepted", "RebootRequired") and _actual(entry):
            _learn(now, name, _wanted(now.request, place, name) if status == "Accepted" else None)


def reported(now: Occasion) -> None:
    for _, entry in objects(now.request, "reportData"):
        name = variable_name(member(entry, "component"), member(entry, "variable"))
        for _, attribute in objects(entry, "variableAttribute"):
            if name and text(attribute, "type") in (None, "Actual"):
                mutability = text(attribute, "mutability")
                readonly = None if mutability is None else mutability == "ReadOnly"
                _learn(now, name, text(attribute, "value"), readonly)


def _actual(entry: Any) -> bool:
    return text(entry, "attributeType") in (None, "Actual")


def _wanted(request: Any, place: int, name: str) -> str | None:
    """The value that was asked for: of the element at the same place if that is the variable, else of any."""
    asked: Iterator[tuple[int, dict[str, Any]]] = objects(request, "setVariableData")
    fitting = {number: one for number, one in asked
               if variable_name(member(one, "component"), member(one, "variable")) == name and _actual(one)}
    chosen = fitting.get(place) or next(iter(fitting.values()), None)
    return text(chosen, "attributeValue")


def _learn(now: Occasion, name: str, value: str | None, readonly: bool | None = None) -> None:
    cut = value[:LONGEST_VALUE] if value is not None else None
    now.session.settings.put(Setting(name[:LONGEST_KEY], cut, now.ref, now.time, now.action, readonly))
