"""Calls that nobody answers.

Source: OCPP-J 1.6 section 4.1; OCPP 2.0.1 and 2.1 Part 4 chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check, unanswered
from ocpp_proxy.rules.place import SHOWN, Place, connector_in, evidence_of, transaction_in


@check("frame-no-answer", call(), call(by="csms"))
def called(now: Now) -> None:
    """There is something to judge."""


@check("frame-no-answer", unanswered())
def not_answered(now: Now) -> Iterator[Hit]:
    exchange = now.exchange
    if exchange is None:
        return
    ref, request, by = FrameRef(now.connection, exchange.called_seq), exchange.request, OTHER_SIDE[exchange.caller]
    place = Place(now.connection, now.session, ref, exchange.caller,
                  evidence_of(now.connection, ref.seq, exchange, None), exchange.action, connector_in(request),
                  transaction_in(request))
    yield now.hit(f"The {SHOWN[by]} has not answered {exchange.action} within {now.bounds.answer_fail_s:g} s",
                  place=place, by=by)
