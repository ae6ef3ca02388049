"""Whether a station charges within the limits that it accepted.

Decides what limit holds at a moment as far as that can be told: of the profile for the transaction, or else of the
default one, and of that for the station. A schedule that is relative to the beginning of the charging has all of its
limits at once, since that moment is not known; what is driven by set points or changes while it runs has none. Refuses
to turn amperes into watts: phases and voltage are guesses.

Source: OCPP 1.6 edition 2 sections 3.13.1 to 3.13.3, 5.7, 7.7, 7.12 and 7.13; 1.6 errata 3.57; OCPP 2.0.1 and 2.1
Part 2 K01.FR.04, .11, .12, .17, .30, .36, .37 and .51, K04.FR.05, K08.FR.04.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import inf
from typing import NamedTuple

from ocpp_proxy.core.payload import flag, integer, kept, member, numeral, objects, text
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.meter_samples import LAYOUTS_KEPT, Layout, Reading, about, readings
from ocpp_proxy.rules.checks.remote16_state import all_seen, blocked, boot_since, told_within_s
from ocpp_proxy.rules.checks.smart_charging_profiles import (
    ACCEPTED,
    DEFAULT,
    MAX,
    SET,
    TX,
    Installed,
    Lowest,
    Period,
    Profile,
    Profiles,
    Schedule,
    profile_in,
    profiles,
)
from ocpp_proxy.rules.now import Deadline, FrameRef, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

METERS = ("MeterValues", "TransactionEvent")
OTHERS = ("LocalGeneration", "PriorityCharging")  # of 2.1: they lift the limits of the rest
STACK_MOST: Mapping[str, str] = {"1.6": "ChargeProfileMaxStackLevel"}
STACK_MOST_2X = "SmartChargingCtrlr.ProfileStackLevel"
RECURS_S: Mapping[str, int] = {"Daily": 86_400, "Weekly": 604_800}
MEASURED: Mapping[str, str] = {"A": "Current.Import", "W": "Power.Active.Import"}
GRACE_S = 30
NEAR_S = 60        # so near to its edges, a profile may count or not
AHEAD_S = 900      # for so long ahead the lowest limit is worked out
SETTLED_S = 120.0  # since a connection began, in which queued values may come
SHARE = Decimal("1.1")
SLACK: Mapping[str, Decimal] = {"A": Decimal(1), "W": Decimal(690)}
RESTS: Mapping[str, Decimal] = {"A": Decimal(1), "W": Decimal(250)}
DIRECT_V = Decimal(300)  # no voltage of a phase


class Limit(NamedTuple):
    """`sure`: no profile from before the capture can allow more."""

    value: Decimal
    unit: str
    phases: int | None
    sure: bool
    ref: FrameRef
    time: float


class Says(Enum):
    """What a profile may say of a moment, other than a limit."""

    NOTHING = "it does not count then"
    UNKNOWN = "it cannot be told"


# What holds at a moment


def limits(now: Now, transaction: Transaction, at_us: int) -> Iterator[Limit]:
    """Those that hold for the transaction: its own or the default one, and the station's."""
    book, place = profiles(now), transaction.place
    if not book.known or book.open is not None or place is None:
        return
    installed = [(one.profile.purpose, one) for one in book.known.values()]
    if any(purpose in OTHERS for purpose, _ in installed):
        return
    seen = transaction.start is not None and all_seen(now, transaction.start_time)
    own = [one for purpose, one in installed if purpose == TX and _meant(one.profile, transaction)]
    default = [one for purpose, one in installed if purpose == DEFAULT and one.profile.place in (0, place)]
    station = [one for purpose, one in installed if purpose in MAX and not one.profile.place]
    groups = ((own, True, seen) if own else (_nearest(default, place), DEFAULT in book.complete, seen),
              (station, not MAX.isdisjoint(book.complete), True))  # each: profiles, all of them, and of the right kind
    for group, complete, certain in groups:
        if not group:
            continue
        limit = _prevailing(now, group, complete, transaction, at_us)
        if limit is not None:
            yield limit._replace(sure=limit.sure and certain and book.sure)


def _meant(profile: Profile, transaction: Transaction) -> bool:
    if profile.transaction is None:
        return profile.place == transaction.place
    name = transaction.id.casefold() if isinstance(transaction.id, str) else transaction.id
    return profile.transaction == name


def _nearest(found: list[Installed], place: int) -> list[Installed]:
    """A default profile for the place takes the place of one for all, level by level."""
    own = {one.profile.stack for one in found if one.profile.place == place}
    return [one for one in found if one.profile.place == place or one.profile.stack not in own]


def _prevailing(
    now: Now, found: Iterable[Installed], complete: bool, transaction: Transaction, at_us: int
) -> Limit | None:
    """The limit of the highest profile that counts at the moment; None also where that cannot be told."""
    for one in sorted(found, key=lambda one: one.profile.stack or 0, reverse=True):
        profile = one.profile
        value = _value(profile, transaction.started_us, at_us)
        forgotten = profile.purpose == TX and boot_since(now.session, one.time) is not None
        if value is Says.UNKNOWN or forgotten:
            return None
        if isinstance(value, Decimal):
            schedule = profile.schedules[0]
            phases = schedule.periods[0].phases if len(schedule.periods) == 1 else None
            most = now.session.settings.integer(STACK_MOST.get(now.version, STACK_MOST_2X))
            highest = most is not None and profile.stack is not None and profile.stack >= most
            return Limit(value, schedule.unit or "", phases, complete or highest, one.ref, one.time)
    return None


def _value(profile: Profile, begun_us: int | None, at_us: int) -> Decimal | Says:
    """The highest limit of the last GRACE_S before the moment. `begun_us`: when the transaction began."""
    invalid = _invalid(profile, at_us)
    if invalid is not None:
        return invalid
    if len(profile.schedules) != 1 or profile.kind not in ("Absolute", "Recurring", "Relative"):
        return Says.UNKNOWN
    schedule = profile.schedules[0]
    found = [one.limit for one in schedule.periods if one.plain and one.limit is not None]
    if schedule.cut or schedule.movable or not found or len(found) != len(schedule.periods):
        return Says.UNKNOWN
    fixed = profile.kind != "Relative" and schedule.starts_us is not None
    start_us = schedule.starts_us if fixed else begun_us
    if start_us is None:
        return found[0] if len(found) == 1 and schedule.duration_s is None else Says.UNKNOWN
    passed_s = _passed_s(profile, (at_us - start_us) / 1e6)
    if isinstance(passed_s, Says):
        return passed_s
    if schedule.duration_s is not None and passed_s > schedule.duration_s - NEAR_S:
        return Says.UNKNOWN if passed_s < schedule.duration_s + NEAR_S else Says.NOTHING
    return _between(schedule, passed_s - GRACE_S, passed_s) if fixed else max(found)


def _invalid(profile: Profile, at_us: int) -> Says | None:
    for edge_us, inside in ((profile.from_us, 1), (profile.to_us, -1)):
        apart_s = inside * (at_us - edge_us) / 1e6 if edge_us is not None else NEAR_S
        if apart_s < NEAR_S:
            return Says.NOTHING if apart_s < -NEAR_S else Says.UNKNOWN
    return None


def _passed_s(profile: Profile, since_s: float) -> float | Says:
    """The time since the schedule began, or began anew."""
    if profile.kind == "Recurring":
        every_s = RECURS_S.get(profile.recurrency or "")
        return since_s % every_s if every_s is not None else Says.UNKNOWN
    return Says.NOTHING if since_s < 0 and profile.kind == "Absolute" else since_s


def _between(schedule: Schedule, from_s: float, to_s: float) -> Decimal | Says:
    """The highest limit between two moments since the start."""
    starts = [one.start_s for one in schedule.periods if one.start_s is not None]
    if len(starts) != len(schedule.periods) or starts != sorted(starts):
        return Says.UNKNOWN
    ends = [*starts[1:], inf]
    found = [one.limit for one, start, end in zip(schedule.periods, starts, ends, strict=True)
             if start <= to_s and end > from_s and one.limit is not None]
    return max(found) if found else Says.UNKNOWN


# What is measured


def _metered(now: Now) -> tuple[Transaction, Reading] | None:
    """The transaction and the newest values of a message that comes as it is measured."""
    book, windows = now.session.transactions, now.session.links.windows
    if windows and now.time - windows[-1].to_time < SETTLED_S:
        return None
    if now.action == "TransactionEvent":
        if text(now.request, "eventType") == "Ended" or flag(now.request, "offline"):
            return None
        transaction = book.find(kept(now.request, "transactionInfo", "transactionId"))
    else:
        transaction = book.on(integer(now.request, "connectorId" if now.version == "1.6" else "evseId"))
    if transaction is None or not transaction.open:
        return None
    timed = [one for one in now.once(readings) if one.at_us is not None]
    if len(timed) < 2:
        return (transaction, timed[0]) if timed else None
    return transaction, max(timed, key=lambda one: one.at_us or 0)


@lru_cache(maxsize=LAYOUTS_KEPT)
def _places(layout: Layout, measurand: str, unit: str | None) -> tuple[int, ...]:
    """Where in a layout the values of a measurand are that are taken at the outlet, in this unit if one is given."""
    return tuple(at for at, form in enumerate(layout.forms) if form.measurand == measurand and (
        unit is None or (form.location == "Outlet" and form.base_unit == unit and form.phase != "N")))


def _of_unit(reading: Reading, unit: str) -> list[tuple[int, Decimal]]:
    """The values that a limit in this unit is about, each with its place in the layout: at the outlet, and no current
    of a direct-current station, of which it is not said on which side it is meant."""
    bases, layout = reading.bases, reading.layout
    found = [(at, base) for at in _places(layout, MEASURED.get(unit, ""), unit) if (base := bases[at]) is not None]
    if unit == "A" and found:
        volts = [volts for at in _places(layout, "Voltage", None) if (volts := bases[at]) is not None]
        return [] if volts and max(volts) > DIRECT_V else found
    return found


@check("sc-limit-respected", call(*METERS))
def limit_respected(now: Now) -> Iterator[Hit] | None:
    if not profiles(now).known:
        return now.unknown("no charging profile was accepted")
    metered = _metered(now)
    return _above(now, *metered) if metered is not None and _is_above_any(now, metered[1]) else None


def _is_above_any(now: Now, reading: Reading) -> bool:
    """Whether a value is above what the lowest limit allows that any profile may have."""
    for unit, most in _allowed(profiles(now), reading.at_us or 0).items():
        for at in _places(reading.layout, MEASURED[unit], unit):
            value = reading.bases[at]
            if value is not None and value > most:
                return True
    return False


def _allowed(book: Profiles, at_us: int) -> Mapping[str, Decimal]:
    found = book.lowest
    if found is None or not found.from_us <= at_us <= found.to_us:
        to_us = at_us + AHEAD_S * 1_000_000
        found = book.lowest = Lowest(at_us, to_us, {
            unit: min(limits) * SHARE + SLACK[unit] for unit in MEASURED
            if (limits := list(_limits_of(book, unit, at_us, to_us)))
        })  # fmt: skip
    return found.allowed


def _limits_of(book: Profiles, unit: str, from_us: int, to_us: int) -> Iterator[Decimal]:
    for profile in (one.profile for one in book.known.values()):
        for schedule in profile.schedules:
            if schedule.unit == unit:
                yield from (one.limit for one in _eligible(profile, schedule, from_us, to_us) if one.limit)


def _eligible(profile: Profile, schedule: Schedule, from_us: int, to_us: int) -> Iterable[Period]:
    """The periods that may hold at some time between; all where one cannot tell."""
    starts = [one.start_s for one in schedule.periods if one.start_s is not None]
    if profile.kind != "Absolute" or schedule.starts_us is None or not 0 < len(starts) == len(schedule.periods):
        return schedule.periods
    from_s, to_s = (from_us - schedule.starts_us) / 1e6 - GRACE_S, (to_us - schedule.starts_us) / 1e6
    return [one for one, start, end in zip(schedule.periods, starts, [*starts[1:], inf], strict=True)
            if start <= to_s and end > from_s]  # fmt: skip


def _above(now: Now, transaction: Transaction, reading: Reading) -> Iterator[Hit]:
    for limit in limits(now, transaction, reading.at_us or 0):
        if not limit.value or now.time - limit.time < GRACE_S or not all_seen(now, limit.time):
            continue
        for at, value in _of_unit(reading, limit.unit):
            allowed = limit.value
            form = reading.layout.forms[at]
            if limit.unit == "A" and form.phase is None and limit.phases != 1:
                allowed *= 3  # it may be the sum of all phases
            if value > allowed * SHARE + SLACK[limit.unit]:
                yield now.hit(
                    f"{form.measurand} is above the accepted limit of {limit.value.normalize():f} {limit.unit}",
                    f"{reading.pointer_to(at)}/value", seen=f"about {about(value)} {limit.unit}", also=[limit.ref],
                    expected=f"at most {limit.value.normalize():f} {limit.unit}", connector=transaction.place,
                    transaction=transaction.id, case=None if limit.sure else "unsure")
                return


# A limit of nothing


@dataclass(frozen=True, slots=True)
class _Stop:
    """A limit of 0 that was accepted while the transaction was charging."""

    transaction: Transaction
    place: int
    time: float
    ref: FrameRef


@check("sc-zero-suspends", answer(SET, by="csms"))
def zero_set(now: Now) -> None:
    profile, book = profile_in(now), profiles(now)
    if now.status != ACCEPTED or profile is None:
        return
    zero = any(one.limit == 0 for schedule in profile.schedules for one in schedule.periods)
    for transaction in now.session.transactions.open if zero else ():
        if transaction.place is not None and profile.place in (0, transaction.place) and _charges(now, transaction):
            book.zero.add(transaction.place)
            now.later(GRACE_S + told_within_s(now), not_suspended, key=transaction.place,
                      data=_Stop(transaction, transaction.place, now.time, now.ref))


def _charges(now: Now, transaction: Transaction) -> bool:
    if now.version == "1.6":
        return now.session.connectors.status(transaction.place) == "Charging"
    return transaction.state == "Charging"


@check("sc-zero-suspends", call(*METERS))
def rests(now: Now) -> None:
    book = profiles(now)
    if not book.zero or (metered := _metered(now)) is None:
        return
    transaction, reading = metered
    if transaction.place is None or transaction.place not in book.zero:
        return
    if now.expected(transaction.place) is None:
        book.zero.discard(transaction.place)
    told = [(value, unit) for unit in MEASURED for _, value in _of_unit(reading, unit)]
    if told and all(value <= RESTS[unit] for value, unit in told):
        now.cancel(transaction.place)
        book.zero.discard(transaction.place)


def not_suspended(now: Now, deadline: Deadline) -> Iterator[Hit]:
    stop: _Stop = deadline.data
    profiles(now).zero.discard(stop.place)
    transaction = stop.transaction
    if not transaction.open or not _charges(now, transaction) or blocked(now) or not all_seen(now, stop.time):
        return
    found = next((one for one in limits(now, transaction, now.at.utc_us) if not one.value), None)
    if found is not None:
        yield now.hit(f"A limit of 0 {found.unit} was accepted, and the charging goes on for more than {GRACE_S} s",
                      place=deadline.place, by="station", expected="SuspendedEVSE", connector=transaction.place,
                      transaction=transaction.id, case=None if found.sure else "unsure")


# What the station computes


@check("sc-composite", answer("GetCompositeSchedule", by="csms"))
def composite(now: Now) -> Iterator[Hit]:
    schedule = member(now.response, "chargingSchedule")
    if now.status != ACCEPTED or not isinstance(schedule, dict):
        return
    if "startSchedule" in schedule:
        yield now.hit("The composite schedule has a startSchedule of its own", "/chargingSchedule/startSchedule",
                      expected="scheduleStart alone")
    number, unit = integer(now.request, "connectorId"), text(schedule, "chargingRateUnit")
    if number is None or not profiles(now).known:
        return
    transaction = now.session.transactions.on(number) or Transaction(None, number)
    for limit in _constant(now, transaction, running=transaction.open and transaction.id is not None):
        for place, period in objects(schedule, "chargingSchedulePeriod"):
            told = numeral(member(period, "limit"))
            if limit.unit == unit and told is not None and told > limit.value + SLACK[limit.unit]:
                yield now.hit(
                    f"The composite schedule goes above the accepted limit of {limit.value.normalize():f} {unit}",
                    f"/chargingSchedule/chargingSchedulePeriod/{place}/limit", seen=f"{told.normalize():f} {unit}",
                    expected=f"at most {limit.value.normalize():f} {unit}", also=[limit.ref],
                    case=None if limit.sure else "unsure")
                return


def _constant(now: Now, transaction: Transaction, *, running: bool) -> Iterator[Limit]:
    """The limits that hold as long as their profiles do: those of the transaction only while it runs."""
    book = profiles(now)
    for limit in limits(now, transaction, now.at.utc_us):
        profile = next((one.profile for one in book.known.values() if one.ref == limit.ref), None)
        if profile is None or (profile.purpose not in MAX and not running) or profile.to_us is not None:
            continue
        schedule = profile.schedules[0]
        if len(schedule.periods) == 1 and schedule.duration_s is None and profile.kind != "Recurring":
            yield limit
