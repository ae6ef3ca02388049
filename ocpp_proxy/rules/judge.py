"""Holds what has happened against the rules of its version.

Decides who is at fault and which frames belong to what was found. Refuses to know the connection's history: what the
correlator said of the frame is handed in, and what rules remember stands in the session's books.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ocpp_proxy.core.defects import has_payload
from ocpp_proxy.core.exchange import Correlation, Exchange
from ocpp_proxy.core.frame import Call, CallError, CallResult, Defect, Frame, Send, Side, Version
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.regularity import irregularities
from ocpp_proxy.core.schema import Part, SchemaError, Schemas
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules.book import Found
from ocpp_proxy.rules.bound import BoundRule, Parts
from ocpp_proxy.rules.engine import Audience, RuleIndex
from ocpp_proxy.rules.expect import ABSENT
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import ANY
from ocpp_proxy.rules.place import SHOWN, Place, place_of
from ocpp_proxy.rules.timers import Timer, Timers
from ocpp_proxy.rules.wishes import Wishes

OnMistake: TypeAlias = Callable[[str], None]
SEND_ANSWERED = "send-answered"

_NONE: list[Found] = []
_DETAILS = {SEND_ANSWERED: "answers a SEND, which nobody may"}
_TOO_BIG = 1009  # RFC 6455 section 7.4.1


@dataclass(slots=True)
class Seen:
    """A frame as it passed, and what the correlator said of it. `remarks` are the correlator's, less those that a hole
    in the capture makes doubtful."""

    now: Now
    record: FrameRecord
    frame: Frame
    side: Side
    correlation: Correlation
    remarks: tuple[str, ...]


class Judge:
    """The rules of one version at work. `unmet`: why rules that were asked could not judge; `on_mistake` hears of a
    rule that failed, once a rule; without it the rule's exception is raised."""

    def __init__(
        self, version: Version, index: RuleIndex, schemas: Schemas, timers: Timers, wishes: Wishes,
        on_mistake: OnMistake | None = None,
    ) -> None:  # fmt: skip
        self.version = version
        self.unmet: dict[str, str] = {}
        self._index = index
        self._schemas = schemas
        self._timers = timers
        self._wishes = wishes
        self._on_mistake = on_mistake
        self._mistaken: set[str] = set()

    @property
    def met(self) -> set[str]:
        """The ids of the rules that have had something to judge."""
        return {bound.rule.id for bound in self._index.bound if bound.met}

    def judge(self, seen: Seen) -> list[Found]:
        """What there is to say about the frame, the framing first."""
        frame, exchange, now = seen.frame, seen.correlation.exchange, seen.now
        now.version = self.version
        found = _NONE
        irregular = irregularities(frame, self.version, seen.side)
        if irregular or frame.defects:
            found = [*self._defects(frame.defects, seen, vary=True), *self._defects(irregular, seen, vary=False)]
        for remark in seen.remarks:
            if (bound := self._index.remarks.get(remark)) is not None:
                found = [*found, self._remark(bound, remark, seen)]
        if isinstance(frame, (Call, Send)):
            found = self._request(frame, seen, found)
            audience = self._index.passing("call", frame.action, seen.side, seen.side)
        elif exchange is not None and exchange.answer is frame:
            found = self._answer(frame, exchange, seen, found)
            audience = self._index.passing("answer", exchange.action, exchange.caller, seen.side)
        else:
            audience = self._index.listeners("message", ANY, seen.side)
        told = self._told(audience, now)
        return [*found, *told] if told else found

    def hear(self, now: Now, kind: str, word: str, side: Side | None) -> list[Found]:
        """What rules written in Python, and sequences, have to say of something that happened."""
        now.version = self.version
        audience = self._index.listeners(kind, word, side)
        return self._told(audience, now) if audience else _NONE

    def overdue(self, timer: Timer, now: Now) -> Iterator[Found]:
        """What a rule has to say now that its deadline has passed."""
        now.version = self.version
        self._prepare(now)
        then = timer.then
        if then is not None:
            now.rule = timer.bound
            try:
                for hit in then(now, timer.deadline) or ():
                    timer.bound.met = True
                    yield Found(timer.bound.told(hit))
            except Exception as error:  # as in `_told`
                self._mistake(timer.bound, then, now, error)
            self._remember(now.unmet)

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
        evidence = (FrameRef(connection, last_seq),) if last_seq else ()
        place = Place(connection, session, None, "proxy" if too_big else sender, evidence)
        detail = f"{reason}, sent by the {SHOWN[sender]}" if too_big else reason
        return [Found(bound.noted(place, detail, seen=head if isinstance(head, str) else None))]

    def _request(self, call: Call | Send, seen: Seen, found: list[Found]) -> list[Found]:
        readable = has_payload(call)
        if readable:
            found = self._schema("request", call.action, call.payload, seen, found)
            if seen.now.schema_errors and seen.correlation.exchange is not None:
                seen.correlation.exchange.faults = tuple(sorted({error.rule for error in seen.now.schema_errors}))
        rules = self._index.calls.get((call.action, seen.side))
        if rules is not None and readable:
            found = [*found, *self._checked(rules, (call.payload, ABSENT, ABSENT), seen)]
        seen.now.retry = "retry" in seen.correlation.remarks
        return found

    def _answer(self, answer: Frame, exchange: Exchange, seen: Seen, found: list[Found]) -> list[Found]:
        if isinstance(answer, CallResult) and has_payload(answer):
            found = self._schema("response", exchange.action, answer.payload, seen, found)
        rules = self._index.exchanges.get((exchange.action, exchange.caller))
        if rules is not None:
            found = [*found, *self._checked(rules, _parts(exchange), seen)]
        return found

    # Rules written in Python, and sequences

    def _told(self, audience: Audience, now: Now) -> list[Found]:
        """Ask them all; most have nothing to say of most frames, and it is asked dozens of times a frame."""
        self._prepare(now)
        found = _NONE
        if now.retry:
            audience = audience.again
        for function, bound in audience.rules:
            now.rule = bound
            try:
                said = function(now)
                if said is not None:
                    for hit in said:
                        bound.met = True
                        found = [*found, Found(bound.told(hit))]
            except Exception as error:  # our own mistake must not take what the others have to say with it
                self._mistake(bound, function, now, error)
        for keep in audience.keepers:
            try:
                keep(now)
            except Exception as error:  # as above
                self._mistake(None, keep, now, error)
        if audience.counting:
            self._count(audience, now.unmet)
        if now.unmet:
            self._remember(now.unmet)
        return found

    def _count(self, audience: Audience, unmet: Mapping[BoundRule, str]) -> None:
        """Note which rules have had something to judge."""
        for bound in audience.counting:
            if bound not in unmet:
                bound.met = True
        audience.counting = tuple(bound for bound in audience.counting if bound in unmet)

    def _remember(self, unmet: Mapping[BoundRule, str]) -> None:
        for bound, reason in unmet.items():
            self.unmet.setdefault(bound.rule.id, reason)

    def _mistake(self, bound: BoundRule | None, function: Callable[..., Any], now: Now, error: Exception) -> None:
        who = f"rule {bound.rule.id}" if bound is not None else f"bookkeeper {function.__module__}.{function.__name__}"
        if self._on_mistake is None:
            raise error
        if who not in self._mistaken:
            self._mistaken.add(who)
            self._on_mistake(f"the {who} failed on frame {now.ref.seq} of connection {now.connection}: {error!r}; "
                             "what it says from here on is not to be relied on, all else is")

    def _prepare(self, now: Now) -> None:
        now.timers = self._timers
        now.wishes = self._wishes
        now.bounds = self._wishes.bounds

    # What a frame's own rules say

    def _defects(self, defects: tuple[Defect, ...], seen: Seen, *, vary: bool) -> Iterator[Found]:
        """`vary`: the defects' messages name what differs each time and makes no other finding (an id, an offset)."""
        for defect in defects:
            if (bound := self._index.defects.get(defect.code)) is not None:
                finding = bound.noted(_place(seen), defect.message, _in_payload(defect.pointer, seen.frame))
                yield Found(finding, defect.code if vary else None)

    def _remark(self, bound: BoundRule, remark: str, seen: Seen) -> Found:
        return Found(bound.noted(_place(seen), _DETAILS.get(remark, "")))

    def _schema(self, part: Part, action: str, payload: Any, seen: Seen, found: list[Found]) -> list[Found]:
        errors = self._schemas.check(self.version, action, part, payload)
        if errors and seen.record.masked:
            errors = _not_masked(errors, part, seen.record)
        seen.now.schema_errors = errors
        if errors:
            place = _place(seen)
            found = [*found, *(
                Found(bound.broken(place, part, error))
                for error in errors if (bound := self._index.schema.get(error.rule)) is not None
            )]  # fmt: skip
        return found

    def _checked(self, rules: tuple[BoundRule, ...], parts: Parts, seen: Seen) -> Iterator[Found]:
        for bound in rules:
            bound.met = True
            for check in bound.checks:
                for hit in check.run(parts):
                    place = place_of(seen.now, call=True) if hit.part == "request" else _place(seen)
                    yield Found(bound.found(place, hit))


def _parts(exchange: Exchange) -> Parts:
    answer = exchange.answer
    if isinstance(answer, CallError):
        error = {"code": answer.code, "description": answer.description, "details": answer.details}
        return exchange.request, ABSENT, error
    return exchange.request, exchange.response, ABSENT


def _place(seen: Seen) -> Place:
    """The frame itself is what is wrong."""
    return place_of(seen.now, earlier=seen.correlation.earlier)


def _not_masked(errors: tuple[SchemaError, ...], part: Part, record: FrameRecord) -> tuple[SchemaError, ...]:
    """Those that are not of our own making: of a masked value its length is all that can be judged."""
    payload = "/3" if part == "request" else "/2"
    masked = {mask.pointer for mask in record.masked}
    return tuple(error for error in errors
                 if error.rule == "schema-max-length" or f"{payload}{error.pointer}" not in masked)


def _in_payload(pointer: str | None, frame: Frame) -> str | None:
    """A pointer from the frame's top level as one into its payload, None for what is not in there."""
    payload = "/3" if isinstance(frame, (Call, Send)) else "/2" if isinstance(frame, CallResult) else None
    if pointer is None or payload is None or not pointer.startswith(payload):
        return None
    return pointer.removeprefix(payload)
