"""Holds one frame against the rules of its version.

Decides who is at fault and which frames belong to what was found. Refuses to know the connection's history: what the
correlator said of the frame is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.core.defects import has_payload
from ocpp_proxy.core.exchange import Correlation, Exchange, Past
from ocpp_proxy.core.frame import Call, CallError, CallResult, Defect, Frame, Send, Sender, Side, Version
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.regularity import irregularities
from ocpp_proxy.core.schema import Part, Schemas
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules.book import Found
from ocpp_proxy.rules.bound import SHOWN, BoundRule, Parts, Place
from ocpp_proxy.rules.engine import RuleIndex
from ocpp_proxy.rules.expect import ABSENT

SEND_ANSWERED = "send-answered"

_NONE: list[Found] = []
_DETAILS = {SEND_ANSWERED: "answers a SEND, which nobody may"}
_TOO_BIG = 1009  # RFC 6455 section 7.4.1


@dataclass(slots=True)
class Seen:
    """A frame as it passed: its record, the side that speaks in it, and what the correlator said of it. `remarks` are
    the correlator's, less those that a hole in the capture makes doubtful."""

    record: FrameRecord
    frame: Frame
    side: Side
    correlation: Correlation
    remarks: tuple[str, ...]


class Judge:
    """The rules of one version at work. `met`: the ids of the rules that have had something to judge."""

    def __init__(self, version: Version, index: RuleIndex, schemas: Schemas) -> None:
        self.version = version
        self.met: set[str] = set()
        self._index = index
        self._schemas = schemas

    def judge(self, seen: Seen, session: Session) -> list[Found]:
        """What there is to say about the frame, the framing first."""
        frame, exchange = seen.frame, seen.correlation.exchange
        found = _NONE
        irregular = irregularities(frame, self.version, seen.side)
        if irregular or frame.defects:
            found = [*self._defects(frame.defects, seen, session, vary=True),
                     *self._defects(irregular, seen, session, vary=False)]
        for remark in seen.remarks:
            if (bound := self._index.remarks.get(remark)) is not None:
                found = [*found, self._remark(bound, remark, seen, session)]
        if isinstance(frame, (Call, Send)):
            found = self._request(frame, seen, session, found)
        elif exchange is not None and exchange.answer is frame:
            found = self._answer(frame, exchange, seen, session, found)
        return found

    def breach(self, fields: Mapping[str, Any], connection: str, last_seq: int, session: Session) -> list[Found]:
        """What there is to say about the WebSocket frame for which the relay ended the connection. It has no number, as
        it is no message: the frame to look at is the last before it. `fields`: as captures have them, by whomever."""
        sender, reason, head = (fields.get(key) for key in ("sender", "reason", "head"))
        if sender not in ("station", "csms") or not isinstance(reason, str):
            return _NONE
        too_big = fields.get("code") == _TOO_BIG
        bound = self._index.defects.get("message-too-big" if too_big else "breach")
        if bound is None:
            return _NONE
        evidence = (last_seq,) if last_seq else ()
        place = Place(connection, session, None, "proxy" if too_big else sender, evidence)
        detail = f"{reason}, sent by the {SHOWN[sender]}" if too_big else reason
        return [Found(bound.noted(place, detail, seen=head if isinstance(head, str) else None))]

    def _request(self, call: Call | Send, seen: Seen, session: Session, found: list[Found]) -> list[Found]:
        if has_payload(call):
            found = self._schema("request", call.action, call.payload, seen, session, found)
        rules = self._index.calls.get((call.action, seen.side))
        if rules is not None:
            found = [*found, *self._checked(rules, (call.payload, ABSENT, ABSENT), seen, session)]
        return found

    def _answer(
        self, answer: Frame, exchange: Exchange, seen: Seen, session: Session, found: list[Found]
    ) -> list[Found]:
        if isinstance(answer, CallResult) and has_payload(answer):
            found = self._schema("response", exchange.action, answer.payload, seen, session, found)
        rules = self._index.exchanges.get((exchange.action, exchange.caller))
        if rules is not None:
            found = [*found, *self._checked(rules, _parts(exchange), seen, session)]
        return found

    def _defects(self, defects: tuple[Defect, ...], seen: Seen, session: Session, *, vary: bool) -> Iterator[Found]:
        """`vary`: the defects' messages name what differs each time and makes no other finding (an id, an offset)."""
        for defect in defects:
            if (bound := self._index.defects.get(defect.code)) is not None:
                finding = bound.noted(_place(seen, session), defect.message, _in_payload(defect.pointer, seen.frame))
                yield Found(finding, defect.code if vary else None)

    def _remark(self, bound: BoundRule, remark: str, seen: Seen, session: Session) -> Found:
        return Found(bound.noted(_place(seen, session), _DETAILS.get(remark, "")))

    def _schema(
        self, part: Part, action: str, payload: Any, seen: Seen, session: Session, found: list[Found]
    ) -> list[Found]:
        errors = self._schemas.check(self.version, action, part, payload)
        if errors:
            place = _place(seen, session)
            found = [*found, *(
                Found(bound.broken(place, part, error))
                for error in errors if (bound := self._index.schema.get(error.rule)) is not None
            )]  # fmt: skip
        return found

    def _checked(
        self, rules: tuple[BoundRule, ...], parts: Parts, seen: Seen, session: Session
    ) -> Iterator[Found]:
        for bound in rules:
            self.met.add(bound.rule.id)
            for check in bound.checks:
                if (hit := check.run(parts)) is not None:
                    place = _called(seen, session) if hit.part == "request" else _place(seen, session)
                    yield Found(bound.found(place, hit))


def _parts(exchange: Exchange) -> Parts:
    answer = exchange.answer
    if isinstance(answer, CallError):
        error = {"code": answer.code, "description": answer.description, "details": answer.details}
        return exchange.request, ABSENT, error
    return exchange.request, exchange.response, ABSENT


def _place(seen: Seen, session: Session) -> Place:
    """The frame itself is what is wrong."""
    record, exchange = seen.record, seen.correlation.exchange
    sender: Sender = "proxy" if record.origin == "modified" else record.sender
    return _placed(seen, session, record.seq, sender, _evidence(record.seq, exchange, seen.correlation.earlier))


def _called(seen: Seen, session: Session) -> Place:
    """The Call of the exchange that the frame answers is what is wrong."""
    exchange = seen.correlation.exchange
    if exchange is None or exchange.answer is not seen.frame:
        return _place(seen, session)
    sender: Sender = "proxy" if exchange.injected else exchange.caller
    return _placed(seen, session, exchange.call_seq, sender, _evidence(exchange.call_seq, exchange, None))


def _placed(seen: Seen, session: Session, seq: int, sender: Sender, evidence: tuple[int, ...]) -> Place:
    frame, exchange, earlier = seen.frame, seen.correlation.exchange, seen.correlation.earlier
    call = frame if isinstance(frame, (Call, Send)) else exchange.call if exchange is not None else None
    request = call.payload if call is not None else None
    action = call.action if call is not None else earlier.action if earlier is not None else ""
    return Place(
        seen.record.connection, session, seq, sender, evidence, action, _connector(request), _transaction(request)
    )


def _evidence(seq: int, exchange: Exchange | None, earlier: Past | None) -> tuple[int, ...]:
    seqs = {seq}
    for known in (exchange, earlier):
        if known is not None:
            seqs |= {known.call_seq, known.answer_seq or seq}
    return tuple(sorted(seqs))


def _connector(request: Any) -> int | None:
    """The connector that a request names; in 2.x its EVSE."""
    if not isinstance(request, dict):
        return None
    evse = request.get("evse")
    number = request.get("evseId", request.get("connectorId", evse.get("id") if isinstance(evse, dict) else None))
    return number if type(number) is int else None


def _transaction(request: Any) -> int | str | None:
    if not isinstance(request, dict):
        return None
    info = request.get("transactionInfo")
    number = request.get("transactionId", info.get("transactionId") if isinstance(info, dict) else None)
    return number if type(number) in (int, str) else None


def _in_payload(pointer: str | None, frame: Frame) -> str | None:
    """A pointer from the frame's top level as one into its payload, None for what is not in there."""
    payload = "/3" if isinstance(frame, (Call, Send)) else "/2" if isinstance(frame, CallResult) else None
    if pointer is None or payload is None or not pointer.startswith(payload):
        return None
    return pointer.removeprefix(payload)
