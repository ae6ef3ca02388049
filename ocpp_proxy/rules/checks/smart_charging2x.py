"""Charging profiles of 2.x, as a CSMS sends them and as a station answers.

Source: OCPP 2.0.1 and 2.1 Part 2 K01.FR.03, K01.FR.06, K01.FR.09, K01.FR.16, K01.FR.19, K01.FR.22, K01.FR.26,
K01.FR.28, K01.FR.29, K01.FR.33, K01.FR.38, K01.FR.39, K01.FR.49, K04.FR.03.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import kept
from ocpp_proxy.core.station.settings import SETTINGS_KEPT
from ocpp_proxy.rules.checks.availability2x import AVAILABLE, relied_on
from ocpp_proxy.rules.checks.busy2x import waits
from ocpp_proxy.rules.checks.inventory2x import Inventory
from ocpp_proxy.rules.checks.remote16_state import all_seen, from_boot
from ocpp_proxy.rules.checks.smart_charging_profiles import (
    ACCEPTED,
    MAX_2X,
    SET,
    TX,
    Installed,
    Profile,
    profile_in,
    profiles,
)
from ocpp_proxy.rules.checks.transactions2x_book import stories
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

EXTERNAL = "ChargingStationExternalConstraints"
SUPPORTED, UNIT = "SmartChargingCtrlr.Available", "SmartChargingCtrlr.RateUnit"
NO_SUPPORT = "CALLERROR NotSupported or NotImplemented"
BOOTED_S = 30.0  # after which every connector should have told its status


def _source(now: Now, name: str) -> FrameRef | None:
    setting = now.session.settings.find(name)
    return setting.source if setting is not None else None


# What the CSMS sends


@check("sc201-cs", call(SET, by="csms"))
def sent(now: Now) -> Iterator[Hit]:
    profile = profile_in(now)
    if profile is None:
        return
    yield from _purpose(now, profile)
    yield from _phases(now, profile)
    for one in _conflicts(now, profile):
        what = "for the transaction" if profile.purpose == TX else "for the EVSE"
        yield now.hit(f"Another {profile.purpose} {what} has the same stackLevel", f"{profile.pointer}/stackLevel",
                      seen=profile.stack, expected="another level, or the same id", also=[one.ref])


def _purpose(now: Now, profile: Profile) -> Iterator[Hit]:
    pointer = profile.pointer
    if profile.purpose == TX:
        if profile.transaction is None:
            yield now.hit("A TxProfile names no transaction", f"{pointer}/transactionId", expected="a transactionId")
        if profile.place == 0:
            yield now.hit("A TxProfile is set for EVSE 0", "/evseId", seen=0, expected="1 or more")
    elif profile.purpose == EXTERNAL:
        yield now.hit(f"The CSMS sets a profile of purpose {EXTERNAL}", f"{pointer}/chargingProfilePurpose",
                      seen=EXTERNAL)
    elif profile.purpose == MAX_2X:
        if profile.kind == "Relative":
            yield now.hit(f"A {MAX_2X} is of kind Relative", f"{pointer}/chargingProfileKind", seen="Relative",
                          expected="Absolute or Recurring")
        if profile.place:
            yield now.hit(f"A {MAX_2X} is set for an EVSE", "/evseId", seen=profile.place, expected=0)


def _phases(now: Now, profile: Profile) -> Iterator[Hit]:
    for schedule in profile.schedules:
        wrong = next(((number, one) for number, one in enumerate(schedule.periods)
                      if one.phase is not None and one.phases != 1), None)
        if wrong is not None:
            number, one = wrong
            phases = "not given, which means 3" if one.phases is None else str(one.phases)
            yield now.hit(f"phaseToUse is set, and numberPhases is {phases}",
                          f"{schedule.pointer}/chargingSchedulePeriod/{number}/phaseToUse", seen=one.phase,
                          expected="numberPhases 1")


def _conflicts(now: Now, profile: Profile) -> Iterator[Installed]:
    """The first of the profiles there that the new one would stand beside."""
    for one in profiles(now).of(profile.purpose):
        other = one.profile
        where = (other.transaction, profile.transaction) if profile.purpose == TX else (other.place, profile.place)
        if (other.number != profile.number and other.stack == profile.stack and where[0] == where[1]
                and where[0] is not None and _overlap(other, profile) and all_seen(now, one.time)):
            yield one
            return


def _overlap(one: Profile, other: Profile) -> bool:
    spans = [(profile.from_us if profile.from_us is not None else -inf,
              profile.to_us if profile.to_us is not None else inf) for profile in (one, other)]
    return max(start for start, _ in spans) < min(end for _, end in spans)


# What the station answers


@check("sc201-set", answer(SET, by="csms"))
def answered(now: Now) -> Iterator[Hit]:
    profile, settings = profile_in(now), now.session.settings
    if not isinstance(now.frame, CallResult) or profile is None:
        return
    if settings.flag(SUPPORTED) is False:
        status = (now.status or "a CALLRESULT")[:40]
        yield now.hit(f"SetChargingProfile was answered with {status} by a station without smart charging", "/status",
                      seen=now.status, expected=NO_SUPPORT, also=[_source(now, SUPPORTED)])
    elif now.status == ACCEPTED:
        yield from _unit(now, profile)
        if profile.place and (case := _unheard_of(now, profile.place)) is not None:
            yield now.hit("A charging profile was accepted for an EVSE that the station does not have", "/status",
                          seen=ACCEPTED, expected="Rejected", case=case or None)
        elif profile.purpose == TX and profile.place:
            yield from _transaction(now, profile.place)


def _unit(now: Now, profile: Profile) -> Iterator[Hit]:
    allowed = now.session.settings.words(UNIT)
    for schedule in profile.schedules if allowed else ():
        if schedule.unit in ("A", "W") and schedule.unit not in (allowed or ()):
            yield now.hit(f"A charging profile in {schedule.unit} was accepted, and RateUnit does not list this unit",
                          "/status", seen=ACCEPTED, expected="Rejected", also=[_source(now, UNIT)])
            return


def _unheard_of(now: Now, evse: int) -> str | None:
    """None where there is such an EVSE, or may be; "" where the whole device model shows none, else the case."""
    last, link, known = now.session.registration.last, now.link, now.session.settings.known
    if len(known) >= SETTINGS_KEPT or any(f"#{evse}." in name or f"#{evse}/" in name for name in known):
        return None
    if now.session.book(Inventory).variables is not None and any("#1." in name for name in known):
        return ""
    settled = last is not None and last.status == ACCEPTED and now.time - last.time >= BOOTED_S
    told = [place[0] for place, one in now.session.connectors.known.items() if one.status is not None]
    return "unreported" if settled and link is not None and link.whole and told and evse > max(told) else None


def _transaction(now: Now, evse: int) -> Iterator[Hit]:
    book, name = stories(now), kept(now.request, "chargingProfile", "transactionId")
    story = book.get(name)
    if story is not None:
        if story.ended is not None and story.ended_time < now.called_time:
            yield now.hit("A TxProfile was accepted for a transaction that has ended", "/status", seen=ACCEPTED,
                          expected="Rejected", also=[story.ended.ref])
    elif name is not None and not from_boot(now):
        yield from now.unknown("transactions from before the capture are not known")
    elif name is not None or (_free(now, evse) and not _open_on(now, evse)):
        now.later(now.bounds.status_s, unknown, key=evse, data=(name, now.called_time))


def _free(now: Now, evse: int) -> bool:
    told = [relied_on(now, one.place) for one in now.session.connectors.of_evse(evse)]
    return bool(told) and all(one is not None and one.name == AVAILABLE for one in told)


def _open_on(now: Now, evse: int) -> bool:
    return stories(now).open_on(evse) is not None or any(one.evse is None for one in stories(now).running())


def unknown(now: Now, deadline: Deadline) -> Iterator[Hit]:
    name, called = deadline.data
    evse = deadline.place.connector
    if waits(now) or not all_seen(now, called) or evse is None:
        return
    if stories(now).get(name) is None and (name is not None or not _open_on(now, evse)):
        yield now.hit("A TxProfile was accepted for a transaction that the station has never told of" if name else
                      "A TxProfile was accepted for an EVSE without a transaction", "/status", seen=ACCEPTED,
                      expected="Rejected", place=deadline.place)
