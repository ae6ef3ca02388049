"""Reset and unlock in 1.6: what has to come of them.

Source: OCPP 1.6 edition 2 sections 4.9, 5.2, 5.14 and 5.18; 1.6 errata 3.36, 3.82 and 3.87.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.core.station.connectors import Connector, Wish
from ocpp_proxy.rules.checks.remote16_state import (
    IN_SESSION,
    all_running,
    all_seen,
    blocked,
    boot_since,
    numbers,
    running,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn
from ocpp_proxy.rules.place import place_of

OPERATIVE = frozenset((*IN_SESSION, "Available", "Preparing"))
ASKED_KEPT = 64

# Type of a reset → the bound within which the station has to be back.
BACK_WITHIN: Mapping[str, str] = {"Soft": "boot_soft_s", "Hard": "boot_hard_s"}


@dataclass(frozen=True, slots=True)
class _Reset:
    kind: str
    time: float
    connection: str


# Reset


@check("reset-sequence", answer("Reset", by="csms"))
def reset_accepted(now: Now) -> None:
    kind = text(now.request, "type") or ""
    if now.status != "Accepted" or kind not in BACK_WITHIN or boot_since(now.session, now.called_time) is not None:
        return
    now.later(_back_within_s(now, kind), not_back, key="boot", across=True, data=_Reset(kind, now.time, now.connection))


@check("reset-sequence", call("BootNotification"))
def back(now: Now) -> Iterator[Hit]:
    waiting = now.expected("boot")
    if waiting is None:
        return
    now.cancel("boot")
    reset: _Reset = waiting.data
    limit_s = now.bounds.boot_warn_s
    if now.time - reset.time > limit_s and not _refused(now, reset.time) and all_seen(now, reset.time):
        yield now.hit(f"BootNotification came more than {limit_s:g} s after the accepted {reset.kind} reset",
                      also=waiting.place.evidence, case="slow")


def not_back(now: Now, deadline: Deadline) -> Iterator[Hit]:
    reset: _Reset = deadline.data
    if _refused(now, reset.time) or not all_seen(now, reset.time):
        return
    link = now.link
    if link is None and now.session.station is None:
        return  # a new connection could not be told to be this station's
    if link is not None and link.connection != reset.connection and "station" in link.called:
        return  # which boot-missing-after-reset tells of
    if link is None:
        became = "the station has not come back"
    elif link.connection == reset.connection:
        became = "the connection was never closed"
    else:
        became = "the station only connected anew"
    yield now.hit(f"The accepted {reset.kind} reset was not followed by a BootNotification within "
                  f"{_back_within_s(now, reset.kind):g} s; {became}", place=deadline.place)


def _back_within_s(now: Now, kind: str) -> float:
    within_s: float = getattr(now.bounds, BACK_WITHIN[kind])
    return within_s


def _refused(now: Now, since: float) -> bool:
    """Whether the station tried to connect and was not let in."""
    return any(one.time >= since and one.status != 101 for one in now.session.links.handshakes)


@check("reset-stop-tx", answer("Reset", by="csms"))
def reset_while_charging(now: Now) -> None:
    kind = text(now.request, "type") or ""
    if now.status != "Accepted" or kind not in BACK_WITHIN:
        return
    for one in all_running(now):
        if one.id is not None and one.confirmed is not None:
            place = replace(place_of(now), transaction=one.id, connector=one.place)
            place = replace(place, evidence=tuple(sorted({*place.evidence, one.confirmed})))
            now.later(_back_within_s(now, kind) + now.bounds.start_s, not_stopped, key=one.id, across=True, place=place,
                      data=_Reset(kind, now.time, now.connection))


def not_stopped(now: Now, deadline: Deadline) -> Iterator[Hit]:
    reset: _Reset = deadline.data
    number = deadline.place.transaction
    transaction = now.session.transactions.find(number)
    boot = now.session.registration.last
    if transaction is None or transaction.stop is not None or now.link is None:
        return
    if boot is None or boot.time < reset.time or boot.status != "Accepted" or not all_seen(now, reset.time):
        return  # not back, or not let in
    if now.time - max(boot.time, now.link.opened_time) < now.bounds.start_s or blocked(now):
        now.later(now.bounds.start_s, not_stopped, key=number, across=True, place=deadline.place, data=reset)
        return
    yield now.hit(f"A transaction that ran at the accepted {reset.kind} reset has got no StopTransaction, neither "
                  "before the station booted nor after", place=deadline.place,
                  case="hard" if reset.kind == "Hard" else None)


# What is to outlast a reset


@dataclass(slots=True)
class Wanted:
    """By connector, when the CSMS last asked for Operative, answered or not; the ASKED_KEPT last."""

    operative: dict[int, float] = field(default_factory=dict)


@learn(call("ChangeAvailability", by="csms"))
def asked(now: Now) -> None:
    number = integer(now.request, "connectorId")
    if number is None or text(now.request, "type") != "Operative":
        return
    book = now.session.book(Wanted).operative
    book.pop(number, None)
    book[number] = now.time
    if len(book) > ASKED_KEPT:
        del book[next(iter(book))]


@check("reset-restores-availability", call("StatusNotification"))
def status_after_boot(now: Now) -> Iterator[Hit] | None:
    number, connectors = integer(now.request, "connectorId"), now.session.connectors
    known = connectors.get(number) or connectors.get(0)
    if number is None or known is None or known.wish is None or known.wish.kind != "Inoperative":
        return None
    return _operative_again(now, number, known, known.wish)


def _operative_again(now: Now, number: int, known: Connector, wish: Wish) -> Iterator[Hit]:
    name, last = text(now.request, "status"), known.status if known.place[0] == number else None
    booted = boot_since(now.session, wish.time)
    wanted = now.session.book(Wanted).operative
    if booted is None or name not in OPERATIVE or max(wanted.get(number, 0.0), wanted.get(0, 0.0)) > wish.time:
        return
    if last is not None and (last.time >= booted or (last.time > wish.time and last.name in OPERATIVE
                                                     and wish.status == "Accepted")):
        return  # not the first status since, or the availability was changed on the spot before
    if all_seen(now, wish.time):
        yield now.hit(f"The connector is {name} after a boot, though it was made Inoperative before", "/status",
                      seen=name, expected="Unavailable", also=[wish.ref])


# Unlock


@check("unlock-status", answer("UnlockConnector", by="csms"))
def unlock_answered(now: Now) -> Iterator[Hit]:
    number = integer(now.request, "connectorId")
    if number is None or now.status is None:
        return
    known = numbers(now)
    if number >= 1 and not known:
        yield from now.unknown("NumberOfConnectors was not seen")
    elif number not in known:
        if now.status != "NotSupported":
            yield now.hit(f"UnlockConnector for a connector that the station does not have was answered {now.status}",
                          "/status", seen=now.status, expected="NotSupported",
                          also=[_source(now, "NumberOfConnectors")])
    elif now.status == "Unlocked" and (why := _fixed(now, number)) is not None:
        yield now.hit(f"UnlockConnector was answered Unlocked, though {why}", "/status", seen="Unlocked",
                      expected="NotSupported", case="fixed-cable")


def _fixed(now: Now, number: int) -> str | None:
    """What speaks for a connector without a lock."""
    for one in now.session.commands.since(0.0, "UnlockConnector"):
        if one.request.get("connectorId") == number and one.status == "NotSupported":
            return "the same was answered NotSupported before"
    key = now.session.settings.find("UnlockConnectorOnEVSideDisconnect")
    if key is not None and key.readonly and (key.value or "").strip().casefold() == "false":
        return "UnlockConnectorOnEVSideDisconnect is read-only and false, as it has to be with a fixed cable"
    return None


def _source(now: Now, key: str) -> FrameRef | None:
    setting = now.session.settings.find(key)
    return setting.source if setting is not None else None


@check("unlock-tx", call("UnlockConnector", by="csms"))
def unlock_while_charging(now: Now) -> Iterator[Hit]:
    number = integer(now.request, "connectorId")
    transaction = running(now, number) if number else None
    if transaction is None:
        return
    tried = any(one.request.get("transactionId") == transaction.id
                for one in now.session.commands.since(transaction.start_time, "RemoteStopTransaction"))
    if not tried:
        yield now.hit("UnlockConnector was sent while a transaction runs on the connector, and no "
                      "RemoteStopTransaction before it", also=[transaction.start], transaction=transaction.id)


@check("unlock-tx", answer("UnlockConnector", by="csms"))
def unlocked_while_charging(now: Now) -> None:
    number = integer(now.request, "connectorId")
    transaction = running(now, number) if number else None
    if now.status == "Unlocked" and transaction is not None and transaction.id is not None:
        place = replace(place_of(now), transaction=transaction.id)
        now.later(now.bounds.stop_s, not_finished, key=transaction.id, data=now.time, place=place)


def not_finished(now: Now, deadline: Deadline) -> Iterator[Hit]:
    transaction = now.session.transactions.find(deadline.place.transaction)
    if transaction is None or transaction.stop is not None or blocked(now) or not all_seen(now, deadline.data):
        return
    yield now.hit(f"UnlockConnector was answered Unlocked while a transaction ran, and no StopTransaction came within "
                  f"{now.bounds.stop_s:g} s", place=deadline.place, also=[transaction.start])
