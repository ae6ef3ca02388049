"""The user's own certificate, key and CA files.

Decides whether they can be used, and if not, which file it is and what is wrong with it. Refuses to know what they
are used for (`tls`) and what a peer thinks of them (`tls_trouble`).

Source: RFC 7468 (PEM labels).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

from ocpp_proxy.clock import now
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.wire.certificate import read_certificate

Warn: TypeAlias = Callable[[str], None]

_CERTIFICATE, _CERTIFICATE_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_KEY = "PRIVATE KEY-----"  # of any kind: PKCS#8, EC, RSA, encrypted or not
_WANTED = {_CERTIFICATE: "certificate", _KEY: "private key"}

_OTHER_KIND = "the private key in {key} belongs to another certificate (one is RSA, the other EC)"
_REFUSED = {
    "KEY_VALUES_MISMATCH": "the private key in {key} belongs to another certificate",
    "KEY_TYPE_MISMATCH": _OTHER_KIND,
    "NO_CERTIFICATE_ASSIGNED": _OTHER_KIND,
    "EE_KEY_TOO_SMALL": "the certificate's key is too small for this OpenSSL (RSA needs 2048 bits){lower}",
    "CA_KEY_TOO_SMALL": "a key in the certificate's chain is too small for this OpenSSL (RSA needs 2048 bits){lower}",
    "CA_MD_TOO_WEAK": "the certificate is signed with a hash that this OpenSSL refuses (SHA-1 or MD5){lower}",
}
_LOWER = "; renew it, or accept that with --tls-min 1.0"


def add_certificate(context: ssl.SSLContext, cert: str | Path, key: str | Path | None, warn: Warn) -> None:
    """One more certificate to show, with its chain; of each kind of key (RSA, EC) a context shows one. Raises
    BadInput; `warn` hears of a certificate that is out of date."""
    text = _read(cert, _CERTIFICATE)
    if key is not None:
        _read(key, _KEY)
    elif _KEY not in text:
        raise BadInput("holds no private key, and none was named beside it", str(cert))
    key_file = str(key or cert)

    def no_password() -> NoReturn:
        raise BadInput("the private key is encrypted, and there is nobody to ask for its password; decrypt it once: "
                       f"openssl pkey -in {key_file} -out plain.key", key_file)

    try:
        context.load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        refused = _REFUSED.get(error.reason or "", "certificate or key ({key}) is damaged: {reason}")
        what = refused.format(key=key_file, reason=error.reason, lower=_LOWER)
        raise BadInput(what, str(cert)) from error
    _check_validity(cert, text, warn)


def trust(context: ssl.SSLContext, ca: str | Path) -> None:
    """Accept peers whose certificates were issued under those in `ca`, or are among them. Raises BadInput."""
    _read(ca, _CERTIFICATE)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise BadInput(f"a certificate in it is damaged: {error.reason}", str(ca)) from error
    # What the user names is meant, even where it is no root: an intermediate, or the peer's own certificate.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


def _read(file: str | Path, label: str) -> str:
    wanted = _WANTED[label]
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise BadInput(f"{error.strerror}; expected a PEM file with a {wanted}", str(file)) from error
    text = data.decode("latin-1")
    if label in text:
        return text
    if data.startswith(b"\x30"):  # an ASN.1 SEQUENCE
        raise BadInput(f"holds DER or PKCS#12, expected PEM with a {wanted}; convert it with openssl x509 -inform der, "
                       "openssl pkey -inform der or openssl pkcs12 -nodes", str(file))
    held = next((f", only a {name}" for other, name in _WANTED.items() if other in text), "")
    raise BadInput(f"holds no {wanted} in PEM form{held}", str(file))


def _check_validity(cert: str | Path, text: str, warn: Warn) -> None:
    start = text.index(_CERTIFICATE)
    block = text[start : text.index(_CERTIFICATE_END, start) + len(_CERTIFICATE_END)]
    certificate = read_certificate(ssl.PEM_cert_to_DER_cert(block))
    if certificate is None:
        return
    moment = now()
    if Instant.parse(certificate.not_after).utc_us < moment.utc_us:
        warn(f"{cert}: the certificate expired on {certificate.not_after}; a peer that checks it will hang up")
    elif Instant.parse(certificate.not_before).utc_us > moment.utc_us:
        warn(f"{cert}: the certificate is not valid before {certificate.not_before}; is this machine's clock right?")
