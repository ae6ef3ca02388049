"""Heartbeats: whether a station is heard of often enough, and as often as it was told.

An interval is one of inactivity: whatever the station says begins it anew. Refuses to blame a station that shows by
pings that it is alive, or that waits for an answer.

Source: OCPP 1.6 edition 2 sections 4.2, 4.6 and 9.1.10; OCPP-J 1.6 section 5.3; OCPP 2.0.1 Part 2 G02 and Part 4
section 5.2; OCPP 2.1 Part 2 G02 and Part 4 section 5.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from ocpp_proxy.core.frame import Call, CallResult, Version
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import folded, integer, member, numeral, objects, text
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.links import Link
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.checks import boot16_book as boots
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, OPENED, answer, call, check, learn
from ocpp_proxy.rules.wishes import Bounds

KEY_16 = "HeartbeatInterval"
KEY_2X = "OCPPCommCtrlr.HeartbeatInterval"
SHARE, SLACK_S = 1.1, 10.0  # silence may last an interval, a tenth of it and this
OFTEN = 0.5                 # of the interval: heartbeats that are closer come too often
GAPS = 3                    # so many in a row tell
DAY_S = 86_400.0
DAY_SLACK_S = 600.0


@dataclass(slots=True)
class Beat:
    """The interval that the CSMS set last, by which action and where; and the heartbeats since then on the connection
    `on`: when the `last` was, the last GAPS `gaps` in which the station said nothing else, and how many in a row came
    too `soon`. `told`: it has been said that the interval is ignored. `synced`: when the station last asked the time;
    `silence`: when the last silence that was told of began; `watched`: the connections that may fall silent."""

    set_s: float | None = None
    set_by: str = ""
    set_ref: FrameRef | None = None
    on: str = ""
    last: float | None = None
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=GAPS))
    soon: int = 0
    told: bool = False
    synced: float | None = None
    silence: float | None = None
    watched: set[str] = field(default_factory=set)


# The interval


def key_of(now: Occasion) -> str:
    return KEY_16 if now.version == "1.6" else KEY_2X


def just_set(now: Now) -> float | None:
    """The interval that this answer makes the station's; 0 where it has none any more, None where it sets none."""
    if now.action == "BootNotification":
        interval = integer(now.response, "interval")
        return float(interval) if now.status == "Accepted" and interval is not None and interval > 0 else None
    if now.action == "ChangeConfiguration":
        if folded(now.request, "key") != KEY_16.casefold() or now.status != "Accepted":
            return None
        return _seconds(text(now.request, "value"))
    accepted = any(text(one, "attributeStatus") == "Accepted" and _is_interval(one)
                   for _, one in objects(now.response, "setVariableResult"))
    asked = [one for _, one in objects(now.request, "setVariableData") if _is_interval(one)]
    return _seconds(text(asked[0], "attributeValue")) if accepted and len(asked) == 1 else None


def _is_interval(entry: object) -> bool:
    name = variable_name(member(entry, "component"), member(entry, "variable")) or ""
    return name.casefold() == KEY_2X.casefold()


def _seconds(value: str | None) -> float:
    found = numeral(value)
    return float(found) if found is not None and found > 0 else 0.0


def interval(now: Now) -> float | None:
    """How long the station may be inactive: as set last or as it says itself, whichever is longer; None where neither
    is known. To be asked for with `now.once`."""
    return _interval(now.session, now.version)


def _interval(session: Session, version: Version | None) -> float | None:
    read, set_s = session.settings.integer(KEY_16 if version == "1.6" else KEY_2X), session.book(Beat).set_s
    longest = max(read or 0, set_s or 0)
    return float(longest) if longest > 0 else None


SETTERS = answer("BootNotification") + answer("ChangeConfiguration", "SetVariables", by="csms")


@learn(SETTERS)
def interval_set(now: Now) -> None:
    seconds = just_set(now)
    if seconds is None:
        return
    beat = now.session.book(Beat)
    beat.set_s, beat.set_by, beat.set_ref = seconds or None, now.action, now.ref
    beat.last, beat.soon, beat.told = None, 0, False
    beat.gaps.clear()


@check("hb-interval-vs-key", answer("GetConfiguration", by="csms"))
def other_than_set(now: Now) -> Iterator[Hit]:
    beat = now.session.book(Beat)
    if beat.set_by != "BootNotification" or beat.set_s is None:
        yield from now.unknown("no interval in the answer to a BootNotification seen")
        return
    for place, entry in objects(now.response, "configurationKey"):
        key = text(entry, "key")
        if key is None or len(key) != len(KEY_16) or key.casefold() != KEY_16.casefold():
            continue
        value = text(entry, "value")
        if value is not None and numeral(value) != beat.set_s:
            yield now.hit(f"{KEY_16} is {value[:20]}, and BootNotification was answered with interval {beat.set_s:g}",
                          f"/configurationKey/{place}/value", seen=value[:20], expected=f"{beat.set_s:g}",
                          also=[beat.set_ref])  # fmt: skip


# Silence


@check("hb-interval", call(retries=True), SETTERS, OPENED)
def to_be_heard(now: Now) -> Iterator[Hit] | None:
    """One deadline a connection; none once a silence has been told of, until the station is heard of again."""
    watched = now.session.book(Beat).watched
    if isinstance(now.frame, Call) and now.connection in watched:
        return None
    new_s = just_set(now) if isinstance(now.frame, CallResult) else None
    known_s = new_s if new_s else now.once(interval)
    if known_s is None:
        return now.unknown("no heartbeat interval seen")
    if new_s or now.expected(now.connection) is None:
        _watch(now, known_s)
    return None


@check("hb-interval", answer(by="csms"))
def heard_again(now: Now) -> None:
    beat, link = now.session.book(Beat), now.link
    if link is None or now.connection in beat.watched or _heard(link) != beat.silence:
        return
    known_s = now.once(interval)
    if known_s is not None:
        _watch(now, known_s)


@learn(CLOSED)
def left(now: Now) -> None:
    now.session.book(Beat).watched.discard(now.connection)


def _watch(now: Now, interval_s: float) -> None:
    now.later(_patience_s(now.bounds, interval_s), silent, key=now.connection, data=now.bounds, until=_still_heard)
    if now.expected(now.connection) is not None:  # a station has so many deadlines and no more
        now.session.book(Beat).watched.add(now.connection)


def _still_heard(session: Session, deadline: Deadline) -> float:
    """Until when the station may be silent, by when it was last heard of."""
    link, known_s = session.links.open.get(deadline.place.connection), _interval(session, session.version)
    return _heard(link) + _patience_s(deadline.data, known_s) if link is not None and known_s is not None else 0.0


def silent(now: Now, deadline: Deadline) -> Iterator[Hit]:
    link, beat, known_s = now.link, now.session.book(Beat), interval(now)
    if link is None or known_s is None:
        beat.watched.discard(now.connection)
        return
    patience_s, since = _patience_s(now.bounds, known_s), _heard(link)
    told = beat.silence == since or not link.whole
    if not told and (_waits(link) or now.session.registration.status in ("Pending", "Rejected")):
        now.later(patience_s, silent, key=now.connection, data=now.bounds, until=_still_heard, place=deadline.place)
        return
    beat.watched.discard(now.connection)
    if not told:
        beat.silence = since
        alive = link.pinged.get("station", since) > since
        pings = ", but for pings and pongs" if alive else ""
        place = replace(deadline.place, evidence=(), action="", connector=None, transaction=None)
        yield now.hit(f"The station has sent nothing for {patience_s:g} s{pings}, with an interval of {known_s:g} s",
                      place=place, frame=now.ref, by="station", case="pings" if alive else None)


def _patience_s(bounds: Bounds, interval_s: float) -> float:
    return SHARE * interval_s + max(SLACK_S, bounds.interval_s)


def _heard(link: Link) -> float:
    return link.heard.get("station", link.opened_time)


def _waits(link: Link) -> bool:
    """Whether the station's last CALL has no answer."""
    return link.called.get("station", 0.0) > link.heard.get("csms", link.opened_time)


# Heartbeats themselves


@check("hb-too-often", call("Heartbeat"))
def too_often(now: Now) -> Iterator[Hit] | None:
    known_s, gap = now.once(interval), now.once(_gap)
    if known_s is None:
        return now.unknown("no heartbeat interval seen")
    return _too_often(now, known_s) if gap is not None and gap < OFTEN * known_s else None


def _too_often(now: Now, interval_s: float) -> Iterator[Hit]:
    beat = now.session.book(Beat)
    if beat.soon + 1 < GAPS:
        return
    if beat.set_s is None or _cadence(now) is None:  # else it is hb-interval-ignored that tells of it
        yield now.hit(f"Heartbeats come within less than half the interval of {interval_s:g} s")


@check("hb-interval-ignored", call("Heartbeat"))
def ignored(now: Now) -> Iterable[Hit] | None:
    beat = now.session.book(Beat)
    if beat.set_s is None:
        return now.unknown("the CSMS has set no heartbeat interval")
    cadence = None if beat.told else _cadence(now)
    if cadence is None or abs(cadence - beat.set_s) <= now.bounds.tolerance_s(beat.set_s):
        return None
    beat.told = True
    return [now.hit(f"Heartbeats come every {_rounded(cadence)} s, and {beat.set_by} has set {beat.set_s:g} s",
                    expected=f"{beat.set_s:g}", also=[beat.set_ref])]


def _gap(now: Now) -> float | None:
    """How long it is since the last Heartbeat; None where it was not on this connection, or this one was asked for."""
    beat, link = now.session.book(Beat), now.link
    if beat.last is None or beat.on != now.connection or link is None or not link.whole or now.injected:
        return None
    asked = boots.book(now).triggers.get("Heartbeat")
    return None if asked is not None and asked >= beat.last else now.time - beat.last


def _idle_gap(now: Now) -> float | None:
    """The same, where the station said nothing else meanwhile."""
    beat, link = now.session.book(Beat), now.link
    return now.once(_gap) if link is not None and link.heard.get("station") == beat.last else None


def _cadence(now: Now) -> float | None:
    """The pace of the last heartbeats, this one included; None where there is none."""
    gap, before = now.once(_idle_gap), now.session.book(Beat).gaps
    if gap is None or len(before) < GAPS - 1:
        return None
    gaps = [*before, gap][-GAPS:]
    longest = max(gaps)
    return sum(gaps) / GAPS if longest - min(gaps) <= now.bounds.tolerance_s(longest) else None


def _rounded(seconds: float) -> str:
    """With two digits, so that the same pace reads the same."""
    return f"{float(f'{seconds:.2g}'):g}"


@learn(call("Heartbeat"))
def beaten(now: Now) -> None:
    beat, gap, idle, known_s = now.session.book(Beat), now.once(_gap), now.once(_idle_gap), now.once(interval)
    beat.soon = beat.soon + 1 if gap is not None and known_s is not None and gap < OFTEN * known_s else 0
    if idle is None:
        beat.gaps.clear()
    else:
        beat.gaps.append(idle)
    beat.last = beat.synced = now.time
    beat.on = now.connection


# The time of day


@learn(call("BootNotification"))
def asked_the_time(now: Now) -> None:
    now.session.book(Beat).synced = now.time


@check("hb-daily", OPENED)
def to_ask_the_time(now: Now) -> None:
    now.later(DAY_S + DAY_SLACK_S, not_asked, key=now.connection)


def not_asked(now: Now, deadline: Deadline) -> Iterator[Hit]:
    link, beat = now.link, now.session.book(Beat)
    if link is None:
        return
    since = max(link.opened_time, beat.synced or link.opened_time)
    left_s = since + DAY_S + DAY_SLACK_S - now.time
    now.later(left_s if left_s > 0.001 else DAY_S, not_asked, key=link.connection, place=deadline.place)
    sources = now.session.settings.words("ClockCtrlr.TimeSource")
    if left_s <= 0.001 and link.whole and (sources is None or "Heartbeat" in sources):
        yield now.hit("The station has sent neither Heartbeat nor BootNotification for a day", place=deadline.place,
                      frame=now.ref, by="station")
