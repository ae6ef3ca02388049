"""What the stories of transactions of 2.x learn from each message.

Decides what an event changes in what is known of its transaction: where the car is, whether somebody is authorized, how
its energy register stood. Refuses to judge; it hears of a message once the rules have.

Source: as of `transactions2x_book`.
"""

from __future__ import annotations

from bisect import insort

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.payload import flag, kept, moment_us, text
from ocpp_proxy.rules.checks.transactions2x_book import (
    CONNECTED,
    GRANTS,
    REVOKES,
    SHAKES,
    Event,
    Mark,
    Story,
    has_meter,
    stories,
    told,
)
from ocpp_proxy.rules.checks.transactions2x_values import energy_wh
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import IN_2X, answer, call, learn

MARKS_KEPT = 16
REASONS_KEPT = 40
QUEUED_US = 60_000_000


@learn(call("TransactionEvent"))
def learn_event(now: Now) -> None:
    one, book = told(now), stories(now)
    if one is None:
        return
    story = one.story or Story(kept(now.request, "transactionInfo", "transactionId") or "", now.ref, now.time)
    book.keep(one.event.tx, story)
    if _joined(now, story):
        book.hole_time = now.time
    story.last_time = now.time
    if one.fresh:
        _mark(now, one.event, story, one.in_turn)
        _tell(now, one.event, story, one.in_turn)


@learn(call("TransactionEvent", "StatusNotification", "NotifyEvent"), versions=IN_2X)
def learn_lag(now: Now) -> None:
    """How late what is told arrives. What is quickest counts, and an event that is much later was queued."""
    if now.injected or flag(now.request, "offline"):
        return
    at_us = moment_us(now.request, "generatedAt" if now.action == "NotifyEvent" else "timestamp")
    if at_us is None:
        return
    book, lag_us = stories(now), now.at.utc_us - at_us
    if now.action != "TransactionEvent" or book.lag_us is None or lag_us < book.lag_us + QUEUED_US:
        book.live.append(lag_us)


@learn(call("BootNotification"), versions=IN_2X)
def learn_boot(now: Now) -> None:
    """The answer may set the clock."""
    stories(now).live.clear()


def _joined(now: Now, story: Story) -> bool:
    """Whether something may have passed unseen between this connection and that of the last event."""
    if story.last is None or story.last.ref.connection == now.connection:
        return False
    windows = now.session.links.windows
    return now.link is None or now.link.opened is None or bool(windows and windows[-1].by == "proxy")


def _mark(now: Now, event: Event, story: Story, in_turn: bool) -> None:
    mark = Mark(event.seq, event.kind, event.reason, event.at_us, now.ref)
    story.in_turn = in_turn
    story.last = mark
    story.count(event.seq)
    insort(story.marks, mark)
    if len(story.marks) > MARKS_KEPT:
        del story.marks[0]
    if event.kind == "Started" and story.begun is None:
        story.begun = mark
    elif event.kind == "Ended" and story.ended is None:
        story.ended, story.ended_time = mark, now.time


def _tell(now: Now, event: Event, story: Story, in_turn: bool) -> None:
    if event.evse is not None:
        story.evse = event.evse
        story.connector = event.connector if event.connector is not None else story.connector
    story.authorized = _authorized(event, story.authorized) if in_turn else None
    if event.token is not None and story.token is None and event.reason != "StopAuthorized":
        story.token, story.token_type = event.token, event.token_type
    story.remote_id = event.remote_id if event.remote_id is not None else story.remote_id
    story.reserved = story.reserved or event.reserved
    story.phases = story.phases or event.phases
    if len(story.reasons) < REASONS_KEPT:
        story.reasons.add(event.reason)
    if event.reason == "MeterValuePeriodic" and has_meter(now):
        story.sampled = True
    if in_turn:
        _place(event, story)
        _rest(now, event, story)
    newest = story.spans[-1][1] == event.seq
    if event.state is not None and newest:
        story.state = event.state
        story.charged = story.charged or event.state == "Charging"


def _authorized(event: Event, before: bool | None) -> bool | None:
    if event.reason in REVOKES:
        return False
    if event.reason in GRANTS or event.token is not None:
        return True
    if event.reason in SHAKES and before:
        return None
    return False if event.kind == "Started" else before


def _place(event: Event, story: Story) -> None:
    if event.reason == "CablePluggedIn" or event.state in CONNECTED:
        story.connected = True
    elif event.state == "Idle" or event.kind == "Started":
        story.connected = False
        story.located = False
    if story.connected and event.evse is not None and event.connector is not None:
        story.located = True


def _rest(now: Now, event: Event, story: Story) -> None:
    """Where the register stood when the car, by the chargingState, began not to draw anything."""
    state = event.state or story.state
    if state is None or state == "Charging":
        story.resting = None
    elif story.resting is None and event.at_us is not None and state == story.state:
        reading = energy_wh(now.request)
        story.resting = (reading, event.at_us) if reading is not None else None


@learn(answer("TransactionEvent"))
def learn_verdict(now: Now) -> None:
    if not isinstance(now.frame, CallResult):
        return
    status = text(now.response, "idTokenInfo", "status")
    story = stories(now).get(kept(now.request, "transactionInfo", "transactionId"))
    if story is not None and status is not None and status != "Accepted":
        story.refused = True
        story.authorized = None if story.authorized else story.authorized


@learn(call("RequestStopTransaction", by="csms"))
def learn_stop(now: Now) -> None:
    story = stories(now).get(kept(now.request, "transactionId"))
    if story is not None:
        story.stop_called = now.ref
