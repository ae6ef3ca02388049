"""TLS on both legs: versions, cipher suites, compression and certificates.

Each leg is judged for its own peer: on the station's leg the proxy is the server, so that only the station's part of
what was agreed is held against it; on the CSMS's leg the proxy is the client, and offers TLS 1.3 and all suites that
OCPP demands. The station's certificate is seen by the proxy alone, so a CSMS is never blamed for accepting one.

Source: Improved security for OCPP 1.6-J edition 3, A00.FR.312 to .320, .404 to .424, .501 to .511; OCPP 2.0.1 and 2.1
Part 2, A00.FR.313 to .321, .404 to .424, .501 to .511; OCPP 2.0.1 errata 2025-09 section 2.62 (wildcards).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from ocpp_proxy.core.frame import Side
from ocpp_proxy.core.payload import integer, items, text
from ocpp_proxy.core.record import Opened
from ocpp_proxy.rules.checks.security_facts import attribute, binding, certificate, offered, tls
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import HANDSHAKE, call, check
from ocpp_proxy.rules.place import SHOWN

LEGS: tuple[Side, Side] = ("station", "csms")
OLD = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
NEW_OFFERED = frozenset({"TLS 1.2", "TLS 1.3"})
LEGACY_SUITES = frozenset({"AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"})
LEGACY = "002f"  # the same as a number of IANA's
ECDHE_ECDSA = {"c02b": "ECDHE-ECDSA-AES128-GCM-SHA256", "c02c": "ECDHE-ECDSA-AES256-GCM-SHA384"}
RSA = {"009c": "AES128-GCM-SHA256", "009d": "AES256-GCM-SHA384"}
LEAST_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}
LONGEST_COMMON_NAME = 64  # X.520, upper bound ub-common-name

UNBOUND = "extension-unknown"


def _legs(now: Now) -> list[tuple[Side, Opened, dict[str, Any]]]:
    """The legs that spoke TLS, or tried to, in this handshake; the rule owns up where there is none."""
    record = now.record
    if not isinstance(record, Opened):
        return []
    legs = [(side, record, facts) for side in LEGS if (facts := tls(record, side)) is not None]
    if not legs:
        now.unknown("TLS was not seen on either side")
    return legs


def _case(now: Now, record: Opened) -> str | None:
    return None if binding(now, record) else UNBOUND


# Versions and suites


@check("sec-tls-version", HANDSHAKE)
def version(now: Now) -> Iterator[Hit]:
    for side, record, facts in _legs(now):
        agreed, versions = text(facts, "version"), offered(facts, "versions")
        case = "legacy" if now.version == "1.6" and _legacy(facts) else _case(now, record)
        if agreed in OLD:
            yield now.hit(f"The {SHOWN[side]} speaks nothing newer than {_named(agreed)}", seen=agreed,
                          expected="TLSv1.2 or later", case=case, by=side)
        elif agreed is None and versions and NEW_OFFERED.isdisjoint(versions):
            yield now.hit(f"The station offers nothing newer than {versions[0]}", seen=versions[0],
                          expected="TLSv1.2 or later", case=case, by="station")


def _named(agreed: str) -> str:
    return {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}.get(agreed, agreed)


def _legacy(facts: Mapping[str, Any]) -> bool:
    """Whether the one suite is there that 1.6 allows with old versions."""
    return LEGACY in offered(facts, "suites") or text(dict(facts), "cipher") in LEGACY_SUITES


@check("sec-tls-cipher-cp", HANDSHAKE)
def suites_of_station(now: Now) -> Iterator[Hit]:
    record = now.record
    facts = tls(record, "station") if isinstance(record, Opened) else None
    suites, versions = offered(facts, "suites"), offered(facts, "versions")
    if not suites:
        yield from now.unknown("no ClientHello of the station was recorded")
    elif now.version == "1.6" and LEGACY in suites and NEW_OFFERED.isdisjoint(versions):
        return
    elif not any(family.keys() <= set(map(str, suites)) for family in (ECDHE_ECDSA, RSA)):
        there = [name for number, name in (ECDHE_ECDSA | RSA).items() if number in suites]
        yield now.hit(f"Of the cipher suites that OCPP demands, the station offers {' and '.join(there) or 'none'}",
                      seen=there, expected=[" and ".join(ECDHE_ECDSA.values()), " and ".join(RSA.values())],
                      by="station")


@check("sec-tls-cipher-cs", HANDSHAKE)
def suites_of_csms(now: Now) -> Iterator[Hit]:
    record = now.record
    facts = tls(record, "csms") if isinstance(record, Opened) else None
    agreed = text(facts, "cipher")
    if agreed is None or text(facts, "version") != "TLSv1.2":
        yield from now.unknown("TLS 1.2 with the CSMS was not seen")
    elif "GCM" not in agreed and "CHACHA" not in agreed:
        yield now.hit(f"The CSMS takes {agreed}, although all suites that OCPP demands were offered", seen=agreed,
                      expected=list((ECDHE_ECDSA | RSA).values()), by="csms")


@check("sec-tls-compression", HANDSHAKE)
def compression(now: Now) -> Iterator[Hit]:
    for side, record, facts in _legs(now):
        if (agreed := text(facts, "compression")) is not None:
            yield now.hit(f"TLS compression is in use with the {SHOWN[side]}", seen=agreed, case=_case(now, record),
                          by=side)
        elif methods := offered(facts, "compressions"):
            yield now.hit("The station offers TLS compression", seen=methods, case="offered", by="station")


# Certificates


@check("sec-tls-cert-fqdn", HANDSHAKE)
def name_of_csms(now: Now) -> Iterator[Hit]:
    record = now.record
    facts = tls(record, "csms") if isinstance(record, Opened) else None
    shown, dialled = certificate(facts), text(facts, "server_name")
    if shown is None or dialled is None or not isinstance(record, Opened):
        yield from now.unknown("no certificate of the CSMS was seen")
        return
    if not _is_fqdn(dialled):
        yield from now.unknown("the CSMS was dialled by an address or a name that is not fully qualified")
        return
    common, wanted = attribute(shown, "CN"), dialled.rstrip(".").casefold()
    if len(wanted) > LONGEST_COMMON_NAME or (common or "").casefold() == wanted:
        return
    named = "has no common name" if common is None else f"has the common name {common[:80]}"
    others = "" if not _among(items(shown, "names"), wanted) else "; the name is in subjectAltName only"
    case = _case(now, record) or ("wildcard" if common is not None and _covers(common, wanted) else None)
    yield now.hit(f"The CSMS's certificate {named}, not {dialled[:80]}{others}", seen=common, expected=dialled,
                  case=case, by="csms")


def _is_fqdn(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return "." in name.strip(".")
    return False


def _among(names: list[Any], wanted: str) -> bool:
    return any(isinstance(one, str) and (one.casefold() == wanted or _covers(one, wanted)) for one in names)


def _covers(pattern: str, wanted: str) -> bool:
    """Whether a name with a wildcard for its first label stands for the wanted one."""
    star, _, rest = pattern.casefold().partition(".")
    return star == "*" and wanted.partition(".")[2] == rest


@check("sec-tls-cert-key", HANDSHAKE)
def certificates(now: Now) -> Iterator[Hit]:
    for side, record, facts in _legs(now):
        if (shown := certificate(facts)) is not None:
            for sentence, seen, expected in _flaws(shown):
                yield now.hit(f"The {SHOWN[side]}'s certificate {sentence}", seen=seen, expected=expected,
                              case=_case(now, record), by=side)


def _flaws(shown: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    kind, bits = text(dict(shown), "key", "kind"), integer(dict(shown), "key", "bits")
    least = LEAST_BITS.get(kind or "")
    if least is not None and bits is not None and bits < least:
        yield f"has a key of {bits} bits ({kind}), fewer than {least}", bits, least
    if "subject" in shown and attribute(shown, "O") is None:
        yield "names no organisation", shown["subject"], "O=…"
    if shown.get("serial") == "0":
        yield "has no serial number", "0", None


@check("sec-tls-client-cn", call("BootNotification"))
def name_of_station(now: Now) -> Iterator[Hit]:
    opened = now.link.opened if now.link is not None else None
    shown = certificate(tls(opened, "station")) if opened is not None else None
    if shown is None:
        yield from now.unknown("no certificate of the station was seen")
        return
    serials, common, owner = _serials(now), attribute(shown, "CN") or "", attribute(shown, "O")
    if not serials:
        yield from now.unknown("the station told no serial number")
    elif not any(_meant(serial.casefold(), common.casefold(), now.version) for serial in serials):
        yield now.hit(f"The station shows a certificate for {common[:80] or 'nobody'} and tells the serial number "
                      f"{serials[0][:80]}", _SERIAL[now.version][0], seen=serials[0], expected=common)
    wanted = now.session.settings.value("CpoName" if now.version == "1.6" else "SecurityCtrlr.OrganizationName")
    if wanted and wanted.casefold() not in (owner or "").casefold():
        yield now.hit(f"The station shows a certificate of {owner or 'no organisation'}, and is configured for "
                      f"{wanted[:80]}", seen=owner, expected=wanted, case="owner")


def _meant(serial: str, common: str, version: str) -> bool:
    """In 1.6 the common name contains the serial number, in 2.x it is the serial number."""
    return serial in common if version == "1.6" else serial == common


_SERIAL: Mapping[str, tuple[str, ...]] = {
    "1.6": ("/chargePointSerialNumber", "/chargeBoxSerialNumber"),
    "2.0.1": ("/chargingStation/serialNumber",),
    "2.1": ("/chargingStation/serialNumber",),
}


def _serials(now: Now) -> list[str]:
    found = (text(now.request, *pointer[1:].split("/")) for pointer in _SERIAL[now.version])
    return [serial for serial in found if serial]
