"""TLS on both legs: the contexts they are spoken with, and what was agreed.

Decides which versions and cipher suites are offered and whose certificates count. Refuses to open connections
(`ocpp_proxy.relay`), to judge the user's files (`pem`), and to make certificates (`tls_auto`).

TLS ends here twice: the station sees our certificate, and so does the CSMS; neither sees the other's. The suites are
broader than those of a server of one's own: a proxy that refuses a station which its CSMS accepts would be at fault.

Source: OCPP 1.6 Security Whitepaper A00.FR.312 to .318; OCPP 2.0.1 Part 2 A00.FR.313 to .319.
"""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.wire.certificate import Certificate, read_certificate
from ocpp_proxy.wire.client_hello import ClientHello, looks_like_client_hello, read_client_hello
from ocpp_proxy.wire.pem import Warn, add_certificate, trust
from ocpp_proxy.wire.tls_trouble import explain, explain_hello, explain_silence

__all__ = [
    "OCPP_SUITES", "TLS_VERSIONS", "csms_context", "describe", "describe_offer", "describe_refused", "explain",
    "explain_hello", "explain_silence", "looks_like_client_hello", "read_client_hello", "shown_chain",
    "station_context", "suite_context",
]

TLS_VERSIONS: dict[str, ssl.TLSVersion] = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# Those that a CSMS has to support, all four, a station both of a kind: names of the specification and of OpenSSL.
OCPP_SUITES: dict[str, str] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
_OLD = frozenset({"1.0", "1.1"})
# OCPP demands AES-GCM with ECDHE-ECDSA and with static RSA; CBC is for stations with old libraries.
_SUITES = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:kRSA+AESGCM:ECDHE+AES:DHE+AES:kRSA+AES"
    ":!aNULL:!eNULL:!PSK:!aDSS:!AESCCM8"
)
_OP_LEGACY_SERVER_CONNECT = 0x4  # as OpenSSL has it; Python names it from 3.12 on


def _in_silence(_: str) -> None: ...


def station_context(
    cert: str | Path,
    key: str | Path | None = None,
    client_ca: str | Path | None = None,
    minimum: str = "1.2",
    *,
    warn: Warn = _in_silence,
) -> ssl.SSLContext:
    """For listening. `key` may be left out where the certificate's file holds it too; with `client_ca` a station
    must show a certificate issued under it; `minimum` is one of TLS_VERSIONS. `warn` gets a sentence for whatever
    works but should be known. Raises BadInput that names file and mistake."""
    if minimum not in TLS_VERSIONS:
        raise BadInput(f"--tls-min {minimum}: expected one of {', '.join(TLS_VERSIONS)}")
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    if minimum in _OLD:
        _accept_weak(context)
        warn(f"--tls-min {minimum}: TLS this old is broken, and small keys and SHA-1 are accepted with it; keep it to "
             "stations that know nothing better, and off the internet")
    _start_at(context, minimum)
    add_certificate(context, cert, key, warn)
    if client_ca is not None:
        trust(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    context.sni_callback = _note_server_name
    return context


def csms_context(
    ca: str | Path | None = None,
    cert: str | Path | None = None,
    key: str | Path | None = None,
    insecure: bool = False,
    *,
    warn: Warn = _in_silence,
) -> ssl.SSLContext:
    """For dialling. `ca` replaces the system's trusted authorities. `insecure` goes on whatever the CSMS's TLS is like:
    any certificate, weak keys, TLS 1.0; none of that matters where nobody knows who answers. Otherwise as
    `station_context`."""
    if insecure and ca is not None:
        raise BadInput("trust this authority or trust everybody: --upstream-ca excludes --upstream-insecure", str(ca))
    if key is not None and cert is None:
        raise BadInput("a key without its certificate: name that too, with --upstream-cert", str(key))
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.options |= _OP_LEGACY_SERVER_CONNECT
        _accept_weak(context)
        _start_at(context, "1.0")
        warn("the CSMS's certificate is not checked (--upstream-insecure): the stations' passwords go to whoever "
             "answers at its address")
    elif ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        trust(context, ca)
    if cert is not None:
        add_certificate(context, cert, key, warn)
    return context


def suite_context(suite: str, cert: str | Path | None = None, key: str | Path | None = None) -> ssl.SSLContext:
    """For finding out whether a CSMS knows this one of OCPP_SUITES: offers nothing else and believes anybody, so say
    nothing on it. Raises ssl.SSLError where this OpenSSL lacks the suite."""
    context = csms_context(cert=cert, key=key, insecure=True)
    context.set_ciphers(f"{OCPP_SUITES[suite]}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = TLS_VERSIONS["1.2"]
    return context


def describe(ssl_object: ssl.SSLObject | ssl.SSLSocket) -> dict[str, Any]:
    """What was agreed on one leg, for its Opened record. `server_name` is the host that was asked for (SNI),
    `certificate` the other side's, None where it showed none; `compression` should be None."""
    cipher = ssl_object.cipher()
    der = ssl_object.getpeercert(binary_form=True)
    return {
        "version": ssl_object.version(),
        "cipher": cipher[0] if cipher else None,
        "alpn": ssl_object.selected_alpn_protocol(),
        "server_name": getattr(ssl_object, "server_name", None) or ssl_object.server_hostname,
        "certificate": _facts(read_certificate(der)) if der else None,
        "compression": ssl_object.compression(),
    }


def describe_offer(hello: ClientHello | None) -> dict[str, Any]:
    """What a station's ClientHello offers, for its Opened record, whatever becomes of it: names of versions, cipher
    suites as four hexadecimal digits and numbers of compression methods; nothing where it could not be read."""
    if hello is None:
        return {}
    suites = [f"{number:04x}" for number in hello.suites]
    return {"offered": {"versions": list(hello.versions), "suites": suites, "compressions": list(hello.compressions)}}


def describe_refused(error: BaseException, server_name: str) -> dict[str, Any] | None:
    """The CSMS's certificate where it is why we did not go on, else None."""
    certificate = getattr(error, "certificate", None)
    if not isinstance(certificate, Certificate):
        return None
    return {"version": None, "cipher": None, "server_name": server_name, "certificate": _facts(certificate)}


def _facts(certificate: Certificate | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "names": list(certificate.names),
        "serial": certificate.serial,
        "key": {"kind": certificate.key[0], "bits": certificate.key[1]} if certificate.key else None,
    }


class _Remembering(ssl.SSLObject):
    """Keeps what else is lost with a failed handshake: the certificate that was refused, the host asked for, the
    suite that had been agreed on."""

    server_name: str | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as refusal:
            agreed = self.cipher()
            refusal.suite = agreed[0] if agreed else None  # type: ignore[attr-defined]  # for doctor
            if isinstance(refusal, ssl.SSLCertVerificationError):
                refusal.certificate = next(iter(shown_chain(self)), None)  # type: ignore[attr-defined]  # tls_trouble
            raise


def shown_chain(ssl_object: Any) -> tuple[Certificate | None, ...]:
    """The certificates that the other side sent, its own first; None for what cannot be read."""
    # Public from Python 3.13 on; before, the chain of a handshake that failed can be had in no other way.
    public = hasattr(ssl_object, "get_unverified_chain")
    chain = (ssl_object if public else ssl_object._sslobj).get_unverified_chain() or ()
    return tuple(read_certificate(one if public else ssl.PEM_cert_to_DER_cert(one.public_bytes())) for one in chain)


def _note_server_name(ssl_object: Any, name: str | None, _: ssl.SSLContext) -> None:
    ssl_object.server_name = name


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.sslobject_class = _Remembering
    context.set_ciphers(_SUITES)
    context.minimum_version = TLS_VERSIONS["1.2"]
    return context


def _accept_weak(context: ssl.SSLContext) -> None:
    context.set_ciphers(_SUITES + ":@SECLEVEL=0")


def _start_at(context: ssl.SSLContext, minimum: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the old versions: the user is told so in other words
        context.minimum_version = TLS_VERSIONS[minimum]
