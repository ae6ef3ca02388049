"""Which messages of a station are sent as it happens, so that their times tell of its clock.

Decides it by what has brought them about, seen just before. Messages that may have waited in a queue, or that tell of
something that lasts, are not among them. Refuses to look at the times themselves, but for whether two of them are as
far apart as their messages.

Source: OCPP 1.6 edition 2 sections 3.7, 4.8 to 4.10 and 5.17; OCPP 2.0.1 Part 2 blocks E and F.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ocpp_proxy.core.payload import folded, integer, items, kept, member, moment_us, objects, text
from ocpp_proxy.core.station.tokens import token_in
from ocpp_proxy.rules.checks import boot16_book as boots
from ocpp_proxy.rules.now import Now

LIVE_S = 60.0   # what follows so soon on a cause is sent as it happens
APART_S = 30.0  # messages that waited come closer together
PACE_S = 10.0   # as far as two times may be apart otherwise than the messages
DELAY_S = 30    # MinimumStatusDuration that delays statuses


def live(now: Now) -> bool:
    """Whether the message cannot have waited: something that was seen just now has brought it about. Where the CSMS
    leaves an earlier CALL without an answer, everything waits."""
    link, judge = now.link, _LIVE.get(now.action)
    if link is None or judge is None or not link.whole:
        return False
    waits = link.called.get("station", 0.0) > link.heard.get("csms", link.opened_time)
    return not waits and judge(now)


def _status_changed(now: Now) -> bool:
    """A connector's status is another than the one told some time ago on the same connection, and the two times are as
    far apart as the messages."""
    connectors, request = now.session.connectors, now.request
    if now.version == "1.6":
        connector, name = connectors.get(integer(request, "connectorId")), text(request, "status")
    else:
        connector = connectors.get(integer(request, "evseId"), integer(request, "connectorId") or 0)
        name = text(request, "connectorStatus")
    last = connector.status if connector is not None else None
    at_us = moment_us(request, "timestamp")
    if last is None or at_us is None or last.at_us is None or last.ref.connection != now.connection:
        return False
    if last.name == name or boots.wanted(now, now.action):
        return False
    apart_s = now.time - last.time
    delayed = (now.session.settings.integer("MinimumStatusDuration") or 0) >= DELAY_S
    return not delayed and apart_s >= APART_S and abs((at_us - last.at_us) / 1e6 - apart_s) <= PACE_S


def _authorised(now: Now) -> bool:
    """The CSMS has just authorised the token."""
    token = token_in(now.request)
    known = now.session.tokens.get(token)
    return known is not None and known.by == "Authorize" and now.time - known.time <= LIVE_S


def _commanded(now: Now, action: str, key: str, value: Any) -> bool:
    """The station has just accepted that command."""
    return any(command.status == "Accepted" and value is not None and _same(command.request.get(key), value)
               for command in now.session.commands.since(now.time - LIVE_S, action))


def _same(left: Any, right: Any) -> bool:
    return folded(left) == folded(right) if isinstance(left, str) else bool(left == right)


def _started(now: Now) -> bool:
    return _authorised(now) or _commanded(now, "RemoteStartTransaction", "idTag", kept(now.request, "idTag"))


def _stopped(now: Now) -> bool:
    """One that brings samples may have been put together before."""
    if items(now.request, "transactionData"):
        return False
    number = integer(now.request, "transactionId")
    return _authorised(now) or _commanded(now, "RemoteStopTransaction", "transactionId", number)


def _sampled(now: Now) -> bool:
    """All its values were taken because the CSMS asked for them."""
    contexts = [text(one, "context") for _, value in objects(now.request, "meterValue")
                for _, one in objects(value, "sampledValue")]
    return bool(contexts) and all(one == "Trigger" for one in contexts) and boots.wanted(now, now.action)


def _event(now: Now) -> bool:
    request = now.request
    reason, number = text(request, "triggerReason"), kept(request, "transactionInfo", "transactionId")
    if member(request, "offline") is True:
        return False
    if reason in ("Authorized", "StopAuthorized"):
        return _authorised(now)
    if reason == "RemoteStart":
        remote = integer(request, "transactionInfo", "remoteStartId")
        return _commanded(now, "RequestStartTransaction", "remoteStartId", remote)
    if reason == "RemoteStop":
        return _commanded(now, "RequestStopTransaction", "transactionId", number)
    return reason == "Trigger" and boots.wanted(now, now.action)


def _reported(now: Now) -> bool:
    """The first part of a report that the CSMS has just asked for."""
    request_id = integer(now.request, "requestId")
    return integer(now.request, "seqNo") == 0 and any(
        _commanded(now, action, "requestId", request_id) for action in ("GetBaseReport", "GetReport"))


_LIVE: Mapping[str, Callable[[Now], bool]] = {
    "StatusNotification": _status_changed, "StartTransaction": _started, "StopTransaction": _stopped,
    "MeterValues": _sampled, "TransactionEvent": _event, "NotifyReport": _reported,
}  # fmt: skip
