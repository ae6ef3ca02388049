from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tls_fixtures import make

from ocpp_proxy.wire.certificate import read_certificate

GOOD = make("localhost", names=("localhost", "*.eu.example")).der


KEYS: dict[tuple[str, int] | None, Any] = {
    ("RSA", 1024): rsa.generate_private_key(65537, 1024),
    ("DSA", 1024): dsa.generate_private_key(1024),
    ("EC", 192): ec.generate_private_key(ec.SECP192R1()),
    ("EC", 256): ec.generate_private_key(ec.BrainpoolP256R1()),
    ("EC", 521): ec.generate_private_key(ec.SECP521R1()),
    ("Ed25519", 256): ed25519.Ed25519PrivateKey.generate(),
    ("Ed448", 456): ed448.Ed448PrivateKey.generate(),
    None: x25519.X25519PrivateKey.generate(),  # no key to sign with, and none that is known here
}


def built(
    subject: x509.Name, *names: x509.GeneralName, end: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    of: Any = None,
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]))
        .public_key((of or key).public_key())
        .serial_number(7)
        .not_valid_before(datetime(1999, 12, 31, tzinfo=UTC))
        .not_valid_after(end)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_names_issuer_and_validity() -> None:
    subject = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ladestrom Süd"),
        x509.NameAttribute(NameOID.USER_ID, "not shown"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "4711"),
        x509.NameAttribute(NameOID.COMMON_NAME, "CP001"),
    ])
    certificate = read_certificate(built(
        subject, x509.DNSName("a.example"), x509.RFC822Name("x@a.example"), x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")), end=datetime(2050, 1, 2, 3, 4, 5, tzinfo=UTC),
    ))
    assert certificate is not None
    assert certificate.subject == "O=Ladestrom Süd, serialNumber=4711, CN=CP001"
    assert certificate.issuer == "C=DE"
    assert certificate.common_name == "CP001"
    assert certificate.names == certificate.all_names == ("a.example", "192.0.2.1", "2001:db8::1")
    assert certificate.not_before == "1999-12-31T00:00:00Z"  # two digits of the year
    assert certificate.not_after == "2050-01-02T03:04:05Z"  # four
    assert certificate.serial == "7"
    assert certificate.key == ("EC", 256)


def test_without_alternative_names_the_common_name_counts() -> None:
    certificate = read_certificate(built(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old.example")])))
    assert certificate is not None
    assert (certificate.names, certificate.all_names) == ((), ("old.example",))
    nameless = read_certificate(built(x509.Name([])))
    assert nameless is not None
    assert (nameless.subject, nameless.common_name, nameless.all_names) == ("", None, ())


@pytest.mark.parametrize("size", KEYS, ids=str)
def test_kind_and_size_of_the_key(size: tuple[str, int] | None) -> None:
    certificate = read_certificate(built(x509.Name([]), of=KEYS[size]))
    assert certificate is not None
    assert certificate.key == size


def test_an_extension_that_cannot_be_read_costs_no_more_than_its_names() -> None:
    broken = GOOD.replace(b"\x82\x09localhost", b"\x82\x0alocalhost")
    assert broken != GOOD
    certificate = read_certificate(broken)
    assert certificate is not None
    assert (certificate.common_name, certificate.names) == ("localhost", ())


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x00", b"\x30\x84", b"hello", GOOD[:-1], GOOD + b"\0"])
def test_no_certificate(der: bytes) -> None:
    assert read_certificate(der) is None


@given(st.binary(max_size=300))
def test_any_bytes(der: bytes) -> None:
    read_certificate(der)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_damage(at: int, byte: int) -> None:
    read_certificate(GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])
