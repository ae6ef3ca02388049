"""What a certificate says of itself: names, issuer, validity.

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

_SEQUENCE, _OID, _UTC_TIME = 0x30, 0x06, 0x17
_VERSION, _EXTENSIONS = 0xA0, 0xA3  # [0] and [3] of TBSCertificate
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87  # [2] and [7] of GeneralName
_BMP_STRING = 0x1E
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")
_COMMON_NAME = bytes.fromhex("550403")
_ATTRIBUTES = {
    _COMMON_NAME: "CN",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("0992268993f22c640119"): "DC",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """`subject` and `issuer` as "CN=…, O=…" in the order they stand there; `names` the DNS names and IP addresses
    of the subjectAltName; `not_before` and `not_after` in RFC 3339."""

    subject: str
    issuer: str
    common_name: str | None
    names: tuple[str, ...]
    not_before: str
    not_after: str

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
    [(tag, certificate)] = _items(der)
    (body_tag, body), *_ = _items(certificate)
    if (tag, body_tag) != (_SEQUENCE, _SEQUENCE):
        raise ValueError("no certificate")
    fields = list(_items(body))
    if fields[0][0] == _VERSION:
        del fields[0]
    (_, _serial), (_, _algorithm), (_, issuer), (_, validity), (_, subject), (_, _key), *rest = fields
    not_before, not_after = (_moment(*item) for item in _items(validity))
    extensions = next((content for tag, content in rest if tag == _EXTENSIONS), b"")
    subject_parts = list(_name_parts(subject))
    return Certificate(
        subject=_joined(subject_parts),
        issuer=_joined(list(_name_parts(issuer))),
        common_name=next((value for kind, value in subject_parts if kind == "CN"), None),
        names=tuple(_alternative_names(extensions)) if extensions else (),
        not_before=not_before,
        not_after=not_after,
    )


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element that stands in `data`, one after the other."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            width = size & 0x7F
            size = int.from_bytes(data[at : at + width], "big")
            at += width
        if at + size > len(data):
            raise ValueError("element longer than what holds it")
        yield tag, data[at : at + size]
        at += size


def _name_parts(name: bytes) -> Iterator[tuple[str, str]]:
    for _, attributes in _items(name):
        for _, attribute in _items(attributes):
            (_, kind), (tag, value) = _items(attribute)
            text = value.decode("utf-16-be" if tag == _BMP_STRING else "utf-8", "replace")
            yield _ATTRIBUTES.get(kind, "?"), text


def _joined(parts: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind}={value}" for kind, value in parts if kind != "?")


def _moment(tag: int, value: bytes) -> str:
    text = value.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 the Z is matched


def _alternative_names(extensions: bytes) -> Iterator[str]:
    [(_, listed)] = _items(extensions)
    for _, extension in _items(listed):
        (tag, kind), *_, (_, value) = _items(extension)
        if (tag, kind) != (_OID, _SUBJECT_ALT_NAME):
            continue
        [(_, names)] = _items(value)
        for name_tag, name in _items(names):
            if name_tag == _DNS_NAME:
                yield name.decode("ascii", "replace")
            elif name_tag == _IP_ADDRESS and len(name) in (4, 16):
                yield str(ipaddress.ip_address(name))
