"""What is irregular about a frame once its version and its sender are known.

Decides whether the version has the message type, the action and the error code, and whether this side may send them.
Refuses to know how the frame was read (`reader`) and what its payload holds (`schema`).

Source: OCPP-J 1.6 sections 4.1.3 and 4.2.1, table 7; OCPP 2.0.1 and 2.1 Part 4 sections 4.1.3, 4.1.6, 4.2 and 4.3.
"""

from __future__ import annotations

from ocpp_proxy.core.frame import Call, CallError, CallResult, CallResultError, Defect, Frame, Send, Side, Version
from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.vocabulary import ACTIONS, ERROR_CODES, VERSIONS, find_action

DESCRIPTION_MAX = 255  # characters, in 2.x
_SUFFIXES = (".req", ".conf", "Request", "Response")
_UNNAMED = frozenset({"action-not-string", "error-code-not-string"})  # the reader has said all there is to say


def irregularities(frame: Frame, version: Version, sender: Side) -> tuple[Defect, ...]:
    """What `version` does not have or `sender` may not send; empty for a regular frame. `sender`: the side it is
    from, or for which the proxy speaks."""
    if type(frame) is Call:
        action = ACTIONS[version].get(frame.action)
        if action is not None and action.kind == "call" and sender in action.callers:
            return ()
        return _of_action(frame, version, sender)
    if type(frame) is CallResult:
        return ()
    if isinstance(frame, Send):
        return _of_type(6, version) or _of_action(frame, version, sender)
    if isinstance(frame, CallResultError):
        return _of_type(5, version) + _of_error(frame, version)
    return _of_error(frame, version) if isinstance(frame, CallError) else ()


def _of_type(type_id: int, version: Version) -> tuple[Defect, ...]:
    if version == "2.1":
        return ()
    return (Defect("type-not-in-version", f"OCPP {version} has no message type {type_id}; it came with 2.1",
                   pointer="/0"),)


def _of_action(frame: Call | Send, version: Version, sender: Side) -> tuple[Defect, ...]:
    name = frame.action
    if any(defect.code in _UNNAMED for defect in frame.defects):
        return ()
    action = find_action(version, name)
    if action is None:
        return (_unknown(name, version),)
    found: list[Defect] = []
    if (action.kind == "send") != isinstance(frame, Send):
        sent, due = ("CALL", "SEND") if isinstance(frame, Call) else ("SEND", "CALL")
        found.append(Defect("type-direction", f"{name} was sent as a {sent}; it is a {due}", pointer="/0"))
    if sender not in action.callers:
        other = "CSMS" if sender == "station" else "station"
        found.append(Defect("action-direction", f"{name} is for the {other} to send", pointer="/2"))
    return tuple(found)


def _unknown(name: str, version: Version) -> Defect:
    shown = _brief(name)
    for known in ACTIONS[version]:
        if known.casefold() == name.casefold():
            return Defect("action-case", f"the action {shown} is spelled {known}", pointer="/2")
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and (bare := name.removesuffix(suffix)) in ACTIONS[version]:
            return Defect("action-case", f"the action {shown} is called {bare} on the wire", pointer="/2")
    elsewhere = [other for other in VERSIONS if name in ACTIONS[other]]
    if elsewhere:
        hint = f"; OCPP {' and '.join(elsewhere)} has it"
    else:
        near = nearest(name, ACTIONS[version])
        hint = f"; the nearest is {near}" if near else ""
    return Defect("action-unknown", f"OCPP {version} has no action {shown}{hint}", pointer="/2")


def _of_error(frame: CallError, version: Version) -> tuple[Defect, ...]:
    found: list[Defect] = []
    codes = ERROR_CODES[version]
    if frame.code not in codes and not any(defect.code in (*_UNNAMED, "arity") for defect in frame.defects):
        near = nearest(frame.code, codes)
        hint = f"; the nearest is {near}" if near else ""
        found.append(Defect("error-code-unknown", f"OCPP {version} has no error code {_brief(frame.code)}{hint}",
                            pointer="/2"))
    description = frame.description
    if version != "1.6" and isinstance(description, str) and len(description) > DESCRIPTION_MAX:
        found.append(Defect("error-description-too-long", f"the error description has {len(description)} characters; "
                            f"{DESCRIPTION_MAX} are allowed", pointer="/3"))
    return tuple(found)


def _brief(name: str) -> str:
    return f'"{name if len(name) <= 50 else name[:49] + "…"}"'
