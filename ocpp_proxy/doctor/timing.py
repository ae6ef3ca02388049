"""Clock skew: the CSMS's Date header beside this computer's clock.

Decides how far the two may differ: OCPP stations take the CSMS's time, and the rules about clocks warn from a minute
on. Refuses to say which of two clocks is wrong; often the header is a load balancer's.

Source: RFC 9110 sections 5.6.7 (HTTP-date, in whole seconds) and 6.6.1 (Date).
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from ocpp_proxy.doctor.request import Answer
from ocpp_proxy.doctor.step import Quotes, Step, not_tried

FAR_S = 60
_UNIT_S = 1.0  # the header's resolution


def clock(answer: Answer, quotes: Quotes) -> Step:
    date = answer.header("Date")
    if date is None:
        return not_tried("clock", "the CSMS's answer has no Date header")
    try:
        moment = parsedate_to_datetime(date)
        csms_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return not_tried("clock", f"the CSMS's Date header is no date: {quotes.quote(date)}")
    ahead_s = _ahead(csms_s, answer.asked.utc_us / 1e6, answer.answered.utc_us / 1e6)
    if ahead_s == 0:
        return Step("clock", True, "the CSMS's clock (Date header) and this computer's agree to the second")
    seen = (f"the CSMS's clock (Date header) is {_spelt(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} this "
            "computer's")
    if abs(ahead_s) <= FAR_S:
        return Step("clock", True, seen)
    return Step("clock", False, seen,
                "set this computer's clock first (NTP), and look again; if it is right, the CSMS's is wrong: stations "
                "take their time from it, and certificates and meter values get wrong times")


def _ahead(csms_s: float, asked_s: float, answered_s: float) -> float:
    """How far the CSMS is ahead at least; 0 where its Date fits a clock that is right: it was written between the
    question and the answer, and cut to whole seconds."""
    if csms_s > answered_s:
        return csms_s - answered_s
    return min(csms_s + _UNIT_S - asked_s, 0.0)


def _spelt(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
