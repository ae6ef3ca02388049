"""Frames beyond what the reader sees: sizes, ids over several connections, answers to what cannot be read.

Source: OCPP-J 1.6 section 4.1.4 and its errata 3.1; OCPP 2.0.1 and 2.1 Part 4 sections 4.1.4, 4.1.5, 4.2.3 and 4.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import (
    OTHER_SIDE,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Malformed,
    Send,
    Side,
)
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.scan import escape
from ocpp_proxy.rules.checks.answers import DATA, LONGEST_ACTION
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import call, check, message
from ocpp_proxy.rules.place import SHOWN

# Size

LARGE_BYTES = 16 * 1024
HUGE_BYTES = 64 * 1024


@check("frame-size", message())
def size(now: Now) -> Iterator[Hit] | None:
    frame = now.frame
    return _large(now, len(frame.raw)) if frame is not None and len(frame.raw) > LARGE_BYTES else None


def _large(now: Now, size_bytes: int) -> Iterator[Hit]:
    huge = size_bytes > HUGE_BYTES
    limit = HUGE_BYTES if huge else LARGE_BYTES
    yield now.hit(f"{_named(now)} has more than {limit // 1024} KiB", case="huge" if huge else None, connector=None,
                  transaction=None)


def _named(now: Now) -> str:
    action = now.action[:LONGEST_ACTION]
    if not action:
        return "A message"
    return action if isinstance(now.frame, (Call, Send)) else f"The answer to {action}"


# Empty objects

# Optional fields of 2.x whose type requires nothing, so that {} is valid by the schema.
HOLLOW = frozenset((
    "chargingProfileCriteria", "chargingTime", "conditions", "derChargingParameters", "energy", "fixed", "hysteresis",
    "idleTime", "maxCost", "minCost", "modem", "periodicEventStream", "reactivePowerParams", "reservationFixed",
    "reservationTime", "transactionLimit", "unitOfMeasure", "v2xChargingParameters", "voltageParams",
))  # fmt: skip
_EMPTY = re.compile(rb"\{\s*\}")
_FREE = "customData"  # holds whatever its vendor likes
_OPAQUE = frozenset({"DataTransfer"})


@check("frame-empty-object", message())
def empty_object(now: Now) -> Iterator[Hit] | None:
    frame = now.frame
    return _empty(now, frame) if frame is not None and _EMPTY.search(frame.raw) is not None else None


def _empty(now: Now, frame: Frame) -> Iterator[Hit]:
    if not isinstance(frame, (Call, CallResult, Send)) or now.action in _OPAQUE:
        return
    for pointer, name in _hollow(frame.payload):
        yield now.hit(f"{name} is an empty object", pointer, seen={}, expected="a field that is left out")


def _hollow(payload: Any) -> Iterator[tuple[str, str]]:
    open_: list[tuple[str, Any]] = [("", payload)]
    while open_:
        pointer, value = open_.pop()
        if isinstance(value, list):
            open_ += [(f"{pointer}/{place}", one) for place, one in enumerate(value)]
        elif isinstance(value, dict):
            for key, one in value.items():
                if one == {} and isinstance(one, dict) and key in HOLLOW:
                    yield f"{pointer}/{key}", key
                elif isinstance(one, (dict, list)) and key != _FREE:
                    open_.append((f"{pointer}/{escape(key)}", one))


# Ids used before

IDS_KEPT = 24
CONNECTIONS_KEPT = 4

Ids: TypeAlias = "dict[tuple[Side, str], tuple[int, int]]"  # side and id → hash of the content, number of the frame


@dataclass(slots=True)
class UsedIds:
    """The ids of the first 2 * IDS_KEPT Calls of each of the last CONNECTIONS_KEPT connections."""

    by_connection: dict[str, Ids] = field(default_factory=dict)

    def of(self, connection: str) -> Ids:
        ids = self.by_connection.get(connection)
        if ids is None:
            ids = self.by_connection[connection] = {}
            if len(self.by_connection) > CONNECTIONS_KEPT:
                del self.by_connection[next(iter(self.by_connection))]
        return ids


@check("frame-id-reuse-across", call(), call(by="csms"))
def id_reuse_across(now: Now) -> Iterator[Hit] | None:
    session, exchange = now.session, now.exchange
    if exchange is None or exchange.injected or session.station is None:
        return None
    book = session.book(UsedIds)
    ids = book.of(now.connection)
    if len(ids) < 2 * IDS_KEPT:
        ids.setdefault((exchange.caller, exchange.message_id), (hash(exchange.call.raw), exchange.call_seq))
    return _used_before(now, exchange, book) if len(book.by_connection) > 1 else None


def _used_before(now: Now, exchange: Exchange, book: UsedIds) -> Iterator[Hit]:
    key, content = (exchange.caller, exchange.message_id), hash(exchange.call.raw)
    for connection, earlier in book.by_connection.items():
        if connection == now.connection or (before := earlier.get(key)) is None or before[0] == content:
            continue
        # Queued messages may be sent again, as offline by now; and of two stations of one name each has ids of its own.
        if exchange.action not in DATA and len(now.session.links.open) < 2:
            yield now.hit(f"The {SHOWN[now.speaker]} uses message ids of an earlier connection for other requests",
                          also=[FrameRef(connection, before[1])], connector=None, transaction=None)
            break


# What cannot be read

UNREADABLE_ID = "-1"
READ_BYTES = 1000  # of a message that could not be read, kept to look for its id


@dataclass(frozen=True, slots=True)
class Garbled:
    connection: str
    head: bytes
    time: float
    ref: FrameRef


@dataclass(slots=True)
class Garble:
    """The last message of each side that could not be read and has not been answered."""

    last: dict[Side, Garbled] = field(default_factory=dict)


@check("frame-corrupt-id-minus1", message())
def corrupt_id(now: Now) -> Iterator[Hit] | None:
    frame = now.frame
    if isinstance(frame, Malformed):
        garbled = Garbled(now.connection, frame.raw[:READ_BYTES], now.time, now.ref)
        now.session.book(Garble).last[now.speaker] = garbled
    elif type(frame) is CallError and now.exchange is None:
        return _misdirected(now, frame)
    return None


def _misdirected(now: Now, frame: CallError) -> Iterator[Hit]:
    meant = now.session.book(Garble).last.pop(OTHER_SIDE[now.speaker], None)
    if meant is None or meant.connection != now.connection or frame.message_id == UNREADABLE_ID:
        return
    if now.time - meant.time <= now.bounds.answer_fail_s and _quoted(frame.message_id) not in meant.head:
        yield now.hit(f'A message that could not be read was answered under an id other than "{UNREADABLE_ID}"',
                      expected=UNREADABLE_ID, also=[meant.ref])


def _quoted(message_id: str) -> bytes:
    return f'"{message_id}"'.encode(errors="replace")


@check("frame-type-unanswered", message())
def unknown_type(now: Now) -> None:
    """2.0.1 wants an answer to a type that it does not know."""
    frame = now.frame
    if isinstance(frame, (Call, CallResult)):
        return
    foreign = isinstance(frame, (Send, CallResultError)) or (
        isinstance(frame, Malformed) and any(defect.code == "type-unknown" for defect in frame.defects))
    if foreign:
        side = OTHER_SIDE[now.speaker]
        if now.expected((now.connection, side)) is None:
            now.later(now.bounds.answer_fail_s, _type_not_answered, key=(now.connection, side), data=side)
    elif isinstance(frame, CallError) and now.exchange is None:
        now.cancel((now.connection, now.speaker))


def _type_not_answered(now: Now, deadline: Deadline) -> Iterator[Hit]:
    yield now.hit(f"The {SHOWN[deadline.data]} has not answered a message of a type that OCPP 2.0.1 does not have",
                  place=deadline.place, by=deadline.data, expected="CALLERROR MessageTypeNotSupported")
