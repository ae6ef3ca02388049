"""What a certificate says of itself: names, issuer, validity, key.

Decides which few facts an engineer asks for, and how they are written; `wire.x509` takes them out of the DER form.
Refuses to judge them: trust is OpenSSL's business. The standard library decodes only certificates it has verified, and
here those it refused matter most. Peer input: any bytes give a `Certificate` or None, never an exception.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    from ocpp_proxy.wire import x509  # its library takes long to load, and many a proxy never sees a certificate

    return x509.facts(der)
