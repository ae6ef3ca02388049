"""Security profiles: that they only rise, what a rise needs, and that it is followed.

Source: Improved security for OCPP 1.6-J edition 3, A00.FR.005 and A05; OCPP 2.0.1 and 2.1 Part 2, A00.FR.005, A05 and
B09.FR.04; OCPP 2.0.1 errata 2025-09 sections 2.5 and 2.12 (from 3 to 2 where AllowSecurityProfileDowngrade says so).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, member, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.checks.security_facts import accepted, plain, security_profile, tls
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import OPENED, answer, check, learn

RECONNECT_S = 300.0
SLOTS_KEPT = 32
LEAST_KEY = 16
NO_CHANGE = "no accepted change of SecurityProfile was seen"
PRIORITY = "ocppcommctrlr.networkconfigurationpriority"
ACCEPTED = frozenset({"Accepted", "RebootRequired"})
ROOT = "CentralSystemRootCertificate"


@dataclass(slots=True)
class Prerequisites:
    """What is known of a station that bears on its security profile. `slots`: profile by configuration slot, those set
    last; `key_length`: characters of the AuthorizationKey it last accepted, `key_refused`: it refused one and has
    accepted none; `rootless`: where it said that it has no root certificate of the CSMS's, and none was installed
    since; `secured`: it had a connection over TLS while set to profile 2 or 3."""

    slots: dict[int, int] = field(default_factory=dict)
    key_length: int | None = None
    key_refused: FrameRef | None = None
    key_told: FrameRef | None = None
    rootless: FrameRef | None = None
    secured: bool = False


@learn(answer("ChangeConfiguration", by="csms"))
def key_set(now: Now) -> None:
    if folded(now.request, "key") != "authorizationkey":
        return
    book, value = now.session.book(Prerequisites), text(now.request, "value")
    if now.status in ACCEPTED and value is not None:
        book.key_length, book.key_told, book.key_refused = len(value.encode(errors="replace")), now.ref, None
    elif now.status in ("Rejected", "NotSupported") and book.key_length is None:
        book.key_refused = now.ref


@learn(answer("GetInstalledCertificateIds", "InstallCertificate", by="csms"))
def roots_told(now: Now) -> None:
    if text(now.request, "certificateType") != ROOT:
        return
    if now.status == "Accepted":
        now.session.book(Prerequisites).rootless = None
    elif now.action == "GetInstalledCertificateIds" and now.status == "NotFound":
        now.session.book(Prerequisites).rootless = now.ref


@learn(answer("SetNetworkProfile", by="csms"))
def slot_set(now: Now) -> None:
    slot, profile = integer(now.request, "configurationSlot"), integer(now.request, "connectionData", "securityProfile")
    if slot is not None and profile is not None and now.status == "Accepted":
        slots = now.session.book(Prerequisites).slots
        slots.pop(slot, None)
        slots[slot] = profile
        if len(slots) > SLOTS_KEPT:
            del slots[next(iter(slots))]


@learn(OPENED)
def secured(now: Now) -> None:
    record, profile = accepted(now), security_profile(now)
    if record is not None and profile is not None and profile[0] >= 2 and tls(record, "station") is not None:
        now.session.book(Prerequisites).secured = True


# Downwards


@check("sec-profile-downgrade", answer("ChangeConfiguration", "SetNetworkProfile", "SetVariables", by="csms"))
def downgrade(now: Now) -> Iterator[Hit]:
    if now.version != "1.6":
        yield from _downgrade_2x(now)
        return
    wanted = _wanted_16(now)
    if wanted is None or now.status not in ACCEPTED:
        yield from now.unknown(NO_CHANGE)
        return
    current = security_profile(now)
    if current is None and wanted:
        yield from now.unknown("SecurityProfile was not seen")
    elif current is None or wanted <= current[0]:
        how = "the lowest" if current is None else "which it has" if wanted == current[0] else f"below {current[0]}"
        sure = not wanted or (current is not None and current[1])
        yield now.hit(f"The station accepts security profile {wanted}, {how}", "/status", seen=now.status,
                      expected="Rejected", case=None if sure else "assumed")


def _wanted_16(now: Now) -> int | None:
    """The profile that this ChangeConfiguration asks for, if it asks for one."""
    value = (text(now.request, "value") or "").strip()
    asked = now.action == "ChangeConfiguration" and folded(now.request, "key") == "securityprofile"
    return int(value) if asked and value.isascii() and value.isdigit() and len(value) == 1 else None


def _downgrade_2x(now: Now) -> Iterator[Hit]:
    current, asked = security_profile(now), list(_asked_2x(now))
    if not asked:
        yield from now.unknown("no accepted change of the security profile was seen")
    for pointer, wanted in asked:
        if current is None:
            yield from now.unknown("SecurityCtrlr.SecurityProfile was not seen")
        elif wanted < current[0]:
            allowed = now.session.settings.flag("SecurityCtrlr.AllowSecurityProfileDowngrade")
            if wanted == 2 and allowed:
                continue
            case = "perhaps-allowed" if wanted == 2 and allowed is None else None
            yield now.hit(f"The station accepts a connection at security profile {wanted}, below {current[0]}", pointer,
                          seen="Accepted", expected="Rejected", case=case)


def _asked_2x(now: Now) -> Iterator[tuple[str, int]]:
    """Where the station has just accepted connections of which profiles."""
    if now.action == "SetNetworkProfile":
        profile = integer(now.request, "connectionData", "securityProfile")
        if profile is not None and now.status == "Accepted":
            yield "/status", profile
        return
    slots = now.session.book(Prerequisites).slots
    statuses = {place: text(one, "attributeStatus") for place, one in objects(now.response, "setVariableResult")}
    for place, one in objects(now.request, "setVariableData"):
        name = variable_name(member(one, "component"), member(one, "variable"))
        if name is not None and name.casefold() == PRIORITY and statuses.get(place) in ACCEPTED:
            words = {word.strip() for word in (text(one, "attributeValue") or "").split(",")}
            if profiles := [profile for slot, profile in slots.items() if str(slot) in words]:
                yield f"/setVariableResult/{place}/attributeStatus", min(profiles)


@check("sec-profile-downgrade", OPENED)
def lower_connection(now: Now) -> Iterator[Hit]:
    record, profile = accepted(now), security_profile(now)
    if record is None or profile is None or profile[0] < 2 or not plain(record, "station"):
        return
    if now.session.book(Prerequisites).secured:
        yield now.hit(f"The station connects without TLS, after TLS at security profile {profile[0]}", seen=1,
                      expected=profile[0], case="reconnected", by="station")


# Upwards


@check("sec-profile-prereq", answer("ChangeConfiguration", by="csms"))
def prerequisites(now: Now) -> Iterator[Hit]:
    wanted, current = _wanted_16(now), security_profile(now)
    if not wanted or wanted > 3 or now.status not in ACCEPTED or (current is not None and wanted <= current[0]):
        yield from now.unknown(NO_CHANGE)
        return
    book = now.session.book(Prerequisites)
    if wanted >= 2 and book.rootless is not None:
        yield now.hit(f"The station accepts security profile {wanted}, after saying that it has no {ROOT}", "/status",
                      seen=now.status, expected="Rejected", also=[book.rootless])
    if wanted <= 2 and book.key_length is not None and book.key_length < LEAST_KEY:
        yield now.hit(f"The station accepts security profile {wanted} with an AuthorizationKey of {book.key_length} "
                      "characters", "/status", seen=now.status, expected="Rejected", also=[book.key_told])
    if wanted <= 2 and book.key_refused is not None:
        yield now.hit(f"The station accepts security profile {wanted} after refusing an AuthorizationKey", "/status",
                      seen=now.status, expected="Rejected", case="key-refused", also=[book.key_refused])


@check("sec-profile-reconnect", answer("ChangeConfiguration", by="csms"))
def upgraded(now: Now) -> Iterator[Hit] | None:
    wanted, current = _wanted_16(now), security_profile(now)
    if not wanted or now.status != "Accepted" or (current is not None and wanted <= current[0]):
        return now.unknown(NO_CHANGE)
    now.later(RECONNECT_S, still_there, key=now.connection, data=wanted)
    return None


def still_there(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"The station accepted security profile {deadline.data} and keeps its connection for "
                  f"{RECONNECT_S / 60:g} minutes", place=deadline.place, by="station")
