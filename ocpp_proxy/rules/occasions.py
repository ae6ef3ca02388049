"""Binds rules written in Python to what they are to hear of.

A module in `rules.checks` says

    @check("status-connector0", call("StatusNotification"))
    def status_connector0(now: Now) -> Iterator[Hit]: …

and its metadata, texts and tests stand in rules/<topic>/status-connector0.yaml. A rule may have several functions, for
several occasions; they share deadlines and whatever book they keep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ocpp_proxy.core.frame import Side, Version
from ocpp_proxy.core.vocabulary import VERSIONS
from ocpp_proxy.rules.now import Check

ANY = "*"


class When(NamedTuple):
    """An occasion. `kind`: call, answer, unanswered, message, control, handshake, opened, closed; `word`: the action,
    or ping and pong; `side`: who called, for control frames who sent; None: either. `retries`: Calls that are sent
    again with the same id are heard of again."""

    kind: str
    word: str = ANY
    side: Side | None = None
    retries: bool = False


def call(*actions: str, by: Side = "station", retries: bool = False) -> tuple[When, ...]:
    """Each Call (or Send) of these actions; of all actions if none is named."""
    return tuple(When("call", action, by, retries) for action in actions or (ANY,))


def answer(*actions: str, by: Side = "station") -> tuple[When, ...]:
    """Each answer, CALLRESULT or CALLERROR, to such a Call; `by` is who called."""
    return tuple(When("answer", action, by) for action in actions or (ANY,))


def unanswered(by: Side | None = None) -> tuple[When, ...]:
    """Each Call whose answer has not come within `answer_fail_s`, since it went on to the other side for the last time
    and less what this program has held up. Not if the connection ends before."""
    return (When("unanswered", ANY, by),)


def message(by: Side | None = None) -> tuple[When, ...]:
    """Each message, whatever it is, also one that cannot be read."""
    return (When("message", ANY, by),)


def control(*opcodes: str, by: Side | None = None) -> tuple[When, ...]:
    """Each ping or pong."""
    return tuple(When("control", opcode, by) for opcode in opcodes or ("ping", "pong"))


HANDSHAKE = (When("handshake"),)  # each handshake, whatever came of it; `now.record` is its Opened
OPENED = (When("opened"),)        # each connection that came of one
CLOSED = (When("closed"),)        # the end of a connection; `now.record` is its Closed, None where it is not on record


class Registered(NamedTuple):
    """`rule_id` is "" for a function that only keeps a book, in `versions`. `counts`: a rule that heard of one of these
    occasions had something to judge; so it is with a rule's first function, while further ones hear of what may
    follow."""

    rule_id: str
    occasions: tuple[When, ...]
    function: Check
    counts: bool = True
    versions: tuple[Version, ...] = VERSIONS


REGISTERED: dict[str, list[Registered]] = {}  # by rule
Function = TypeVar("Function", bound=Check)


def check(rule_id: str, *occasions: tuple[When, ...]) -> Callable[[Function], Function]:
    """Ask the function on these occasions, whenever the rule is in force."""

    def register(function: Function) -> Function:
        others = REGISTERED.setdefault(rule_id, [])
        others.append(Registered(rule_id, _all(occasions), function, counts=not others))
        return function

    return register


IN_16: tuple[Version, ...] = ("1.6",)
IN_2X: tuple[Version, ...] = ("2.0.1", "2.1")


def learn(
    *occasions: tuple[When, ...], versions: tuple[Version, ...] = VERSIONS
) -> Callable[[Function], Function]:
    """Let the function keep a book that several rules share: it hears of these occasions once the rules have judged,
    whichever of them are in force, and says nothing."""

    def register(function: Function) -> Function:
        REGISTERED.setdefault("", []).append(Registered("", _all(occasions), function, versions=versions))
        return function

    return register


def _all(occasions: tuple[tuple[When, ...], ...]) -> tuple[When, ...]:
    return tuple(one for group in occasions for one in group)
