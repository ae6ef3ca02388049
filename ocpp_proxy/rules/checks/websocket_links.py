"""Connections: how they come, follow one another and end.

Source: OCPP-J 1.6 errata 3.4 (back-off after 404); OCPP 1.6 edition 2 section 4.2; OCPP 2.0.1 Part 4 sections 3.1 and
5.3 and its errata 4.12, OCPP 2.1 Part 4 sections 3.1 and 5.4 (back-off); RFC 6455 section 7.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ocpp_proxy.core.record import Closed
from ocpp_proxy.core.station.links import Handshake, Link
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, HANDSHAKE, OPENED, check, control, message

NOT_FOUND = 404
LOST = 1006

# Handshakes that follow one another

QUICK_S = 10.0
STORM_S = 300.0
STORM_CONNECTS = 30  # so many in that time, and one more


@check("ws-404-retry", HANDSHAKE)
def retry_after_404(now: Now) -> Iterator[Hit]:
    """Told of the third attempt of a row, once."""
    shakes = now.session.links.handshakes
    times = [now.time, *(one.time for one in reversed(shakes))]
    quick = 0
    for (later, earlier), shake in zip(pairwise(times), reversed(shakes), strict=False):
        if shake.status != NOT_FOUND or later - earlier >= QUICK_S:
            break
        quick += 1
    if quick == 2:
        yield now.hit(f"The station tries again within {QUICK_S:g} s of HTTP 404, for the second time in a row",
                      by="station")


@check("ws-reconnect-storm", HANDSHAKE)
def storm(now: Now) -> Iterator[Hit]:
    """Told when it begins."""
    shakes = now.session.links.handshakes
    if len(shakes) < STORM_CONNECTS or now.time - shakes[-STORM_CONNECTS].time > STORM_S:
        return
    before = shakes[-STORM_CONNECTS - 1].time if len(shakes) > STORM_CONNECTS else None
    if before is None or shakes[-1].time - before > STORM_S:
        yield now.hit(f"More than {STORM_CONNECTS} attempts to connect within {STORM_S / 60:g} minutes", by="station",
                      seen=shakes[-1].status)


# Back-off of 2.x

JITTER_RANGE_S = 10  # from here on equal waits are no accident
JITTER_S = 0.2
WAITS_ALIKE = 4


@dataclass(frozen=True, slots=True)
class BackOff:
    """RetryBackOffWaitMinimum, RetryBackOffRandomRange and RetryBackOffRepeatTimes, None where not seen."""

    least_s: int
    range_s: int | None
    doublings: int | None

    @classmethod
    def of(cls, now: Now) -> BackOff | None:
        least_s, range_s, doublings = (now.session.settings.integer(f"OCPPCommCtrlr.RetryBackOff{name}")
                                       for name in ("WaitMinimum", "RandomRange", "RepeatTimes"))
        return cls(least_s, range_s, doublings) if least_s is not None else None

    def wait_s(self, failed: int) -> float:
        """The least to wait after so many attempts that failed."""
        return float(self.least_s * 2 ** min(failed, self.doublings or 0, 20))


@check("ws-reconnect-backoff", HANDSHAKE)
def backoff(now: Now) -> Iterator[Hit]:
    """Told of the second wait of a row that is too short, and of the fourth that has nothing random."""
    failed = _failed(now)
    if not failed:
        return
    settings = BackOff.of(now)
    if settings is None:
        yield from now.unknown("RetryBackOffWaitMinimum was not seen")
        return
    waits = [later - earlier for earlier, later in pairwise([*(one.time for one in failed), now.time])]
    short = [settings.wait_s(number) - now.bounds.tolerance_s(settings.wait_s(number)) > wait
             for number, wait in enumerate(waits, 1)]
    if short[-1] and sum(short) == 2:
        yield now.hit(f"The station waits less than the {settings.wait_s(len(waits)):g} s that its back-off asks for"
                      f" after {len(waits)} failed attempts", by="station",
                      expected=f"at least {settings.wait_s(len(waits)):g} s")
    if len(waits) == WAITS_ALIKE and _without_jitter(settings, waits):
        yield now.hit(f"The waits of the station have nothing random, though RetryBackOffRandomRange is"
                      f" {settings.range_s} s", by="station")


def _failed(now: Now) -> list[Handshake]:
    """The attempts before this one that failed in a row, oldest first."""
    found: list[Handshake] = []
    for shake in reversed(now.session.links.handshakes):
        if shake.status == 101:
            break
        found.insert(0, shake)
    return found


def _without_jitter(settings: BackOff, waits: list[float]) -> bool:
    if (settings.range_s or 0) < JITTER_RANGE_S or (settings.doublings or 0) < len(waits):
        return False
    beyond = [wait - settings.wait_s(number) for number, wait in enumerate(waits, 1)]
    return max(beyond) - min(beyond) < JITTER_S


# Two at a time

AWAKE_S = 10.0


@check("ws-dup-connection", OPENED)
def second_connection(now: Now) -> Iterator[Hit]:
    old = next(reversed(now.session.links.open.values()), None)
    if old is None:
        return
    last_sign = max(old.opened_time, old.heard.get("station", 0.0), old.pinged.get("station", 0.0))
    if now.time - last_sign < AWAKE_S:
        yield now.hit(f"The station opens a second connection, while the first one was in use less than {AWAKE_S:g} s"
                      " ago", by="station")
    else:
        yield now.hit("The station opens a new connection, while an old one that has fallen silent is still open",
                      by="station", case="silent")


@check("ws-dup-connection", message(by="station"), control(by="station"))
def both_in_use(now: Now) -> Iterator[Hit] | None:
    links = now.session.links.open
    return _older_in_use(now, links) if len(links) > 1 else None


def _older_in_use(now: Now, links: dict[str, Link]) -> Iterator[Hit]:
    newest = next(reversed(links.values()))
    under_way = now.time - newest.opened_time <= now.bounds.interval_s
    if now.link is not None and newest is not now.link and not under_way:
        yield now.hit("The station goes on using this connection after it has opened another", connector=None,
                      transaction=None)


# Ends

ENDS: Mapping[int, str] = {
    1002: "a breach of the WebSocket protocol by the other side",
    1003: "data of a kind that it does not take",
    1005: "a close frame without a code",
    1006: "no close frame: TCP was dropped or the network lost",
    1007: "a message that is not UTF-8, or not what its type says",
    1008: "a breach of its policy; it often stands for an unknown station or a second connection",
    1009: "a message too big for it",
    1010: "an extension that it misses",
    1011: "a failure inside it",
    1012: "it is being restarted",
    1013: "it is overloaded; try again later",
    1014: "a bad gateway between the two",
}
ORDINARY = frozenset({1000, 1001})


@check("ws-close-code", CLOSED)
def close_code(now: Now) -> Iterator[Hit]:
    record = now.record
    if not isinstance(record, Closed) or record.by == "proxy" or record.code in ORDINARY:
        return
    meaning = ENDS.get(record.code, "a code of its own")
    yield now.hit(f"Ended with {record.code} ({meaning})", by=record.by, seen=record.code)


REBOOTING = ("Reset", "UpdateFirmware", "SignedUpdateFirmware", "SetNetworkProfile")


@check("ws-close-while-pending", CLOSED)
def close_while_pending(now: Now) -> Iterator[Hit]:
    record, registration = now.record, now.session.registration
    if not isinstance(record, Closed) or record.by == "proxy" or record.code == LOST:
        return
    boot = registration.last
    if boot is None or boot.status != "Pending" or len(now.session.links.open) > 1:
        return
    if _asked_to_reboot(now, boot.time):
        return
    yield now.hit(f"The connection is closed with {record.code} while the boot is pending", by=record.by,
                  seen=record.code, also=[boot.answer])


def _asked_to_reboot(now: Now, since: float) -> bool:
    return any(one.error is None and one.status != "Rejected"
               for one in now.session.commands.since(since, *REBOOTING))


SHORT_S = 2 * 3600.0
SHORT_CONNECTIONS = 3


@dataclass(slots=True)
class Naps:
    """`count`: connections in a row that the station ended without need; `told`: it was said of this row."""

    count: int = 0
    told: bool = False


@check("ws-keep-open", CLOSED)
def ended_without_need(now: Now) -> None:
    record, link, book = now.record, now.link, now.session.book(Naps)
    if not isinstance(record, Closed) or link is None or link.opened is None or record.by == "proxy":
        return
    boot = now.session.registration.last
    booted = boot is not None and boot.call.connection == now.connection
    needless = record.by == "station" and record.code != LOST and now.time - link.opened_time < SHORT_S
    if needless and not booted and not _asked_to_reboot(now, link.opened_time):
        book.count += 1
    else:
        book.count, book.told = 0, False


@check("ws-keep-open", OPENED)
def reopened(now: Now) -> Iterator[Hit]:
    book = now.session.book(Naps)
    if book.count >= SHORT_CONNECTIONS and not book.told:
        book.told = True
        yield now.hit(f"The station closes its connections itself and opens them again, {SHORT_CONNECTIONS} times in a"
                      " row without a reboot", by="station")
