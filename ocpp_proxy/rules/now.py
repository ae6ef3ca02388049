"""What a rule written in Python gets to see and to say.

Decides how such a rule names what is wrong, sets itself a deadline, and owns up to what it does not know. Refuses to
know which rule is asked when (`engine`) and how a finding is worded beyond the sentence it is given (`bound`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import Frame, Sender, Side, Version
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.record import Record
from ocpp_proxy.core.schema import SchemaError
from ocpp_proxy.core.session import Session
from ocpp_proxy.rules.place import Place, caller_of, place_of

if TYPE_CHECKING:
    from ocpp_proxy.core.station.links import Link
    from ocpp_proxy.rules.bound import BoundRule
    from ocpp_proxy.rules.timers import Timers
    from ocpp_proxy.rules.wishes import Bounds, Wishes

Read = TypeVar("Read")
_KEEP: Any = object()
_NOTHING: Mapping[Any, str] = {}


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule has found. `case`: one of the rule's `cases`, which has its own severity; None: the usual one."""

    place: Place
    message: str
    pointer: str | None = None
    seen: Any = None
    expected: Any = None
    case: str | None = None


@dataclass(slots=True)
class Deadline:
    """Something that was expected by now. `place`: of what made one expect it; `data`: what the rule kept."""

    place: Place
    data: Any


Check: TypeAlias = "Callable[[Now], Iterable[Hit] | None]"
Overdue: TypeAlias = "Callable[[Now, Deadline], Iterable[Hit] | None]"
Until: TypeAlias = "Callable[[Session, Deadline], float]"


class Now(Occasion):
    """An occasion as the rules see it. The books of `session` stand as they did before what has just passed; at a
    deadline as they stand then. `bounds`: the times allowed; `wishes`: what the profiles asked for want."""

    __slots__ = ("_read", "bounds", "retry", "rule", "schema_errors", "timers", "unmet", "wishes")

    bounds: Bounds
    wishes: Wishes
    timers: Timers
    rule: BoundRule

    def __init__(
        self, session: Session, version: Version, connection: str, time: float, at: Instant, link: Link | None = None,
        record: Record | None = None, frame: Frame | None = None, side: Side | None = None,
        exchange: Exchange | None = None,
    ) -> None:  # fmt: skip
        Occasion.__init__(self, session, version, connection, time, at, link, record, frame, side, exchange)
        self.retry = False  # the same Call once more, with the same message id
        self.schema_errors: tuple[SchemaError, ...] = ()  # of the frame's payload
        self.unmet: Mapping[BoundRule, str] = _NOTHING  # why rules could not judge
        self._read: dict[Any, Any] = {}

    # What is wrong

    def hit(
        self, message: str, pointer: str | None = None, *, seen: Any = None, expected: Any = None,
        case: str | None = None, call: bool = False, by: Sender | None = None, frame: FrameRef | None = None,
        also: Iterable[FrameRef | None] = (), connector: int | None = _KEEP, transaction: int | str | None = _KEEP,
        place: Place | None = None,
    ) -> Hit:  # fmt: skip
        """A finding at the frame that has just passed and against who sent it.

        `call`: at the Call that it answers; `frame`: at another frame; `place`: at the place of a deadline. `by`: who
        is at fault if not the sender. `also`: further frames to look at, those before and after where order matters
        (None is passed over). `pointer` is relative to the payload of the frame at fault. The connector, or EVSE, and
        the transaction are taken from the request unless given.
        """
        where = place or place_of(self, call=call)
        evidence = where.evidence
        if frame is not None:
            evidence = (*evidence, frame)
            where = replace(where, frame=frame, connection=frame.connection)
        evidence = tuple(dict.fromkeys((*evidence, *(one for one in also if one is not None and one.seq))))
        where = replace(
            where, evidence=tuple(sorted(evidence, key=_by_number)),
            sender=by or where.sender,
            connector=where.connector if connector is _KEEP else connector,
            transaction=where.transaction if transaction is _KEEP else transaction,
        )  # fmt: skip
        return Hit(where, message, pointer, seen, expected, case)

    def unknown(self, reason: str) -> Iterator[Hit]:
        """Nothing can be judged because of what was not seen ("no interval seen"): `return now.unknown(…)`, or
        `yield from`. Told under `skipped`, unless the rule could judge at another time."""
        self.unmet = {**self.unmet, self.rule: reason}
        return iter(())

    def once(self, read: Callable[[Now], Read]) -> Read:
        """What this function reads out of the occasion; asked once, however many rules want it. It must not depend on
        books that change while the occasion is judged: those kept by `learn` functions do so after all rules."""
        found = self._read.get(read, _KEEP)
        if found is _KEEP:
            found = self._read[read] = read(self)
        return found  # type: ignore[no-any-return]

    def caller(self) -> Sender:
        """Who made the Call of this exchange: "proxy" where it was injected."""
        return caller_of(self.exchange) if self.exchange is not None else (self.side or "proxy")

    @property
    def latency_s(self) -> float:
        """How long the answer took since the Call went on to the other side."""
        return self.time - self.called_time

    @property
    def speaker(self) -> Side:
        """Who spoke. Not to be asked where nobody did."""
        assert self.side is not None
        return self.side

    # Deadlines

    def later(
        self, seconds: float, then: Overdue, *, key: Hashable = None, data: Any = None, across: bool = False,
        place: Place | None = None, until: Until | None = None,
    ) -> None:  # fmt: skip
        """Ask `then` in so many seconds, unless `cancel` comes first, or the connection ends (but with `across`).

        `key`: which of this rule's deadlines for this station; one of the same key is replaced. What this program
        itself holds up meanwhile is added to the time. A station has no more than DEADLINES_MAX of them: what is
        beyond that is not asked. `until`: what happens meanwhile may put it off, and this says until when, on the clock
        of `time`; it is asked only when the time has come.
        """
        self.timers.set(self, seconds, then, key, data, across, place or place_of(self), until)

    def cancel(self, key: Hashable = None) -> bool:
        """What was expected has come; whether it was expected."""
        return self.timers.cancel(self.session, self.rule.rule.id, key)

    def expected(self, key: Hashable = None) -> Deadline | None:
        """The deadline of that key, if one is running."""
        return self.timers.find(self.session, self.rule.rule.id, key)


def _by_number(ref: FrameRef) -> tuple[int, str, int]:
    return len(ref.connection), ref.connection, ref.seq


__all__ = ["Check", "Deadline", "FrameRef", "Hit", "Now", "Overdue", "Session"]
