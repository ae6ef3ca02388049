"""Security events of all versions, and certificates of 1.6.

Which root certificate a station uses is seen only in part: on its own leg it checks the proxy's certificate, and where
it has told a single root, that must be the one. Its own certificate is known where it shows one to the proxy.

Source: Improved security for OCPP 1.6-J edition 3, A02 to A04, M03, M04, sections 6.16, 7.3, 7.5 and chapter 8; OCPP
2.0.1 and 2.1 Part 2, A02 to A04.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ocpp_proxy.core.frame import CallError
from ocpp_proxy.core.payload import folded, kept, member, objects, text
from ocpp_proxy.rules.checks.security_facts import certificate, tls
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

STARTUPS = frozenset({"StartupOfTheDevice", "ResetOrReboot"})
SIGN_S = 300.0  # from an accepted trigger to SignCertificate: a key has to be made first
SIGNED_S = 3600.0  # from an accepted SignCertificate to CertificateSigned: an authority has to sign
ROOTS_KEPT = 32
ROOT = "CentralSystemRootCertificate"
CSR_LONGEST = 20_000  # characters that are looked at

Hash: TypeAlias = "tuple[str, str, str]"  # issuerNameHash, issuerKeyHash, serialNumber, folded
_PEM = re.compile(r"-----BEGIN (NEW )?CERTIFICATE REQUEST-----(?P<body>[^-]*)-----END (NEW )?CERTIFICATE REQUEST-----")
_SIGNS = frozenset({
    "SignChargePointCertificate", "SignChargingStationCertificate", "SignV2GCertificate", "SignV2G20Certificate",
    "SignCombinedCertificate",
})  # fmt: skip


# Security events


@dataclass(slots=True)
class Events:
    """`sent`: the station has sent a security event before; `started`: when it last told of a start."""

    sent: bool = False
    started: float | None = None


@learn(call("SecurityEventNotification"))
def event_sent(now: Now) -> None:
    book = now.session.book(Events)
    book.sent = True
    if text(now.request, "type") in STARTUPS:
        book.started = now.time


@check("sev-startup", answer("BootNotification"))
def booted(now: Now) -> Iterator[Hit] | None:
    book, link = now.session.book(Events), now.link
    if now.status != "Accepted" or not book.sent or link is None or not link.whole:
        return None
    if not _really_booted(now):
        return now.unknown("whether the station has really booted is not known")
    if book.started is None or book.started < link.opened_time:
        now.later(now.bounds.boot_warn_s, not_told, key="boot")
    return None


def _really_booted(now: Now) -> bool:
    """In 2.x the station says why; in 1.6 a Reset that it accepted tells."""
    if now.version != "1.6":
        return text(now.request, "reason") not in (None, "Triggered", "Unknown")
    resets = now.session.commands.since(now.time - now.bounds.boot_hard_s, "Reset")
    return any(one.status == "Accepted" and one.answer.connection != now.connection for one in resets)


@check("sev-startup", call("SecurityEventNotification"))
def started(now: Now) -> None:
    if text(now.request, "type") in STARTUPS:
        now.cancel("boot")


def not_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit("The station has booted and tells no StartupOfTheDevice and no ResetOrReboot within "
                  f"{now.bounds.boot_warn_s:g} s", place=deadline.place, by="station")


@check("sev-no-conf", call("SecurityEventNotification", retries=True))
def event_told(now: Now) -> None:
    if now.exchange is not None and not now.exchange.withheld:
        held_s = now.called_time - now.time
        now.later(now.bounds.answer_fail_s + held_s, not_confirmed, key=(now.connection, now.exchange.message_id))


@check("sev-no-conf", answer("SecurityEventNotification"))
def confirmed(now: Now) -> Iterator[Hit]:
    if now.exchange is not None:
        now.cancel((now.connection, now.exchange.message_id))
    if isinstance(now.frame, CallError) and not _rightly_refused(now, now.frame.code):
        unknown = now.version == "1.6" and now.frame.code in ("NotImplemented", "NotSupported")
        yield now.hit(f"SecurityEventNotification is answered by CALLERROR {now.frame.code[:40]}", seen=now.frame.code,
                      expected="CALLRESULT", case="not-known" if unknown else None)


def _rightly_refused(now: Now, code: str) -> bool:
    """What breaks its schema, and what comes before the CSMS has accepted the station, need not be confirmed."""
    faulty = now.exchange is not None and bool(now.exchange.faults)
    return faulty or (code == "SecurityError" and now.session.registration.status in ("Pending", "Rejected"))


def not_confirmed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"The CSMS has not confirmed SecurityEventNotification within {now.bounds.answer_fail_s:g} s",
                  place=deadline.place, by="csms")


# A new certificate, step by step


@check("cert-sign-flow", answer("ExtendedTriggerMessage", "TriggerMessage", by="csms"))
def signing_triggered(now: Now) -> None:
    asked = text(now.request, "requestedMessage")
    if asked in _SIGNS and now.status == "Accepted":
        now.later(SIGN_S, no_request, key="request", data=asked)


@check("cert-sign-flow", call("SignCertificate"))
def signing_requested(now: Now) -> Iterator[Hit]:
    now.cancel("request")
    csr = text(now.request, "csr")
    if csr is None or len(csr) > CSR_LONGEST:
        return
    found = _PEM.search(csr)
    if found is None:
        yield now.hit("The certificate signing request is not in PEM form", "/csr", seen=csr[:30],
                      expected="-----BEGIN CERTIFICATE REQUEST-----", case="not-pem")
        return
    wanted = now.session.settings.value("CpoName" if now.version == "1.6" else "SecurityCtrlr.OrganizationName")
    own = text(now.request, "certificateType") in (None, "ChargingStationCertificate")
    owner = _owner(found["body"]) if wanted and own else None
    if owner is not None and owner != wanted:
        yield now.hit(f"The certificate signing request names {owner or 'no organisation'}, and the station is "
                      f"configured for {wanted}", "/csr", seen=owner or None, expected=wanted)


@check("cert-sign-flow", answer("SignCertificate"))
def signing_promised(now: Now) -> None:
    if now.status == "Accepted" and now.expected("signed") is None:  # it may be asked for again meanwhile
        now.later(SIGNED_S, not_signed, key="signed", across=True)


@check("cert-sign-flow", call("CertificateSigned", by="csms"))
def signed(now: Now) -> None:
    now.cancel("signed")


@check("cert-sign-flow", answer("CertificateSigned", by="csms"))
def signed_answered(now: Now) -> Iterator[Hit]:
    if now.status == "Rejected":
        yield now.hit("The station rejects the certificate that was signed for it", "/status", seen=now.status,
                      expected="Accepted")


def no_request(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"The station accepted {deadline.data} and sends no SignCertificate within {SIGN_S / 60:g} minutes",
                  place=deadline.place, by="station")


def not_signed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if now.session.links.open:  # offline, there is nowhere to send it to
        yield now.hit(f"The CSMS accepted SignCertificate and sends no CertificateSigned within {SIGNED_S / 3600:g} h",
                      place=deadline.place, by="csms")


def _owner(body: str) -> str | None:
    """The organisation that a PKCS #10 request names, "" where it names none, None where it cannot be read."""
    from cryptography import x509  # takes long to load, and few sessions have a request

    try:
        request = x509.load_der_x509_csr(base64.b64decode(re.sub(r"\s", "", body), validate=True))
        owners = request.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    except (ValueError, x509.InvalidVersion):
        return None
    return str(owners[0].value) if owners else ""


@check("cert-chain-size", call("CertificateSigned", by="csms"))
def chain_size(now: Now) -> Iterator[Hit]:
    chain = text(now.request, "certificateChain")
    if chain is None:
        return
    most = now.session.settings.integer("CertificateSignedMaxChainSize")
    if most is None:
        yield from now.unknown("CertificateSignedMaxChainSize was not seen")
    elif len(chain) > most > 0:
        yield now.hit(f"The certificate chain has {len(chain)} characters, more than the {most} that the station takes "
                      "(CertificateSignedMaxChainSize)", "/certificateChain", seen=len(chain), expected=most)


# Certificates on the station


@dataclass(slots=True)
class Roots:
    """The root certificates of the CSMS's that the station told last, None where it has not, or where one was installed
    since; ROOTS_KEPT of them."""

    told: list[Hash] | None = None


@learn(answer("GetInstalledCertificateIds", "InstallCertificate", "DeleteCertificate", by="csms"))
def roots_known(now: Now) -> None:
    book = now.session.book(Roots)
    if now.action == "DeleteCertificate":
        gone = _hash(member(now.request, "certificateHashData"))
        if now.status == "Accepted" and book.told is not None:
            book.told = [one for one in book.told if one != gone]
    elif text(now.request, "certificateType") == ROOT and now.status in ("Accepted", "NotFound"):
        found = [_hash(one) for _, one in objects(now.response, "certificateHashData")][:ROOTS_KEPT]
        book.told = found if now.action == "GetInstalledCertificateIds" else None


def _hash(value: Any) -> Hash:
    name, key = folded(value, "issuerNameHash") or "", folded(value, "issuerKeyHash") or ""
    return name, key, _plain(kept(value, "serialNumber"))


def _plain(serial: str | None) -> str:
    """A serial number without what makes no difference."""
    return (serial or "").casefold().removeprefix("0x").lstrip("0")


@check("cert-delete-inuse", answer("DeleteCertificate", by="csms"))
def deleted(now: Now) -> Iterator[Hit]:
    opened = now.link.opened if now.link is not None else None
    facts = tls(opened, "station") if opened is not None else None
    if now.status != "Accepted" or facts is None:
        yield from now.unknown("no certificate was deleted over TLS")
        return
    asked = _hash(member(now.request, "certificateHashData"))
    shown = certificate(facts)
    if shown is not None and asked[2] and asked[2] == _plain(kept(shown, "serial")):
        yield now.hit("The station deletes its own certificate", "/status", seen=now.status, expected="Failed")
    elif now.session.book(Roots).told == [asked]:
        yield now.hit("The station deletes the only root certificate that it can check the CSMS with, over TLS",
                      "/status", seen=now.status, expected="Failed")


# Firmware status on demand


@check("ext-trigger-fw", answer("ExtendedTriggerMessage", by="csms"))
def status_triggered(now: Now) -> None:
    if text(now.request, "requestedMessage") == "FirmwareStatusNotification" and now.status == "Accepted":
        now.later(now.bounds.trigger_s, _nothing, key="status")


@check("ext-trigger-fw", call("SignedFirmwareStatusNotification"))
def signed_status(now: Now) -> None:
    now.cancel("status")


@check("ext-trigger-fw", call("FirmwareStatusNotification"))
def plain_status(now: Now) -> Iterator[Hit]:
    waiting = now.expected("status")
    if waiting is None or _has_another_reason(now):
        return
    now.cancel("status")
    yield now.hit("The station answers ExtendedTriggerMessage by FirmwareStatusNotification, not by "
                  "SignedFirmwareStatusNotification", also=waiting.place.evidence)


def _has_another_reason(now: Now) -> bool:
    """An update without signature that is under way, or a plain trigger, asks for the plain message."""
    commands, update_s = now.session.commands, now.bounds.download_s + now.bounds.install_s
    updates = commands.since(now.time - update_s, "UpdateFirmware")
    triggers = commands.since(now.time - now.bounds.trigger_s, "TriggerMessage")
    return (any(one.status != "CALLERROR" for one in updates)
            or any(one.request.get("requestedMessage") == "FirmwareStatusNotification" for one in triggers))


def _nothing(_: Now, __: Deadline) -> None:
    """That nothing comes at all is another rule's."""


