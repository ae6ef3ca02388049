"""The user's own files: every way they can be unusable names the file and the mistake."""

from __future__ import annotations

import re
import ssl

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from tls_fixtures import Certificates

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.wire.tls import csms_context, station_context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def refused(*arguments: object, file: object, says: str, **options: object) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        station_context(*arguments, **options)
    assert caught.value.file == str(file)
    assert "\n" not in str(caught.value)


def test_file_is_not_there(certificates: Certificates) -> None:
    missing = certificates.folder / "missing.pem"
    says = "No such file or directory; expected a PEM file with a"
    refused(missing, file=missing, says=f"{says} certificate")
    refused(certificates["good"], missing, file=missing, says=f"{says} private key")
    refused(certificates["good"], client_ca=missing, file=missing, says=f"{says} certificate")
    refused(certificates.folder, file=certificates.folder, says="Is a directory")
    with pytest.raises(BadInput, match="No such file"):
        csms_context(missing)


def test_file_holds_something_else(certificates: Certificates) -> None:
    pair = certificates.pair("good")
    text = certificates.write("text.pem", b"hello")
    empty = certificates.write("empty.pem", b"")
    der = certificates.write("binary.crt", pair.der)
    only_key = certificates.write("only.key", pair.key_pem)
    only_certificate = certificates.write("only.pem", pair.pem)
    refused(text, file=text, says="holds no certificate in PEM form")
    refused(empty, file=empty, says="holds no certificate in PEM form")
    refused(der, file=der, says="holds DER or PKCS#12, expected PEM with a certificate; convert it")
    refused(only_key, file=only_key, says="holds no certificate in PEM form, only a private key")
    refused(only_certificate, only_certificate, file=only_certificate, says="holds no private key in PEM form, only a")
    refused(only_certificate, file=only_certificate, says="holds no private key, and none was named beside it")
    refused(certificates["good"], client_ca=only_key, file=only_key, says="holds no certificate")


def test_key_belongs_to_another_certificate(certificates: Certificates) -> None:
    good, same_kind = certificates["good"], certificates["self-signed"]
    refused(good, same_kind, file=good, says=f"the private key in {same_kind} belongs to another certificate")
    refused(good, certificates["rsa"], file=good, says="belongs to another certificate (one is RSA, the other EC)")


def test_key_is_encrypted(certificates: Certificates) -> None:
    pair = certificates.pair("good")
    cert = certificates.write("plain.pem", pair.pem)
    key = certificates.write("secret.key", pair.encrypted_key_pem(BestAvailableEncryption(b"secret")))
    refused(cert, key, file=key, says=f"the private key is encrypted, and there is nobody to ask for its password; "
            f"decrypt it once: openssl pkey -in {key} -out plain.key")


def test_file_is_damaged(certificates: Certificates) -> None:
    pair = certificates.pair("good")
    broken = pair.pem.replace(b"\nMII", b"\nAAA", 1)
    cert = certificates.write("broken.pem", broken + pair.key_pem)
    cut = certificates.write("cut.key", pair.key_pem.replace(b"\nM", b"\nA", 1))
    refused(cert, file=cert, says="is damaged")
    refused(certificates["good"], cut, file=certificates["good"], says=f"certificate or key ({cut}) is damaged")
    refused(certificates["good"], client_ca=cert, file=cert, says="a certificate in it is damaged")


def test_key_is_too_small(certificates: Certificates) -> None:
    weak = certificates["weak"]
    refused(weak, file=weak, says="too small for this OpenSSL (RSA needs 2048 bits); renew it, or accept that with "
            "--tls-min 1.0")
    assert isinstance(station_context(weak, minimum="1.0"), ssl.SSLContext)


@pytest.mark.parametrize(
    ("name", "says"),
    [("expired", ": the certificate expired on 20"), ("not-yet", ": the certificate is not valid before 20")],
)
def test_out_of_date_is_a_warning(certificates: Certificates, name: str, says: str) -> None:
    warnings: list[str] = []
    station_context(certificates[name], warn=warnings.append)
    csms_context(cert=certificates[name], warn=warnings.append)
    assert [warning.startswith(f"{certificates[name]}{says}") for warning in warnings] == [True, True]
    station_context(certificates["good"], warn=warnings.append)
    assert len(warnings) == 2


def test_key_beside_its_certificate(certificates: Certificates) -> None:
    pair = certificates.pair("good")
    cert, key = certificates.write("apart.pem", pair.pem), certificates.write("apart.key", pair.key_pem)
    assert isinstance(station_context(cert, key), ssl.SSLContext)
    assert isinstance(station_context(str(cert), str(key)), ssl.SSLContext)
