"""Messages with a secret in every place that is known to hold one, spelled in every way that JSON allows."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

# Letters first, so that nothing in a URL takes it for a port; long enough not to turn up by chance.
SECRETS = st.from_regex(r"[A-Z][A-Za-z0-9]{4}[A-Za-z0-9!$%&'()*+,;=:@/~äß€😀\"\\<>-]{4,20}[a-z0-9]{4}", fullmatch=True)
PLAIN_SECRETS = st.from_regex(r"[A-Z][A-Za-z0-9]{12,30}", fullmatch=True)


class Name(str):
    """A string whose letters may come in any case."""

    __slots__ = ()


def _config(secret: str) -> Any:
    return {"key": Name("AuthorizationKey"), "readonly": False, "value": secret}


def _variable(secret: str) -> Any:
    return {"attributeType": "Actual", "attributeValue": secret, "component": {"name": "SecurityCtrlr"},
            "variable": {"name": Name("BasicAuthPassword")}}  # fmt: skip


def _report(secret: str) -> Any:
    return {"component": {"name": "SecurityCtrlr"}, "variable": {"name": Name("BasicAuthPassword")},
            "variableAttribute": [{"type": "Actual", "value": secret, "mutability": "WriteOnly"}]}  # fmt: skip


def _network(secret: str) -> Any:
    return {"ocppVersion": "OCPP20", "ocppCsmsUrl": "wss://csms", "basicAuthPassword": secret,
            "vpn": {"server": "s", "user": "u", "password": secret, "key": secret, "type": "IKEv2"},
            "apn": {"apn": "a", "apnUserName": "u", "apnPassword": secret, "simPin": secret}}  # fmt: skip


def _signed(secret: str) -> Any:
    payload = json.dumps({"setVariableData": [_variable(secret)]}).encode()
    return {"payload": base64.urlsafe_b64encode(payload).decode().rstrip("="), "protected": "e30", "signature": "x"}


PLACES: dict[str, Callable[[str], list[Any]]] = {
    "ChangeConfiguration": lambda s: [2, "1", "ChangeConfiguration", {"key": Name("AuthorizationKey"), "value": s}],
    "vendor key": lambda s: [2, "1", "ChangeConfiguration", {"key": "Wifi_Password", "value": s}],
    "key in lists": lambda s: [2, "1", "ChangeConfiguration", {
        "key": Name("AuthorizationKey"), "value": [[s], {"a": s}]}],
    "GetConfiguration": lambda s: [3, "1", {"configurationKey": [{"key": "A", "value": "1"}, _config(s)]}],
    "SetVariables": lambda s: [2, "1", "SetVariables", {"setVariableData": [_variable(s)]}],
    "GetVariables": lambda s: [3, "1", {"getVariableResult": [{"attributeStatus": "Accepted"} | _variable(s)]}],
    "NotifyReport": lambda s: [2, "1", "NotifyReport", {"requestId": 1, "reportData": [_report(s)]}],
    "NotifyEvent": lambda s: [2, "1", "NotifyEvent", {"eventData": [{
        "eventId": 1, "actualValue": s, "component": {"name": "C"}, "variable": {"name": Name("BasicAuthPassword")}}]}],
    "SetNetworkProfile": lambda s: [2, "1", "SetNetworkProfile", {"connectionData": _network(s)}],
    "any field": lambda s: [2, "1", "DataTransfer", {"vendorId": "v", "data": {"a": [{Name("passWord"): s}]}}],
    "response field": lambda s: [3, "1", {"status": "Accepted", "data": {Name("clientSecret"): {"x": [s]}}}],
    "named by message": lambda s: [2, "1", "DataTransfer", {"vendorId": "v", "messageId": "SetPassword", "data": s}],
    "named by action": lambda s: [2, "1", "SetPassword", {"anything": s}],
    "error details": lambda s: [4, "1", "InternalError", "", {"key": Name("AuthorizationKey"), "value": s}],
    "JSON in a string": lambda s: [2, "1", "DataTransfer", {"vendorId": "v", "data": json.dumps({"a": [_config(s)]})}],
    "twice in strings": lambda s: [2, "1", "DataTransfer", {"data": json.dumps({"x": json.dumps({"password": s})})}],
    "broken JSON in a string": lambda s: [2, "1", "DataTransfer", {"data": json.dumps({"password": s})[:-1]}],
    "signed": lambda s: [2, "1", "SetVariables-Signed", _signed(s)],
    "private key": lambda s: [2, "1", "DataTransfer", {
        "data": f"-----BEGIN RSA PRIVATE KEY-----\n{s}\n-----END RSA PRIVATE KEY-----"}],
    "private key cut off": lambda s: [2, "1", "DataTransfer", {"data": f"-----BEGIN PRIVATE KEY-----\r\n{s}"}],
}  # fmt: skip

# In these the secret is a part of a string, whose own rules it has to keep.
TEXT_PLACES: dict[str, Callable[[str], list[Any]]] = {
    "URL of 1.6": lambda s: [2, "1", "UpdateFirmware", {"location": f"ftp://user:{s}@host/fw", "retrieveDate": "x"}],
    "URL of 2.x": lambda s: [2, "1", "GetLog", {"log": {"remoteLocation": f"sftp://user:{s}@host:22/a?b=c"}}],
    "user of a URL": lambda s: [2, "1", "GetDiagnostics", {"location": f"https://{s}@host/"}],
    "query of a URL": lambda s: [2, "1", "UpdateFirmware", {"location": f"https://host/fw?x=1&Sig={s}&y=2"}],
    "settings": lambda s: [2, "1", "DataTransfer", {"data": f"apn=internet;password={s};x=1"}],
    "error description": lambda s: [4, "1", "InternalError", f"AuthorizationKey={s} refused", {}],
}  # fmt: skip


def spelled(value: Any, *, plain: bool = False) -> st.SearchStrategy[str]:
    """The value as JSON text: odd spaces, escapes, letter case, order of members, duplicate members."""
    return st.integers(0, 2**32).map(lambda seed: _spell(value, Random(seed), plain))


def _spell(value: Any, chance: Random, plain: bool) -> str:
    space = chance.choice(["", "", "", " ", "\n\t"])
    if isinstance(value, dict):
        members = list(value.items())
        if not plain:
            chance.shuffle(members)
            members += chance.sample(members, k=chance.choice([0, 0, 1]) if members else 0)
        texts = [f"{_spell(key, chance, plain)}{space}:{space}{_spell(item, chance, plain)}" for key, item in members]
        return f"{{{space}" + f"{space},".join(texts) + f"{space}}}"
    if isinstance(value, list):
        return f"[{space}" + f",{space}".join(_spell(item, chance, plain) for item in value) + f"{space}]"
    if isinstance(value, str):
        if isinstance(value, Name):
            value = chance.choice([str(value), value.lower(), value.upper(), value.swapcase()])
        return json.dumps(value, ensure_ascii=chance.choice([True, False])) if plain else _escaped(value, chance)
    return json.dumps(value)


def _escaped(text: str, chance: Random) -> str:
    often = chance.choice([0, 0, 0.1, 1])
    out = []
    for character in text:
        if character in '"\\' or character < " " or chance.random() < often:
            units = character.encode("utf-16-be")
            out += [f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2)]
        elif character == "/" and chance.choice([True, False]):
            out.append("\\/")
        else:
            out.append(character)
    return '"' + "".join(out) + '"'


def leaks(secret: str, data: bytes) -> bool:
    """Whether a piece of the secret can be found in the data, in clear or decoded."""
    texts = [data.decode(errors="replace")]
    try:
        texts += _strings(json.loads(data))
    except (ValueError, RecursionError):
        texts.append(_unescaped(texts[0]))
    for text in list(texts):
        if len(text) > 8 and set(text) <= _BASE64:
            texts.append(_unescaped(base64.urlsafe_b64decode(text[: len(text) // 4 * 4]).decode(errors="replace")))
    pieces = {secret[at : at + 6] for at in range(len(secret) - 5)}
    return any(piece in text for piece in pieces for text in texts)


def _unescaped(text: str) -> str:
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda escaped: chr(int(escaped[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs become one character


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            return [value, *_strings(json.loads(value))]
        except ValueError:
            return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []
