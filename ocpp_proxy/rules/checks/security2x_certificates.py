"""How 2.x stations have their certificates signed.

Keeps for each type of certificate the last SignCertificate that was accepted and how often it was sent. Refuses to look
into certificates.

Source: OCPP 2.0.1 and 2.1 Part 2 A02 and A03.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.rules.checks.security2x import EVENT
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, IN_2X, answer, call, check, learn

TYPES_KEPT = 8
LONGEST_TYPE = 40
INVALID = "InvalidChargingStationCertificate"
MINIMUM = "SecurityCtrlr.CertSigningWaitMinimum"
REPEATS = "SecurityCtrlr.CertSigningRepeatTimes"
LARGEST = "SecurityCtrlr.MaxCertificateChainSize"
LARGE = 5000  # characters; without a limit known, a longer chain may be rejected for its size
ROUNDS = 24


@dataclass(slots=True)
class Signing:
    """`asked`: the last SignCertificate that was accepted, `time`: when it was sent; `sent`: how often it was sent
    before; `rejected`: the station's rejection of the certificate, since when nobody has asked for another."""

    asked: FrameRef | None = None
    time: float = 0.0
    sent: int = 0
    rejected: FrameRef | None = None


@dataclass(slots=True)
class Signings:
    """`types`: by certificateType, "" where it was left out; `requests`: the requestIds of SignCertificate; `invalid`:
    when the security event about an invalid certificate was last told."""

    types: dict[str, Signing] = field(default_factory=dict)
    requests: set[int] = field(default_factory=set)
    invalid: float | None = None

    def of(self, kind: str) -> Signing:
        if kind not in self.types and len(self.types) >= TYPES_KEPT:
            self.types.clear()
        return self.types.setdefault(kind, Signing())


def _kind(now: Now) -> str:
    return (text(now.request, "certificateType") or "")[:LONGEST_TYPE]


def _meant(now: Now) -> list[str]:
    """The types that a CertificateSigned may be for: one that was asked for without a type serves for all."""
    kind, known = _kind(now), now.session.book(Signings).types
    return [one for one in known if not kind or one in ("", kind)]


@learn(call("SignCertificate"))
def called(now: Now) -> None:
    number, book = integer(now.request, "requestId"), now.session.book(Signings)
    if now.version != "1.6" and number is not None:
        if len(book.requests) >= TYPES_KEPT * 4:
            book.requests.clear()
        book.requests.add(number)


@learn(answer("SignCertificate"), versions=IN_2X)
def accepted(now: Now) -> None:
    one = now.session.book(Signings).of(_kind(now))
    if now.status == "Accepted":
        one.sent = one.sent + 1 if one.asked is not None else 0
        one.asked, one.time, one.rejected = now.call_ref, now.called_time, None
    else:
        one.asked = None


@learn(answer("CertificateSigned", by="csms"), versions=IN_2X)
def signed(now: Now) -> None:
    book = now.session.book(Signings)
    for key in _meant(now):
        one = book.types[key]
        one.rejected = now.ref if now.status == "Rejected" and one.asked is not None else None
        one.asked = None


@learn(call("TriggerMessage", by="csms"), versions=IN_2X)
def triggered(now: Now) -> None:
    """Whatever it asks for, the station may begin anew."""
    if (text(now.request, "requestedMessage") or "").startswith("Sign"):
        now.session.book(Signings).types.clear()


@learn(CLOSED, versions=IN_2X)
def left(now: Now) -> None:
    now.session.book(Signings).types.clear()


@learn(call(EVENT), versions=IN_2X)
def event_told(now: Now) -> None:
    if text(now.request, "type") == INVALID:
        now.session.book(Signings).invalid = now.time


# The back-off


def _wait_s(now: Now, sent: int) -> float | None:
    """How long after a SignCertificate, which was sent so often before, the next one is due."""
    minimum = now.session.settings.integer(MINIMUM)
    return float(minimum * 2**sent) if minimum is not None and minimum > 0 and sent < 16 else None


@check("cert201-sign", answer("SignCertificate"))
def next_due(now: Now) -> Iterator[Hit]:
    one, repeats = now.session.book(Signings).of(_kind(now)), now.session.settings.integer(REPEATS)
    sent = one.sent + 1 if one.asked is not None else 0
    wait_s = _wait_s(now, sent)
    now.cancel(_kind(now))
    if now.status != "Accepted":
        return
    if wait_s is None:
        yield from now.unknown("CertSigningWaitMinimum was not seen")
    elif sent < repeats if repeats is not None else sent == 0:
        late_s = wait_s + now.bounds.tolerance_s(wait_s) + now.bounds.answer_fail_s
        now.later(late_s, not_repeated, key=_kind(now), data=wait_s)


@check("cert201-sign", call("CertificateSigned", by="csms"))
def certificate_came(now: Now) -> None:
    for kind in _meant(now):
        now.cancel(kind)


def not_repeated(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"No certificate has come for the accepted SignCertificate, and it is not sent again after"
                  f" {deadline.data:g} s", place=deadline.place, by="station")


@check("cert201-sign", call("SignCertificate"))
def repeated(now: Now) -> Iterator[Hit]:
    one = now.session.book(Signings).of(_kind(now))
    now.cancel(_kind(now))
    if now.link is None or not now.link.whole or now.injected:
        return
    if one.rejected is not None:
        yield now.hit("SignCertificate is sent again after the certificate was rejected, and nobody has asked for it",
                      case="again", also=[one.rejected])
        return
    wait_s = _wait_s(now, one.sent)
    if one.asked is None or wait_s is None or one.asked.connection != now.connection:
        return
    if now.time - one.time < wait_s - now.bounds.tolerance_s(wait_s):
        yield now.hit(f"SignCertificate is sent again before {wait_s:g} s have passed", expected=wait_s,
                      also=[one.asked])


# A certificate that is not valid


@check("cert201-sign", answer("CertificateSigned", by="csms"))
def rejected(now: Now) -> None:
    book = now.session.book(Signings)
    told = book.invalid is not None and book.invalid >= now.called_time
    if now.status == "Rejected" and not told and not _rightly(now):
        now.later(now.bounds.report_s, no_event, key=INVALID, data=ROUNDS, across=True)


def _rightly(now: Now) -> bool:
    """Whether it may have been rejected for another reason than that it is not valid."""
    number, limit = integer(now.request, "requestId"), now.session.settings.integer(LARGEST)
    size = len(text(now.request, "certificateChain") or "")
    strange = number is not None and number not in now.session.book(Signings).requests
    return strange or size > (limit if limit is not None else LARGE)


@check("cert201-sign", call(EVENT))
def event_came(now: Now) -> None:
    if text(now.request, "type") == INVALID:
        now.cancel(INVALID)


def no_event(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if now.link is None and deadline.data:
        now.later(now.bounds.report_s, no_event, key=INVALID, data=deadline.data - 1, across=True, place=deadline.place)
        return
    yield now.hit(f"No security event {INVALID} has come within {now.bounds.report_s:g} s after the station rejected a"
                  " certificate", place=deadline.place)
