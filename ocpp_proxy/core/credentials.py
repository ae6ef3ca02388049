"""Masks what a handshake gives away: credentials in headers and in the request's target.

Decides which headers and query parameters are secret, and what of them may be told: scheme, user name, and how long and
of what form the password was, which an engineer needs to find a wrong one. Refuses to know who keeps the headers.

Source: RFC 7617 (Basic); Improved security for OCPP 1.6-J edition 3, A00.FR.205 and section 7.2 (16 to 20 bytes, or 40
digits that stand for them); OCPP 2.0.1 Part 2 A00.FR.205; RFC 6265 (cookies).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ocpp_proxy.core.record import Header
from ocpp_proxy.core.secrets import form_of, is_secret_name, parameter_spans, secret_spans, starred

_AUTHORIZATION = frozenset({"authorization", "proxy-authorization"})
_COOKIES = frozenset({"cookie", "cookie2", "set-cookie", "set-cookie2"})
_SCHEMES = frozenset((
    "apikey", "basic", "bearer", "digest", "hoba", "mutual", "negotiate", "ntlm", "oauth", "scram-sha-1",
    "scram-sha-256", "token", "vapid",
))  # fmt: skip


def mask_headers(pairs: Iterable[tuple[str, str]]) -> tuple[Header, ...]:
    """The headers in their order, number and spelling; the value of a secret one is an object that tells its `masked`
    length and `form`, for Authorization its `scheme` and `user` as well (None where they cannot be read)."""
    return tuple((name, _mask_header(name, value)) for name, value in pairs)


def mask_target(target: str) -> str:
    """The request's target with an asterisk for each character of a secret query value or a URL's password."""
    return starred(target, sorted(parameter_spans(target) + secret_spans(target))) if _may_hold(target) else target


def _may_hold(text: str) -> bool:
    return "=" in text or "://" in text


def _mask_header(name: str, value: str) -> str | Mapping[str, Any]:
    folded = name.strip().lower()
    if folded in _AUTHORIZATION:
        return _mask_authorization(value)
    if folded in _COOKIES or is_secret_name(folded) or folded.removeprefix("x-").startswith(("auth-", "session")):
        return {"masked": len(value), "form": form_of(value)}
    return mask_target(value)


def _mask_authorization(value: str) -> Mapping[str, Any]:
    scheme, _, rest = value.strip().partition(" ")
    rest = rest.strip()
    if not rest or scheme.lower() not in _SCHEMES:  # a bare token would otherwise pass as the scheme
        return {"scheme": None, "user": None, "masked": len(value), "form": form_of(value)}
    if scheme.lower() == "basic" and (pair := _decode(rest)) is not None and b":" in pair:
        user, _, password = pair.partition(b":")
        try:
            form = form_of(password.decode())
        except UnicodeDecodeError:
            form = "bytes"
        return {"scheme": scheme, "user": user.decode(errors="backslashreplace"), "masked": len(password), "form": form}
    return {"scheme": scheme, "user": None, "masked": len(rest), "form": form_of(rest)}


def _decode(text: str) -> bytes | None:
    """Base64 as stations write it: padding may be missing, the URL alphabet may be used."""
    text = re.sub(r"\s", "", text).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
