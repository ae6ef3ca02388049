"""The names of everything that can be wrong with the framing of a message, or with the WebSocket frames beneath it.

Decides the vocabulary of `Defect.code` and which rule of the catalogue each belongs to. Refuses to know how a defect is
found (`reader`, `regularity`, the relay's links) and how bad it is (the rules).

Source: OCPP-J 1.6 sections 4.1 and 4.2; OCPP 2.0.1 and 2.1 Part 4 chapter 4; RFC 8259; RFC 6455 chapter 5.
"""

from __future__ import annotations

from collections.abc import Mapping

from ocpp_proxy.core.frame import Call, CallResult, Frame, Send

DEFECTS: Mapping[str, str] = {
    # What the reader sees, whatever the version.
    "not-json": "frame-json",
    "not-utf8": "frame-json",
    "bom": "frame-json",
    "nul": "frame-json",
    "control-character": "frame-json",
    "nan": "frame-json",
    "number-range": "frame-json",
    "lone-surrogate": "frame-json",
    "too-deep": "frame-json",
    "too-complex": "frame-json",
    "leading-data": "frame-json",
    "trailing-data": "frame-json",
    "duplicate-key": "schema-duplicate-key",
    "binary-opcode": "frame-binary",
    "not-array": "frame-array",
    "type-id-not-integer": "frame-array",
    "type-unknown": "frame-type-unknown",
    "arity": "frame-arity",
    "id-not-string": "frame-id-type",
    "id-empty": "frame-id-length",
    "id-too-long": "frame-id-length",
    "action-not-string": "frame-action-unknown",
    "payload-null": "frame-payload-null",
    "payload-not-object": "schema-type",
    "error-code-not-string": "frame-error-code",
    "error-description-not-string": "frame-error-details",
    "error-details-not-object": "frame-error-details",
    # What takes the version and the sender to see.
    "type-not-in-version": "frame-type-unknown",
    "type-direction": "frame-type-direction",
    "action-unknown": "frame-action-unknown",
    "action-case": "frame-action-case",
    "action-direction": "frame-action-direction",
    "error-code-unknown": "frame-error-code",
    "error-description-too-long": "frame-error-details",
    # What made the relay end a connection.
    "breach": "ws-breach",
    "message-too-big": "ws-message-too-big",
}

# With one of these the payload was not read to its end, or is none that a schema could be asked about.
_UNREAD = frozenset({"not-json", "too-deep", "too-complex", "payload-not-object"})


def has_payload(frame: Frame) -> bool:
    """Whether the frame's payload can be held against a schema: it was read whole, and is an object or null."""
    if not isinstance(frame, (Call, CallResult, Send)):
        return False
    if not frame.defects:
        return True
    codes = {defect.code for defect in frame.defects}
    return codes.isdisjoint(_UNREAD) and (isinstance(frame.payload, dict) or "payload-null" in codes)
