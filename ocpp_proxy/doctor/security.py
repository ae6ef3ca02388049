"""TLS: version, cipher suite, certificate and chain, then the four suites that OCPP demands, each tried by itself.

Decides what of an agreed TLS is worth telling and what a missing suite means: OCPP wants all four of a CSMS and two of
a kind of a station, so as long as one kind is there it depends on the station, else one that keeps to OCPP may find
nothing in common. Refuses to say a word on a connection whose certificate was not checked.

Source: Improved security for OCPP 1.6-J edition 3, A00.FR.306 to .318; OCPP 2.0.1 Part 2, A00.FR.306 to .319.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from ocpp_proxy.clock import now
from ocpp_proxy.doctor.addresses import Place
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.line import Line, quietly, reach
from ocpp_proxy.doctor.step import Step, Trouble
from ocpp_proxy.wire.certificate import Certificate
from ocpp_proxy.wire.tls import OCPP_SUITES, shown_chain, suite_context

_OLD = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_DAY_S = 86400
_SOON_DAYS = 30
_CLAUSE = "A00.FR.318 in 2.x, A00.FR.317 in 1.6"


def agreed(case: Case, line: Line) -> list[Step]:
    """What is told of a TLS connection that came about."""
    tls = line.transport.get_extra_info("ssl_object")
    version, cipher = tls.version(), (tls.cipher() or ("no cipher",))[0]
    steps = [Step("tls", True, f"{version} with {cipher}")]
    if version in _OLD:
        steps = [Step("tls", False, f"{version} with {cipher}, older than OCPP allows",
                      "have TLS 1.2 or 1.3 switched on in the CSMS")]
    return [*steps, _certificate(case, shown_chain(tls))]


def _certificate(case: Case, chain: tuple[Certificate | None, ...]) -> Step:
    own = chain[0] if chain else None
    if own is None:
        return Step("tls", None, "the CSMS's certificate cannot be read here")
    names = ", ".join(own.all_names) or "no name"
    sent = "1 certificate" if len(chain) == 1 else f"{len(chain)} certificates"
    seen = f"certificate for {names}, issued by {own.issuer or 'nobody'}, valid until {own.not_after}{_left(own)}"
    if case.tls.insecure:
        return Step("tls", None, f"{seen}; {sent} sent, not checked (--upstream-insecure)")
    files = " and ".join(map(str, case.tls.ca))
    trusted = f"the authorities in {files}" if files else "this computer's authorities"
    return Step("tls", True, f"{seen}; {sent} sent, trusted by {trusted}, good for {case.server_name}")


def _left(certificate: Certificate) -> str:
    ends = datetime.fromisoformat(certificate.not_after)
    days = int((ends - datetime.fromtimestamp(now().utc_us / 1e6, UTC)).total_seconds() // _DAY_S)
    return f" (in {days} days: to be renewed soon)" if 0 <= days < _SOON_DAYS else ""


def is_tls(trouble: Trouble) -> bool:
    """Whether somebody at least speaks TLS there, so that suites can be tried."""
    error = trouble.__cause__
    return isinstance(error, ssl.SSLError) and (
        isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")
    )


async def suites(case: Case, place: Place, busy: Callable[[str], None]) -> list[Step]:
    """One step for each of the four."""
    found: dict[str, bool | str] = {}
    for suite in OCPP_SUITES:
        busy(f"tls: trying {suite}")
        found[suite] = await _offers(case, place, suite)
        if isinstance(found[suite], str):
            break
    served = any(offered is True for offered in found.values())
    return [_suite(suite, found.get(suite, "not tried, like the one before"), served) for suite in OCPP_SUITES]


async def _offers(case: Case, place: Place, suite: str) -> bool | str:
    """Whether the CSMS takes this suite; words where it cannot be told."""
    try:
        context = suite_context(suite, case.tls.cert, case.tls.key)
    except ssl.SSLError:
        return "not tried: this computer's OpenSSL does not have it"
    try:
        line = await reach(case, *place, context)
    except Trouble as trouble:
        if trouble.late or trouble.name == "tcp":
            return f"not to be told: {trouble.cause}"
        # It may have agreed and then missed a client certificate.
        return getattr(trouble.__cause__, "suite", None) is not None
    await quietly(line, case)
    return True


def _suite(suite: str, offered: bool | str, served: bool) -> Step:
    if offered is True:
        return Step("tls", True, f"offers {suite}")
    if isinstance(offered, str):
        return Step("tls", None, f"{suite}: {offered}")
    kind = "ECDSA" if "ECDSA" in suite else "RSA"
    if served:
        return Step("tls", None, f"does not offer {suite}, which OCPP demands of a CSMS ({_CLAUSE}): a station that "
                                 f"knows only suites with {kind} cannot connect, others can")
    return Step("tls", False, f"does not offer {suite}, nor any other of the four that OCPP demands ({_CLAUSE})",
                f"have it switched on, for which TLS 1.2 and an {kind} certificate are needed; a station that knows "
                "TLS 1.3 or further suites connects without it")


