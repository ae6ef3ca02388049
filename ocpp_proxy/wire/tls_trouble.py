"""Why TLS failed, in one sentence with what to do about it.

Decides what each way of failing means on the leg where it happened: the same alert is our certificate's fault on one
leg and our client certificate's on the other. Refuses to judge the peer's TLS itself, and to open anything.

The tables are keyed by OpenSSL's reason codes and X.509 verify codes, not by its texts: those change with versions.

Source: RFC 8446 section 6.2 (alerts); OpenSSL X509_verify_cert_error_string(3); failures produced with real sockets.
"""

from __future__ import annotations

import functools
import re
import ssl

from ocpp_proxy.core.frame import Side
from ocpp_proxy.wire.certificate import Certificate
from ocpp_proxy.wire.client_hello import ClientHello, read_client_hello

_SUITES_SHOWN = 6

_EXPIRED, _NOT_YET_VALID, _WRONG_PURPOSE, _WRONG_NAME, _WEAK = "expired", "not yet", "purpose", "name", "weak"
_SELF_SIGNED, _UNKNOWN_ISSUER = "self-signed", "issuer"
_VERIFY = {
    2: _UNKNOWN_ISSUER, 20: _UNKNOWN_ISSUER, 21: _UNKNOWN_ISSUER, 19: _UNKNOWN_ISSUER, 18: _SELF_SIGNED,
    10: _EXPIRED, 9: _NOT_YET_VALID, 26: _WRONG_PURPOSE, 62: _WRONG_NAME, 64: _WRONG_NAME,
    66: _WEAK, 67: _WEAK, 68: _WEAK,
}  # fmt: skip

# How several reasons of OpenSSL read to us. Alerts are the peer's words, the others OpenSSL's own.
_SAME = {
    "CERTIFICATE_UNKNOWN": "BAD_CERTIFICATE",
    "UNKNOWN_PROTOCOL": "WRONG_VERSION_NUMBER",
    "PACKET_LENGTH_TOO_LONG": "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE": "WRONG_VERSION_NUMBER",
    "VERSION_TOO_LOW": "UNSUPPORTED_PROTOCOL",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "NO_SHARED_CIPHER",
    "NO_SHARED_GROUP": "NO_SHARED_CIPHER",
    "INSUFFICIENT_SECURITY": "HANDSHAKE_FAILURE",
    "UNEXPECTED_EOF_WHILE_READING": "HUNG_UP",
}

# OpenSSL keeps nothing of a client's certificate that it refuses, so these sentences cannot name it.
_STATION: dict[str, str] = {
    "UNKNOWN_CA": (
        "the station does not trust the authority behind our certificate: install that CA on the station "
        "(--tls-auto prints its path), or, if the station knows it, append the missing intermediate "
        "certificates to the file of --tls-cert"
    ),
    "BAD_CERTIFICATE": (
        "the station rejects our certificate, most often because the name or address it dials is not in it, "
        "or because it does not trust the CA: name what it dials with --advertise (or issue a certificate "
        "with that name as CN and subjectAltName), and install the CA on the station{asked}"
    ),
    "CERTIFICATE_EXPIRED": (
        "for the station our certificate has expired or is not valid yet: renew it, or set the station's "
        "clock, which is often wrong before its first contact with a CSMS"
    ),
    "UNSUPPORTED_CERTIFICATE": (
        "the station cannot use our kind of certificate: give it an RSA certificate of 2048 bits issued for "
        "servers, or use --tls-auto, which offers RSA and ECDSA"
    ),
    "HANDSHAKE_FAILURE": (
        "the station found nothing it can use in what we agreed to: give it an RSA certificate (--tls-auto "
        "offers RSA and ECDSA), and try --tls-min 1.0 if it is an old one{offer}"
    ),
    "PROTOCOL_VERSION": (
        "the station refuses the TLS version we chose: update its firmware, or try --tls-min 1.0{asked}"
    ),
    "NO_SHARED_CIPHER": (
        "the station and our certificate have no cipher suite in common: a station that knows only RSA needs "
        "an RSA certificate (--tls-auto offers RSA and ECDSA), an old one --tls-min 1.0{offer}"
    ),
    "UNSUPPORTED_PROTOCOL": (
        "the station speaks only TLS versions that are older than we accept: update its firmware, or start "
        "with --tls-min 1.0 as long as it must be{asked}"
    ),
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "the station showed no certificate of its own, and --tls-client-ca demands one: install one on the "
        "station (security profile 3), or leave --tls-client-ca out"
    ),
    "HTTP_REQUEST": (
        "the station speaks plain HTTP to the TLS port: set wss:// in its backend URL, or listen without "
        "--tls-cert and --tls-auto"
    ),
    "WRONG_VERSION_NUMBER": (
        "what arrived on the TLS port is not TLS: check port and protocol in the station's settings"
    ),
    "HUNG_UP": (
        "the station hung up during the TLS handshake without saying why: most often it does not trust our "
        "CA or misses the name it dials in our certificate (--advertise), else it found no version or suite "
        "it knows (try --tls-min 1.0){asked}"
    ),
    "SILENT": (
        "the station opened the connection and then did not finish the TLS handshake: check that it is set "
        "to wss:// and that its network lets more than the first packets through"
    ),
    _UNKNOWN_ISSUER: (
        "the station's certificate does not come from an authority in the file of --tls-client-ca: put the "
        "authority that issued it there, with the intermediates the station does not send"
    ),
    _SELF_SIGNED: (
        "the station's certificate is self-signed and not in the file of --tls-client-ca: append that "
        "certificate to the file, or install one from your CA on the station"
    ),
    _EXPIRED: (
        "the station's certificate expired: renew it on the station (CertificateSigned), or leave "
        "--tls-client-ca out for now"
    ),
    _NOT_YET_VALID: "the station's certificate is not valid yet: check this machine's clock",
    _WRONG_PURPOSE: (
        "the station's certificate may not be used by TLS clients: issue one whose extended key usage "
        "includes clientAuth"
    ),
    _WEAK: (
        "the station's certificate has too small a key or too weak a signature for this OpenSSL: renew it, "
        "or start with --tls-min 1.0, which accepts such"
    ),
}

_CSMS: dict[str, str] = {
    "UNKNOWN_CA": (
        "the CSMS does not trust the authority that issued our client certificate (--upstream-cert): use one "
        "issued by the CSMS's operator, with its intermediates in the same file"
    ),
    "BAD_CERTIFICATE": (
        "the CSMS rejects our client certificate: use one that its operator issued for this station "
        "(--upstream-cert, --upstream-key)"
    ),
    "CERTIFICATE_EXPIRED": (
        "for the CSMS our client certificate (--upstream-cert) has expired or is not valid yet: renew it"
    ),
    "CERTIFICATE_REVOKED": (
        "the CSMS says that our client certificate (--upstream-cert) is revoked: ask its operator for a new "
        "one"
    ),
    "UNSUPPORTED_CERTIFICATE": (
        "the CSMS cannot use our client certificate (--upstream-cert): it needs one issued for TLS clients "
        "(extended key usage clientAuth)"
    ),
    "CERTIFICATE_REQUIRED": (
        "the CSMS demands a client certificate (security profile 3): name one that its operator issued with "
        "--upstream-cert and --upstream-key"
    ),
    "ACCESS_DENIED": (
        "the CSMS knows our client certificate (--upstream-cert) but does not let it in: ask its operator to "
        "allow it for this station"
    ),
    "HANDSHAKE_FAILURE": (
        "the CSMS refuses the handshake: it demands a client certificate (--upstream-cert and "
        "--upstream-key), or shares no cipher suite with us, or serves no host of this name (--upstream-sni)"
    ),
    "PROTOCOL_VERSION": (
        "the CSMS and we share no TLS version: have TLS 1.2 or 1.3 switched on there; --upstream-insecure "
        "goes on with older ones"
    ),
    "UNSUPPORTED_PROTOCOL": (
        "the CSMS chose a TLS version older than 1.2: have that switched on there; --upstream-insecure goes "
        "on with the older one"
    ),
    "UNRECOGNIZED_NAME": (
        "the CSMS does not know the host name we asked for (SNI): use the name from its operator in "
        "the CSMS's URL, or give it with --upstream-sni"
    ),
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": (
        "the CSMS's TLS is too old to renegotiate safely: have it updated; --upstream-insecure goes on with "
        "it"
    ),
    "DH_KEY_TOO_SMALL": (
        "the CSMS's Diffie-Hellman parameters are too small: have them renewed; --upstream-insecure goes on "
        "with them"
    ),
    "WRONG_VERSION_NUMBER": (
        "what answers at that port of the CSMS is not TLS: use ws:// in its URL, or the port that speaks "
        "wss://"
    ),
    "HUNG_UP": (
        "the CSMS hung up during the TLS handshake without saying why: check host and port and that TLS is "
        "spoken there at all (else it is ws://), then whether it demands a client certificate "
        "(--upstream-cert), serves another host name (--upstream-sni) or lets this address in (firewall, VPN)"
    ),
    "SILENT": (
        "the CSMS took the connection but did not finish the TLS handshake in time: check that the port "
        "speaks TLS, and the network in between (VPN, packet sizes)"
    ),
    _UNKNOWN_ISSUER: (
        "the CSMS's certificate was issued by {issuer}, which is not trusted here: if that is a private "
        "authority, name its certificate with --upstream-ca; if it is a public one, the CSMS does not send "
        "its intermediate certificate, which its operator has to mend (or name that with --upstream-ca)"
    ),
    _SELF_SIGNED: (
        "the CSMS's certificate ({subject}) is self-signed: get it from its operator and name it with "
        "--upstream-ca, or trust whoever answers with --upstream-insecure"
    ),
    _EXPIRED: (
        "the CSMS's certificate expired{not_after}: its operator has to renew it (if the date is still to "
        "come, set this machine's clock); --upstream-insecure goes on without checking"
    ),
    _NOT_YET_VALID: (
        "the CSMS's certificate is not valid yet{not_before}: set this machine's clock, which is the usual "
        "cause"
    ),
    _WRONG_PURPOSE: (
        "the CSMS's certificate ({subject}) may not be used by TLS servers: its operator has to issue one "
        "whose extended key usage includes serverAuth; --upstream-insecure goes on without checking"
    ),
    _WRONG_NAME: (
        "the CSMS's certificate is for {names}, not for {host}: use a name that is in it in the URL, or "
        "give it with --upstream-sni"
    ),
    _WEAK: (
        "the CSMS's certificate has too small a key or too weak a signature for this OpenSSL: its operator "
        "has to renew it; --upstream-insecure goes on without checking"
    ),
}

_SENTENCES: dict[Side, dict[str, str]] = {"station": _STATION, "csms": _CSMS}


def explain(trouble: BaseException, leg: Side, hello: ClientHello | None = None) -> str:
    """Cause and remedy of a TLS connection to `leg` that failed, during the handshake or right after it (TLS 1.3
    tells only then that a client certificate is missing). `hello`: what the station asked for, if it was peeked.
    An unknown failure gives OpenSSL's own words."""
    return ": ".join(part for part in explain_apart(trouble, leg, hello) if part)


def explain_apart(trouble: BaseException, leg: Side, hello: ClientHello | None = None) -> tuple[str, str]:
    """The same as cause and remedy; of an unknown failure the remedy is empty."""
    sentence = _SENTENCES[leg].get(_kind(trouble))
    if sentence is None:
        return f"TLS with the {leg} failed: {_own_words(trouble)}{_asked(hello)}", ""
    facts = _facts(getattr(trouble, "certificate", None))
    cause, _, remedy = (
        part.format(asked=_asked(hello), offer=_asked(hello, suites=True), host=_host(trouble), **facts)
        for part in sentence.partition(": ")
    )
    return cause, remedy


def explain_silence(tls: ssl.SSLObject | None) -> str:
    """What may be behind a CSMS that ends the connection before it has answered anything: something to append, ""
    where TLS has no part in it."""
    if tls is None or tls.version() != "TLSv1.3":
        return ""
    return ("; so ends a TLS 1.3 connection too where the CSMS misses a client certificate or does not accept ours "
            "(--upstream-cert)")


def explain_hello(first: bytes) -> str:
    """For a connection that starts with TLS where none is spoken: who asks for what, and the remedy."""
    hello = read_client_hello(first)
    version = hello.versions[0] if hello and hello.versions else "TLS"
    asks = f" (it asks for host {hello.server_name})" if hello and hello.server_name else ""
    return (f"the station speaks {version} to a port that speaks plain ws://{asks}: set ws:// in its backend URL, "
            "or start with --tls-auto or --tls-cert")


def _kind(trouble: BaseException) -> str:
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return _VERIFY.get(trouble.verify_code, "")
    if isinstance(trouble, ssl.SSLError) and trouble.reason:
        reason = re.sub(r"^(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?", "", trouble.reason)
        return _SAME.get(reason, reason)
    if isinstance(trouble, ConnectionAbortedError | TimeoutError):
        return "SILENT"  # both loops abort a handshake that takes too long
    return "HUNG_UP" if isinstance(trouble, ConnectionError | ssl.SSLEOFError) else ""


def _own_words(trouble: BaseException) -> str:
    words = trouble.args[-1] if trouble.args else type(trouble).__name__
    return re.sub(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$", "", str(words))


def _host(trouble: BaseException) -> str:
    """The name that was not found in a certificate, which only the message has."""
    named = re.search(r"not valid for '([^']*)'", str(trouble))
    return named[1] if named else "the host we dial"


def _facts(certificate: Certificate | None) -> dict[str, str]:
    if certificate is None:
        return {"subject": "of unknown subject", "issuer": "an authority", "names": "other names", "not_before": "",
                "not_after": ""}
    return {
        "subject": certificate.subject or "no subject",
        "issuer": certificate.issuer or "an authority without a name",
        "names": ", ".join(certificate.all_names) or "no host at all",
        "not_before": f" (from {certificate.not_before})",
        "not_after": f" (on {certificate.not_after})",
    }


def _asked(hello: ClientHello | None, *, suites: bool = False) -> str:
    if hello is None:
        return ""
    offers = " and ".join(hello.versions) or "no version we know"
    host = f", and asks for host {hello.server_name}" if hello.server_name else ""
    return f" (it offers {offers}{_suites(hello) if suites else ''}{host})"


def _suites(hello: ClientHello) -> str:
    shown = [_suite_names().get(suite, f"0x{suite:04x}") for suite in hello.suites[:_SUITES_SHOWN]]
    more = len(hello.suites) - len(shown)
    return f" with {', '.join(shown)}" + (f" and {more} more" if more else "")


@functools.cache
def _suite_names() -> dict[int, str]:
    """OpenSSL's names by number, as far as this OpenSSL has the suites."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {int(suite["id"]) & 0xFFFF: suite["name"] for suite in context.get_ciphers()}
