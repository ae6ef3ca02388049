"""What a handshake's record tells of credentials and TLS.

Decides how headers, target and TLS facts are read, which may be anything in a capture of somebody else's. Refuses to
judge them.

Source: RFC 7617 (Basic); docs/captures.md and docs/tls.md (what is recorded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ocpp_proxy.core.credentials import mask_headers
from ocpp_proxy.core.frame import Side
from ocpp_proxy.core.payload import integer, items, member, text
from ocpp_proxy.core.record import Opened
from ocpp_proxy.rules.now import Now

SURE_SOURCES = frozenset({"GetConfiguration", "GetVariables", "NotifyReport"})
_PROFILES = {"0": 0, "1": 1, "2": 2, "3": 3}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization header. `scheme` in lower case; `user` None where it cannot be read; `length`: bytes of the
    password, `form`: what they look like."""

    scheme: str
    user: str | None
    length: int
    form: str

    @property
    def basic(self) -> bool:
        return self.scheme == "basic"


def upgrade(now: Now) -> Opened | None:
    """The record of a handshake that wanted a WebSocket and whose headers are known."""
    record = now.record
    if not isinstance(record, Opened) or not record.station_headers:
        return None
    wanted = record.status == 101 or record.refused_by == "csms" or header(record, "upgrade") is not None
    return record if wanted else None


def accepted(now: Now) -> Opened | None:
    """The same where the CSMS let the station in."""
    record = upgrade(now)
    return record if record is not None and record.status == 101 and record.refused_by is None else None


def header(record: Opened, name: str) -> str | Mapping[str, Any] | None:
    """The first of that name."""
    return next((value for one, value in record.station_headers if one.strip().lower() == name), None)


def credentials(record: Opened) -> Credentials | None:
    """None where the station sent no Authorization header."""
    value = header(record, "authorization")
    if isinstance(value, str):  # kept as it was, with --keep-secrets
        value = mask_headers([("Authorization", value)])[0][1]
    if not isinstance(value, Mapping):
        return None
    fields = dict(value)
    return Credentials((text(fields, "scheme") or "").lower(), text(fields, "user"), integer(fields, "masked") or 0,
                       text(fields, "form") or "text")


def basic(record: Opened) -> Credentials | None:
    """The credentials, if they are Basic ones that can be read."""
    found = credentials(record)
    return found if found is not None and found.basic and found.user is not None else None


def identity(record: Opened) -> str | None:
    """The last segment of the request's path as it was sent, None where there is none."""
    path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", record.target or "")
    segments = [one for one in re.split("[?#]", path, maxsplit=1)[0].split("/") if one]
    return segments[-1] if segments else None


def decoded(segment: str) -> str:
    return unquote(segment, errors="replace")


def tls(record: Opened, side: Side) -> dict[str, Any] | None:
    """What is known of TLS on that leg, None where there was none or nothing is known."""
    found = record.tls.get(side)
    return dict(found) if isinstance(found, Mapping) else None


def plain(record: Opened, side: Side) -> bool:
    """Whether that leg is known to have been without TLS."""
    return side in record.tls and record.tls[side] is None


def certificate(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the other side of that leg showed, None where it showed none."""
    found = member(dict(facts), "certificate") if facts is not None else None
    return found if isinstance(found, dict) else None


def attribute(shown: Mapping[str, Any], kind: str) -> str | None:
    """CN or O of a certificate's subject, which is recorded as "CN=…, O=…"."""
    subject = text(dict(shown), "subject") or ""
    found = re.search(rf"(?:^|, ){kind}=(.*?)(?=, [A-Za-z]+=|\Z)", subject, re.DOTALL)
    return found[1] if found is not None else None


def offered(facts: Mapping[str, Any] | None, what: str) -> list[Any]:
    """versions, suites or compressions of the station's ClientHello, empty where it is not on record."""
    found = items(dict(facts), "offered", what) if facts is not None else []
    return [one for one in found if isinstance(one, (str, int))]


def security_profile(now: Now) -> tuple[int, bool] | None:
    """The security profile that the station is set to, None where it was not seen; and whether the station itself said
    so, rather than accepted a change, after which it may have fallen back."""
    name = "SecurityProfile" if now.version == "1.6" else "SecurityCtrlr.SecurityProfile"
    setting = now.session.settings.find(name)
    value = _PROFILES.get((setting.value or "").strip()) if setting is not None else None
    if setting is None or value is None:
        return None
    return value, setting.by in SURE_SOURCES


def binding(now: Now, record: Opened) -> bool:
    """Whether the demands on TLS surely hold: OCPP 2.x, or a 1.6 station with a security profile over TLS. Without one
    nobody knows whether a 1.6 pair means to keep to the security extension."""
    if now.version != "1.6":
        return True
    profile = security_profile(now)
    return credentials(record) is not None or (profile is not None and profile[0] >= 2)
