"""Reads the few things that are asked of DER: elements, names, public keys.

Decides how certificates and requests for them are taken apart. Refuses to judge what it finds, and to check anything
cryptographic. What is no DER raises ValueError or IndexError: callers catch both.

Source: ITU-T X.690 section 8; RFC 5280 sections 4.1.2.4 and 4.1.2.7; RFC 3279 section 2.3; RFC 5480; RFC 8410.
"""

from __future__ import annotations

from collections.abc import Iterator

SEQUENCE, INTEGER = 0x30, 0x02
_BMP_STRING = 0x1E
_ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("0992268993f22c640119"): "DC",
}
_KINDS = {
    bytes.fromhex("2a864886f70d010101"): "RSA",
    bytes.fromhex("2a864886f70d01010a"): "RSA",  # RSASSA-PSS
    bytes.fromhex("2a8648ce380401"): "DSA",
    bytes.fromhex("2a8648ce3d0201"): "EC",
    bytes.fromhex("2b6570"): "Ed25519",
    bytes.fromhex("2b6571"): "Ed448",
}
_EDWARDS_BITS = {"Ed25519": 256, "Ed448": 456}
_P521_OCTETS = 66  # the one curve whose size is no multiple of eight


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
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


def name_parts(name: bytes) -> list[tuple[str, str]]:
    """The attributes of a distinguished name in their order, "?" for those that nobody asks for."""
    parts = []
    for _, attributes in elements(name):
        for _, attribute in elements(attributes):
            (_, kind), (tag, value) = elements(attribute)
            text = value.decode("utf-16-be" if tag == _BMP_STRING else "utf-8", "replace")
            parts.append((_ATTRIBUTES.get(kind, "?"), text))
    return parts


def part(parts: list[tuple[str, str]], kind: str) -> str | None:
    """The first attribute of that kind."""
    return next((value for one, value in parts if one == kind), None)


def key_size(info: bytes) -> tuple[str, int] | None:
    """Kind and bits of a SubjectPublicKeyInfo, None for kinds that are not known here."""
    (_, algorithm), (_, bits) = elements(info)
    (_, oid), *parameters = elements(algorithm)
    kind, key = _KINDS.get(oid, ""), bits[1:]
    if kind == "RSA":
        [(_, sequence)] = elements(key)
        return kind, _bits_of_first(sequence)
    if kind == "DSA":
        return kind, _bits_of_first(parameters[0][1])
    if kind == "EC":  # a point: 4, x and y, or 2 or 3 and x alone
        octets = (len(key) - 1) // (2 if key[0] == 4 else 1)
        return kind, 521 if octets == _P521_OCTETS else octets * 8
    return (kind, _EDWARDS_BITS[kind]) if kind else None


def _bits_of_first(sequence: bytes) -> int:
    tag, number = next(elements(sequence))
    if tag != INTEGER:
        raise ValueError("no number")
    return int.from_bytes(number, "big").bit_length()
