"""Remote start and remote stop in 1.6.

Source: OCPP 1.6 edition 2 sections 5.11, 5.12, 6.33 and 9.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, moment_us, text
from ocpp_proxy.rules.checks.remote16_state import (
    IN_SESSION,
    all_seen,
    blocked,
    fresh,
    heard_of,
    numbers,
    running,
    status_of,
)
from ocpp_proxy.rules.checks.transactions16_past import known_start
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

ASKED_KEPT = 16
WAITS_S = 300.0       # for the cable, where ConnectionTimeOut was not seen
SWIPE_S = 10.0        # from a card or a remote start to Preparing, which then tells nothing of a cable
QUEUED_US = 300 * 10**6  # a StartTransaction that speaks of so long before is an old one


@dataclass(frozen=True, slots=True)
class Asked:
    """An accepted RemoteStartTransaction that no transaction has come of yet. `at_us`: when, in UTC microseconds."""

    token: str
    tag: str
    connector: int | None
    call: FrameRef
    answer: FrameRef
    called: float
    time: float
    at_us: int


@dataclass(slots=True)
class RemoteStarts:
    """Keeps the last ASKED_KEPT, oldest first."""

    pending: list[Asked] = field(default_factory=list)

    def drop(self, *gone: Asked) -> None:
        self.pending = [one for one in self.pending if one not in gone]


@learn(answer("RemoteStartTransaction", by="csms"), versions=IN_16)
def remember(now: Now) -> None:
    token, tag = folded(now.request, "idTag"), text(now.request, "idTag")
    if now.status != "Accepted" or token is None or tag is None:
        return
    if any(one.token == token and one.start_time >= now.called_time for one in now.session.transactions.all()):
        return  # it began before the answer
    book = now.session.book(RemoteStarts)
    book.pending.append(Asked(token, tag[:40], integer(now.request, "connectorId"), now.call_ref, now.ref,
                              now.called_time, now.time, now.at.utc_us))
    del book.pending[:-ASKED_KEPT]


@learn(call("StartTransaction"), versions=IN_16)
def begun(now: Now) -> None:
    book = now.session.book(RemoteStarts)
    if (asked := _asked_for(now)) is not None or (asked := _asked_here(now)) is not None:
        book.drop(asked)


@learn(call("StatusNotification"), versions=IN_16)
def given_up(now: Now) -> None:
    """A connector that falls back from Preparing will not start any more."""
    book = now.session.book(RemoteStarts)
    if not book.pending or text(now.request, "status") != "Available":
        return
    number = integer(now.request, "connectorId")
    if now.session.connectors.status(number or 0) == "Preparing":
        book.drop(*(one for one in book.pending if one.connector == number))


def _live(now: Now) -> Iterator[Asked]:
    """Those that the StartTransaction at hand can come of, the latest first."""
    if now.once(known_start) is not None:
        return  # sent again
    within_s = _wait_s(now) + now.bounds.start_s
    at_us = moment_us(now.request, "timestamp")
    for one in reversed(now.session.book(RemoteStarts).pending):
        queued = at_us is not None and (
            at_us < one.at_us - QUEUED_US or now.session.links.offline_at(at_us) is not None)
        if now.time - one.time <= within_s and not queued:
            yield one


def _wait_s(now: Now) -> float:
    return now.session.settings.integer("ConnectionTimeOut") or WAITS_S


def _asked_for(now: Now) -> Asked | None:
    """The remote start with the idTag of the StartTransaction; of several, the one for its connector."""
    token, connector = folded(now.request, "idTag"), integer(now.request, "connectorId")
    found = [one for one in _live(now) if one.token == token]
    return next((one for one in found if one.connector == connector), found[0] if found else None)


def _asked_here(now: Now) -> Asked | None:
    """The remote start for the connector of the StartTransaction."""
    connector = integer(now.request, "connectorId")
    return next((one for one in _live(now) if one.connector is not None and one.connector == connector), None)


def _presented(now: Now, token: str | None, since: float) -> bool:
    """Whether the station asked about this idTag since then."""
    tokens = now.session.tokens
    known = tokens.get(token)
    asked = tokens.asked.get(token or "")
    return (known is not None and known.by == "Authorize" and known.time >= since) or (
        asked is not None and asked >= since)


# What an accepted remote start leads to


@dataclass(frozen=True, slots=True)
class _Start:
    """`waiting`: the connector in Preparing; `sure`: ConnectionTimeOut is known; `within_s`: how long to wait."""

    token: str
    waiting: int
    called: float
    time: float
    sure: bool
    within_s: float


@check("remotestart-outcome", answer("RemoteStartTransaction", by="csms"))
def start_accepted(now: Now) -> None:
    token = folded(now.request, "idTag")
    waiting = _plugged(now)
    if now.status != "Accepted" or token is None or waiting is None:
        return
    wait_s = now.session.settings.integer("ConnectionTimeOut")
    within_s = max(now.bounds.start_s, (wait_s or 0) + now.bounds.status_s)
    now.later(within_s, not_started, key=token,
              data=_Start(token, waiting, now.called_time, now.time, wait_s is not None, within_s))


def not_started(now: Now, deadline: Deadline) -> Iterator[Hit]:
    start: _Start = deadline.data
    if _explained(now, start) or blocked(now) or not all_seen(now, start.called):
        return
    yield now.hit(
        f"RemoteStartTransaction was accepted for a connector in Preparing, and {start.within_s:g} s later it is still "
        "there without a StartTransaction", place=deadline.place, connector=start.waiting,
        case=None if start.sure else "timeout-unknown",
    )  # fmt: skip


def _plugged(now: Now) -> int | None:
    """The connector meant, if a cable was plugged in there before: its Preparing came of no card and no command."""
    connector = integer(now.request, "connectorId")
    if connector is None:
        known = numbers(now) or heard_of(now)
        connector = known[0] if len(known) == 1 else None
    status = status_of(now, connector) if connector else None
    if status is None or status.name != "Preparing" or status.time >= now.called_time:
        return None
    since = status.time - SWIPE_S
    commands = now.session.commands.since(since, "RemoteStartTransaction", "ReserveNow")
    if any(one.status == "Accepted" for one in commands):
        return None
    swiped = any(since <= one.time <= status.time + SWIPE_S for one in now.session.tokens.known.values())
    return None if swiped else connector


def _explained(now: Now, start: _Start) -> bool:
    session = now.session
    token = session.tokens.get(start.token)
    refused = token is not None and token.time >= start.called and token.status != "Accepted"
    undecided = session.tokens.asked.get(start.token, -1.0) >= start.called
    countermanded = any(session.commands.since(
        start.time, "RemoteStopTransaction", "Reset", "ChangeAvailability", "UnlockConnector"))
    transactions = any(one.start_time >= start.called and (one.token == start.token or one.place == start.waiting)
                       for one in session.transactions.all())
    left = session.connectors.status(start.waiting) != "Preparing"
    return refused or undecided or countermanded or transactions or left


@check("remotestart-authorize", call("StartTransaction"))
def start_authorised(now: Now) -> Iterator[Hit]:
    asked = _asked_for(now)
    if asked is None:
        return
    wanted = now.session.settings.flag("AuthorizeRemoteTxRequests")
    if wanted is None:
        yield from now.unknown("AuthorizeRemoteTxRequests was not seen")
        return
    sent = _presented(now, asked.token, asked.called)
    known = now.session.tokens.get(asked.token)
    if wanted and not sent and not _known_locally(now, asked.token):
        yield now.hit("StartTransaction after a remote start without an Authorize, though AuthorizeRemoteTxRequests is "
                      "true and the station knows the idTag from no list and no cache",
                      "/idTag", also=[asked.call, asked.answer])
    elif not wanted and sent:
        yield now.hit("Authorize was sent for a remote start, though AuthorizeRemoteTxRequests is false", "/idTag",
                      also=[asked.call, asked.answer, known.call if known is not None else None])


def _known_locally(now: Now, token: str) -> bool:
    """Whether the station may know the idTag by itself: from its cache, or from its list."""
    tokens = now.session.tokens
    listed = not (tokens.list_whole and token not in tokens.listed) and not _switched_off(now, "LocalAuthListEnabled")
    return listed or not _switched_off(now, "AuthorizationCacheEnabled")


def _switched_off(now: Now, key: str) -> bool:
    """False or, in a complete list, not there."""
    settings = now.session.settings
    return settings.flag(key) is False or (settings.listed is not None and settings.find(key) is None)


@check("remotestart-idtag", call("StartTransaction"))
def start_tag(now: Now) -> Iterator[Hit]:
    asked, token = _asked_here(now), folded(now.request, "idTag")
    if asked is None or token is None or token == asked.token or _asked_for(now) is not None:
        return
    if _presented(now, token, asked.called - _wait_s(now)):
        return  # somebody came with a card
    tokens = now.session.tokens
    known = tokens.get(token)
    local = (known is not None and known.status == "Accepted" and known.by == "Authorize") or token in tokens.listed
    late = now.time - asked.time > now.bounds.start_s
    yield now.hit("StartTransaction has another idTag than the accepted RemoteStartTransaction for this connector",
                  "/idTag", seen=text(now.request, "idTag"), expected=asked.tag, also=[asked.call, asked.answer],
                  case="may-be-local" if local or late else None)


@check("remotestart-connector", call("StartTransaction"))
def start_connector(now: Now) -> Iterator[Hit]:
    asked, connector = _asked_for(now), integer(now.request, "connectorId")
    if asked is None or connector is None or not asked.connector or asked.connector == connector:
        return
    anew = _presented(now, asked.token, asked.called)
    if anew and now.session.settings.flag("AuthorizeRemoteTxRequests") is False:
        return  # the driver went to another connector with the card
    yield now.hit("StartTransaction is for another connector than the accepted RemoteStartTransaction",
                  "/connectorId", seen=connector, expected=asked.connector, also=[asked.call, asked.answer],
                  case="may-be-local" if anew else None)


@check("remotestart-connector", call("RemoteStartTransaction", by="csms"))
def asked_connector(now: Now) -> Iterator[Hit]:
    connector = integer(now.request, "connectorId")
    if connector is not None and connector < 1:
        yield now.hit("RemoteStartTransaction names no connector above 0", "/connectorId", seen=connector,
                      expected="a connector from 1 on, or none")


@check("remotestart-busy-accepted", answer("RemoteStartTransaction", by="csms"))
def busy_accepted(now: Now) -> Iterator[Hit]:
    if now.status != "Accepted":
        return
    connector = integer(now.request, "connectorId")
    meant = (connector,) if connector else numbers(now)
    reasons = [_busy(now, one) for one in meant]
    if not meant or None in reasons:
        return
    which = "the connector" if connector else "every connector"
    why = " or ".join(sorted(set(filter(None, reasons))))
    yield now.hit(f"RemoteStartTransaction was accepted though {which} {why}", "/status",
                  seen="Accepted", expected="Rejected", also=[_told_by(now, one) for one in meant])


def _busy(now: Now, connector: int) -> str | None:
    status = status_of(now, connector)
    if status is not None and status.time < now.called_time and status.name in ("Faulted", "Unavailable"):
        return f"is {status.name}"
    transaction = running(now, connector)
    if transaction is None or transaction.start is None or transaction.start_time >= now.called_time:
        return None
    ending = any(one.request.get("transactionId") == transaction.id and one.status == "Accepted"
                 for one in now.session.commands.since(transaction.start_time, "RemoteStopTransaction"))
    return None if ending else "has a transaction running"


def _told_by(now: Now, connector: int) -> FrameRef | None:
    status, transaction = status_of(now, connector), running(now, connector)
    return transaction.start if transaction is not None else status.ref if status is not None else None


# Remote stop


@check("remotestop-unknown", answer("RemoteStopTransaction", by="csms"))
def stop_answered(now: Now) -> Iterator[Hit]:
    number = integer(now.request, "transactionId")
    if number is None:
        return
    transaction = now.session.transactions.find(number)
    if now.status == "Accepted":
        if transaction is None and _nothing_runs(now):
            yield _wrongly_accepted(now, "no transaction runs on any connector")
        elif transaction is not None and transaction.stop is not None and transaction.stop_time < now.called_time:
            yield _wrongly_accepted(now, "the transaction has ended", transaction.stop)
    elif now.status == "Rejected" and transaction is not None and _certain(now, number):
        now.later(now.bounds.status_s, wrongly_rejected, key=number, data=(number, now.time, transaction.start))


def _wrongly_accepted(now: Now, why: str, *also: FrameRef) -> Hit:
    return now.hit(f"RemoteStopTransaction was accepted though {why}", "/status", seen="Accepted",
                   expected="Rejected", also=also)


def wrongly_rejected(now: Now, deadline: Deadline) -> Iterator[Hit]:
    """A transaction that was just ending has told so by now."""
    number, since, start = deadline.data
    if _certain(now, number) and not blocked(now) and all_seen(now, since):
        yield now.hit("RemoteStopTransaction was rejected though the transaction runs", "/status",
                      place=deadline.place, seen="Rejected", expected="Accepted", also=[start])


def _certain(now: Now, number: Any) -> bool:
    """Whether the transaction runs for certain, its station was told this id, and it is not being stopped already."""
    transaction = now.session.transactions.find(number)
    if transaction is None or transaction.confirmed is None or running(now, transaction.place) is not transaction:
        return False
    known = now.session.connectors.get(transaction.place)
    if known is None or known.status is None or known.status.name not in IN_SESSION:
        return False
    stops = now.session.commands.since(transaction.start_time, "RemoteStopTransaction", "Reset", "UnlockConnector")
    return not any(one.status in ("Accepted", "Unlocked") and one.request.get("transactionId", number) == number
                   for one in stops)


def _nothing_runs(now: Now) -> bool:
    """Whether each connector has said that it is free, and nothing else speaks of a transaction."""
    known = numbers(now)
    if not known or now.session.transactions.open:
        return False
    states = [now.session.connectors.get(one) for one in known]
    return all(one is not None and one.status is not None and one.status.name in ("Available", "Reserved")
               and one.status.time < now.called_time and fresh(now, one.status.time) for one in states)
