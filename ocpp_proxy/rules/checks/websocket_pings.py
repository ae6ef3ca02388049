"""Pings and pongs: whether they are answered, come as configured, and go on.

A capture that holds no control frames, as logs of other programs do, says nothing of pings: nothing is expected before
one was seen. Keeps of each connection when either side last pinged, and the last few intervals.

Source: RFC 6455 sections 5.5.2 and 5.5.3; OCPP-J 1.6 section 7 and its errata 3.11 (WebSocketPingInterval); OCPP 2.0.1
and 2.1 Part 4 section 8.4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import OTHER_SIDE, Side
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.station.settings import Setting
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, check, control, learn
from ocpp_proxy.rules.place import SHOWN

INTERVALS_KEPT = 3
CONNECTIONS_KEPT = 8
MISSED = 2  # intervals without a sign of life
ROUNDING_S = 0.01  # a deadline set for less would not get any further


@dataclass(slots=True)
class Beat:
    """`last`: when the side last pinged, None if never; `intervals`: between its last pings; `odd`: how many of the
    station's in a row were not as configured."""

    last: dict[Side, float] = field(default_factory=dict)
    intervals: dict[Side, deque[float]] = field(default_factory=dict)
    odd: int = 0


@dataclass(slots=True)
class Beats:
    """By connection, those of the last CONNECTIONS_KEPT."""

    by_connection: dict[str, Beat] = field(default_factory=dict)

    def of(self, connection: str) -> Beat:
        beat = self.by_connection.get(connection)
        if beat is None:
            beat = self.by_connection[connection] = Beat()
            if len(self.by_connection) > CONNECTIONS_KEPT:
                del self.by_connection[next(iter(self.by_connection))]
        return beat


@learn(control("ping"))
def pinged(now: Now) -> None:
    beat, side = now.session.book(Beats).of(now.connection), now.speaker
    if side in beat.last:
        beat.intervals.setdefault(side, deque(maxlen=INTERVALS_KEPT)).append(now.time - beat.last[side])
    beat.last[side] = now.time


@learn(CLOSED)
def closed(now: Now) -> None:
    now.session.book(Beats).by_connection.pop(now.connection, None)


def _configured(now: Now) -> tuple[Setting, int] | None:
    """WebSocketPingInterval and its value, None where it was not seen."""
    name = "WebSocketPingInterval" if now.version == "1.6" else "OCPPCommCtrlr.WebSocketPingInterval"
    setting, value = now.session.settings.find(name), now.session.settings.integer(name)
    return (setting, value) if setting is not None and value is not None else None


def _last_sign(now: Now, side: Side) -> float:
    """When the side last sent anything on this connection."""
    link = now.link
    return max(link.heard.get(side, 0.0), link.pinged.get(side, 0.0)) if link is not None else 0.0


def _whole(now: Now) -> bool:
    return now.link is not None and now.link.whole


@dataclass(frozen=True, slots=True)
class Awaited:
    """`side`: of whom something is expected, since `since`; `whole`: nothing was missing of the connection by then."""

    side: Side
    since: float
    whole: bool
    seconds: float = 0.0


def _missed(now: Now, awaited: Awaited) -> bool:
    """Whether what was expected may be among frames that are missing in the capture."""
    return awaited.whole and not _whole(now)


# Pongs


@check("ws-ping-no-pong", control("ping"))
def ping_sent(now: Now) -> None:
    side = OTHER_SIDE[now.speaker]
    if isinstance(now.record, FrameRecord) and now.record.origin == "withheld":
        return
    if now.expected((now.connection, side)) is None:
        now.later(now.bounds.answer_warn_s, _no_pong, key=(now.connection, side),
                  data=Awaited(side, now.time, _whole(now)))


@check("ws-ping-no-pong", control("pong"))
def pong_sent(now: Now) -> None:
    now.cancel((now.connection, now.speaker))


def _no_pong(now: Now, deadline: Deadline) -> Iterator[Hit]:
    awaited: Awaited = deadline.data
    if _missed(now, awaited):
        return
    silent = _last_sign(now, awaited.side) <= awaited.since
    meanwhile = "nor sent anything else" if silent else "though it goes on sending"
    yield now.hit(f"The {SHOWN[awaited.side]} has not answered a ping within {now.bounds.answer_warn_s:g} s,"
                  f" {meanwhile}", place=deadline.place, by=awaited.side, case="silent" if silent else None)


# Intervals

SLACK_SHARE = 0.2
ODD_MOST = 2  # so many in a row are no accident


@check("ws-ping-interval", control("ping", by="station"))
def interval(now: Now) -> Iterator[Hit]:
    """A station may leave out pings while other frames go over the connection; only silence counts as too long."""
    beat, configured = now.session.book(Beats).of(now.connection), _configured(now)
    if configured is None:
        yield from now.unknown("WebSocketPingInterval was not seen")
        return
    setting, wanted_s = configured
    last = beat.last.get("station")
    if last is None or last < setting.time:
        return
    slack_s = max(now.bounds.interval_s, SLACK_SHARE * wanted_s)
    quiet_s = now.time - max(_last_sign(now, "station"), _last_sign(now, "csms"))
    early, late = now.time - last < wanted_s - slack_s, quiet_s > wanted_s + slack_s
    beat.odd = beat.odd + 1 if early or late or wanted_s == 0 else 0
    if beat.odd < ODD_MOST:
        return
    if wanted_s == 0:
        yield now.hit("The station pings, though WebSocketPingInterval is 0", also=[setting.source])
    else:
        how = "more often" if early else "less often"
        yield now.hit(f"The station pings {how} than WebSocketPingInterval says", expected=f"{wanted_s} s",
                      also=[setting.source])


# Silence


@check("ws-half-open", control("ping"))
def watched(now: Now) -> None:
    """One deadline a side: when it runs out, it is seen when the side last sent something."""
    side, seconds = now.speaker, _usual_s(now)
    if seconds is not None and now.expected((now.connection, side)) is None:
        allowed_s = MISSED * seconds + now.bounds.interval_s
        now.later(allowed_s, _fallen_silent, key=(now.connection, side),
                  data=Awaited(side, now.time, _whole(now), allowed_s))


def _usual_s(now: Now) -> float | None:
    """How often the side pings: as configured, or else the longest of the last intervals; None while these are few."""
    configured = _configured(now) if now.speaker == "station" else None
    if configured is not None and configured[1] > 0:
        return float(configured[1])
    intervals = now.session.book(Beats).of(now.connection).intervals.get(now.speaker, ())
    return max(intervals) if len(intervals) == INTERVALS_KEPT else None


def _fallen_silent(now: Now, deadline: Deadline) -> Iterator[Hit]:
    awaited: Awaited = deadline.data
    if _missed(now, awaited):
        return
    left_s = awaited.seconds - (now.time - max(_last_sign(now, awaited.side), awaited.since))
    if left_s > ROUNDING_S:
        now.later(left_s, _fallen_silent, key=(now.connection, awaited.side), data=awaited, place=deadline.place)
        return
    yield now.hit(f"The {SHOWN[awaited.side]}, which pings regularly, has sent nothing for more than twice its"
                  " interval", by=awaited.side, expected=f"a frame within {awaited.seconds:.0f} s")
