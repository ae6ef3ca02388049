"""Charging profiles of all versions: what one says, and which of them a station has.

Decides what a station that accepts profiles and their clearing has to have installed. Profiles from before the capture
are not known, but that there are none of a purpose any more once all of it have been cleared. A profile whose answer
was never seen, or that came with a remote start for any connector, leaves everything open until all are cleared.

Keeps up to PROFILES_KEPT profiles of a station, each with up to PERIODS_KEPT periods.

Source: OCPP 1.6 edition 2 sections 3.13, 5.5, 5.16, 6.13 and 7.8 to 7.14; 1.6 errata 3.25, 3.26 and 3.37; OCPP 2.0.1
and 2.1 Part 2 K01.FR.05, K10.FR.02 to .04, ChargingProfileType, ChargingScheduleType and ChargingSchedulePeriodType.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, items, kept, member, moment_us, numeral, objects, text
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import answer, call, learn

SET, CLEAR = "SetChargingProfile", "ClearChargingProfile"
STARTS = ("RemoteStartTransaction", "RequestStartTransaction")
TX, DEFAULT = "TxProfile", "TxDefaultProfile"
MAX_16, MAX_2X = "ChargePointMaxProfile", "ChargingStationMaxProfile"
MAX = frozenset((MAX_16, MAX_2X))
PURPOSES = frozenset((TX, DEFAULT, MAX_16, MAX_2X))
ACCEPTED = "Accepted"
PROFILES_KEPT = 64
GONE_KEPT = 64
PERIODS_KEPT = 64
PLAIN = frozenset(("startPeriod", "limit", "numberPhases", "phaseToUse", "operationMode", "customData"))


class Period(NamedTuple):
    """`plain`: it is limited by `limit` alone, and not by what else 2.1 has."""

    start_s: int | None
    limit: Decimal | None
    phases: int | None
    phase: int | None
    plain: bool


class Schedule(NamedTuple):
    """`starts`: a startSchedule is there, `starts_us`: when that is; `movable`: delayed by chance, in local time, or
    lower for a full battery; `cut`: there are more periods than are kept."""

    unit: str | None
    starts: bool
    starts_us: int | None
    duration_s: int | None
    periods: tuple[Period, ...]
    movable: bool
    cut: bool
    pointer: str


class Profile(NamedTuple):
    """`place`: connector of 1.6 or EVSE of 2.x, None where a remote start names none; `transaction`: its id, folded."""

    number: int | None
    place: int | None
    stack: int | None
    purpose: str
    kind: str
    recurrency: str | None
    transaction: int | str | None
    from_us: int | None
    to_us: int | None
    schedules: tuple[Schedule, ...]
    pointer: str


def profile_in(now: Now) -> Profile | None:
    """That of a SetChargingProfile or of a remote start."""
    return now.once(_profile)


def _profile(now: Now) -> Profile | None:
    old = now.version == "1.6"
    name = "csChargingProfiles" if old and now.action == SET else "chargingProfile"
    given = member(now.request, name)
    if not isinstance(given, dict):
        return None
    schedules = member(given, "chargingSchedule")
    pointer = f"/{name}"
    listed = [schedules] if old else items(given, "chargingSchedule")
    return Profile(
        integer(given, "chargingProfileId" if old else "id"), integer(now.request, "connectorId" if old else "evseId"),
        integer(given, "stackLevel"), kept(given, "chargingProfilePurpose") or "",
        kept(given, "chargingProfileKind") or "", kept(given, "recurrencyKind"),
        integer(given, "transactionId") if old else folded(given, "transactionId"), moment_us(given, "validFrom"),
        moment_us(given, "validTo"), tuple(
            _schedule(one, f"{pointer}/chargingSchedule" + ("" if old else f"/{number}"))
            for number, one in enumerate(listed[:3]) if isinstance(one, dict)
        ), pointer,
    )  # fmt: skip


def _schedule(given: Mapping[str, Any], pointer: str) -> Schedule:
    movable = member(given, "useLocalTime") is True or bool(integer(given, "randomizedDelay"))
    return Schedule(
        kept(given, "chargingRateUnit"), "startSchedule" in given, moment_us(given, "startSchedule"),
        integer(given, "duration"), tuple(_period(one) for _, one in objects(given, "chargingSchedulePeriod")),
        movable or "limitAtSoC" in given, False, pointer,
    )  # fmt: skip


def _period(given: Mapping[str, Any]) -> Period:
    plain = PLAIN.issuperset(given) and text(given, "operationMode") in (None, "ChargingOnly")
    return Period(integer(given, "startPeriod"), numeral(member(given, "limit")), integer(given, "numberPhases"),
                  integer(given, "phaseToUse"), plain)


def _to_keep(profile: Profile) -> Profile:
    return profile._replace(schedules=tuple(
        one._replace(periods=one.periods[:PERIODS_KEPT], cut=len(one.periods) > PERIODS_KEPT)
        for one in profile.schedules
    ))


# Which ones there are


class Installed(NamedTuple):
    """A profile that was accepted. `ref`, `time`: of the answer."""

    profile: Profile
    ref: FrameRef
    time: float


class Lowest(NamedTuple):
    """What the lowest limit allows, by unit, that any profile may have from one moment to another. A limit of nothing
    is none."""

    from_us: int
    to_us: int
    allowed: Mapping[str, Decimal]


@dataclass(slots=True)
class Profiles:
    """`known`: by id; `gone`: ids that are certainly not there, with the frame that says so and its time; `complete`:
    purposes of which none are there but those known, and since when. `open`: a profile that has no answer yet;
    `unsure`: what is known may not be all, nor all be true. `zero`: the places where a limit of 0 has to take effect
    (`smart_charging_limits`), `lowest`: worked out there of those known."""

    known: dict[int, Installed] = field(default_factory=dict)
    gone: dict[int, tuple[FrameRef, float]] = field(default_factory=dict)
    complete: dict[str, float] = field(default_factory=dict)
    open: FrameRef | None = None
    unsure: bool = False
    zero: set[int] = field(default_factory=set)
    lowest: Lowest | None = None

    @property
    def sure(self) -> bool:
        return not self.unsure and self.open is None

    def of(self, *purposes: str) -> Iterator[Installed]:
        return (one for one in self.known.values() if one.profile.purpose in purposes)

    def put(self, profile: Profile, ref: FrameRef, time: float, *, replacing: bool) -> None:
        """`replacing`: it takes the place of one with its purpose, stack level and place, as in 1.6."""
        if profile.number is None:
            self.unsure = True
            return
        if replacing:
            same = profile.purpose, profile.stack, profile.place
            for one in [one for one in self.known.values()
                        if (one.profile.purpose, one.profile.stack, one.profile.place) == same]:
                self.remove(one.profile.number, (ref, time))
        self.lowest = None
        self.known.pop(profile.number, None)
        self.gone.pop(profile.number, None)
        self.known[profile.number] = Installed(_to_keep(profile), ref, time)
        if len(self.known) > PROFILES_KEPT:
            del self.known[next(iter(self.known))]
            self.unsure = True

    def remove(self, number: int | None, by: tuple[FrameRef, float] | None) -> None:
        """`by`: what makes it certain that the profile is not there, None where it only counts no longer."""
        if number is None:
            return
        self.lowest = None
        self.known.pop(number, None)
        if by is not None:
            self.gone.pop(number, None)
            self.gone[number] = by
            if len(self.gone) > GONE_KEPT:
                del self.gone[next(iter(self.gone))]


class Filter(NamedTuple):
    """What a ClearChargingProfile is about: one profile by its id, or all that have these in common."""

    number: int | None
    place: int | None
    purpose: str | None
    stack: int | None

    @property
    def everything(self) -> bool:
        return self == (None, None, None, None)

    def fits(self, profile: Profile) -> bool:
        if self.number is not None:
            return profile.number == self.number
        return (self.place in (None, profile.place) and self.purpose in (None, profile.purpose)
                and self.stack in (None, profile.stack))


def filter_in(now: Now) -> Filter:
    if now.version == "1.6":
        where, number, place = now.request, "id", "connectorId"
    else:
        where, number, place = member(now.request, "chargingProfileCriteria"), "chargingProfileId", "evseId"
    return Filter(integer(now.request, number), integer(where, place), kept(where, "chargingProfilePurpose"),
                  integer(where, "stackLevel"))


def profiles(now: Now) -> Profiles:
    return now.session.book(Profiles)


@learn(call(SET, by="csms"))
def asked(now: Now) -> None:
    book = profiles(now)
    book.unsure = book.unsure or book.open is not None
    book.open = now.ref


@learn(answer(SET, by="csms"))
def answered(now: Now) -> None:
    book, profile = profiles(now), profile_in(now)
    book.open = None
    if now.status == ACCEPTED and profile is not None:
        book.put(profile, now.ref, now.time, replacing=now.version == "1.6")


@learn(answer(*STARTS, by="csms"))
def started(now: Now) -> None:
    if now.status != ACCEPTED or (profile := profile_in(now)) is None:
        return
    if profile.place is None:
        profiles(now).unsure = True  # nobody knows where it will count
    else:
        profiles(now).put(profile, now.ref, now.time, replacing=now.version == "1.6")


@learn(answer(CLEAR, by="csms"))
def cleared(now: Now) -> None:
    if now.status not in (ACCEPTED, "Unknown"):
        return
    book, wanted = profiles(now), filter_in(now)
    for one in [one.profile for one in book.known.values() if wanted.fits(one.profile)]:
        book.remove(one.number, (now.ref, now.time))
    if wanted.number is not None:
        book.remove(wanted.number, (now.ref, now.time))
    elif wanted.everything and now.version == "1.6":
        book.complete, book.unsure = dict.fromkeys((TX, DEFAULT, MAX_16), now.time), False
    elif wanted.place is None and wanted.stack is None and wanted.purpose in PURPOSES:
        book.complete[wanted.purpose] = now.time


@learn(call("StopTransaction", "TransactionEvent"))
def ended(now: Now) -> None:
    """A profile for a transaction counts no longer than that."""
    book = now.session.book(Profiles)
    if not book.known or (now.action == "TransactionEvent" and text(now.request, "eventType") != "Ended"):
        return
    number = integer(now.request, "transactionId") if now.version == "1.6" else \
        kept(now.request, "transactionInfo", "transactionId")
    transaction = now.session.transactions.find(number) if number is not None else None
    place = transaction.place if transaction is not None else None
    name = number.casefold() if isinstance(number, str) else number
    for one in [one.profile for one in book.of(TX)]:
        if (one.transaction is not None and one.transaction == name) or (one.place is not None and one.place == place):
            book.remove(one.number, None)
