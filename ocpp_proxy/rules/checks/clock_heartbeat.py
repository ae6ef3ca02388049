"""Heartbeats: whether a station is heard of often enough, and as often as it was told.

An interval is one of inactivity: whatever the station says begins it anew. Refuses to blame a station that shows by
pings that it is alive, or that waits for an answer.

Source: OCPP 1.6 edition 2 sections 4.2, 4.6 and 9.1.10; OCPP-J 1.6 section 5.3; OCPP 2.0.1 Part 2 G02 and Part 4
section 5.2; OCPP 2.1 Part 2 G02 and Part 4 section 5.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import folded, integer, member, numeral, objects, text
from ocpp_proxy.core.station.links import Link
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.checks import boot16_book as boots
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import OPENED, answer, call, check, learn

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
    `silence`: when the last silence that was told of began."""

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
    """How long the station may be inactive: as set last or as it says itself, whichever is longer."""
    read = now.session.settings.integer(key_of(now))
    known = [value for value in (now.session.book(Beat).set_s, read) if value is not None and value > 0]
    return float(max(known)) if known else None


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
        value = text(entry, "value")
        if folded(entry, "key") == KEY_16.casefold() and value is not None and numeral(value) != beat.set_s:
            yield now.hit(f"{KEY_16} is {value[:20]}, and BootNotification was answered with interval {beat.set_s:g}",
                          f"/configurationKey/{place}/value", seen=value[:20], expected=f"{beat.set_s:g}",
                          also=[beat.set_ref])  # fmt: skip


# Silence


@check("hb-interval", call(), SETTERS, OPENED)
def to_be_heard(now: Now) -> Iterator[Hit] | None:
    new_s = just_set(now) if isinstance(now.frame, CallResult) else None
    known_s = new_s if new_s else interval(now)
    if known_s is None:
        return now.unknown("no heartbeat interval seen")
    if new_s or now.expected(now.connection) is None:
        now.later(_patience_s(now, known_s), silent, key=now.connection)
    return None


def silent(now: Now, deadline: Deadline) -> Iterator[Hit]:
    link, beat, known_s = now.link, now.session.book(Beat), interval(now)
    if link is None or known_s is None:
        return
    patience_s, since = _patience_s(now, known_s), _heard(link)
    if now.time < since + patience_s - 0.001:
        now.later(since + patience_s - now.time, silent, key=link.connection, place=deadline.place)
        return
    now.later(patience_s, silent, key=link.connection, place=deadline.place)
    if beat.silence == since or not link.whole or _waits(link) \
            or now.session.registration.status in ("Pending", "Rejected"):
        return
    beat.silence = since
    alive = link.pinged.get("station", since) > since
    pings = ", but for pings and pongs" if alive else ""
    place = replace(deadline.place, evidence=(), action="", connector=None, transaction=None)
    yield now.hit(f"The station has sent nothing for {patience_s:g} s{pings}, with an interval of {known_s:g} s",
                  place=place, frame=now.ref, by="station", case="pings" if alive else None)


def _patience_s(now: Now, interval_s: float) -> float:
    return SHARE * interval_s + max(SLACK_S, now.bounds.interval_s)


def _heard(link: Link) -> float:
    return link.heard.get("station", link.opened_time)


def _waits(link: Link) -> bool:
    """Whether the station's last CALL has no answer."""
    return link.called.get("station", 0.0) > link.heard.get("csms", link.opened_time)


# Heartbeats themselves


@check("hb-too-often", call("Heartbeat"))
def too_often(now: Now) -> Iterator[Hit] | None:
    known_s = interval(now)
    if known_s is None:
        return now.unknown("no heartbeat interval seen")
    return _too_often(now, known_s)


def _too_often(now: Now, interval_s: float) -> Iterator[Hit]:
    beat, gap = now.session.book(Beat), _gap(now)
    if gap is None or gap >= OFTEN * interval_s or beat.soon + 1 < GAPS:
        return
    if beat.set_s is None or _cadence(now) is None:  # else it is hb-interval-ignored that tells of it
        yield now.hit(f"Heartbeats come within less than half the interval of {interval_s:g} s")


@check("hb-interval-ignored", call("Heartbeat"))
def ignored(now: Now) -> Iterator[Hit] | None:
    if now.session.book(Beat).set_s is None:
        return now.unknown("the CSMS has set no heartbeat interval")
    return _ignored(now)


def _ignored(now: Now) -> Iterator[Hit]:
    beat, cadence = now.session.book(Beat), _cadence(now)
    if cadence is None or beat.set_s is None or beat.told:
        return
    if abs(cadence - beat.set_s) > now.bounds.tolerance_s(beat.set_s):
        beat.told = True
        yield now.hit(f"Heartbeats come every {_rounded(cadence)} s, and {beat.set_by} has set {beat.set_s:g} s",
                      expected=f"{beat.set_s:g}", also=[beat.set_ref])


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
    return _gap(now) if link is not None and link.heard.get("station") == beat.last else None


def _cadence(now: Now) -> float | None:
    """The pace of the last heartbeats, this one included; None where there is none."""
    gap = _idle_gap(now)
    gaps = [*now.session.book(Beat).gaps, gap][-GAPS:]
    known = [one for one in gaps if one is not None]
    if gap is None or len(known) < GAPS or max(known) - min(known) > now.bounds.tolerance_s(max(known)):
        return None
    return sum(known) / GAPS


def _rounded(seconds: float) -> str:
    """With two digits, so that the same pace reads the same."""
    return f"{float(f'{seconds:.2g}'):g}"


@learn(call("Heartbeat"))
def beaten(now: Now) -> None:
    beat, gap, idle = now.session.book(Beat), _gap(now), _idle_gap(now)
    known_s = interval(now)
    beat.soon = beat.soon + 1 if gap is not None and known_s is not None and gap < OFTEN * known_s else 0
    if idle is None:
        beat.gaps.clear()
    else:
        beat.gaps.append(idle)
    beat.last, beat.on = now.time, now.connection


# The time of day


@learn(call("Heartbeat", "BootNotification"))
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
