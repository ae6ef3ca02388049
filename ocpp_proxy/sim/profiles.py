"""The charging profiles that a simulated station was given, and the limit they make.

Decides which profile counts when. Refuses to know messages: `parse` takes a profile object of any version.

Source: OCPP 1.6 section 3.13; OCPP 2.0.1 K01 (purposes, stack levels, kinds).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.sim.meter import MAX_CURRENT_A

MAX_PURPOSES = ("ChargePointMaxProfile", "ChargingStationMaxProfile")
VOLTAGE_V, PHASES = 230.0, 3
NO_LIMIT_A = MAX_CURRENT_A
RECURRENCE_S = {"Daily": 86_400.0, "Weekly": 604_800.0}


@dataclass(frozen=True, slots=True)
class Profile:
    """`connector` 0 is every connector; times are seconds since 1970; `periods` hold (start in seconds, amperes).
    `given` is the object as the CSMS sent it."""

    identifier: int
    connector: int
    stack: int
    purpose: str
    transaction_id: int | str | None
    starts_at: float | None
    recurs_s: float | None
    duration_s: float | None
    valid_from: float
    valid_to: float
    periods: tuple[tuple[float, float], ...]
    given: dict[str, Any]

    def limit_a(self, at: float, transaction_began: float | None) -> float | None:
        """Amperes at that time, or None where the profile says nothing."""
        began = self.starts_at if self.starts_at is not None else transaction_began
        if began is None or at < began or not self.valid_from <= at < self.valid_to:
            return None
        offset = at - began
        if self.recurs_s is not None:
            offset %= self.recurs_s
        if self.duration_s is not None and offset >= self.duration_s:
            return None
        limits = [limit for start, limit in self.periods if start <= offset]
        return limits[-1] if limits else None


def parse(profile: dict[str, Any], connector: int) -> Profile:
    """A ChargingProfile of 1.6 or 2.x. Of several schedules in 2.x the first counts."""
    schedule = profile["chargingSchedule"]
    schedule = schedule[0] if isinstance(schedule, list) else schedule
    relative = profile["chargingProfileKind"] == "Relative"
    per_ampere = VOLTAGE_V * PHASES if schedule["chargingRateUnit"] == "W" else 1.0
    return Profile(
        identifier=int(profile.get("chargingProfileId", profile.get("id", 0))), connector=connector,
        stack=int(profile["stackLevel"]), purpose=profile["chargingProfilePurpose"],
        transaction_id=profile.get("transactionId"),
        starts_at=None if relative else _seconds(schedule.get("startSchedule"), 0.0),
        recurs_s=RECURRENCE_S.get(profile.get("recurrencyKind", "")),
        duration_s=schedule.get("duration"),
        valid_from=_seconds(profile.get("validFrom"), float("-inf")),
        valid_to=_seconds(profile.get("validTo"), float("inf")),
        periods=tuple((float(period["startPeriod"]), float(period.get("limit", NO_LIMIT_A * per_ampere)) / per_ampere)
                      for period in schedule["chargingSchedulePeriod"]),
        given=profile,
    )


def _seconds(text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        return Instant.parse(text).utc_us / 1e6
    except ValueError:
        return default


class Profiles:
    def __init__(self) -> None:
        self._profiles: list[Profile] = []
        self._began: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._profiles)

    def add(self, new: Profile) -> None:
        """Put a profile in; it takes the place of one with its id, or with its stack level, purpose and connector."""
        self._profiles = [
            old for old in self._profiles
            if old.identifier != new.identifier
            and (old.stack, old.purpose, old.connector) != (new.stack, new.purpose, new.connector)
        ] + [new]

    def clear(
        self, *, identifier: int | None = None, connector: int | None = None, purpose: str | None = None,
        stack: int | None = None,
    ) -> bool:
        """Take out what matches: by the id alone if there is one. Whether anything did."""
        if identifier is not None:
            gone = self.find(identifiers=[identifier])
        else:
            gone = self.find(connector=connector, purpose=purpose, stack=stack)
        self._profiles = [profile for profile in self._profiles if profile not in gone]
        return bool(gone)

    def find(
        self, *, connector: int | None = None, purpose: str | None = None, stack: int | None = None,
        identifiers: Sequence[int] | None = None,
    ) -> list[Profile]:
        """The profiles that match everything that is given."""
        return [
            profile for profile in self._profiles
            if connector in (None, profile.connector) and purpose in (None, profile.purpose)
            and stack in (None, profile.stack) and (identifiers is None or profile.identifier in identifiers)
        ]

    def transaction_began(self, connector: int, at: Instant) -> None:
        self._began[connector] = at.utc_us / 1e6

    def transaction_ended(self, connector: int) -> None:
        self._began.pop(connector, None)
        self.clear(connector=connector, purpose="TxProfile")

    def limit_a(self, connector: int, at: Instant) -> float:
        return self._limit_a(connector, at.utc_us / 1e6)

    def schedule(self, connector: int, at: Instant, duration_s: float, unit: str) -> list[dict[str, Any]]:
        """The composite schedule from `at` on, as chargingSchedulePeriod elements."""
        begin = at.utc_us / 1e6
        factor = VOLTAGE_V * PHASES if unit == "W" else 1.0
        periods: list[dict[str, Any]] = []
        for moment in self._edges(begin, begin + duration_s):
            limit = round(self._limit_a(connector, moment) * factor, 1)
            if not periods or periods[-1]["limit"] != limit:
                periods.append({"startPeriod": round(moment - begin), "limit": limit})
        return periods

    def _limit_a(self, connector: int, at: float) -> float:
        began = self._began.get(connector)

        def highest(profiles: Iterable[Profile]) -> float | None:
            for profile in sorted(profiles, key=lambda one: one.stack, reverse=True):
                limit = profile.limit_a(at, began)
                if limit is not None:
                    return limit
            return None

        mine = [profile for profile in self._profiles if profile.connector in (0, connector)]
        limits = [
            highest(profile for profile in mine if profile.purpose == "TxProfile"),
            highest(profile for profile in mine if profile.purpose == "TxDefaultProfile"),
        ]
        station = highest(profile for profile in mine if profile.purpose in MAX_PURPOSES)
        chosen = next((limit for limit in limits if limit is not None), MAX_CURRENT_A)
        return min(chosen, MAX_CURRENT_A if station is None else station, MAX_CURRENT_A)

    def _edges(self, begin: float, end: float) -> list[float]:
        """Every moment from `begin` to `end` at which a limit may change."""
        edges = {begin}
        for profile in self._profiles:
            starts = [start for start, _ in profile.periods]
            if profile.duration_s is not None:
                starts.append(float(profile.duration_s))
            bases = [profile.starts_at if profile.starts_at is not None else began
                     for began in (self._began.values() or [begin])]
            for base in bases:
                step = profile.recurs_s
                first = 0 if step is None else int((begin - base) // step)
                last = 0 if step is None else int((end - base) // step)
                edges |= {base + turn * (step or 0.0) + start for turn in range(first, last + 1) for start in starts}
            edges |= {profile.valid_from, profile.valid_to}
        return sorted(edge for edge in edges if begin <= edge < end)
