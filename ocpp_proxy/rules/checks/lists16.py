"""Local authorisation lists of 1.6, and for all versions what a CSMS puts into one.

Decides which version of the list the station has to have: the last that it accepted or told. A list that was sent and
got no answer leaves that open. Refuses to know of lists from before the capture until the station has told.

Source: OCPP 1.6 edition 2 sections 3.5.2, 5.10, 5.15, 6.41, 7.1, 7.47 and 9.2.3; 1.6 errata 3.52; OCPP 2.0.1 and 2.1
Part 2 D01.FR.06, D01.FR.18, D01.FR.19 and AuthorizationData.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, integer, items, objects, text
from ocpp_proxy.core.station.tokens import token_in
from ocpp_proxy.rules.checks.remote16_state import all_seen, blocked, boot_since, fresh, told_within_s
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

SEND, READ = "SendLocalList", "GetLocalListVersion"
LIST = "localAuthorizationList"
ENABLED, ENABLED_2X = {"1.6": "LocalAuthListEnabled"}, "LocalAuthListCtrlr.Enabled"
CONFLICT = "LocalListConflict"
REFUSED = frozenset(("Blocked", "Invalid"))  # what a token that is Accepted in the list cannot be
INFO = {"1.6": "idTagInfo"}  # the others: idTokenInfo


# What a list holds


class Contents(NamedTuple):
    """Of the entries of a SendLocalList: the positions of those without a word on their status, and of those whose
    token is an earlier one's."""

    bare: list[int]
    repeated: list[int]


def contents(now: Now) -> Contents:
    found = Contents([], [])
    info, tokens = INFO.get(now.version, "idTokenInfo"), set()
    for place, entry in objects(now.request, LIST):
        token = token_in(entry), folded(entry, "idToken", "type")
        if info not in entry:
            found.bare.append(place)
        if token in tokens and token[0] is not None:
            found.repeated.append(place)
        tokens.add(token)
    return found


@check("list-full-info", call(SEND, by="csms"))
def without_info(now: Now) -> Iterator[Hit]:
    if text(now.request, "updateType") != "Full" or not (bare := now.once(contents).bare):
        return
    info = INFO.get(now.version, "idTokenInfo")
    yield now.hit(f"A full list has entries without {info}", f"/{LIST}/{bare[0]}/{info}", expected=info)


@check("list-duplicate", call(SEND, by="csms"))
def duplicate(now: Now) -> Iterator[Hit]:
    if repeated := now.once(contents).repeated:
        yield now.hit("The list names a token twice", f"/{LIST}/{repeated[0]}", expected="each token once")


@check("list-maxlen", call(SEND, by="csms"))
def too_long(now: Now) -> Iterator[Hit]:
    count = len(items(now.request, LIST))
    if not count:
        return
    key = now.session.settings.find("SendLocalListMaxLength")
    most = now.session.settings.integer("SendLocalListMaxLength")
    if key is None or most is None:
        yield from now.unknown("SendLocalListMaxLength was not seen")
    elif count > most:
        yield now.hit(f"The list has more entries than SendLocalListMaxLength, {most}", f"/{LIST}", seen=count,
                      expected=f"at most {most}", also=[key.source])


# Which version it has


@dataclass(slots=True)
class LocalList:
    """`version`: that the station has, None where this is not certain; `before`: the same when the last SendLocalList
    came; `by`: the action that told the version, `ref`, `time`: of the frame; `emptied`: the answer to the full list
    without entries that was the last one with anything to say; `conflict`: when the station last told of a conflict."""

    version: int | None = None
    before: int | None = None
    by: str = ""
    ref: FrameRef | None = None
    time: float = 0.0
    emptied: FrameRef | None = None
    conflict: float = -1.0


def local_list(now: Now) -> LocalList:
    return now.session.book(LocalList)


def enabled(now: Now) -> bool | None:
    return now.session.settings.flag(ENABLED.get(now.version, ENABLED_2X))


def _switched(now: Now, since: float) -> bool:
    """Whether the list was switched on or off since then, or somebody looked whether it is on."""
    setting = now.session.settings.find(ENABLED.get(now.version, ENABLED_2X))
    return setting is not None and setting.time > since


def version_in(now: Now, payload: object) -> int | None:
    return integer(payload, "listVersion" if now.version == "1.6" else "versionNumber")


@learn(call(SEND, by="csms"))
def sent(now: Now) -> None:
    book = local_list(now)
    book.before, book.version = book.version, None


@learn(answer(SEND, by="csms"))
def answered(now: Now) -> None:
    book = local_list(now)
    if now.status == "Accepted":
        _learn(now, version_in(now, now.request))
        if items(now.request, LIST):
            book.emptied = None
        elif text(now.request, "updateType") == "Full":
            book.emptied = now.ref
    elif now.status == "VersionMismatch":
        book.version = book.before


@learn(answer(READ, by="csms"))
def told(now: Now) -> None:
    if (version := version_in(now, now.response)) is not None and enabled(now) is not False:
        _learn(now, version)


def _learn(now: Now, version: int | None) -> None:
    book = local_list(now)
    book.version, book.by, book.ref, book.time = version, now.action, now.ref, now.time


def mismatch(now: Now) -> Iterator[Hit]:
    """A differential list that was accepted though its version is not beyond the list's."""
    book, version = local_list(now), version_in(now, now.request)
    if now.status != "Accepted" or version is None or text(now.request, "updateType") != "Differential":
        return
    if book.before is None or not all_seen(now, book.time) or boot_since(now.session, book.time) is not None:
        yield from now.unknown("the version of the list was not seen")
    elif 0 < version <= book.before:
        yield now.hit(f"A differential list of version {version} was accepted by a station whose list has version "
                      f"{book.before}", "/status", seen="Accepted", expected="VersionMismatch", also=[book.ref])


class ReadBack(NamedTuple):
    """A version that is not the one the list has to have. `booted`: the station has booted since."""

    wanted: int
    found: int
    ref: FrameRef | None
    booted: bool


def read_back(now: Now) -> ReadBack | None:
    book, found = local_list(now), version_in(now, now.response)
    if found is None or book.version is None or book.version == found or book.time > now.called_time:
        return None
    if not all_seen(now, book.time) or (book.by == READ and (_switched(now, book.time) or not fresh(now, book.time))):
        return None
    return ReadBack(book.version, found, book.ref, boot_since(now.session, book.time) is not None)


@check("list-version-mismatch", answer(SEND, by="csms"))
def mismatch_16(now: Now) -> Iterator[Hit]:
    yield from mismatch(now)


@check("list-version-readback", answer(READ, by="csms"))
def read_back_16(now: Now) -> Iterator[Hit]:
    if local_list(now).version is None:
        yield from now.unknown("no version of the list was seen before it was read")
        return
    other = read_back(now)
    if other is None or enabled(now) is False:
        return
    if other.found == 0 and not now.session.tokens.listed:
        return  # an empty list may say so
    yield now.hit(f"GetLocalListVersion was answered with {other.found}, and the list has to have version "
                  f"{other.wanted}", "/listVersion", seen=other.found, expected=other.wanted, also=[other.ref],
                  case="booted" if other.booted else None)


# What it says against what the CSMS says


@check("list-conflict", answer("StartTransaction"))
def refused(now: Now) -> None:
    status, token, book = text(now.response, "idTagInfo", "status"), folded(now.request, "idTag"), local_list(now)
    if status not in REFUSED or token is None or now.session.tokens.listed.get(token) != "Accepted":
        return
    listed = now.session.tokens.list_ref is not None and boot_since(now.session, book.time) is None
    if listed and book.conflict < book.time and enabled(now) is not False:
        now.later(told_within_s(now), not_told, key=token, data=(status, now.time, book.ref))


@check("list-conflict", call("StatusNotification"))
def conflict_told(now: Now) -> None:
    if text(now.request, "errorCode") == CONFLICT:
        local_list(now).conflict = now.time


def not_told(now: Now, deadline: Deadline) -> Iterator[Hit]:
    status, since, ref = deadline.data
    if local_list(now).conflict >= since or blocked(now) or not all_seen(now, since):
        return
    yield now.hit(f"The local list accepts the idTag, StartTransaction was answered with {status}, and no "
                  f"StatusNotification {CONFLICT} came within {told_within_s(now):g} s", place=deadline.place,
                  by="station", also=[ref])
