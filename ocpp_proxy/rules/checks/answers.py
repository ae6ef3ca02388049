"""Whether and how Calls are answered.

Source: OCPP-J 1.6 sections 4.1 and 4.2; OCPP 2.0.1 and 2.1 Part 4 chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.frame import OTHER_SIDE, Call
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check
from ocpp_proxy.rules.place import SHOWN


@check("frame-no-answer", call(retries=True), call(by="csms", retries=True))
def no_answer(now: Now) -> None:
    exchange = now.exchange
    if exchange is None or exchange.withheld or not isinstance(now.frame, Call):
        return
    held_s = now.called_time - now.time  # since it went on only then
    now.later(now.bounds.answer_fail_s + held_s, not_answered, data=OTHER_SIDE[now.speaker],
              key=(now.connection, now.speaker, exchange.message_id))


@check("frame-no-answer", answer(), answer(by="csms"))
def answered(now: Now) -> None:
    if now.exchange is not None:
        now.cancel((now.connection, now.exchange.caller, now.exchange.message_id))


def not_answered(now: Now, deadline: Deadline) -> Iterator[Hit]:
    side, action = deadline.data, deadline.place.action
    yield now.hit(f"The {SHOWN[side]} has not answered {action} within {now.bounds.answer_fail_s:g} s",
                  place=deadline.place, by=side)
