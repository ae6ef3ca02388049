"""What counts as a date and time, and as a URI, in each version.

Decides the `format` keywords of the schemas, which the schemas themselves leave to their reader. Refuses to know which
fields carry them.

Source: OCPP 1.6 edition 2 section 3.15 (ISO 8601); OCPP 2.0.1 and 2.1 Part 2 primitive datatypes (RFC 3339); RFC 3986.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from functools import lru_cache

from ocpp_proxy.core.frame import Version

USUAL_LENGTH = 40  # characters of a date and time; longer ones are not kept
# 1.6: seconds, fraction and zone may be missing, the zone may lack its colon or its minutes, a comma may be the decimal
# sign, and a day may end at 24:00. ISO 8601's basic form has no separators.
_ISO_8601 = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:[.,][0-9]+)?)?|24:00(?::00(?:[.,]0+)?)?)"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?"
)
_ISO_8601_BASIC = re.compile(
    r"([0-9]{4})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:(?:[0-5][0-9]|60)(?:[.,][0-9]+)?)?|2400(?:00(?:[.,]0+)?)?)"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?:[0-5][0-9])?)?"
)
# 2.x: the part of it that RFC 3339 is, section 5.6.
RFC_3339 = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_RFC_3339 = re.compile(RFC_3339)
# A scheme of one letter is a drive letter ("C:").
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


def is_iso_8601(text: str) -> bool:
    """A date and time as 1.6 wants it: all that RFC 3339 allows, and more."""
    return _is_iso_8601(text) if len(text) <= USUAL_LENGTH else _is_iso_8601.__wrapped__(text)


@lru_cache(maxsize=256)  # rules ask for the times of a frame that the schema was asked about
def _is_iso_8601(text: str) -> bool:
    return _on_calendar(_ISO_8601.fullmatch(text) or _ISO_8601_BASIC.fullmatch(text))


def is_rfc_3339(text: str) -> bool:
    return _RFC_3339.fullmatch(text) is not None and is_iso_8601(text)


def is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def _on_calendar(match: re.Match[str] | None) -> bool:
    if match is None:
        return False
    day = match[3]
    if day < "29":
        return True
    year = int(match[1]) or 400  # the calendar module begins with year 1
    return int(day) <= monthrange(year, int(match[2]))[1]


FORMATS: Mapping[Version, Mapping[str, Callable[[str], bool]]] = {
    "1.6": {"date-time": is_iso_8601, "uri": is_uri},
    "2.0.1": {"date-time": is_rfc_3339, "uri": is_uri},
    "2.1": {"date-time": is_rfc_3339, "uri": is_uri},
}
# What to tell whoever broke the format.
_URI_NAME = "a URI with its scheme"
_MOMENT = "date and time such as 2026-11-21T09:00:00Z"
FORMAT_NAMES: Mapping[Version, Mapping[str, str]] = {
    "1.6": {"date-time": f"an ISO 8601 {_MOMENT}", "uri": _URI_NAME},
    "2.0.1": {"date-time": f"an RFC 3339 {_MOMENT}", "uri": _URI_NAME},
    "2.1": {"date-time": f"an RFC 3339 {_MOMENT}", "uri": _URI_NAME},
}
