"""Rules about what has to come after something, and what must not come before.

Decides when a sequence begins, is fulfilled, excused, broken or overdue; several of one rule run side by side where
they differ in the fields that have to agree. Refuses to know what the rules are about.

Bounded: WAITS_KEPT sequences of a rule run at once for a station; the oldest is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ocpp_proxy.rules.expect import ABSENT, condition, lookup, tokens_of
from ocpp_proxy.rules.model import PARTS, Part, Pattern, Rule, Sequence
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import CLOSED, OPENED, Registered, When
from ocpp_proxy.rules.place import SHOWN, Place, place_of

WAITS_KEPT = 32

Parts: TypeAlias = tuple[Any, Any, Any]
Key: TypeAlias = tuple[Hashable, ...]


@dataclass(slots=True)
class _Waits:
    """What a station's sequences of all rules are at: by rule id and the values that have to agree. `connection` of the
    wait: it ends with this one, None if with none."""

    open: dict[str, dict[Key, tuple[Place, str | None]]] = field(default_factory=dict)
    lately: dict[str, dict[Key, float]] = field(default_factory=dict)


class _Compiled:
    """A pattern ready to be held against an occasion."""

    __slots__ = ("kind", "occasions", "tests")

    def __init__(self, pattern: Pattern) -> None:
        self.kind = pattern.kind
        self.tests = tuple(condition(one, demanding=True) for one in pattern.where)
        self.occasions: tuple[When, ...]
        if pattern.kind == "opened":
            self.occasions = OPENED
        elif pattern.kind == "closed":
            self.occasions = CLOSED
        else:
            self.occasions = tuple(When(pattern.kind, action, caller) for action in pattern.actions
                                   for caller in pattern.callers)

    def fits(self, parts: Parts) -> bool:
        return all(test(parts) for test in self.tests)


def parts_of(now: Now) -> Parts:
    """The payloads of the exchange as far as they are there."""
    return (
        ABSENT if now.exchange is None and now.request is None else now.request,
        ABSENT if now.response is None else now.response,
        ABSENT if now.error is None else now.error,
    )


class Follow:
    """One rule at work."""

    def __init__(self, rule: Rule, sequence: Sequence) -> None:
        self._id = rule.id
        self._message = rule.message
        self._sequence = sequence
        self._after = _Compiled(sequence.after)
        self._expect = tuple(map(_Compiled, sequence.expect))
        self._forbid = tuple(map(_Compiled, sequence.forbid))
        self._ends = tuple(map(_Compiled, (*sequence.until, *sequence.unless)))
        self._left = tuple(_getter(*one.after) for one in sequence.same)
        self._right = tuple(_getter(*one.then) for one in sequence.same)

    def registrations(self) -> list[Registered]:
        """What this rule wants to hear of: one function a pattern, those that end a sequence first."""
        groups = [(self._ends, self._ended), (self._expect, self._fulfilled), (self._forbid, self._broken)]
        made = [Registered(self._id, one.occasions, self._guarded(one, then), counts=False) for group, then in groups
                for one in group]
        return [*made, Registered(self._id, self._after.occasions, self._guarded(self._after, self._begun)),
                Registered(self._id, CLOSED, self._lost, counts=False)]

    def _guarded(self, pattern: _Compiled, then: Callable[[Now, Parts], Iterator[Hit] | None]) -> Any:
        def hear(now: Now) -> Iterator[Hit] | None:
            parts = parts_of(now)
            return then(now, parts) if pattern.fits(parts) else None

        return hear

    def _begun(self, now: Now, parts: Parts) -> None:
        waits, key = now.session.book(_Waits), tuple(get(parts) for get in self._left)
        last = waits.lately.get(self._id, {}).get(key)
        if last is not None and now.time - last <= self._sequence.already_s:
            return
        connection = None if self._sequence.across else now.connection
        running = waits.open.setdefault(self._id, {})
        running.pop(key, None)
        running[key] = (place_of(now), connection)
        if len(running) > WAITS_KEPT:
            oldest = next(iter(running))
            del running[oldest]
            now.cancel(oldest)
        if self._sequence.within is not None:
            now.later(self._within_s(now), self._overdue, key=key, across=self._sequence.across)

    def _within_s(self, now: Now) -> float:
        within = self._sequence.within
        return getattr(now.bounds, within) if isinstance(within, str) else float(within or 0.0)

    def _meant(self, now: Now, parts: Parts) -> tuple[Key, Place] | None:
        """The sequence that what has happened belongs to."""
        running = now.session.book(_Waits).open.get(self._id)
        if not running:
            return None
        key = tuple(get(parts) for get in self._right)
        wait = running.get(key)
        return (key, wait[0]) if wait is not None else None

    def _drop(self, now: Now, key: Key) -> None:
        now.session.book(_Waits).open.get(self._id, {}).pop(key, None)
        now.cancel(key)

    def _ended(self, now: Now, parts: Parts) -> None:
        if self._sequence.same and parts[0] is not ABSENT:
            if (meant := self._meant(now, parts)) is not None:
                self._drop(now, meant[0])
            return
        for key in list(now.session.book(_Waits).open.get(self._id, ())):
            self._drop(now, key)

    def _fulfilled(self, now: Now, parts: Parts) -> None:
        if self._sequence.already_s:
            lately = now.session.book(_Waits).lately.setdefault(self._id, {})
            key = tuple(get(parts) for get in self._right)
            lately.pop(key, None)
            lately[key] = now.time
            if len(lately) > WAITS_KEPT:
                del lately[next(iter(lately))]
        if (meant := self._meant(now, parts)) is not None:
            self._drop(now, meant[0])

    def _broken(self, now: Now, parts: Parts) -> Iterator[Hit]:
        if (meant := self._meant(now, parts)) is not None:
            key, place = meant
            self._drop(now, key)
            yield now.hit(self._sentence(now, place), also=place.evidence)

    def _overdue(self, now: Now, deadline: Deadline) -> Iterator[Hit]:
        place = deadline.place
        running = now.session.book(_Waits).open.get(self._id, {})
        for key in [key for key, wait in running.items() if wait[0] is place or wait[0] == place]:
            del running[key]
        yield now.hit(self._sentence(now, place), place=place, by=self._sequence.at_fault)

    def _lost(self, now: Now) -> None:
        running = now.session.book(_Waits).open.get(self._id)
        if running:
            for key in [key for key, wait in running.items() if wait[1] == now.connection]:
                self._drop(now, key)

    def _sentence(self, now: Now, place: Place) -> str:
        return self._message.format_map({
            "sender": SHOWN[self._sequence.at_fault], "action": place.action,
            "within_s": f"{self._within_s(now):g}" if self._sequence.within is not None else "",
        })


def _getter(part: Part, pointer: str) -> Callable[[Parts], Hashable]:
    index, tokens = PARTS.index(part), tokens_of(pointer)

    def get(parts: Parts) -> Hashable:
        value = ABSENT if parts[index] is ABSENT else lookup(parts[index], tokens)
        return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)[:200]

    return get
