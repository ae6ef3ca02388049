"""What is irregular about a frame once the version and the sender are known.

Decides whether type, action, direction and error code are the version's. Refuses to look into payloads (`schema`) and
at other frames (`exchange`).

Source: OCPP-J 1.6 sections 4.1.3, 4.2.1 and table 7; OCPP 2.0.1 and 2.1 Part 4 sections 4.1.3, 4.1.6, 4.2.3, 4.2.4 and
4.3; the messages of each version as in `vocabulary`.
"""

from __future__ import annotations

from ocpp_proxy.core.frame import Call, CallError, CallResultError, Defect, Frame, Send, Side, Version
from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.vocabulary import ACTIONS, ERROR_CODES, Action, find_action

DESCRIPTION_LENGTH_MAX = 255
_FOREIGN_ENDINGS = ("request", "response", ".req", ".conf")


def irregularities(frame: Frame, version: Version, sender: Side) -> tuple[Defect, ...]:
    """The defects that only show with the version; `sender` is the side in whose name the frame was sent."""
    if isinstance(frame, (Call, Send)):
        action = ACTIONS[version].get(frame.action)
        if action is not None and type(frame) is Call and action.kind == "call" and sender in action.callers:
            return ()
        return tuple(_of_request(frame, version, sender))
    if isinstance(frame, CallError):
        return tuple(_of_error(frame, version))
    return ()


def _of_request(frame: Call | Send, version: Version, sender: Side) -> list[Defect]:
    found: list[Defect] = []
    if isinstance(frame, Send) and version != "2.1":
        found.append(Defect("type-not-in-version", f"message type 6 (SEND) is not in OCPP {version}", pointer="/0"))
    action = find_action(version, frame.action)
    if action is None:
        if frame.action or not frame.defects:  # an action that was not readable has its defect already
            found.append(_unknown(frame.action, version))
        return found
    if version == "2.1" and (action.kind == "send") != isinstance(frame, Send):
        right = "6 (SEND)" if action.kind == "send" else "2 (CALL)"
        found.append(Defect("type-direction", f"{action.name} is sent with message type {right}", pointer="/0"))
    if sender not in action.callers:
        found.append(_wrong_way(action, sender))
    return found


def _wrong_way(action: Action, sender: Side) -> Defect:
    right = " or ".join(sorted(action.callers))
    return Defect("action-direction", f"{action.name} is sent by the {right}, not by the {sender}", pointer="/2")


def _unknown(name: str, version: Version) -> Defect:
    actions = ACTIONS[version]
    folded = name.casefold()
    for ending in _FOREIGN_ENDINGS:
        folded = folded.removesuffix(ending)
    meant = next((action for action in actions if action.casefold() == folded), None)
    if meant is not None:
        return Defect("action-case", f'the action is "{name}"; it is spelled "{meant}"', pointer="/2")
    elsewhere = [other for other in ACTIONS if name in ACTIONS[other]]
    if elsewhere:
        hint = f"; it is an action of OCPP {' and '.join(elsewhere)}"
    else:
        guess = nearest(name, actions)
        hint = f" (did you mean {guess}?)" if guess else ""
    return Defect("action-unknown", f'OCPP {version} has no action "{name[:60]}"{hint}', pointer="/2")


def _of_error(frame: CallError, version: Version) -> list[Defect]:
    found: list[Defect] = []
    if isinstance(frame, CallResultError) and version != "2.1":
        message = f"message type 5 (CALLRESULTERROR) is not in OCPP {version}"
        found.append(Defect("type-not-in-version", message, pointer="/0"))
    codes = ERROR_CODES[version]
    if frame.code not in codes and (frame.code or not frame.defects):
        guess = nearest(frame.code, sorted(codes))
        hint = f" (did you mean {guess}?)" if guess else ""
        message = f'OCPP {version} has no error code "{frame.code[:60]}"{hint}'
        found.append(Defect("error-code-unknown", message, pointer="/2"))
    if version != "1.6" and isinstance(frame.description, str) and len(frame.description) > DESCRIPTION_LENGTH_MAX:
        message = f"the error description has {len(frame.description)} characters, {DESCRIPTION_LENGTH_MAX} are allowed"
        found.append(Defect("error-description-too-long", message, pointer="/3"))
    return found
