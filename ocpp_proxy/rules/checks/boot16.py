"""How a station stands with its CSMS, from BootNotification to Accepted: in 1.6, and where all versions are alike.

Decides what either side may send as long as the station is not accepted, and when it has to come back. Refuses to know
how its standing is found out (`boot16_book`) and what tells of a boot (`boot16_boots`).

Source: OCPP 1.6 edition 2 section 4.2; 1.6 errata 3.22 and 3.40; OCPP-J 1.6 errata 3.10; OCPP 2.0.1 Part 2 B01 to B03.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import CallError, CallResult
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.core.station.registration import Boot
from ocpp_proxy.rules.checks.boot16_book import (
    TRIGGERS,
    book,
    boot_wanted,
    not_booted,
    refused,
    standing,
    unaccepted,
    wanted,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

MAX_CONNECTORS = 64   # of a station that says how many it has
FLOOD_S = 10.0        # BootNotifications closer than this flood the CSMS
RETRY_FACTOR, RETRY_S = 2, 60.0
SECURITY = "SecurityError"
NOT_WHILE_PENDING = ("RemoteStartTransaction", "RemoteStopTransaction")


# Coming back too early, or never


@check("boot-interval-pending", call("BootNotification"))
def too_early(now: Now) -> Iterator[Hit]:
    if (last := too_soon(now, "Pending", "Rejected")) is not None:
        yield now.hit(
            f"BootNotification is sent again before the interval of {last.interval_s} s has passed that came with "
            f"{last.status}", case="rejected" if last.status == "Rejected" else None, also=[last.answer])


def too_soon(now: Now, *statuses: str) -> Boot | None:
    """The answer that a further BootNotification does not wait for, None where it does or had better not."""
    last = refused(now, *statuses)
    if last is None or not last.interval_s or last.interval_s < 0 or boot_wanted(now) or not not_booted(now):
        return None
    waited_s = now.time - last.time
    return last if waited_s < last.interval_s - now.bounds.tolerance_s(last.interval_s) else None


@check("boot-retry-flood", call("BootNotification"))
def flood(now: Now) -> Iterator[Hit]:
    last = refused(now, "Pending", "Rejected")
    if last is None or last.interval_s != 0 or boot_wanted(now) or not not_booted(now):
        return
    if now.time - last.time < FLOOD_S:
        yield now.hit(f"BootNotification is sent again within {FLOOD_S:g} s after {last.status} with interval 0",
                      also=[last.answer])


@check("boot-retry-missing", answer("BootNotification"))
def to_come_back(now: Now) -> None:
    interval = integer(now.response, "interval")
    if now.status in ("Pending", "Rejected") and interval is not None and interval > 0:
        patience_s = RETRY_FACTOR * interval + max(RETRY_S, now.bounds.interval_s)
        now.later(patience_s, not_back, data=(now.status, interval))


@check("boot-retry-missing", call("BootNotification", retries=True))
def back(now: Now) -> None:
    now.cancel()


def not_back(now: Now, deadline: Deadline) -> Iterator[Hit]:
    status, interval = deadline.data
    if now.link is not None and now.link.whole:
        waited = f"{RETRY_FACTOR} x {interval} s + {RETRY_S:g} s"
        yield now.hit(f"After {status} with interval {interval} s no BootNotification has come for {waited}",
                      place=deadline.place, by="station")


# Not accepted so far


@check("pending-cp-call", call())
def pending_call(now: Now) -> Iterator[Hit] | None:
    last = unaccepted(now)
    return _may_not_send(now, last) if last is not None and last.status == "Pending" else None


@check("rejected-cp-call", call())
def rejected_call(now: Now) -> Iterator[Hit] | None:
    last = unaccepted(now)
    if last is None or last.status != "Rejected":
        return None
    return _booting_too_soon(now) if now.action == "BootNotification" else _may_not_send(now, last)


def _may_not_send(now: Now, last: Boot) -> Iterator[Hit]:
    if now.action != "BootNotification" and not now.injected and not wanted(now, now.action):
        yield now.hit(f"{now.action} is sent while the registration is {last.status}", also=[last.answer])


def _booting_too_soon(now: Now) -> Iterator[Hit]:
    if now.version != "1.6" and (last := too_soon(now, "Rejected")) is not None:
        yield now.hit(f"BootNotification is sent again before the interval of {last.interval_s} s has passed that came "
                      "with Rejected", also=[last.answer])


@check("pending-cs-remote", call(*NOT_WHILE_PENDING, by="csms"))
def pending_remote(now: Now) -> Iterator[Hit]:
    if (last := refused(now, "Pending")) is not None:
        yield now.hit(f"{now.action} is sent while the registration is Pending", also=[last.answer])


@check("pending-cp-silent", call(by="csms", retries=True))
def pending_asked(now: Now) -> None:
    exchange, last = now.exchange, unaccepted(now)
    if last is None or last.status != "Pending" or exchange is None or exchange.withheld:
        return
    if now.action not in NOT_WHILE_PENDING:
        now.later(now.bounds.answer_fail_s + now.called_time - now.time, pending_silent, key=exchange.message_id)


@check("pending-cp-silent", answer(by="csms"))
def pending_answered(now: Now) -> None:
    if now.exchange is not None:
        now.cancel(now.exchange.message_id)


def pending_silent(now: Now, deadline: Deadline) -> Iterator[Hit]:
    if now.link is not None and now.link.whole:
        yield now.hit(f"The station has not answered {deadline.place.action} within {now.bounds.answer_fail_s:g} s "
                      "while its registration is Pending", place=deadline.place, by="station")


@check("rejected-cs-call", call(by="csms"))
def rejected_asked(now: Now) -> Iterator[Hit] | None:
    last = unaccepted(now)
    return _rejected_asked(now, last) if last is not None and last.status == "Rejected" else None


def _rejected_asked(now: Now, last: Boot) -> Iterator[Hit]:
    yield now.hit(f"{now.action} is sent while the registration is Rejected", also=[last.answer])


@check("rejected-cp-answers", answer(by="csms"))
def rejected_answered(now: Now) -> Iterator[Hit] | None:
    last = unaccepted(now)
    return _rejected_answered(now, last) if last is not None and last.status == "Rejected" else None


def _rejected_answered(now: Now, last: Boot) -> Iterator[Hit]:
    if now.called_time < last.time or _refusal(now):
        return
    how = f"with CALLERROR {now.frame.code}" if isinstance(now.frame, CallError) else "with a CALLRESULT"
    if now.version != "1.6" or isinstance(now.frame, CallResult):
        yield now.hit(f"{now.action} is answered {how} while the registration is Rejected", also=[last.answer])


@check("unaccepted-cs-answer", answer())
def unaccepted_answered(now: Now) -> Iterator[Hit] | None:
    last = unaccepted(now)
    return _unaccepted_answered(now, last) if last is not None else None


def _unaccepted_answered(now: Now, last: Boot) -> Iterator[Hit]:
    if now.action == "BootNotification" or now.injected or now.called_time < last.time:
        return
    if wanted(now, now.action) or not isinstance(now.frame, CallResult):
        return
    yield now.hit(f"{now.action} is answered with a CALLRESULT while the registration is {last.status}",
                  expected=f"CALLERROR {SECURITY}", also=[last.answer])


def _refusal(now: Now) -> bool:
    return isinstance(now.frame, CallError) and now.frame.code == SECURITY


@check("boot-trigger-after-accepted", call(*TRIGGERS, by="csms"))
def trigger_after_accepted(now: Now) -> Iterator[Hit]:
    last, registration = standing(now), now.session.registration
    if text(now.request, "requestedMessage") != "BootNotification":
        return
    if last is None or last.status != "Accepted" or last.answer.connection != now.connection:
        return
    if registration.pending_call is None or registration.pending_call.connection != now.connection:
        yield now.hit(f"{now.action} asks for a BootNotification although the last one was accepted",
                      "/requestedMessage", seen="BootNotification", also=[last.answer])


# The statuses after Accepted


@dataclass(slots=True)
class Reported:
    """The connectors whose status has been told since the BootNotification, MAX_CONNECTORS of them and 0."""

    numbers: set[int] = field(default_factory=set)


@check("boot-status-report", answer("BootNotification"))
def statuses_due(now: Now) -> None:
    known = now.session.registration.status == "Accepted" and book(now).on_demand
    if now.status == "Accepted" and not known:
        now.later(now.bounds.status_s * (_connectors(now) + 1), statuses_missing)


@check("boot-status-report", call("BootNotification"))
def statuses_anew(now: Now) -> None:
    now.session.book(Reported).numbers.clear()
    now.cancel()


@check("boot-status-report", call("StatusNotification"))
def status_reported(now: Now) -> None:
    numbers, number = now.session.book(Reported).numbers, integer(now.request, "connectorId")
    if number is None or number in numbers or len(numbers) > MAX_CONNECTORS:
        return
    numbers.add(number)
    if (waiting := now.expected()) is not None:
        now.later(now.bounds.status_s * (_connectors(now) + 1), statuses_missing, place=waiting.place)


def statuses_missing(now: Now, deadline: Deadline) -> Iterator[Hit]:
    link = now.link
    if link is None or not link.whole:
        return
    asked = link.called.get("station", 0.0)
    if asked > link.heard.get("csms", 0.0) and now.time - asked < now.bounds.answer_fail_s:
        now.later(max(now.bounds.status_s, 1.0), statuses_missing, place=deadline.place)  # it waits for an answer
        return
    missing = sorted(set(range(_connectors(now) + 1)) - now.session.book(Reported).numbers)
    if missing:
        named = ", ".join(map(str, missing[:10])) + (" and more" if len(missing) > 10 else "")
        yield now.hit(f"After BootNotification was accepted no status of connector {named} has come",
                      place=deadline.place, by="station", seen=sorted(now.session.book(Reported).numbers)[:20])


def _connectors(now: Now) -> int:
    """How many connectors the station has at least: as configured, or those that have told a status, and one."""
    told = now.session.settings.integer("NumberOfConnectors")
    if told is not None and 0 < told <= MAX_CONNECTORS:
        return told
    known, number = now.session.connectors.known, 1
    while (number + 1, 0) in known and number < MAX_CONNECTORS:
        number += 1
    return number
