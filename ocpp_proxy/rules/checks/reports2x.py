"""Reports that a 2.x station sends in parts because it was asked for them.

Keeps the last REQUESTS_KEPT requests and the last RUNS_KEPT reports. A requestId that is used again while a report with
it still runs leaves open which of the two a part belongs to; then nothing is said of it.

Source: OCPP 2.0.1 and 2.1 Part 2 FR.05, B07, B08, K09, N02, N09, N10, O03, O04.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.frame import CallError, CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import flag, integer
from ocpp_proxy.rules.checks.busy2x import busy
from ocpp_proxy.rules.checks.inventory2x import Inventory, variables
from ocpp_proxy.rules.now import Deadline, Hit, Now, Overdue
from ocpp_proxy.rules.occasions import answer, call, check, learn
from ocpp_proxy.rules.place import place_of

REQUESTS_KEPT = 32
RUNS_KEPT = 32
ROUNDS = 10

# What asks for a report → what the report is sent by.
REPORTS: Mapping[str, str] = {
    "GetBaseReport": "NotifyReport",
    "GetReport": "NotifyReport",
    "GetMonitoringReport": "NotifyMonitoringReport",
    "GetDisplayMessages": "NotifyDisplayMessages",
    "GetChargingProfiles": "ReportChargingProfiles",
    "CustomerInformation": "NotifyCustomerInformation",
}
PARTS = tuple(dict.fromkeys(REPORTS.values()))
FOLLOWED = tuple(action for action in REPORTS if action != "CustomerInformation")  # for that see cust201
# Part 5 chapter 5 (profile Core) and the components that stand for the hardware.
MANDATORY: Mapping[str, str] = {name.casefold(): name for name in (
    "AlignedDataCtrlr", "AuthCtrlr", "ChargingStation", "ClockCtrlr", "Connector", "DeviceDataCtrlr", "EVSE",
    "OCPPCommCtrlr", "SampledDataCtrlr", "SecurityCtrlr", "TxCtrlr",
)}  # fmt: skip

Key = tuple[str, int]  # what the report is sent by, and its requestId


@dataclass(slots=True)
class Asked:
    """A request. `status`: of the answer, None while there is none; `followed`: the report has begun; `mixed`: an
    earlier report with the same id had not ended."""

    action: str
    call: FrameRef
    status: str | None = None
    followed: bool = False
    mixed: bool = False


class Run(NamedTuple):
    """The last part of a report. `more`: it said that another follows."""

    seq: int | None
    more: bool
    content: int
    ref: FrameRef


@dataclass(slots=True)
class Reports:
    asked: dict[Key, Asked] = field(default_factory=dict)
    runs: dict[Key, Run] = field(default_factory=dict)

    def awaited(self, action: str) -> list[Key]:
        """The reports of that kind that are due or may be."""
        return [key for key, one in self.asked.items() if key[0] == action and one.status in (None, "Accepted")
                and (not one.followed or (key in self.runs and self.runs[key].more))]


def key_of(now: Now) -> Key | None:
    number = integer(now.request, "requestId")
    return (REPORTS.get(now.action, now.action), number) if number is not None else None


def _part(now: Now) -> Run:
    content = hash(now.exchange.call.raw.partition(b"{")[2]) if now.exchange is not None else 0
    return Run(integer(now.request, "seqNo"), flag(now.request, "tbc") is True, content, now.ref)


# The books


@learn(call(*REPORTS, by="csms"))
def asked(now: Now) -> None:
    key, book = key_of(now), now.session.book(Reports)
    if key is None or now.exchange is None or now.exchange.withheld:
        return
    run = book.runs.get(key)
    book.asked.pop(key, None)
    book.asked[key] = Asked(now.action, now.ref, mixed=run is not None and run.more)
    if len(book.asked) > REQUESTS_KEPT:
        del book.asked[next(iter(book.asked))]


@learn(answer(*REPORTS, by="csms"))
def answered(now: Now) -> None:
    key = key_of(now)
    one = now.session.book(Reports).asked.get(key) if key is not None else None
    if one is not None and one.call == now.call_ref:
        one.status = "CALLERROR" if isinstance(now.frame, CallError) else (now.status or "")[:20]


@learn(call(*PARTS))
def part_sent(now: Now) -> None:
    key, book = key_of(now), now.session.book(Reports)
    if key is None:
        return
    if (one := book.asked.get(key)) is not None:
        one.followed = True
    book.runs.pop(key, None)
    book.runs[key] = _part(now)
    if len(book.runs) > RUNS_KEPT:
        del book.runs[next(iter(book.runs))]


@learn(answer(*PARTS))
def part_refused(now: Now) -> None:
    """After an error the station may begin anew, or give up."""
    key = key_of(now)
    if key is not None and not isinstance(now.frame, CallResult):
        now.session.book(Reports).runs.pop(key, None)


# Whether the report comes


@check("report-follow", answer(*FOLLOWED, by="csms"))
def accepted(now: Now) -> None:
    key = key_of(now)
    one = now.session.book(Reports).asked.get(key) if key is not None else None
    if one is not None and now.status == "Accepted" and not one.followed:
        now.later(now.bounds.report_s, not_followed, key=key, data=(key, ROUNDS))


def _given_time(now: Now, deadline: Deadline, then: Overdue) -> bool:
    """More time for a station that has other things to do."""
    key, rounds = deadline.data
    if not rounds or not busy(now, now.bounds.answer_warn_s):
        return False
    now.later(now.bounds.answer_warn_s, then, key=key, data=(key, rounds - 1), place=deadline.place)
    return True


def not_followed(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if _given_time(now, deadline, not_followed):
        return
    action = deadline.place.action
    yield now.hit(f"No {REPORTS[action]} has come within {now.bounds.report_s:g} s after {action} was accepted",
                  place=deadline.place)


@check("report-follow", call(*PARTS))
def follows(now: Now) -> Iterator[Hit]:
    key, book = key_of(now), now.session.book(Reports)
    if key is None:
        return
    one, awaited = book.asked.get(key), book.awaited(now.action)
    if one is None and len(awaited) == 1:  # it bears another id, for which report-requestid speaks
        now.cancel(awaited[0])
    now.cancel(key)
    if one is not None and one.action in FOLLOWED and one.status not in (None, "Accepted") and not one.mixed:
        yield now.hit(f"{now.action} is sent for {one.action}, which was answered with {one.status}", "/requestId",
                      also=[one.call])


@check("report-order", call(*PARTS))
def too_early(now: Now) -> Iterator[Hit]:
    key = key_of(now)
    one = now.session.book(Reports).asked.get(key) if key is not None else None
    if one is None or one.status is not None or one.mixed or now.link is None or not now.link.whole:
        return
    if one.call.connection == now.connection:
        yield now.hit(f"{now.action} is sent before {one.action} has been answered", also=[one.call])


@check("report-requestid", call(*PARTS))
def unasked(now: Now) -> Iterator[Hit]:
    key, book = key_of(now), now.session.book(Reports)
    if key is None or now.link is None or not now.link.whole:
        return
    awaited = [one for one in book.awaited(now.action) if book.asked[one].call.connection == now.connection]
    if not awaited:
        yield from now.unknown("no request for a report was seen that it could belong to")
    elif key not in book.asked and not integer(now.request, "seqNo") and not (key in book.runs and book.runs[key].more):
        yield now.hit(f"{now.action} bears a requestId that no request had", "/requestId", seen=key[1],
                      expected=[number for _, number in awaited], also=[book.asked[one].call for one in awaited])


# Whether its parts fit


@check("report-seq", call(*PARTS))
def in_order(now: Now) -> Iterator[Hit]:
    key, book = key_of(now), now.session.book(Reports)
    if key is None:
        return
    now.cancel(key)
    last, one, part = book.runs.get(key), book.asked.get(key), _part(now)
    if now.link is None or not now.link.whole or (last is not None and last.ref.connection != now.connection):
        return
    if last is not None and (part.seq, part.content) == (last.seq, last.content):
        return  # sent again with another message id
    if last is None or _begins(last, one, part):
        if part.seq and one is not None and not one.mixed:
            yield now.hit(f"The first part of {now.action} does not bear seqNo 0", "/seqNo", expected=0,
                          also=[one.call])
    elif not last.more:
        yield now.hit(f"A part of {now.action} without tbc true is followed by another", "/tbc", frame=last.ref,
                      also=[now.ref])
    elif part.seq is not None and last.seq is not None and part.seq != last.seq + 1:
        yield now.hit(f"The seqNo of {now.action} does not go up by one from part to part", "/seqNo",
                      expected=last.seq + 1, also=[last.ref])


def _begins(last: Run, one: Asked | None, part: Run) -> bool:
    """Whether the part begins another report than the last one with that id belongs to."""
    asked_since = one is not None and one.call.connection == last.ref.connection and one.call.seq > last.ref.seq
    return asked_since or (not last.more and part.seq == 0)


@check("report-seq", answer(*PARTS))
def goes_on(now: Now) -> None:
    key = key_of(now)
    if key is not None and isinstance(now.frame, CallResult) and flag(now.request, "tbc") is True:
        run = now.session.book(Reports).runs.get(key)
        if run is not None and run.ref == now.call_ref:
            now.later(now.bounds.report_s, broken_off, key=key, data=(key, ROUNDS), place=place_of(now, call=True))


def broken_off(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if _given_time(now, deadline, broken_off):
        return
    yield now.hit(f"{deadline.place.action} says that another part follows, and none has come within"
                  f" {now.bounds.report_s:g} s", "/tbc", seen=True, place=deadline.place)


# What has to be in it


@check("report-mandatory", call("NotifyReport"))
def mandatory(now: Now) -> Iterator[Hit]:
    book = now.session.book(Inventory)
    if flag(now.request, "tbc") is True:
        return
    if not book.goes_on(now.request) or now.link is None or not now.link.whole:
        yield from now.unknown("no full inventory was seen whole")
        return
    told = {name for name, _ in book.gathered or ()} | {name for name, _ in variables(now.request)}
    missing = [shown for name, shown in MANDATORY.items() if name not in told]
    if missing:
        yield now.hit(f"The full inventory has no component {', '.join(missing)}", expected=missing)
