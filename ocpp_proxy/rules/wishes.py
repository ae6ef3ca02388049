"""What a CSMS or a site wishes for, beyond the specification, and the times that are allowed.

Decides what a profile (rules/profiles/<name>.yaml) may say and how several are put together: wishes add up, and a time
allowed is that of the last profile which names it. Refuses to know where profiles are read from; what became of a wish
is told by the rules `wish-…`, on the compatibility axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

REAL_SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times in seconds, all of them engineering judgement where no document is named.

    answer_warn_s, answer_fail_s: a CALL and its answer; status_s: from a change to its StatusNotification, on top of
    MinimumStatusDuration (1.6 errata 3.19); trigger_s: from an accepted trigger to each message; boot_warn_s,
    boot_soft_s, boot_hard_s: from an accepted Reset to the BootNotification; start_s, stop_s: from an accepted remote
    start or stop to the transaction's; upload_s, download_s, install_s: file transfers and updates; report_s: until a
    report begins, and between its parts; interval_s, interval_share: how far a periodic message may be off, whichever
    is more; time_warn_s, time_fail_s: how far a clock may be off; energy_wh: how far two meter readings may be apart.
    """

    answer_warn_s: float = 10.0
    answer_fail_s: float = 30.0
    status_s: float = 10.0
    trigger_s: float = 10.0
    boot_warn_s: float = 120.0
    boot_soft_s: float = 300.0
    boot_hard_s: float = 600.0
    start_s: float = 60.0
    stop_s: float = 30.0
    upload_s: float = 600.0
    download_s: float = 1800.0
    install_s: float = 3600.0
    report_s: float = 60.0
    interval_s: float = 2.0
    interval_share: float = 0.1
    time_warn_s: float = 60.0
    time_fail_s: float = 300.0
    energy_wh: float = 10.0

    def tolerance_s(self, interval_s: float) -> float:
        """How far a message of this interval may be off."""
        return max(self.interval_s, self.interval_share * interval_s)

    def scaled(self, scale: float) -> Bounds:
        """The same where the payloads' time runs faster than the machines: answers are awaited for as long as ever, and
        everything else gets a second of the real clock on top, since nobody computes any faster."""
        if scale == 1:
            return self
        given = {name: getattr(self, name) for name in BOUNDS if name.endswith("_s")}
        return replace(self, **{
            name: seconds * scale if name.startswith("answer_") else seconds + REAL_SLACK_S * scale
            for name, seconds in given.items()
        })


BOUNDS: frozenset[str] = frozenset(one.name for one in fields(Bounds))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a configuration key or variable should be: one of `one_of`, at least or at most a number, or (a list) with
    all of `contains`; `profile`: who wishes it, `why`: in their words."""

    profile: str
    name: str
    one_of: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    contains: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish that needs no more than a name and a reason, or a number."""

    profile: str
    name: str
    limit: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """`boot_fields`: to be there and not blank in BootNotification, by their last name; `heartbeat`: the longest
    interval, in seconds; `settings`: configuration keys of 1.6, variables of 2.x; `measurands`: to be in the meter
    values of a transaction; `profiles`: the feature profiles to be supported."""

    profiles: tuple[str, ...] = ()
    boot_fields: tuple[Wish, ...] = ()
    heartbeat: tuple[Wish, ...] = ()
    settings: tuple[Wanted, ...] = ()
    measurands: tuple[Wish, ...] = ()
    feature_profiles: tuple[Wish, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)


NO_WISHES = Wishes()


def wishes_of(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Wishes:
    """The wishes of the profiles, each a name and its document, which rules/profile.schema.json has found valid."""
    wishes = NO_WISHES
    for name, document in documents:
        wishes = replace(
            wishes,
            profiles=(*wishes.profiles, name),
            boot_fields=wishes.boot_fields + _named(name, document.get("boot_fields", ())),
            heartbeat=wishes.heartbeat + _heartbeat(name, document),
            settings=wishes.settings + _settings(name, document.get("settings", {})),
            measurands=wishes.measurands + _named(name, document.get("measurands", ())),
            feature_profiles=wishes.feature_profiles + _named(name, document.get("feature_profiles", ())),
            bounds=replace(wishes.bounds, **document.get("bounds", {})),
        )
    return wishes


def _named(profile: str, entries: Iterable[Any]) -> tuple[Wish, ...]:
    return tuple(
        Wish(profile, entry) if isinstance(entry, str) else Wish(profile, entry["name"], why=entry.get("why", ""))
        for entry in entries
    )


def _heartbeat(profile: str, document: Mapping[str, Any]) -> tuple[Wish, ...]:
    entry = document.get("heartbeat")
    if entry is None:
        return ()
    return (Wish(profile, "HeartbeatInterval", float(entry["at_most_s"]), entry.get("why", "")),)


def _settings(profile: str, entries: Mapping[str, Any]) -> tuple[Wanted, ...]:
    return tuple(_wanted(profile, name, entry) for name, entry in entries.items())


def _wanted(profile: str, name: str, entry: Any) -> Wanted:
    if not isinstance(entry, Mapping):
        return Wanted(profile, name, one_of=(_spelled(entry),))
    equals = (entry["equals"],) if "equals" in entry else entry.get("one_of", ())
    return Wanted(
        profile, name, one_of=tuple(map(_spelled, equals)), at_least=entry.get("at_least"),
        at_most=entry.get("at_most"), contains=tuple(entry.get("contains", ())), why=entry.get("why", ""),
    )


def _spelled(value: Any) -> str:
    """A value as a station would write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
