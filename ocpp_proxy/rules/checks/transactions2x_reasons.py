"""Why a TransactionEvent of 2.x was sent, why the transaction ended, and what its chargingState is: whether they agree
with each other and with what the CSMS asked.

Source: OCPP 2.0.1 and 2.1 Part 2, TriggerReasonEnumType, ReasonEnumType, block E section 1.5, E01.FR.15, E01.FR.18,
E02.FR.17, E02.FR.20, E03.FR.05, E05.FR.10, E06.FR.08, E06.FR.16, F01.FR.19, F02.FR.21, F03.FR.03; B12.FR.04 and
B12.FR.08 with the 2.0.1 errata 2.16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.core.station.tokens import token_in
from ocpp_proxy.rules.checks.transactions2x_book import (
    GRANTS,
    REVOKES,
    Event,
    Story,
    Told,
    fresh,
    has_meter,
    in_order,
    stories,
)
from ocpp_proxy.rules.checks.transactions2x_values import contexts, energy_wh
from ocpp_proxy.rules.now import Deadline, FrameRef, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check, learn

RESET_S = 600.0            # how long a Reset may be the reason
RESTING_WH = Decimal(100)  # what may flow where none should: standby, a resolution
RESTING_W = Decimal(500)
HOUR_US = 3_600_000_000

METERED = {"MeterValuePeriodic": "Sample.Clock", "MeterValueClock": "Sample.Periodic"}  # and what is the other's
IMPOSSIBLE: Mapping[str, frozenset[str]] = {
    "CablePluggedIn": frozenset(("Idle",)),
    "EVCommunicationLost": frozenset(("Charging",)),
    "EVConnectTimeout": frozenset(("Charging", "EVConnected", "SuspendedEV", "SuspendedEVSE")),
}
FAULTS = frozenset(("EmergencyStop", "GroundFault", "OvercurrentFault", "PowerQuality"))

# triggerReason of an Ended → the stoppedReasons that go with it.
WANTED: Mapping[str, frozenset[str]] = {
    "RemoteStop": frozenset(("Remote",)),
    "ResetCommand": frozenset(("ImmediateReset",)),
    "Deauthorized": frozenset(("DeAuthorized", "EVDisconnected", "ReqEnergyTransferRejected")),
    "EVConnectTimeout": frozenset(("Timeout",)),
}
NOT_LOCAL = frozenset(WANTED) | {
    "AbnormalCondition", "CostLimitReached", "EnergyLimitReached", "SoCLimitReached", "TariffNotAccepted",
    "TimeLimitReached",
}  # fmt: skip
# stoppedReason → the triggerReasons that may have told of it, in the Ended or before.
EXPLAINED: Mapping[str, frozenset[str]] = {
    "Remote": frozenset(("RemoteStop",)),
    "ImmediateReset": frozenset(("ResetCommand",)),
    "Timeout": frozenset(("EVConnectTimeout",)),
    "DeAuthorized": frozenset(("Deauthorized", "EVCommunicationLost", "TariffNotAccepted")),
    "MasterPass": frozenset(("StopAuthorized",)),
    "EVDisconnected": frozenset(("EVCommunicationLost", "EVDeparted", "ChargingStateChanged", "Deauthorized")),
}


@dataclass(slots=True)
class Reset:
    """The last immediate Reset that the station accepted; `evse`: None for the station."""

    ref: FrameRef | None = None
    time: float = 0.0
    evse: int | None = None


@learn(answer("Reset", by="csms"))
def learn_reset(now: Now) -> None:
    if text(now.request, "type") == "Immediate" and now.status == "Accepted":
        book = now.session.book(Reset)
        book.ref, book.time, book.evse = now.ref, now.time, integer(now.request, "evseId")


@dataclass(slots=True)
class RemoteStart:
    """The last RequestStartTransaction, until an event tells its number."""

    ref: FrameRef | None = None
    time: float = 0.0
    evse: int | None = None
    token: str | None = None


@learn(call("RequestStartTransaction", by="csms"))
def learn_remote(now: Now) -> None:
    book = now.session.book(RemoteStart)
    book.ref, book.time = now.ref, now.time
    book.evse, book.token = integer(now.request, "evseId"), token_in(now.request)


@learn(call("TransactionEvent"))
def learn_number(now: Now) -> None:
    if (one := fresh(now)) is not None and one.event.remote_id is not None:
        now.session.book(RemoteStart).ref = None


def reset_of(now: Now, story: Story) -> FrameRef | None:
    """The Reset that came while the transaction was running."""
    book = now.session.book(Reset)
    meant = book.evse is None or book.evse == story.evse
    recent = story.first_time <= book.time and now.time - book.time <= RESET_S
    return book.ref if book.ref is not None and meant and recent else None


# triggerReason


@check("te-trigger-reason", call("TransactionEvent"))
def trigger_reason(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is not None:
        hit = (_remote_start(now, one) or _meter(now, one.event) or _state(now, one.event) or _card(now, one)
               or _asked(now, one) or _fault(now, one))  # fmt: skip
        if hit is not None:
            yield hit


def _remote_start(now: Now, one: Told) -> Hit | None:
    event = one.event
    if event.reason == "RemoteStart":
        if event.remote_id is not None:
            return None
        asked = _just_asked(now, event)
        if asked is None and not (one.in_turn and one.first("remote_id")):
            return None
        return now.hit("triggerReason is RemoteStart, and no remoteStartId was told", "/transactionInfo/remoteStartId",
                       expected="remoteStartId", case="remote-id", also=[asked])
    if event.remote_id is not None and one.in_turn and one.first("remote_id"):
        return _wrong(now, event, "RemoteStart", "where remoteStartId is told for the first time")
    return None


def _just_asked(now: Now, event: Event) -> FrameRef | None:
    """The RequestStartTransaction that the event must be about."""
    book = now.session.book(RemoteStart)
    same_place = event.evse is not None and event.evse == book.evse
    same_token = event.token is not None and event.token == book.token
    return book.ref if (same_place or same_token) and now.time - book.time <= now.bounds.start_s else None


def _meter(now: Now, event: Event) -> Hit | None:
    if event.reason not in METERED:
        return None
    if not has_meter(now):
        return now.hit(f"triggerReason is {event.reason}, and there is no meterValue", "/meterValue",
                       expected="meterValue")
    foreign = METERED[event.reason]
    if contexts(now.request) == {foreign}:
        return now.hit(f"triggerReason is {event.reason}, and the context of every value is {foreign}",
                       "/triggerReason", seen=event.reason)
    return None


def _state(now: Now, event: Event) -> Hit | None:
    if event.state not in IMPOSSIBLE.get(event.reason, ()):
        return None
    return now.hit(f"triggerReason is {event.reason}, and chargingState is {event.state}", "/triggerReason",
                   seen=event.reason)


def _card(now: Now, one: Told) -> Hit | None:
    """The token that authorizes a running transaction is told with triggerReason Authorized."""
    event, story = one.event, one.story
    if story is None or not one.in_turn or event.token is None or story.token is not None or event.kind == "Ended":
        return None
    if story.authorized is not False or event.reason in GRANTS | REVOKES | {"TxResumed"}:
        return None
    return _wrong(now, event, "Authorized", "where the running transaction's idToken is told for the first time")


def _asked(now: Now, one: Told) -> Hit | None:
    """What the CSMS asked for is the reason, and what it did not ask for is none."""
    event, story = one.event, one.story
    if story is None or event.offline or not one.in_turn:
        return None
    if event.reason == "RemoteStop" and story.stop_called is None and "RemoteStop" not in story.reasons:
        if not stories(now).whole(story):
            return None
        return now.hit("triggerReason is RemoteStop, and the CSMS has not asked to stop the transaction",
                       "/triggerReason", seen=event.reason)
    if event.kind != "Ended":
        return None
    for wanted, asked, action in (("RemoteStop", story.stop_called, "RequestStopTransaction"),
                                  ("ResetCommand", reset_of(now, story), "Reset")):
        if event.reason == wanted or wanted in story.reasons:
            return None
        if asked is not None:
            return _wrong(now, event, wanted, f"where the transaction ends after {action}", asked)
    return None


def _fault(now: Now, one: Told) -> Hit | None:
    event, wanted = one.event, "AbnormalCondition"
    if event.kind != "Ended" or event.stopped not in FAULTS or event.reason == wanted or not one.in_turn:
        return None
    if one.story is not None and wanted in one.story.reasons:
        return None
    return _wrong(now, event, wanted, f"where stoppedReason is {event.stopped}")


def _wrong(now: Now, event: Event, wanted: str, where: str, asked: FrameRef | None = None) -> Hit:
    return now.hit(f"triggerReason is {event.reason[:40]} {where}", "/triggerReason", seen=event.reason[:40],
                   expected=wanted, also=[asked])


# stoppedReason


@check("te-stopped-reason", call("TransactionEvent"))
def stopped_reason(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.kind != "Ended":
        return
    event, story = one.event, one.story
    before = story.reasons if story is not None else frozenset[str]()
    stopped, pointer = event.stopped, "/transactionInfo/stoppedReason"
    if stopped is None:
        if event.reason in NOT_LOCAL and "StopAuthorized" not in before:
            yield now.hit(f"A transaction ended by {event.reason} has no stoppedReason, which means Local", pointer,
                          expected=sorted(WANTED.get(event.reason, ())) or "not Local")
    elif stopped not in WANTED.get(event.reason, (stopped,)) and not _explained(now, story, stopped, before):
        yield now.hit(f"A transaction ended by {event.reason} has stoppedReason {stopped[:40]}", pointer,
                      seen=stopped[:40], expected=sorted(WANTED[event.reason]))
    elif one.in_turn and stopped in EXPLAINED and not _explained(now, story, stopped, {*before, event.reason}):
        yield now.hit(f"stoppedReason is {stopped}, and triggerReason is {event.reason[:40]}, as is nothing before it "
                      "that would tell of it", pointer, seen=stopped, expected=_reasons(stopped))


def _reasons(stopped: str) -> str:
    return f"triggerReason {' or '.join(sorted(EXPLAINED[stopped]))}"


def _explained(now: Now, story: Story | None, stopped: str, reasons: set[str] | frozenset[str]) -> bool:
    if stopped == "Local":
        return "StopAuthorized" in reasons
    if story is not None and ((stopped == "Remote" and story.stop_called is not None)
                              or (stopped == "DeAuthorized" and story.refused)
                              or (stopped == "ImmediateReset" and reset_of(now, story) is not None)):
        return True
    return not EXPLAINED.get(stopped, frozenset()).isdisjoint(reasons)


# chargingState


@check("te-charging-state", call("TransactionEvent"))
def charging_state(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None:
        return
    event = one.event
    if event.state is not None or event.kind == "Ended":
        now.cancel(event.tx)
    if event.state is None and event.reason == "ChargingStateChanged":
        yield now.hit("triggerReason is ChargingStateChanged, and there is no chargingState",
                      "/transactionInfo/chargingState", expected="chargingState")
    elif event.state is None and event.kind != "Ended" and _changes(now, event):
        now.later(now.bounds.status_s, no_state, key=event.tx, data=event.reason)
    elif in_order(one) and one.story is not None:
        yield from _rests(now, event, one.story)


def _changes(now: Now, event: Event) -> bool:
    """Whether the state has certainly changed. In 2.1 it may be left out while no car is connected."""
    return event.reason == "CablePluggedIn" or (event.kind == "Started" and now.version == "2.0.1")


def no_state(now: Now, deadline: Deadline) -> Iterator[Hit]:
    within_s = f"{now.bounds.status_s:g} s"
    what = "The cable was plugged in" if deadline.data == "CablePluggedIn" else "The transaction began"
    yield now.hit(f"{what}, and no TransactionEvent has told the chargingState within {within_s}",
                  "/transactionInfo/chargingState", expected="chargingState", place=deadline.place)


def _rests(now: Now, event: Event, story: Story) -> Iterator[Hit]:
    if story.resting is None or event.at_us is None or event.state not in (None, story.state):
        return
    reading = energy_wh(now.request)
    since_wh, since_us = story.resting
    if reading is None or event.at_us <= since_us:
        return
    flowed = reading - since_wh
    if flowed > RESTING_WH and flowed * HOUR_US > RESTING_W * (event.at_us - since_us):
        yield now.hit(f"Energy flows while chargingState is {story.state}", "/meterValue", seen=story.state,
                      expected="Charging", connector=story.evse)
