"""Charging profiles of 1.6, as they are sent, answered and cleared; for all versions, schedules that make no sense.

Source: OCPP 1.6 edition 2 sections 3.13.1, 5.5, 5.16.4, 6.13, 7.8 to 7.14 and 9.4; 1.6 errata 3.25, 3.26, 3.38, 3.39,
3.45, 3.56 and 3.88; OCPP 2.0.1 and 2.1 Part 2 K01.FR.31, K01.FR.35, K01.FR.40 and K01.FR.41.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer
from ocpp_proxy.rules.checks.remote16_state import all_seen, blocked, boot_since, running, status_of, told_within_s
from ocpp_proxy.rules.checks.smart_charging_profiles import (
    ACCEPTED,
    CLEAR,
    DEFAULT,
    MAX_16,
    SET,
    STARTS,
    TX,
    Filter,
    Installed,
    Profile,
    Profiles,
    filter_in,
    profile_in,
    profiles,
)
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

SENT = (SET, *STARTS)
IDLE = frozenset(("Available", "Finishing", "Preparing", "Reserved"))
UNITS: Mapping[str, str] = {"current": "A", "a": "A", "power": "W", "w": "W"}
ALLOWED_UNITS, STACK_MOST, PERIODS_MOST = (
    "ChargingScheduleAllowedChargingRateUnit", "ChargeProfileMaxStackLevel", "ChargingScheduleMaxPeriods")
CONSTRAINT = "PropertyConstraintViolation"
NO_SUCH_THING = frozenset(("NotSupported", "NotImplemented", "SecurityError"))
FEATURE = "smartcharging"


def _source(now: Now, key: str) -> FrameRef | None:
    setting = now.session.settings.find(key)
    return setting.source if setting is not None else None


# The schedule itself


@check("sc-first-period", call(*SENT, by="csms"))
def periods(now: Now) -> Iterator[Hit]:
    profile = profile_in(now)
    for schedule in profile.schedules if profile is not None else ():
        starts = [one.start_s for one in schedule.periods if one.start_s is not None]
        pointer = f"{schedule.pointer}/chargingSchedulePeriod"
        if starts and starts[0] != 0:
            yield now.hit("The first period of the charging schedule does not begin at 0", f"{pointer}/0/startPeriod",
                          expected=0)
        wrong = next((number for number in range(1, len(starts)) if starts[number] <= starts[number - 1]), None)
        if wrong is not None:
            yield now.hit("The periods of the charging schedule do not follow each other by their startPeriod",
                          f"{pointer}/{wrong}/startPeriod", case="order-16" if now.version == "1.6" else None)


@check("sc-recurrency", call(*SENT, by="csms"))
def recurrency(now: Now) -> Iterator[Hit]:
    profile = profile_in(now)
    if profile is None:
        return
    kind, pointer = profile.kind, f"{profile.pointer}/recurrencyKind"
    if now.version == "1.6" and kind != "Recurring" and profile.recurrency is not None:
        yield now.hit(f"recurrencyKind is given for a profile of kind {kind[:20]}", pointer, seen=profile.recurrency,
                      expected="nothing")
    if now.version == "1.6" and kind == "Recurring" and profile.recurrency is None:
        yield now.hit("A profile of kind Recurring has no recurrencyKind", pointer, expected="Daily or Weekly")
    for schedule in profile.schedules:
        if kind in ("Absolute", "Recurring") and not schedule.starts:
            yield now.hit(f"A profile of kind {kind} has no startSchedule", f"{schedule.pointer}/startSchedule",
                          expected="a date and time")
        elif kind == "Relative" and schedule.starts:
            yield now.hit("A profile of kind Relative has a startSchedule", f"{schedule.pointer}/startSchedule",
                          expected="nothing")


# What the station can take


@check("sc-unit-allowed", call(*SENT, by="csms"))
def unit_allowed(now: Now) -> Iterator[Hit]:
    profile, words = profile_in(now), now.session.settings.words(ALLOWED_UNITS)
    if profile is None:
        return
    allowed = {UNITS[word.casefold()] for word in words or () if word.casefold() in UNITS}
    if not allowed:
        yield from now.unknown(f"{ALLOWED_UNITS} was not seen")
        return
    for schedule in profile.schedules:
        if schedule.unit in UNITS.values() and schedule.unit not in allowed:
            yield now.hit(f"The charging schedule is in {schedule.unit}, which {ALLOWED_UNITS} does not list",
                          f"{schedule.pointer}/chargingRateUnit", seen=schedule.unit,
                          expected=" or ".join(sorted(allowed)), also=[_source(now, ALLOWED_UNITS)])


@check("sc-stack-max", call(*SENT, by="csms"))
def beyond_limits(now: Now) -> Iterator[Hit]:
    profile, settings = profile_in(now), now.session.settings
    if profile is None:
        return
    stack_most, periods_most = settings.integer(STACK_MOST), settings.integer(PERIODS_MOST)
    if stack_most is None and periods_most is None:
        yield from now.unknown(f"neither {STACK_MOST} nor {PERIODS_MOST} was seen")
    if stack_most is not None and profile.stack is not None and profile.stack > stack_most:
        yield now.hit(f"The stackLevel is beyond {STACK_MOST}, {stack_most}", f"{profile.pointer}/stackLevel",
                      seen=profile.stack, expected=f"at most {stack_most}", also=[_source(now, STACK_MOST)])
    for schedule in profile.schedules:
        if periods_most is not None and len(schedule.periods) > periods_most:
            yield now.hit(f"The charging schedule has more periods than {PERIODS_MOST}, {periods_most}",
                          f"{schedule.pointer}/chargingSchedulePeriod", seen=len(schedule.periods),
                          expected=f"at most {periods_most}", also=[_source(now, PERIODS_MOST)])


@check("sc-invalid-connector", answer(SET, by="csms"))
def set_answered(now: Now) -> Iterator[Hit]:
    number, most = integer(now.request, "connectorId"), now.session.settings.integer("NumberOfConnectors")
    code = now.error["code"] if now.error is not None else None
    how = f"CALLERROR {code[:40]}" if isinstance(code, str) else f"{(now.status or 'a CALLRESULT')[:40]}"
    if code == CONSTRAINT or code in NO_SUCH_THING or number is None:
        return
    if number < 0 or (most is not None and number > most > 0):
        yield now.hit(f"SetChargingProfile for a connector that there is not was answered with {how}",
                      "/status" if code is None else "/code", seen=now.status if code is None else code,
                      expected=f"CALLERROR {CONSTRAINT}", also=[_source(now, "NumberOfConnectors")])
    elif code is not None:
        if now.exchange is not None and now.exchange.faults == ("schema-enum",):
            yield now.hit(f"SetChargingProfile with a value that its enumeration does not have was answered with {how}",
                          "/code", seen=code, expected=f"CALLERROR {CONSTRAINT}")
    elif now.status in ("Rejected", "NotSupported") and _claims_none(now):
        yield now.hit(f"SetChargingProfile was answered with {how} by a station whose SupportedFeatureProfiles do not"
                      " name SmartCharging", "/status", seen=now.status, expected="CALLERROR NotSupported",
                      also=[_source(now, "SupportedFeatureProfiles")])
    elif most is None:
        yield from now.unknown("NumberOfConnectors was not seen")


def _claims_none(now: Now) -> bool:
    """Whether the station is known to claim no smart charging; some spell the names with spaces."""
    claimed = now.session.feature_profiles
    return claimed is not None and FEATURE not in {"".join(one.split()) for one in claimed}


# Without a transaction


@check("sc-txprofile-no-tx", answer(SET, by="csms"))
def tx_profile_set(now: Now) -> Iterator[Hit]:
    profile = profile_in(now)
    if profile is None or now.status != ACCEPTED or profile.purpose != TX or not profile.place:
        return
    transaction, told = now.session.transactions.on(profile.place), status_of(now, profile.place)
    if transaction is not None:
        yield from _other_transaction(now, profile)
    elif told is None:
        yield from now.unknown("neither a transaction nor the status of the connector was seen")
    elif told.name in IDLE and told.time < now.called_time:
        now.later(told_within_s(now), no_transaction, key=profile.place, data=(profile.place, now.called_time))


def _other_transaction(now: Now, profile: Profile) -> Iterator[Hit]:
    transaction = running(now, profile.place)
    if transaction is None or transaction.id is None or not isinstance(profile.transaction, int):
        return
    book = now.session.transactions
    if not transaction.is_called(profile.transaction) and book.find(profile.transaction) not in book.open:
        yield now.hit("A TxProfile is accepted for another transaction than runs on the connector", "/status",
                      seen=ACCEPTED, expected="Rejected", transaction=transaction.id, case="other-transaction",
                      also=[transaction.start, transaction.confirmed])


def no_transaction(now: Now, deadline: Deadline) -> Iterator[Hit]:
    place, called = deadline.data
    begun = any(one.place == place and one.start_time >= called for one in now.session.transactions.all())
    if begun or now.session.connectors.status(place) not in IDLE or blocked(now) or not all_seen(now, called):
        return
    yield now.hit("A TxProfile is accepted for a connector without a transaction", "/status", seen=ACCEPTED,
                  expected="Rejected", place=deadline.place)


# Clearing


@check("sc-clear", answer(CLEAR, by="csms"))
def cleared(now: Now) -> Iterator[Hit]:
    book, wanted = profiles(now), filter_in(now)
    if not book.sure:
        yield from now.unknown("not all answers to SetChargingProfile were seen")
        return
    fitting = [one for one in book.known.values() if wanted.fits(one.profile)]
    if now.status == ACCEPTED and not fitting:
        since = _empty_since(book, wanted)
        if since is not None and all_seen(now, since[1]):
            yield now.hit("ClearChargingProfile was accepted, and there is no such profile", "/status", seen=ACCEPTED,
                          expected="Unknown", also=[since[0]])
    elif now.status == "Unknown":
        lasting = [one for one in fitting if _lasts(now, one)]
        if lasting:
            yield now.hit("ClearChargingProfile was answered with Unknown, and such a profile was accepted before",
                          "/status", seen="Unknown", expected=ACCEPTED, also=[lasting[0].ref],
                          connector=lasting[0].profile.place)


def _empty_since(book: Profiles, wanted: Filter) -> tuple[FrameRef | None, float] | None:
    """Since when there is certainly nothing that the filter fits, and what says so."""
    if wanted.number is not None and wanted.number in book.gone:
        return book.gone[wanted.number]
    purposes = (TX, DEFAULT, MAX_16) if wanted.number is not None or wanted.purpose is None else (wanted.purpose,)
    times = [book.complete.get(purpose) for purpose in purposes]
    known = [time for time in times if time is not None]
    return (None, max(known)) if len(known) == len(times) else None


def _lasts(now: Now, one: Installed) -> bool:
    """Whether the profile is there still, since nothing ends it by itself."""
    fixed = one.profile.purpose != TX and one.profile.to_us is None
    return fixed and all_seen(now, one.time) and boot_since(now.session, one.time) is None
