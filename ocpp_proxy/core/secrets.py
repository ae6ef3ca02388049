"""What is a secret, and where in a text it stands.

Decides which names announce a secret and which parts of a URL, a key file or a line of settings are one. Refuses to
know frames and headers (`redact`, `credentials`). Better too much than too little: what is taken for a secret is
replaced by asterisks of the same number, so that lengths can still be judged.

Source: OCPP-J 1.6 section 6.2.2; Improved security for OCPP 1.6-J edition 3, A01.FR.09 and A01.FR.12; OCPP 2.0.1 Part 2
A01.FR.09 (passwords are not disclosed in logs); RFC 3986 section 3.2.1; RFC 7468.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from urllib.parse import unquote

Form: TypeAlias = Literal["text", "hex", "bytes"]

_SEPARATORS = re.compile(r"[^a-z0-9]+")
_SECRET_WORDS = (
    "authorizationkey", "authkey", "passw", "passphrase", "passcode", "pwd", "secret", "privatekey", "apikey",
    "accesskey", "sharedkey", "psk", "vpnkey", "wpakey", "wifikey", "simpin", "pincode", "credential",
)  # fmt: skip
_TOKEN = re.compile(r"(?<!id)token(?!type|id)")
_NAME_LENGTH_MAX = 200

# Also secret as the name of a query parameter, where it is too common a word elsewhere.
_SECRET_PARAMETER = frozenset((
    "auth", "authorization", "code", "jwt", "key", "pass", "pin", "pw", "sas", "session", "sessionid", "sid", "sig",
    "signature", "xamzsignature", "xgoogsignature",
))  # fmt: skip

# Every pattern is linear in the text, which peers choose: bounded repeats, and no class that holds its own delimiter.
_PORT = re.compile(r"[^:/?#]*:[0-9]{0,5}(?:[/?#]|\Z)")
_PARAMETER = re.compile(r"[?&;](?P<name>[^=?&;#\s\"'<>]{1,80})=(?P<value>[^&;#\s\"'<>]*)")
_PRIVATE_KEY = re.compile(r"PRIVATE KEY-----(?P<body>.*?)(?:-----END|\Z)", re.DOTALL)
_ASSIGNMENT = re.compile(
    r"(?<![A-Za-z0-9_.-])(?P<name>[A-Za-z][A-Za-z0-9_.-]{0,80})[\\\"']{0,4}\s{0,8}[:=]\s{0,8}[\\\"']{0,4}"
    r"(?P<value>[^\s\"',;&}\\]+)"
)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")


def is_secret_name(name: str) -> bool:
    """Whether a field, variable, configuration key or header of this name holds a secret; case and separators are
    ignored."""
    return len(name) <= _NAME_LENGTH_MAX and names_secret(name)


def names_secret(text: str) -> bool:
    """Whether the name of a secret occurs anywhere in the text, private keys included."""
    plain = text.lower()
    if not (plain.isascii() and plain.isalnum()):
        plain = _SEPARATORS.sub("", plain)
    return any(word in plain for word in _SECRET_WORDS) or ("token" in plain and _TOKEN.search(plain) is not None)


def is_secret_parameter(name: str) -> bool:
    """The same for the name of a query parameter, percent-encoded as it is."""
    plain = _SEPARATORS.sub("", unquote(name).lower())
    return plain in _SECRET_PARAMETER or plain.endswith("token") or is_secret_name(plain)


def form_of(secret: str) -> Form:
    """What a secret looked like: "hex" for 16 digits and more, "bytes" where it is not printable, else "text"."""
    if _HEX.fullmatch(secret):
        return "hex"
    return "text" if secret.isprintable() else "bytes"


def secret_spans(text: str) -> list[tuple[int, int]]:
    """Where secrets stand in a text that is not a secret as a whole: (start, end), in order, none overlapping.

    Passwords in URLs and their query, private keys, and values in settings ("password=…").
    """
    spans = _url_spans(text) if "://" in text else []
    spans += [match.span("body") for match in _PRIVATE_KEY.finditer(text)]
    if names_secret(text):
        spans += [match.span("value") for match in _ASSIGNMENT.finditer(text) if is_secret_name(match["name"])]
    return _merged(spans)


def parameter_spans(text: str) -> list[tuple[int, int]]:
    """The values of secret query parameters."""
    return [match.span("value") for match in _PARAMETER.finditer(text) if is_secret_parameter(match["name"])]


def starred(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with an asterisk for each character of the spans."""
    for start, end in spans:
        text = text[:start] + "*" * (end - start) + text[end:]
    return text


def _url_spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    at = text.index("://") + 3
    while at >= 3:
        following = text.find("://", at)
        rest = text[at : following if following >= 0 else len(text)]
        spans += [(at + start, at + end) for start, end in (*_userinfo(rest), *parameter_spans(rest))]
        at = following + 3
    return spans


def _userinfo(rest: str) -> list[tuple[int, int]]:
    """In a URL from behind its "//": the password, or all of the user information where no colon is in it.

    A password may hold a raw "/" or "@", against the rules: it goes up to the last "@", unless nothing in front of the
    first "/" looks like user information and what stands behind the colon can be a port.
    """
    at = rest.rfind("@")
    authority = re.split("[/?#\\s]", rest, maxsplit=1)[0]
    if at < 0 or ("@" not in authority and (":" not in authority or "[" in authority or _PORT.match(rest))):
        return []
    colon = rest.find(":", 0, at)
    return [(colon + 1 if colon >= 0 else 0, at)]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
