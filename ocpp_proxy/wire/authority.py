"""Makes certificates: a certificate authority of one's own, and the proxy's certificates under it.

Decides what stands in them. Refuses to know where they are kept and for how long they serve (`tls_auto`).

The authority is RSA, although ECDSA would be smaller: a station that knows only RSA could not check what an ECDSA
authority signed, while those that know ECDSA nearly always check RSA too.

Source: RFC 5280 section 4.2; OCPP 1.6 Security Whitepaper A00.FR.501 to .511 (key sizes, O, serial number, host name
as CN; chargers look at CN, newer TLS libraries only at the subjectAltName: so both).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_ORGANISATION = "ocpp-proxy"
_COMMON_NAME_MAX = 64  # RFC 5280 appendix A, ub-common-name
_CLOCK_SKEW = timedelta(hours=1)
_AUTHORITY_LIFE = timedelta(days=3652)
_LIFE = timedelta(days=396)  # from now on; with the skew below the 397 days that strict clients accept
_RSA_BITS = 2048


def _new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def _new_ecdsa() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


_NEW_KEY: dict[str, Callable[[], _PrivateKey]] = {"ecdsa": _new_ecdsa, "rsa": _new_rsa}
KINDS = tuple(_NEW_KEY)
"""The kinds of keys that certificates are made for."""


def make_authority(name: str, moment: datetime) -> tuple[bytes, bytes]:
    """A new certificate authority, valid for ten years: its certificate and its key, both PEM."""
    key = _new_rsa()
    subject = _name(name)
    public = key.public_key()
    builder = (
        _builder(subject, subject, public, moment, moment + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256())), _key_pem(key)


def make_certificate(kind: str, names: Sequence[str], ca: bytes, ca_key: bytes, moment: datetime) -> bytes:
    """A new certificate for `names` (host names in ASCII, IP addresses; the first is the CN too), issued under `ca`:
    key and certificate in one PEM file. `kind` is one of KINDS. Raises ValueError for a `ca` that cannot be read or
    does not belong to `ca_key`."""
    authority = x509.load_pem_x509_certificate(ca)
    authority_key = serialization.load_pem_private_key(ca_key, password=None)
    if not isinstance(authority_key, rsa.RSAPrivateKey) or authority_key.public_key() != authority.public_key():
        raise ValueError("the key belongs to another certificate")
    key = _NEW_KEY[kind]()
    end = min(moment + _LIFE, authority.not_valid_after_utc)
    usage = _key_usage(digital_signature=True, key_encipherment=kind == "rsa")  # static RSA suites encipher
    builder = (
        _builder(_name(names[0]), authority.subject, key.public_key(), moment, end)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    return _key_pem(key) + _pem(builder.sign(authority_key, hashes.SHA256()))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    moment: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _CLOCK_SKEW)
        .not_valid_after(end)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_MAX]),
    ])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(**granted: bool) -> x509.KeyUsage:
    usages = dict.fromkeys((
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ), False)
    return x509.KeyUsage(**(usages | granted))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
