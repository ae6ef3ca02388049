"""How Calls are answered; whether they are at all is another module's (`answers_missing`).

Source: OCPP-J 1.6 sections 4.1 and 4.2; OCPP 1.6 edition 2 sections 4.7, 4.8 and 4.10; OCPP 2.0.1 and 2.1 Part 2 FR.02,
FR.03, E01, J01.FR.18 and J02.FR.19, Part 4 chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import CallError, CallResult
from ocpp_proxy.core.vocabulary import ACTIONS, ERROR_CODES, find_action
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, check
from ocpp_proxy.rules.place import SHOWN

# Messages that carry what is paid for: whatever the CSMS thinks of their content, it has to take them.
DATA = ("StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent")
NOT_THE_CONTENT = "RpcFrameworkError"  # a complaint about the frame, or about a second Call at a time

OCCURRENCE = frozenset({"OccurenceConstraintViolation", "OccurrenceConstraintViolation"})
FORMAT = frozenset({"FormationViolation", "FormatViolation"})
INVALID = OCCURRENCE | FORMAT | {"TypeConstraintViolation", "PropertyConstraintViolation", "ProtocolError"}
# Requests for a list that may be longer than the receiver takes, which it may say in these words (B06.FR.16, …).
LISTS = frozenset((
    "GetConfiguration", "SendLocalList", "GetVariables", "SetVariables", "GetReport", "SetVariableMonitoring",
    "ClearVariableMonitoring",
))  # fmt: skip
LONGEST_ACTION = 60


@check("frame-slow-answer", answer(), answer(by="csms"))
def slow_answer(now: Now) -> Iterator[Hit] | None:
    return _slow(now) if now.latency_s > now.bounds.answer_warn_s else None


def _slow(now: Now) -> Iterator[Hit]:
    """Beyond `answer_fail_s` it has not been answered at all, which is another rule's."""
    if now.latency_s <= now.bounds.answer_fail_s:
        yield now.hit(f"The {SHOWN[now.speaker]} took more than {now.bounds.answer_warn_s:g} s to answer"
                      f" {_action(now)}", connector=None, transaction=None)


@check("frame-error-masks-data", answer("StartTransaction", "StopTransaction", "MeterValues"))
def error_masks_data(now: Now) -> Iterator[Hit] | None:
    return _masking_data(now) if now.error is not None else None


def _masking_data(now: Now) -> Iterator[Hit]:
    frame, exchange = now.frame, now.exchange
    if not isinstance(frame, CallError) or exchange is None or now.injected or not _valid(now, exchange):
        return
    if frame.code != NOT_THE_CONTENT and not _unregistered(now, frame.code):
        code = frame.code if frame.code in ERROR_CODES[now.version] else None  # others name whatever they like
        yield now.hit(f"{now.action} was answered with CALLERROR {code or 'of a code that OCPP does not have'}",
                      "/code", seen=code, expected="a CALLRESULT", connector=None, transaction=None)


@check("frame-invalid-accepted", answer(), answer(by="csms"))
def invalid_accepted(now: Now) -> Iterator[Hit] | None:
    exchange = now.exchange
    if exchange is None or not (exchange.faults or exchange.call.defects):
        return None
    return _accepted(now, exchange)


def _accepted(now: Now, exchange: Exchange) -> Iterator[Hit]:
    if isinstance(now.frame, CallResult) and (faults := _faults(exchange)):
        yield now.hit(f"{_action(now)}, whose payload breaks its schema ({', '.join(faults)}), was answered with a"
                      " CALLRESULT", seen=faults, expected="a CALLERROR", connector=None, transaction=None)


@check("frame-valid-rejected", answer(), answer(by="csms"))
def valid_rejected(now: Now) -> Iterator[Hit] | None:
    return _rejected(now) if now.error is not None else None


def _rejected(now: Now) -> Iterator[Hit]:
    frame, exchange = now.frame, now.exchange
    if not isinstance(frame, CallError) or frame.code not in INVALID or exchange is None:
        return
    if not _valid(now, exchange) or _unregistered(now, frame.code) or _may_be_refused(now, exchange, frame.code):
        return
    yield now.hit(f"{now.action}, whose payload is valid by its schema, was answered with CALLERROR {frame.code}",
                  "/code", seen=frame.code, connector=None, transaction=None)


@check("frame-error-notimpl-swap", answer(), answer(by="csms"))
def notimpl_swap(now: Now) -> Iterator[Hit] | None:
    return _swapped(now) if now.error is not None else None


def _swapped(now: Now) -> Iterator[Hit]:
    frame, exchange = now.frame, now.exchange
    if not isinstance(frame, CallError) or exchange is None or _carries_data(exchange):
        return
    known = find_action(now.version, now.action) is not None
    if frame.code == "NotSupported" and not known:
        yield now.hit(f"{_action(now)}, which OCPP {now.version} does not have, was answered with NotSupported, the"
                      " code for an action that is known", "/code", seen=frame.code, expected="NotImplemented")
    elif frame.code == "NotImplemented" and known and (why := _knows(now, exchange)) is not None:
        yield now.hit(f"{now.action} was answered with NotImplemented, the code for an action that is not known, though"
                      f" {why}", "/code", seen=frame.code, expected="NotSupported")


def _action(now: Now) -> str:
    return now.action[:LONGEST_ACTION] or "A CALL"


def _faults(exchange: Exchange) -> list[str]:
    """Ids of the schema rules that the Call breaks, in order."""
    no_object = any(defect.code == "payload-not-object" for defect in exchange.call.defects)
    return sorted({*exchange.faults, "schema-type"} if no_object else exchange.faults)


def _valid(now: Now, exchange: Exchange) -> bool:
    """Whether nothing is wrong with the Call, by its frame, its sender and its schema."""
    action = ACTIONS[now.version].get(exchange.action)
    if action is None or exchange.caller not in action.callers:
        return False
    return not exchange.faults and not exchange.call.defects


def _unregistered(now: Now, code: str) -> bool:
    """Whether the station may have been told that it has not been accepted yet."""
    exchange, status = now.exchange, now.session.registration.status
    if exchange is None or exchange.caller != "station" or exchange.action == "BootNotification":
        return False
    return status != "Accepted" and (status is not None or code == "SecurityError")


def _carries_data(exchange: Exchange) -> bool:
    return exchange.caller == "station" and exchange.action in DATA


def _may_be_refused(now: Now, exchange: Exchange, code: str) -> bool:
    """What the specification answers in these words, or what another rule is about."""
    if exchange.action in LISTS and code in OCCURRENCE | FORMAT:
        return True
    # 1.6 errata 3.24, 3.38 and 3.39 want it for values that no schema can know to be wrong, such as a connector.
    if now.version == "1.6" and exchange.caller == "csms" and code == "PropertyConstraintViolation":
        return True
    return _carries_data(exchange)


def _knows(now: Now, exchange: Exchange) -> str | None:
    """How it shows that who answered knows the action; None where nothing does."""
    profile = ACTIONS[now.version][exchange.action].profile if exchange.action in ACTIONS[now.version] else None
    if profile == "Core":
        return "it belongs to the profile Core"
    if exchange.caller != "csms":
        return None
    if profile is not None and profile.lower() in (now.session.feature_profiles or ()):
        return f"SupportedFeatureProfiles names {profile}"
    before = now.session.commands.since(0.0, exchange.action)
    return "an earlier one was carried out" if any(one.error is None for one in before) else None
