from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tls_fixtures import make

from ocpp_proxy.wire.certificate import read_certificate

GOOD = make("localhost", names=("localhost", "*.eu.example")).der


def built(
    subject: x509.Name, *names: x509.GeneralName, end: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]))
        .public_key(key.public_key())
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


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x00", b"\x30\x84", b"hello", GOOD[:-1], GOOD + b"\0"])
def test_no_certificate(der: bytes) -> None:
    assert read_certificate(der) is None


@given(st.binary(max_size=300))
def test_any_bytes(der: bytes) -> None:
    read_certificate(der)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_damage(at: int, byte: int) -> None:
    read_certificate(GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])
