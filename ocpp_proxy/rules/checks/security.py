"""Passwords: whether stations show them, of which form they are, and whether the CSMS looks at them.

Of a password only length and form are known, since captures hold nothing else of it. Basic authentication passes the
proxy unchanged, so what the CSMS lets in says something of the CSMS.

Source: Improved security for OCPP 1.6-J edition 3, A00.FR.202 to .206, .301 to .304 and A01; OCPP 2.0.1 and 2.1 Part 2,
A00.FR.202 to .207, A01; OCPP 2.0.1 errata 2025-09 section 2.1 (up to 64 characters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from ocpp_proxy.core.payload import folded, member, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.checks.security_facts import (
    Credentials,
    accepted,
    basic,
    credentials,
    decoded,
    identity,
    plain,
    security_profile,
    upgrade,
)
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import HANDSHAKE, OPENED, answer, call, check, learn

LEAST, MOST_16, MOST_2X = 16, 20, 64
HEX_DIGITS = range(32, 41)  # 16 to 20 bytes as digits
NO_PASSWORD = "no Basic credentials were seen"  # noqa: S105  a sentence
KEY_16, KEY_2X = "authorizationkey", "securityctrlr.basicauthpassword"


@dataclass(frozen=True, slots=True)
class Change:
    """A password that the station accepted. `length`: of what was sent to it; `before`: bytes of the one in use."""

    length: int
    lengths: frozenset[int]
    before: int | None


@dataclass(slots=True)
class Passwords:
    """`sent`: bytes of the password that the CSMS last let the station in with; `change`: the last one; `tried`: there
    was a handshake since; `shown`: a connection was accepted with Basic credentials."""

    sent: int | None = None
    change: Change | None = None
    tried: bool = False
    shown: bool = False


@learn(HANDSHAKE)
def passwords_seen(now: Now) -> None:
    record = upgrade(now)
    if record is None:
        return
    book = now.session.book(Passwords)
    book.tried = True
    found = basic(record)
    if found is not None and accepted(now) is not None:
        book.sent, book.shown = found.length, True


@learn(answer("ChangeConfiguration", "SetVariables", by="csms"))
def password_changed(now: Now) -> None:
    value = _new_password(now)
    if value:
        book = now.session.book(Passwords)
        length = len(value.encode(errors="replace"))
        digits = {length // 2} if now.version == "1.6" and length in HEX_DIGITS and length % 2 == 0 else set()
        book.change, book.tried = Change(length, frozenset({length} | digits), book.sent), False


def _new_password(now: Now) -> str | None:
    """The password that the station has just accepted: asterisks, but as many as it has characters."""
    if now.version == "1.6":
        wanted = now.action == "ChangeConfiguration" and folded(now.request, "key") == KEY_16
        return text(now.request, "value") if wanted and now.status == "Accepted" else None
    results = {place: text(one, "attributeStatus") for place, one in objects(now.response, "setVariableResult")}
    return next((text(one, "attributeValue") for place, one in objects(now.request, "setVariableData")
                 if _is_password(one) and results.get(place) == "Accepted"), None)


def _is_password(entry: Any) -> bool:
    last = text(entry, "variable", "name")
    if last is None or not KEY_2X.endswith(last.casefold()):
        return False
    name = variable_name(member(entry, "component"), member(entry, "variable"))
    return name is not None and name.casefold() == KEY_2X


# The station


@check("sec-basic-missing", HANDSHAKE)
def basic_missing(now: Now) -> Iterator[Hit]:
    record = upgrade(now)
    if record is None:
        return
    found, profile = credentials(record), security_profile(now)
    if found is not None and found.basic:
        return
    if profile is None and (now.version == "1.6" or not plain(record, "station")):
        yield from now.unknown("SecurityProfile was not seen")
    elif profile is None or profile[0] in (1, 2):
        shown = f"with {found.scheme or 'unreadable'} credentials" if found else "without an Authorization header"
        reason, case = "over ws://, where OCPP 2.x has no other way to tell who it is", "profile-not-seen"
        if profile is not None:
            reason, case = f"at security profile {profile[0]}", "" if profile[1] else "profile-assumed"
        yield now.hit(f"The station connects {shown} {reason}", seen=None if found is None else found.scheme,
                      expected="Basic", case=case or None, by="station")


@check("sec-basic-user", HANDSHAKE)
def basic_user(now: Now) -> Iterator[Hit]:
    record = upgrade(now)
    found = credentials(record) if record is not None else None
    if record is None or found is None or not found.basic:
        yield from now.unknown(NO_PASSWORD)
        return
    name = identity(record)
    if name is None:
        yield from now.unknown("the path of the connection was not seen")
    elif found.user is None:
        yield now.hit("No user name can be read in the Basic credentials", expected=decoded(name), by="station")
    elif not _same_user(found, name):
        case = "spelling" if found.user.casefold() == decoded(name).casefold() else None
        colon = "; a user name ends at the first colon" if ":" in decoded(name) else ""
        yield now.hit(f"The Basic user {found.user[:80]} is not the identity {decoded(name)[:80]} of the path{colon}",
                      seen=found.user, expected=decoded(name), case=case, by="station")


def _same_user(found: Credentials, name: str) -> bool:
    """The identity as it stands in the path, or what it stands for."""
    return found.user in (name, decoded(name))


@check("sec-basic-pass-16", HANDSHAKE)
def basic_password_16(now: Now) -> Iterator[Hit]:
    found = _shown(now)
    if found is None:
        yield from now.unknown(NO_PASSWORD)
    elif found.form == "hex" and found.length in HEX_DIGITS:
        meant = found.length // 2
        yield now.hit(f"The password is sent as {found.length} hexadecimal digits, not as the {meant} bytes that they "
                      "stand for", seen=found.length, expected=meant, by="station")
    elif not LEAST <= found.length <= MOST_16:
        yield now.hit(f"The password has {found.length} bytes, not {LEAST} to {MOST_16}", seen=found.length,
                      expected=f"{LEAST} to {MOST_16}", by="station")


@check("sec-basic-pass-201", HANDSHAKE)
def basic_password_2x(now: Now) -> Iterator[Hit]:
    found = _shown(now)
    if found is None:
        yield from now.unknown(NO_PASSWORD)
    elif (how := _encoded(found, now.session.book(Passwords).change)) is not None:
        yield now.hit(f"The password has {found.length} bytes: {how} of the one that was set", seen=found.length,
                      by="station")
    elif found.form == "bytes":
        yield now.hit("The password is no printable UTF-8 text", by="station")
    elif not LEAST <= found.length <= MOST_2X:
        yield now.hit(f"The password has {found.length} characters, not {LEAST} to {MOST_2X}", seen=found.length,
                      expected=f"{LEAST} to {MOST_2X}", by="station")


def _shown(now: Now) -> Credentials | None:
    record = upgrade(now)
    return basic(record) if record is not None else None


def _encoded(found: Credentials, change: Change | None) -> str | None:
    """How the password that was set seems to have been written down once more."""
    if change is None or found.length in (change.length, change.before):
        return None
    if found.form == "hex" and found.length == 2 * change.length:
        return "hexadecimal digits"
    return "Base64" if found.form == "text" and found.length == (change.length + 2) // 3 * 4 else None


@check("sec-basic-plain", HANDSHAKE)
def basic_plain(now: Now) -> Iterator[Hit]:
    record = upgrade(now)
    found = credentials(record) if record is not None else None
    if record is None or found is None or not found.basic:
        yield from now.unknown(NO_PASSWORD)
        return
    if "station" not in record.tls or record.station_address is None:
        yield from now.unknown("whether the station spoke TLS, and from where, was not recorded")
    elif plain(record, "station") and (address := _public(record.station_address)) is not None:
        yield now.hit("The station sends its password over ws:// from a public address", seen=address,
                      expected="wss://, or a private network", by="station")


def _public(station_address: str) -> str | None:
    """The address, if it is one that is routed on the internet."""
    host = station_address.rpartition(":")[0].strip("[]")
    try:
        return host if ip_address(host.partition("%")[0]).is_global else None
    except ValueError:
        return None


@check("sec-key-change-reconnect", HANDSHAKE)
def old_password(now: Now) -> Iterator[Hit]:
    found, book = _shown(now), now.session.book(Passwords)
    if found is None or book.change is None or book.tried:
        yield from now.unknown("no connection after a change of the password was seen")
    elif book.change.before is None:
        yield from now.unknown("the password before the change was not seen")
    elif _is_old(found, book.change):
        yield now.hit(f"The station accepted a new password and connects with one of {found.length} bytes, as before",
                      seen=found.length, expected=_either(book.change), by="station")


def _is_old(found: Credentials, change: Change) -> bool:
    """Whether that is surely the old password: the new one has another length, however it is written."""
    return found.length == change.before and found.length not in change.lengths


def _either(change: Change) -> str:
    return " or ".join(map(str, sorted(change.lengths)))


# The CSMS


@check("sec-basic-not-checked", OPENED)
def not_checked(now: Now) -> Iterator[Hit]:
    record = accepted(now)
    if record is None:
        return
    found = credentials(record)
    if found is None or not found.basic:
        yield from _let_in_without(now)
        return
    name, change = identity(record), now.session.book(Passwords).change
    if name is not None and (found.user or "").casefold() != decoded(name).casefold() and not _same_user(found, name):
        case = "user-16" if now.version == "1.6" else None
        yield now.hit("The CSMS accepts a connection whose user name is not the identity of its path",
                      seen=found.user, expected=decoded(name), case=case, by="csms")
    if change is not None and _is_old(found, change):
        yield now.hit(f"The CSMS accepts a password of {found.length} bytes as before, although the station has taken "
                      "another", seen=found.length, expected=_either(change), by="csms")


def _let_in_without(now: Now) -> Iterator[Hit]:
    profile = security_profile(now)
    if profile is not None and profile[0] in (1, 2):
        yield now.hit(f"The CSMS accepts a connection without Basic credentials at security profile {profile[0]}",
                      case=None if profile[1] else "guess", by="csms")
    elif profile is None and now.session.book(Passwords).shown:
        yield now.hit("The CSMS accepts a connection without Basic credentials after one with them", case="guess",
                      by="csms")


# Keys that can be read


@check("sec-key-readable", answer("GetConfiguration", by="csms"), answer("GetVariables", by="csms"),
       call("NotifyReport", "NotifyEvent"))
def key_readable(now: Now) -> Iterator[Hit]:
    for pointer, value in _READ[now.action](now):
        if value:
            name = "AuthorizationKey" if now.version == "1.6" else "BasicAuthPassword"
            yield now.hit(f"{now.action} tells a value of {len(value)} characters for {name}", pointer)


def _configuration(now: Now) -> Iterator[tuple[str, str | None]]:
    for place, one in objects(now.response, "configurationKey"):
        key = text(one, "key")
        if key is not None and len(key) == len(KEY_16) and key.casefold() == KEY_16:
            yield f"/configurationKey/{place}/value", text(one, "value")


def _variables(now: Now) -> Iterator[tuple[str, str | None]]:
    for place, one in objects(now.response, "getVariableResult"):
        if _is_password(one):
            yield f"/getVariableResult/{place}/attributeValue", text(one, "attributeValue")


def _report(now: Now) -> Iterator[tuple[str, str | None]]:
    for place, one in objects(now.request, "reportData"):
        if _is_password(one):
            for number, attribute in objects(one, "variableAttribute"):
                yield f"/reportData/{place}/variableAttribute/{number}/value", text(attribute, "value")


def _event(now: Now) -> Iterator[tuple[str, str | None]]:
    for place, one in objects(now.request, "eventData"):
        if _is_password(one):
            yield f"/eventData/{place}/actualValue", text(one, "actualValue")


_READ = {
    "GetConfiguration": _configuration, "GetVariables": _variables, "NotifyReport": _report, "NotifyEvent": _event,
}
