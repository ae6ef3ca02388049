"""Where a finding is: which frame breaks a rule, who put it on the wire, and which frames to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.core.exchange import Exchange, Past
from ocpp_proxy.core.frame import Sender
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import member
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.session import Session

SHOWN: Mapping[Sender, str] = {"station": "station", "csms": "CSMS", "proxy": "proxy"}


@dataclass(frozen=True, slots=True)
class Place:
    """`frame`: the frame that breaks the rule, None if it is not on record; `sender`: who is at fault; `evidence`: the
    frames to look at, in order; `connector`: connector, or EVSE in 2.x; it and `transaction` are None where the
    messages name none."""

    connection: str
    session: Session
    frame: FrameRef | None
    sender: Sender
    evidence: tuple[FrameRef, ...]
    action: str = ""
    connector: int | None = None
    transaction: int | str | None = None


def sender_of(now: Occasion) -> Sender:
    """Who put the frame itself on the wire as it is."""
    record = now.record
    if not isinstance(record, FrameRecord):
        return now.side or "proxy"
    return "proxy" if record.origin == "modified" else record.sender


def caller_of(exchange: Exchange) -> Sender:
    """Who put the Call of an exchange on the wire."""
    return "proxy" if exchange.injected else exchange.caller


def place_of(now: Occasion, *, earlier: Past | None = None, call: bool = False) -> Place:
    """The frame itself is what is wrong; with `call`, the Call of the exchange that it answers."""
    exchange = now.exchange
    sender, frame = sender_of(now), now.ref
    if call and exchange is not None and exchange.answer is now.frame:
        sender, frame = caller_of(exchange), now.call_ref
    request = now.request
    action = exchange.action if exchange is not None else earlier.action if earlier is not None else ""
    evidence = evidence_of(now.connection, frame.seq, exchange, earlier)
    return Place(now.connection, now.session, frame if frame.seq else None, sender, evidence, action,
                 connector_in(request), transaction_in(request))


def evidence_of(
    connection: str, seq: int, exchange: Exchange | None, earlier: Past | None
) -> tuple[FrameRef, ...]:
    seqs = {seq} if seq else set()
    if exchange is not None:
        seqs |= {exchange.call_seq, exchange.answer_seq or seq or exchange.call_seq}
    if earlier is not None:
        seqs |= {earlier.call_seq, earlier.answer_seq or seq}
    return tuple(FrameRef(connection, one) for one in sorted(seqs))


def connector_in(request: Any) -> int | None:
    """The connector that a request names; in 2.x its EVSE."""
    if not isinstance(request, dict):
        return None
    number = request.get("evseId", request.get("connectorId", member(request, "evse", "id")))
    return number if type(number) is int else None


def transaction_in(request: Any) -> int | str | None:
    if not isinstance(request, dict):
        return None
    number = request.get("transactionId", member(request, "transactionInfo", "transactionId"))
    return number if type(number) in (int, str) else None
