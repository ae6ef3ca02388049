"""Where the CSMS is and what a station's target becomes there; who the station is.

Decides how the raw request target and the upstream's base are joined and which part of a request names the station.
Refuses to decode or to repair either: what the station sent is what the CSMS gets.

Source: RFC 9112 section 3.2 (forms of the target), RFC 6455 section 3 (ws and wss); OCPP-J 1.6 section 3.1.1;
OCPP 2.0.1 Part 4 section 3.1.1 and, for a controller in between, 6.2 (same path upstream).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ocpp_proxy.core.credentials import mask_target
from ocpp_proxy.core.errors import BadInput

PLACEHOLDER = "{station}"
_DEFAULT_PORT = {"ws": 80, "wss": 443}
_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]")
_USER_INFORMATION = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://)?[^/?#]*@")


@dataclass(frozen=True, slots=True)
class Upstream:
    """The base URL of the CSMS. `path` is as given, "" included; `query` is None where the base has no "?"."""

    url: str
    secure: bool
    host: str
    port: int
    path: str
    query: str | None

    @classmethod
    def parse(
        cls, url: str, option: str = "--upstream", instead: str = "the station's own Authorization is passed on"
    ) -> Upstream:
        """Raises BadInput for anything but a ws:// or wss:// base without user information. `option`: what the user
        gave it with; `instead`: what becomes of user and password."""
        private = f"{option}: no user or password in the URL: {instead}"
        if _USER_INFORMATION.match(url):  # first, since every other message shows the URL
            raise BadInput(private)
        shown = mask_target(url)
        if _NOT_IN_A_URL.search(url):
            raise BadInput(f"{option} {shown!r}: a URL holds no spaces and only ASCII; percent-encode the rest")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:  # also for a password with a slash in it
            raise BadInput(private if "@" in url else f"{option} {shown}: {error}") from None
        if parts.scheme not in _DEFAULT_PORT:
            raise BadInput(f"{option} {shown}: expected ws:// or wss://, as in ws://csms.example.com/ocpp")
        if not host or port == 0 or PLACEHOLDER in parts.netloc:
            raise BadInput(f"{option} {shown}: expected a host, as in ws://csms.example.com/ocpp")
        if "#" in url:
            raise BadInput(f"{option} {shown}: a WebSocket URL has no fragment (#…)")
        return cls(
            url=url,
            secure=parts.scheme == "wss",
            host=host,
            port=port or _DEFAULT_PORT[parts.scheme],
            path=parts.path,
            query=parts.query if "?" in url else None,
        )

    @property
    def authority(self) -> str:
        """The Host header's value: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT["wss" if self.secure else "ws"] else f"{host}:{self.port}"

    def target(self, received: str, station: str) -> str:
        """The target to ask the CSMS for, given the station's own in any form and its identity."""
        base = self.path if self.query is None else f"{self.path}?{self.query}"
        if PLACEHOLDER in base:
            filled = base.replace(PLACEHOLDER, as_segment(station))
            return filled if filled.startswith("/") else f"/{filled}"
        path, mark, query = origin_form(received).partition("?")
        seam = "" if path.startswith("/") else "/"
        joined = self.path.rstrip("/") + seam + path
        if self.query is None:
            return joined + mark + query
        return f"{joined}?{self.query}" + (f"&{query}" if query else "")


def origin_form(target: str) -> str:
    """Path and query of a target; an absolute one (http://host/path) is reduced to them."""
    absolute = _ABSOLUTE_FORM.match(target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest.startswith("/") else f"/{rest}"


def identity(target: str, authorization: str | None, address: str) -> str:
    """Who a station is: the last non-empty path segment as sent, else the Basic user, else its address."""
    segments = origin_form(target).partition("?")[0].split("/")
    named = next((segment for segment in reversed(segments) if segment), None)
    return named or basic_user(authorization) or address


def basic_user(authorization: str | None) -> str | None:
    """The user of a Basic Authorization value, None where there is none or it cannot be read."""
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, _ = decoded.partition(b":")
    return user.decode("utf-8", "backslashreplace") or None if colon else None


def as_segment(station: str) -> str:
    """The identity as it stands in a path. One from a path is percent-encoded as the station did it, one from a user
    name not at all."""
    return quote(station, safe="%!$&'()*+,;=:@-._~")
