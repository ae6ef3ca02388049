"""SuspendedEV where it is the station that does not let the car charge.

Decides it only where the charging profile in force allows nothing at any time: schedules that change, recur, begin
later or end are not worked out. Keeps PROFILES_KEPT accepted profiles.

Source: OCPP 1.6 edition 2 sections 3.13 and 4.9 (SuspendedEVSE before SuspendedEV).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import integer, member, numeral, objects, text
from ocpp_proxy.rules.checks.status16 import change
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

PROFILES_KEPT = 64
_BOUNDED = (("validFrom",), ("validTo",), ("recurrencyKind",), ("chargingSchedule", "duration"),
            ("chargingSchedule", "startSchedule"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """`nothing`: whether it allows no charging at any time."""

    connector: int
    purpose: str
    stack: int
    nothing: bool
    ref: FrameRef


@dataclass(slots=True)
class Profiles:
    """By chargingProfileId."""

    known: dict[int, Profile] = field(default_factory=dict)

    def put(self, number: int, profile: Profile) -> None:
        place = (profile.connector, profile.purpose, profile.stack)
        self.known = {key: one for key, one in self.known.items()
                      if key != number and (one.connector, one.purpose, one.stack) != place}
        self.known[number] = profile
        if len(self.known) > PROFILES_KEPT:
            del self.known[next(iter(self.known))]

    def governing(self, purpose: str, connector: int) -> Profile | None:
        """That of the highest stack level; one for the connector goes before one for all."""
        for place in (connector, 0):
            found = [one for one in self.known.values() if one.purpose == purpose and one.connector == place]
            if found:
                return max(found, key=lambda one: one.stack)
        return None


@learn(answer("SetChargingProfile", "RemoteStartTransaction", by="csms"), versions=IN_16)
def accepted(now: Now) -> None:
    profile = member(now.request, "csChargingProfiles") or member(now.request, "chargingProfile")
    number, connector = integer(profile, "chargingProfileId"), integer(now.request, "connectorId")
    stack, purpose = integer(profile, "stackLevel"), text(profile, "chargingProfilePurpose")
    if now.status != "Accepted":
        return
    if number is None or connector is None or stack is None or purpose is None:
        return
    now.session.book(Profiles).put(number, Profile(connector, purpose, stack, _allows_nothing(profile), now.call_ref))


@learn(answer("ClearChargingProfile", by="csms"), versions=IN_16)
def cleared(now: Now) -> None:
    """Whichever: none of them is certain to be there any more."""
    if now.status == "Accepted":
        now.session.book(Profiles).known.clear()


@learn(call("StopTransaction"), versions=IN_16)
def stopped(now: Now) -> None:
    book = now.session.book(Profiles)
    book.known = {key: one for key, one in book.known.items() if one.purpose != "TxProfile"}


def _allows_nothing(profile: Any) -> bool:
    if any(member(profile, *path) is not None for path in _BOUNDED):
        return False
    limits = [numeral(member(period, "limit"))
              for _, period in objects(profile, "chargingSchedule", "chargingSchedulePeriod")]
    return bool(limits) and all(limit == 0 for limit in limits)


@check("status-suspended-precedence", call("StatusNotification"))
def suspended(now: Now) -> Iterator[Hit] | None:
    changed = now.once(change)
    if changed is None or changed.number == 0 or changed.one.name != "SuspendedEV":
        return None
    return _at_zero(now, changed.number)


def _at_zero(now: Now, number: int) -> Iterator[Hit]:
    book = now.session.book(Profiles)
    own = book.governing("TxProfile", number) or book.governing("TxDefaultProfile", number)
    for profile in (own, book.governing("ChargePointMaxProfile", 0)):
        if profile is not None and profile.nothing:
            yield now.hit(f"SuspendedEV while a {profile.purpose} with limit 0 is in force", "/status",
                          seen="SuspendedEV", expected="SuspendedEVSE", also=[profile.ref])
            return
