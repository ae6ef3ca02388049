"""Which Calls may do harm when they are sent without thinking, and why.

Decides what needs a confirmation before this program sends it, or keeps the real one from getting through. Refuses to
know who confirms it, and how.

Source: OCPP 1.6 edition 2 chapters 5 and 9, security extension edition 3; OCPP 2.0.1 and 2.1 Part 2, blocks A, B, E, F,
G and L, and the controllers OCPPCommCtrlr and SecurityCtrlr.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_OFF_THE_AIR = "the station may not come back: whoever set it up has to go there"
_SESSIONS = "charging sessions that are going on end"
_BILLING = "it makes the books of CSMS and station differ: somebody pays for it, or nobody"
_BACKEND_KEY = re.compile(r"url|endpoint|host|server|backend|central.?system|csms|apn", re.IGNORECASE)
_ACCESS_KEYS = frozenset({"authorizationkey", "securityprofile", "basicauthpassword"})

# The Calls that open, continue and close what is billed.
OF_BILLING = frozenset({"StartTransaction", "StopTransaction", "TransactionEvent"})


def why_dangerous(action: str, payload: Any) -> str | None:
    """What may happen, in a few words; None for a Call that does no harm."""
    say = _DANGERS.get(action)
    return say(payload if isinstance(payload, Mapping) else {}) if say is not None else None


def _always(words: str) -> Callable[[Mapping[str, Any]], str | None]:
    return lambda _: words


def _reset(payload: Mapping[str, Any]) -> str | None:
    return _SESSIONS if payload.get("type") in ("Hard", "Immediate", "ImmediateAndResume") else None


def _setting(payload: Mapping[str, Any]) -> str | None:
    return _OFF_THE_AIR if _cuts_off(payload.get("key")) else None


def _settings(payload: Mapping[str, Any]) -> str | None:
    return _OFF_THE_AIR if any(map(_cuts_off, _variables(payload))) else None


def _variables(payload: Mapping[str, Any]) -> Iterator[Any]:
    listed = payload.get("setVariableData")
    for item in listed if isinstance(listed, list) else ():
        variable = item.get("variable") if isinstance(item, Mapping) else None
        name = variable.get("name") if isinstance(variable, Mapping) else None
        yield "url" if name == "NetworkConfigurationPriority" else name


def _cuts_off(key: Any) -> bool:
    return isinstance(key, str) and (key.lower() in _ACCESS_KEYS or _BACKEND_KEY.search(key) is not None)


_DANGERS: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "Reset": _reset,
    "ChangeConfiguration": _setting,
    "SetVariables": _settings,
    "SetNetworkProfile": _always(_OFF_THE_AIR),
    "UnlockConnector": _always("a cable that is charging may be released, and taken away"),
    "UpdateFirmware": _always(f"the firmware is replaced; {_OFF_THE_AIR}"),
    "SignedUpdateFirmware": _always(f"the firmware is replaced; {_OFF_THE_AIR}"),
    "PublishFirmware": _always("stations behind this one replace their firmware"),
    "ClearCache": _always("cards that are known only to the station are refused from then on while it is offline"),
    "DeleteCertificate": _always(_OFF_THE_AIR),
    "StartTransaction": _always(_BILLING),
    "StopTransaction": _always(_BILLING),
    "TransactionEvent": _always(_BILLING),
}
