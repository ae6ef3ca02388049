"""What a certificate says of itself: names, issuer, validity, key.

Decides how the few facts an engineer asks for are read out of the DER form. Refuses to judge them: trust is
OpenSSL's business. The standard library decodes only certificates it has verified, and here those it refused matter
most. Peer input: any bytes give a `Certificate` or None, never an exception.

Source: RFC 5280 sections 4.1 and 4.2.1.6; ITU-T X.690 section 8.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ocpp_proxy.core.der import SEQUENCE, elements, key_size, name_parts, part

_OID, _UTC_TIME = 0x06, 0x17
_VERSION, _EXTENSIONS = 0xA0, 0xA3  # [0] and [3] of TBSCertificate
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87  # [2] and [7] of GeneralName
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")


@dataclass(frozen=True, slots=True)
class Certificate:
    """`subject` and `issuer` as "CN=…, O=…" in the order they stand there; `names` the DNS names and IP addresses
    of the subjectAltName; `not_before` and `not_after` in RFC 3339; `serial` in upper-case hexadecimal without leading
    zeros ("0" for none to speak of); `key` the kind of the public key and its bits, None where it is not known here."""

    subject: str
    issuer: str
    common_name: str | None
    names: tuple[str, ...]
    not_before: str
    not_after: str
    serial: str = "0"
    key: tuple[str, int] | None = None

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names it can be reached by: subjectAltName, or else the common name."""
        return self.names or ((self.common_name,) if self.common_name else ())


def read_certificate(der: bytes) -> Certificate | None:
    """The facts of one certificate, None where the bytes are not one."""
    try:
        return _read(der)
    except (ValueError, IndexError, UnicodeError, OverflowError):
        return None


def _read(der: bytes) -> Certificate:
    [(tag, certificate)] = elements(der)
    (body_tag, body), *_ = elements(certificate)
    if (tag, body_tag) != (SEQUENCE, SEQUENCE):
        raise ValueError("no certificate")
    fields = list(elements(body))
    if fields[0][0] == _VERSION:
        del fields[0]
    (_, serial), (_, _algorithm), (_, issuer), (_, validity), (_, subject), (_, key), *rest = fields
    not_before, not_after = (_moment(*item) for item in elements(validity))
    extensions = next((content for tag, content in rest if tag == _EXTENSIONS), b"")
    subject_parts = name_parts(subject)
    return Certificate(
        subject=_joined(subject_parts),
        issuer=_joined(name_parts(issuer)),
        common_name=part(subject_parts, "CN"),
        names=tuple(_alternative_names(extensions)) if extensions else (),
        not_before=not_before,
        not_after=not_after,
        serial=f"{int.from_bytes(serial, 'big'):X}",
        key=key_size(key),
    )


def _joined(parts: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind}={value}" for kind, value in parts if kind != "?")


def _moment(tag: int, value: bytes) -> str:
    text = value.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 the Z is matched


def _alternative_names(extensions: bytes) -> Iterator[str]:
    [(_, listed)] = elements(extensions)
    for _, extension in elements(listed):
        (tag, kind), *_, (_, value) = elements(extension)
        if (tag, kind) != (_OID, _SUBJECT_ALT_NAME):
            continue
        [(_, names)] = elements(value)
        for name_tag, name in elements(names):
            if name_tag == _DNS_NAME:
                yield name.decode("ascii", "replace")
            elif name_tag == _IP_ADDRESS and len(name) in (4, 16):
                yield str(ipaddress.ip_address(name))
