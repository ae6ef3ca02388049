"""The clocks of station and CSMS, held against that of this computer and against each other.

Of three clocks the one that differs from both others is wrong. Decides which that is, and says so of the side
concerned; where both sides agree it may be this computer's, and nobody is blamed. Each time is judged by itself, since
those of one station need not come from the same clock. Only what is sent as it happens (`clock_live`) tells of a slow
clock. Refuses to judge times that are no readings of a clock, such as the end of a reservation.

Source: OCPP 1.6 edition 2 sections 3.14, 4.2 and 4.6; OCPP 2.0.1 Part 2 B01, G02 and section 3.1; RFC 9110 section
6.6.1 (Date).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import items, moment_us, text
from ocpp_proxy.core.record import Opened
from ocpp_proxy.rules.checks.clock import has_zone
from ocpp_proxy.rules.checks.clock_live import live
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, answer, call, check, learn
from ocpp_proxy.rules.place import Place

US = 1_000_000
HOUR_S = 3600
NEAR_S = 60           # so close to a zone's offset a difference is one
WITNESS_S = 30.0      # so long a third clock is waited for
FIRST_YEAR, LAST_YEAR = 2020, 2037
YEAR_S = 300 * 86_400

# The offsets of the zones there are, in seconds.
ZONES_S = tuple(sorted({hours * HOUR_S for hours in range(-12, 15) if hours} | {
    round(hours * HOUR_S) for hours in (-9.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 8.75, 9.5, 10.5, 12.75, 13.75)}))

STAMPED = ("StatusNotification", "StartTransaction", "StopTransaction", "MeterValues", "SecurityEventNotification",
           "TransactionEvent", "NotifyReport", "NotifyEvent")  # fmt: skip

_HTTP_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d:\d\d:\d\d) GMT", re.ASCII)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


@dataclass(slots=True)
class Clocks:
    """How far the CSMS's last currentTime, and the station's last credible time, were ahead of this computer's clock,
    in seconds, and where they were told. `doubted`: a third clock may be waited for."""

    csms_s: float | None = None
    csms_ref: FrameRef | None = None
    station_s: float | None = None
    station_ref: FrameRef | None = None
    doubted: bool = False


class Reading(NamedTuple):
    """A time that the station wrote down. `ahead_s`: of this computer's clock; `skew_s`: of the CSMS's where that is
    known, else of this computer's; `whose`: that clock; `alone`: there are but two clocks to compare."""

    pointer: str
    words: str
    at_us: int
    ahead_s: float
    skew_s: float
    whose: str
    alone: bool


# What the station's messages say of its clock


def _stamp(now: Now) -> tuple[str, str] | None:
    """The time at which the station wrote the message, or what it is about happened: the latest that it names."""
    request, action = now.request, now.action
    if action == "MeterValues":
        values = items(request, "meterValue")
        for place in range(len(values) - 1, -1, -1):
            if (words := text(values[place], "timestamp")) is not None:
                return f"/meterValue/{place}/timestamp", words
        return None
    name = "generatedAt" if action in ("NotifyReport", "NotifyEvent") else "timestamp"
    words = text(request, name)
    return (f"/{name}", words) if words is not None else None


def reading(now: Now) -> Reading | None:
    """To be asked for with `now.once`, as is `wrong`."""
    stamp = _stamp(now)
    if stamp is None or now.injected:
        return None
    pointer, words = stamp
    at_us = moment_us(words)
    if at_us is None:
        return None
    csms_s, ahead_s = now.session.book(Clocks).csms_s, (at_us - now.at.utc_us) / US
    if csms_s is None:
        return Reading(pointer, words, at_us, ahead_s, ahead_s, "this computer's", _date_ahead_s(now) is None)
    return Reading(pointer, words, at_us, ahead_s, ahead_s - csms_s, "the CSMS's", False)


def wrong(now: Now) -> Reading | None:
    """The time, if it agrees with no other clock."""
    found, near_s = now.once(reading), now.bounds.time_warn_s
    if found is None or abs(found.ahead_s) <= near_s or abs(found.skew_s) <= near_s:
        return None
    date_s = _date_ahead_s(now)
    if date_s is not None and abs(found.ahead_s - date_s) <= near_s:
        return None
    return None if out_of_time(now, found.words, found.at_us) else found


def credible(now: Now) -> Reading | None:
    """The time, if it tells how the station's clock goes: another clock agrees with it, or it cannot be an old one."""
    found, near_s = now.once(reading), now.bounds.time_warn_s
    if found is None or abs(found.ahead_s) <= near_s or abs(found.skew_s) <= near_s:
        return found
    return found if now.once(live) else None


def zone_by(skew_s: float) -> int | None:
    """The offset of the zone that such a difference is like, in seconds; None where there is none."""
    if abs(skew_s) < HOUR_S - NEAR_S:
        return None
    return next((zone for zone in ZONES_S if abs(skew_s - zone) <= NEAR_S), None)


def as_utc(found: Reading) -> bool:
    return found.words[-1:] in "Zz" or found.words[-6:] == "+00:00"


def out_of_time(now: Now, words: str, at_us: int) -> int | None:
    """The year, if no clock that has ever been set would show it."""
    if abs(at_us - now.at.utc_us) <= YEAR_S * US:
        return None
    year = int(words[:4])
    return None if FIRST_YEAR <= year <= LAST_YEAR else year


@check("time-local-as-utc", call(*STAMPED))
def local_as_utc(now: Now) -> Iterator[Hit] | None:
    found = now.once(wrong)
    return _local(now, found) if found is not None else None


def _local(now: Now, found: Reading) -> Iterator[Hit]:
    zone = zone_by(found.skew_s)
    if zone is None or not as_utc(found) or (zone < 0 and not now.once(live)):
        return
    yield now.hit(f"{_name(found)} is marked as UTC and {about(found.skew_s)} {found.whose} clock, like local time of"
                  f" UTC{_offset(zone)}", found.pointer, case="alone" if found.alone else None,
                  also=[now.session.book(Clocks).csms_ref], connector=None, transaction=None)


@check("time-future", call(*STAMPED))
def future(now: Now) -> Iterator[Hit] | None:
    found = now.once(wrong)
    return _ahead(now, found) if found is not None and found.skew_s >= 0 else None


def _ahead(now: Now, found: Reading) -> Iterator[Hit]:
    if _is_local(found):
        return
    slight = found.skew_s <= now.bounds.time_fail_s
    yield now.hit(f"{_name(found)} is {about(found.skew_s)} {found.whose} clock", found.pointer,
                  case="alone" if found.alone else "slight" if slight else None,
                  also=[now.session.book(Clocks).csms_ref], connector=None, transaction=None)


@check("time-cp-skew", call(*STAMPED))
def slow(now: Now) -> Iterator[Hit] | None:
    if now.session.book(Clocks).csms_s is None:
        return now.unknown("no currentTime of the CSMS was seen")
    found = now.once(wrong)
    return _behind(now, found) if found is not None and found.skew_s <= 0 else None


def _behind(now: Now, found: Reading) -> Iterator[Hit]:
    if _is_local(found) or not now.once(live):
        return
    far = -found.skew_s > now.bounds.time_fail_s
    yield now.hit(f"{_name(found)} is {about(found.skew_s)} the CSMS's clock, in a message that is sent as it happens",
                  found.pointer, case="far" if far else None,
                  also=[now.session.book(Clocks).csms_ref], connector=None, transaction=None)


def _name(found: Reading) -> str:
    return found.pointer.rpartition("/")[2]


def _is_local(found: Reading) -> bool:
    """Off by a zone's offset: time-local-as-utc tells of it, or it is local time indeed, without a zone."""
    return zone_by(found.skew_s) is not None and (as_utc(found) or not has_zone(found.words))


@check("time-epoch", call(*STAMPED))
def unset(now: Now) -> Iterator[Hit] | None:
    found = now.once(reading)
    year = out_of_time(now, found.words, found.at_us) if found is not None else None
    return _never_set(now, found, year) if found is not None and year is not None else None


def _never_set(now: Now, found: Reading, year: int) -> Iterator[Hit]:
    yield now.hit(f"{_name(found)} is in the year {year}", found.pointer, seen=year,
                  case=None if now.once(live) else "queued", connector=None, transaction=None)


@check("time-epoch", answer("BootNotification", "Heartbeat"))
def csms_unset(now: Now) -> Iterator[Hit] | None:
    words = text(now.response, "currentTime")
    at_us = moment_us(words)
    year = out_of_time(now, words, at_us) if words is not None and at_us is not None else None
    return _csms_never_set(now, year) if year is not None else None


def _csms_never_set(now: Now, year: int) -> Iterator[Hit]:
    yield now.hit(f"currentTime is in the year {year}", "/currentTime", seen=year)


@learn(call(*STAMPED))
def station_read(now: Now) -> None:
    found = credible(now)
    if found is not None:
        clocks = now.session.book(Clocks)
        clocks.station_s, clocks.station_ref = found.ahead_s, now.ref


# The CSMS's clock


def csms_ahead_s(now: Now) -> float | None:
    """How far the CSMS's clock is ahead of this computer's, by this answer. To be asked for with `now.once`."""
    words = text(now.response, "currentTime")
    at_us = moment_us(words)
    if words is None or at_us is None or out_of_time(now, words, at_us):
        return None
    ahead_s = (at_us - now.at.utc_us) / US
    return None if zone_by(ahead_s) is not None and not has_zone(words) else ahead_s  # it may be local time


@check("time-cs-skew", answer("BootNotification", "Heartbeat"))
def csms_told(now: Now) -> Iterator[Hit] | None:
    ahead_s, clocks = now.once(csms_ahead_s), now.session.book(Clocks)
    if ahead_s is None:
        return None
    if abs(ahead_s) > now.bounds.time_warn_s:
        return _far(now, ahead_s)
    if clocks.doubted:
        clocks.doubted = False
        now.cancel()
    return None


def _far(now: Now, ahead_s: float) -> Iterator[Hit]:
    if _settled(now, ahead_s):
        yield _csms_off(now, ahead_s)
    elif now.expected() is None:
        now.session.book(Clocks).doubted = True
        now.later(WITNESS_S, no_witness, data=ahead_s)


@check("time-cs-skew", call(*STAMPED))
def witnessed(now: Now) -> Iterator[Hit] | None:
    return _witnessed(now) if now.session.book(Clocks).doubted else None


def _witnessed(now: Now) -> Iterator[Hit]:
    waiting, found = now.expected(), credible(now)
    if waiting is not None and found is not None:
        now.session.book(Clocks).doubted = False
        now.cancel()
        yield _csms_off(now, waiting.data, waiting.place, found.ahead_s, now.ref)


@check("time-cs-skew", CLOSED)
def nobody_else(now: Now) -> Iterator[Hit]:
    waiting = now.expected()
    if waiting is not None and waiting.place.connection == now.connection:
        now.cancel()
        yield _csms_off(now, waiting.data, waiting.place)


def no_witness(now: Now, deadline: Deadline) -> Iterator[Hit]:
    now.session.book(Clocks).doubted = False
    yield _csms_off(now, deadline.data, deadline.place)


def _settled(now: Now, ahead_s: float) -> bool:
    """Whether a third clock tells whose is wrong, or one was waited for in vain on this connection."""
    clocks = now.session.book(Clocks)
    if clocks.station_s is not None or _date_ahead_s(now) is not None:
        return True
    told = clocks.csms_ref is not None and clocks.csms_ref.connection == now.connection and now.expected() is None
    return told and clocks.csms_s is not None and abs(clocks.csms_s - ahead_s) <= now.bounds.time_warn_s


def _csms_off(
    now: Now, ahead_s: float, place: Place | None = None, station_s: float | None = None, ref: FrameRef | None = None
) -> Hit:
    """`place`: where the CSMS told its time, if not just now; `station_s`: what the station's clock shows just now, in
    the frame `ref`."""
    clocks, near_s = now.session.book(Clocks), now.bounds.time_warn_s
    if station_s is None:
        station_s, ref = clocks.station_s, clocks.station_ref
    witnesses = {"the station's clock": station_s, "the Date of its handshake": _date_ahead_s(now)}
    known = {name: one for name, one in witnesses.items() if one is not None}
    agreeing = [name for name, one in known.items() if abs(one - ahead_s) <= near_s]
    told, case = f"currentTime is {about(ahead_s)} this computer's clock", None
    if agreeing and not any(abs(one) <= near_s for one in known.values()):
        verb = "agree" if len(agreeing) > 1 else "agrees"
        told += f", and {' and '.join(agreeing)} {verb} with it: this computer's clock may be wrong"
        case = "ours"
    elif abs(ahead_s) <= now.bounds.time_fail_s:
        case = "slight"
    return now.hit(told, "/currentTime", case=case, place=place, by="proxy" if case == "ours" else None, also=[ref])


@learn(answer("BootNotification", "Heartbeat"))
def csms_read(now: Now) -> None:
    ahead_s = now.once(csms_ahead_s)
    if ahead_s is not None:
        clocks = now.session.book(Clocks)
        clocks.csms_s, clocks.csms_ref = ahead_s, now.ref


def _date_ahead_s(now: Now) -> float | None:
    """How far the Date header of the CSMS's handshake was ahead of this computer's clock."""
    opened = now.link.opened if now.link is not None else None
    if not isinstance(opened, Opened):
        return None
    value = next((value for name, value in opened.csms_headers if name.lower() == "date"), None)
    at_us = http_date_us(value) if isinstance(value, str) else None
    return (at_us - opened.at.utc_us) / US if at_us is not None else None


def http_date_us(value: str) -> int | None:
    """The usual form of a date in HTTP, as UTC microseconds."""
    match = _HTTP_DATE.fullmatch(value.strip())
    place = _MONTHS.find(match[2]) if match is not None else -1
    if match is None or place < 0 or place % 3:
        return None
    return moment_us(f"{match[3]}-{place // 3 + 1:02}-{match[1]}T{match[4]}Z")


# Words


# Up to how many seconds a difference is told in which unit, and in which steps: coarse, since clocks drift.
_UNITS = ((105, "s", 1, 10), (570, "min", 60, 1), (3150, "min", 60, 5), (172_800, "h", 3600, 0.25),
          (8_640_000, "days", 86_400, 1))  # fmt: skip


def about(seconds: float) -> str:
    """A difference in words: "about 2 h ahead of", "about 90 s behind"."""
    size, side = abs(seconds), "ahead of" if seconds > 0 else "behind"
    for most, name, unit, step in _UNITS:
        if size < most:
            return f"about {round(size / unit / step) * step:g} {name} {side}"
    return f"months or years {side}"


def _offset(zone_s: int) -> str:
    """As in UTC+2, UTC-3:30."""
    hours, rest = divmod(abs(zone_s), HOUR_S)
    return f"{'+' if zone_s > 0 else '-'}{hours}" + (f":{rest // 60:02}" if rest else "")
