"""How idTags of 1.6 are written.

Decides whether an idTag can be one, and whether a station and its CSMS write the same card in two ways. Refuses to know
whose card it is.

Source: OCPP 1.6 edition 2 sections 3.9, 7.15 and 7.28.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, member, objects, text
from ocpp_proxy.rules.checks.transactions16_past import token_of
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

LONGEST_TAG = 20
TAGS_KEPT = 256
SHORT_UID, LONG_UID = 8, 14  # hexadecimal digits of 4 and 7 bytes
LIST = "localAuthorizationList"

_REQUESTS: Mapping[str, tuple[str, ...]] = {
    "Authorize": ("idTag",), "StartTransaction": ("idTag",), "StopTransaction": ("idTag",),
    "RemoteStartTransaction": ("idTag",), "ReserveNow": ("idTag", "parentIdTag"),
}  # fmt: skip
_HEX = re.compile(r"[0-9a-f]+")


class Tag(NamedTuple):
    pointer: str
    value: str


# Length


@check("idtag-length", call("Authorize", "StartTransaction", "StopTransaction"),
       call("RemoteStartTransaction", "ReserveNow", "SendLocalList", by="csms"))
def called_with(now: Now) -> Iterator[Hit]:
    return _unfit(now, _in_request(now))


@check("idtag-length", answer("Authorize", "StartTransaction", "StopTransaction"))
def answered_with(now: Now) -> Iterator[Hit]:
    return _unfit(now, _of(member(now.response, "idTagInfo"), ("parentIdTag",), "/idTagInfo"))


def _in_request(now: Now) -> Iterator[Tag]:
    if now.action != "SendLocalList":
        yield from _of(now.request, _REQUESTS.get(now.action, ()))
        return
    for place, entry in objects(now.request, LIST):
        yield from _of(entry, ("idTag",), f"/{LIST}/{place}")
        yield from _of(entry.get("idTagInfo"), ("parentIdTag",), f"/{LIST}/{place}/idTagInfo")


def _of(holder: Any, names: tuple[str, ...], pointer: str = "") -> Iterator[Tag]:
    for name in names:
        if (value := text(holder, name)) is not None:
            yield Tag(f"{pointer}/{name}", value)


def _unfit(now: Now, tags: Iterator[Tag]) -> Iterator[Hit]:
    for pointer, value in tags:
        name = pointer.rpartition("/")[2]
        if len(value) > LONGEST_TAG:
            yield now.hit(f"{name} of {len(value)} characters", pointer, seen=len(value), expected=LONGEST_TAG,
                          transaction=None)
        elif not value.strip():
            yield now.hit(f"{name} is {'blank' if value else 'empty'}", pointer, seen=value, case="blank",
                          transaction=None)


# Two spellings of one card


@dataclass(slots=True)
class Spelled:
    """The hexadecimal idTags heard of last, TAGS_KEPT of them: `told` by the CSMS or accepted by it."""

    told: dict[str, FrameRef] = field(default_factory=dict)

    def put(self, tag: str, ref: FrameRef) -> None:
        if len(tag) in (SHORT_UID, LONG_UID) and _HEX.fullmatch(tag):
            self.told.pop(tag, None)
            self.told[tag] = ref
            if len(self.told) > TAGS_KEPT:
                del self.told[next(iter(self.told))]


@learn(call("RemoteStartTransaction", "ReserveNow", "SendLocalList", by="csms"), versions=IN_16)
def named_by_csms(now: Now) -> None:
    book = now.session.book(Spelled)
    for pointer, value in _in_request(now):
        if pointer.endswith("/idTag"):
            book.put(value[:LONGEST_TAG].casefold(), now.ref)


@learn(answer("Authorize", "StartTransaction"), versions=IN_16)
def accepted_by_csms(now: Now) -> None:
    token = token_of(now)
    if token is not None and text(now.response, "idTagInfo", "status") == "Accepted":
        now.session.book(Spelled).put(token, now.call_ref)


@check("idtag-endian", call("Authorize", "StartTransaction"))
def spelled_otherwise(now: Now) -> Iterator[Hit]:
    tag, told = folded(now.request, "idTag"), now.session.book(Spelled).told
    if tag is None or tag in told or len(tag) not in (SHORT_UID, LONG_UID) or not _HEX.fullmatch(tag):
        return
    for other, ref in told.items():
        if (how := _kinship(tag, other)) is not None:
            yield now.hit(f"The idTag is {how} another that the CSMS knows", "/idTag", also=[ref])
            return


def _kinship(tag: str, other: str) -> str | None:
    """How the one may be read from the same card as the other."""
    if reversed_bytes(tag) == other:
        return "the bytes, in reverse order, of"
    if len(tag) == len(other):
        return None
    short, long = sorted((tag, other), key=len)
    ends = (long[:SHORT_UID], long[-SHORT_UID:])
    if short not in (*ends, *map(reversed_bytes, ends)):
        return None
    return "a part of" if short == tag else "longer than, and begins or ends with,"


def reversed_bytes(tag: str) -> str:
    return bytes.fromhex(tag)[::-1].hex()
