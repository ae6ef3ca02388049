"""What a TransactionEvent of 2.x has to name, and what its answer has to.

An EVSE, a token and a reservation are to be told once, in the first event after they are known; which event that is can
be said only while all events of the transaction have come in the order of their sequence numbers.

Source: OCPP 2.0.1 and 2.1 Part 2, block E section 1.5, E01.FR.10, E01.FR.12, E01.FR.13, E01.FR.16, E02.FR.18,
E03.FR.01, C09.FR.12, H01.FR.15, J02.FR.19.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.frame import CallError, CallResult
from ocpp_proxy.core.payload import member, text
from ocpp_proxy.core.station.connectors import STATION, Reservation
from ocpp_proxy.core.station.tokens import group_in
from ocpp_proxy.core.vocabulary import ERROR_CODES
from ocpp_proxy.rules.checks.transactions2x_book import CONNECTED, GRANTS, Event, fresh, in_order, said
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

ASKED_FOR = frozenset(("Trigger", "TxResumed"))          # such events may repeat what is known
WITH_TOKEN = GRANTS | ASKED_FOR | {"StopAuthorized"}
GROUP_KNOWN_S = 3600.0  # a card may leave its group, but hardly within an hour
OTHERS_FAULT = frozenset(("RpcFrameworkError", "MessageTypeNotSupported"))  # about the frame, not about what it says


@check("te-evse", call("TransactionEvent"))
def evse(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None:
        return
    event, story = one.event, one.story
    if event.evse is not None and story is not None and story.located and event.reason not in ASKED_FOR:
        yield now.hit("evse is told again in a later TransactionEvent", "/evse", case="repeated", connector=None,
                      transaction=None)
        return
    connected = event.reason == "CablePluggedIn" or event.state in CONNECTED
    if one.in_turn and connected and not (story is not None and story.connected):
        missing = [name for name, value in (("id", event.evse), ("connectorId", event.connector)) if value is None]
        if missing:
            yield now.hit(f"The first TransactionEvent with the car connected lacks evse.{' and evse.'.join(missing)}",
                          "/evse", expected="evse.id and evse.connectorId")


@check("te-idtoken", call("TransactionEvent"))
def id_token(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None:
        return
    event, story = one.event, one.story
    if event.token is not None:
        if story is not None and event.token == story.token and event.reason not in WITH_TOKEN:
            yield now.hit("idToken is told again in a later TransactionEvent", "/idToken", case="repeated",
                          connector=None, transaction=None)
        return
    if not one.in_turn or not one.first("token"):
        return
    if event.reason in GRANTS:
        yield now.hit(f"A transaction is authorized ({event.reason}) without an idToken", "/idToken",
                      expected="idToken")
    elif event.state == "Charging" and one.first("charged") and not (story is not None and story.authorized):
        yield now.hit("Energy flows, and no TransactionEvent of the transaction has told an idToken", "/idToken",
                      expected="idToken")


@check("te-phases", call("TransactionEvent"))
def phases(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or not one.in_turn or one.event.state != "Charging":
        return
    if one.first("charged") and one.first("phases") and not one.event.phases:
        yield now.hit("Charging begins without numberOfPhasesUsed", "/numberOfPhasesUsed", connector=None,
                      transaction=None)


@check("te-reservation", call("TransactionEvent"))
def reservation(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if not in_order(one) or one is None or one.event.reserved or one.event.offline or not one.first("token"):
        return
    event, story = one.event, one.story
    if event.token is None or event.reason == "StopAuthorized" or not one.first("reserved"):
        return
    place = event.evse if event.evse is not None or story is None else story.evse
    heard = story.first_time if story is not None else now.time
    for held in now.session.connectors.reservations.values():
        if held.token == event.token and held.time < heard and _applies(held, event, place):
            yield now.hit(f"The token of reservation {held.number} starts a transaction that names no reservationId",
                          "/reservationId", expected=held.number, connector=place, also=[held.ref])
            return


def _applies(held: Reservation, event: Event, place: int | None) -> bool:
    """Whether the reservation holds where the transaction is, and has not run out."""
    if held.place != STATION and held.place[0] != place:
        return False
    return held.expiry_us is None or event.at_us is None or event.at_us < held.expiry_us


# What the CSMS answers


@check("te-idtokeninfo", answer("TransactionEvent"))
def id_token_info(now: Now) -> Iterator[Hit]:
    event = said(now)
    if event is None or event.token is None or not isinstance(now.frame, CallResult):
        return
    info = member(now.response, "idTokenInfo")
    if not isinstance(info, dict):
        yield now.hit("The answer to a TransactionEvent with an idToken has no idTokenInfo", "/idTokenInfo",
                      expected="idTokenInfo")
        return
    known = now.session.tokens.get(event.token)
    if known is None or known.group is None or now.time - known.time > GROUP_KNOWN_S:
        return
    if text(info, "status") == "Accepted" and group_in(info) is None:
        yield now.hit("idTokenInfo lacks the groupIdToken that an earlier answer about this token had",
                      "/idTokenInfo/groupIdToken", expected="groupIdToken", also=[known.ref])


@check("te-response-error", answer("TransactionEvent"))
def response_error(now: Now) -> Iterator[Hit]:
    frame, exchange = now.frame, now.exchange
    if not isinstance(frame, CallError) or exchange is None or exchange.faults or frame.code in OTHERS_FAULT:
        return
    status = now.session.registration.status
    if status not in (None, "Accepted") or (status is None and frame.code == "SecurityError"):
        return
    code = frame.code if frame.code in ERROR_CODES[now.version] else "of a code that OCPP does not have"
    yield now.hit(f"TransactionEvent is answered with CALLERROR {code}", "/code", expected="CALLRESULT", connector=None,
                  transaction=None)
