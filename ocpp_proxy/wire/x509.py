"""Takes the facts of a certificate out of its DER form, by means of `cryptography`, which takes long to load.

Source: RFC 5280 sections 4.1 and 4.2.1.6.
"""

from __future__ import annotations

import warnings
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from ocpp_proxy.wire.certificate import Certificate

_UNFIT = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_SHOWN = {
    NameOID.COMMON_NAME: "CN", NameOID.ORGANIZATION_NAME: "O", NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C", NameOID.SERIAL_NUMBER: "serialNumber", NameOID.DOMAIN_COMPONENT: "DC",
}  # fmt: skip


def facts(der: bytes) -> Certificate | None:
    """What `Certificate` holds; None where the bytes are not one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd about it, which is for the rules to say
        try:
            return _facts(x509.load_der_x509_certificate(der))
        except _UNFIT:
            return None


def _facts(certificate: x509.Certificate) -> Certificate:
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        subject=_joined(certificate.subject),
        issuer=_joined(certificate.issuer),
        common_name=str(common_names[0].value) if common_names else None,
        names=_alternative_names(certificate),
        not_before=_moment(certificate.not_valid_before_utc),
        not_after=_moment(certificate.not_valid_after_utc),
        serial=f"{certificate.serial_number:X}",
        key=_key(certificate),
    )


def _joined(name: x509.Name) -> str:
    return ", ".join(f"{_SHOWN[one.oid]}={one.value!s}" for one in name if one.oid in _SHOWN)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNFIT):
        return ()
    return tuple(str(one.value) for one in found if isinstance(one, (x509.DNSName, x509.IPAddress)))


def _key(certificate: x509.Certificate) -> tuple[str, int] | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    match key:
        case rsa.RSAPublicKey():
            return "RSA", key.key_size
        case dsa.DSAPublicKey():
            return "DSA", key.key_size
        case ec.EllipticCurvePublicKey():
            return "EC", key.key_size
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256
        case ed448.Ed448PublicKey():
            return "Ed448", 456
        case _:
            return None
