"""What of a payload is shown: pieces, each a function from the payload to a few words or nothing.

Decides how one field, a count, a list of readings or of variables is put in brief. Refuses to know which action wants
which pieces (`salient`) and to complain: a field that is absent or of a surprising type yields nothing or its bare
value, never an exception.

Source: OCPP 1.6 sections 7.44 (SampledValue and its defaults); OCPP 2.0.1 Part 2 section 2.45 to 2.48 (the same).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from ocpp_proxy.live.safe import scalar

Piece: TypeAlias = Callable[[Any], str]

_TEMPLATE = re.compile(r"(?P<before>[^{]*)\{(?P<path>[^}#]+)(?P<count>#?)\}(?P<after>.*)")
_VALUE_CHARS = 48
_LISTED = 3
_ENERGY = "Energy.Active.Import.Register"
# Shown first, in this order, and without their name where the unit says enough.
_MEASURANDS = {_ENERGY: "", "Power.Active.Import": "", "Current.Import": "", "Voltage": "", "SoC": "SoC"}
_RANK = {name: rank for rank, name in enumerate(_MEASURANDS)}
_PREFIXES = {3: "k", 6: "M", -3: "m"}


def look(payload: Any, path: Iterable[str]) -> Any:
    """The value at `path`, a number standing for a place in a list; None where the way ends early."""
    for key in path:
        if isinstance(payload, dict):
            payload = payload.get(key)
        elif isinstance(payload, list) and key.isdigit() and int(key) < len(payload):
            payload = payload[int(key)]
        else:
            return None
    return payload


def piece(template: str) -> Piece:
    """"text {path/to/field} text": nothing where the field is absent or null. `{path#}` counts a list's items."""
    match = _TEMPLATE.fullmatch(template)
    assert match is not None, template
    before, after = match["before"], match["after"]
    path = tuple(match["path"].split("/"))
    if match["count"]:
        return lambda payload: (
            f"{before}{len(items)}{after}" if isinstance(items := look(payload, path), list) else "")
    if len(path) == 1:  # the common case, on the way of every frame
        key = path[0]

        def flat(payload: Any) -> str:
            value = payload.get(key)
            return "" if value is None else f"{before}{scalar(value, _VALUE_CHARS)}{after}"
        return flat

    def deep(payload: Any) -> str:
        value = look(payload, path)
        return "" if value is None else f"{before}{scalar(value, _VALUE_CHARS)}{after}"
    return deep


def flag(key: str, words: str) -> Piece:
    """`words` where the field is true."""
    return lambda payload: words if payload.get(key) is True else ""


def listed(key: str, what: str, otherwise: str = "") -> Piece:
    """The first members of a list of strings, and how many there are."""
    def show(payload: Any) -> str:
        items = payload.get(key)
        if not isinstance(items, list) or not items:
            return otherwise
        return _first_of([scalar(item, _VALUE_CHARS) for item in items[:_LISTED]], len(items), what)
    return show


def variables(key: str, *parts: str) -> Piece:
    """Component.Variable of each item of the list `key` (2.x), each with its `parts`: "=attributeValue" or
    " attributeStatus", the first character being what stands before the value."""
    def name(item: Any) -> str:
        words = [scalar(look(item, ("component", "name")), _VALUE_CHARS), ".",
                 scalar(look(item, ("variable", "name")), _VALUE_CHARS)]
        for part in parts:
            value = look(item, (part[1:],))
            words += [part[0], scalar(value, _VALUE_CHARS)] if value is not None else []
        return "".join(words)

    def show(payload: Any) -> str:
        items = payload.get(key)
        if not isinstance(items, list) or not items:
            return ""
        return _first_of([name(item) for item in items[:_LISTED]], len(items), "")
    return show


def _first_of(names: list[str], count: int, what: str) -> str:
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(names) + more + (f" {what}" if what else "")


def readings(key: str, context: str = "") -> Piece:
    """The last MeterValue of the list `key`: each measurand once, the plainest of its phases."""
    def show(payload: Any) -> str:
        values = payload.get(key)
        samples = look(values[-1], ("sampledValue",)) if isinstance(values, list) and values else None
        if not isinstance(samples, list):
            return ""
        best: dict[str, dict[str, Any]] = {}
        for sample in samples:
            if isinstance(sample, dict):
                measurand = scalar(sample.get("measurand", _ENERGY), _VALUE_CHARS)
                kept = best.get(measurand)
                if kept is None or (kept.get("phase") is not None and sample.get("phase") is None):
                    best[measurand] = sample
        ranked = sorted(best, key=lambda name: _RANK.get(name, len(_RANK)))
        said = ", ".join(_reading(name, best[name]) for name in ranked)
        more = f" ({len(values)} readings)" if len(values) > 1 else ""
        return f"{context}{said}{more}" if said else ""
    return show


def _reading(measurand: str, sample: dict[str, Any]) -> str:
    unit = sample.get("unit")
    detail = sample.get("unitOfMeasure")
    if isinstance(detail, dict):  # 2.x: the unit and a power of ten
        unit = detail.get("unit", "Wh")
        power = detail.get("multiplier")
        if isinstance(power, int) and power:
            unit = f"{_PREFIXES.get(power) or f'×10^{scalar(power, 6)} '}{scalar(unit, 12)}"
    elif unit is None:
        unit = "Wh" if measurand.startswith("Energy") else ""
    unit = {"Percent": "%", "Celsius": "°C"}.get(unit, unit) if isinstance(unit, str) else scalar(unit, 12)
    label = _MEASURANDS.get(measurand, measurand)
    phase = sample.get("phase")
    words = (label, scalar(sample.get("value"), 16), scalar(unit, 16), scalar(phase, 8) if phase is not None else "")
    return " ".join(word for word in words if word)


def few_scalars(payload: dict[Any, Any]) -> str:
    """The first fields that are neither object nor list: for actions without a row of their own."""
    said: list[str] = []
    for key, value in payload.items():
        if not isinstance(value, dict | list):
            said.append(f"{scalar(key, 32)} {scalar(value, _VALUE_CHARS)}")
        elif key != "customData":
            said.append(f"{scalar(key, 32)} {scalar(value)}")
        if len(said) == _LISTED + 1:
            break
    return ", ".join(said)
