"""The gate before the capture: one message is read, and masked, before it is recorded and goes on.

Decides what of a message and of a handshake may be stored and analysed. Refuses to know what happens to it then. What
is analysed is read from the masked bytes, so that a live run and a later check see the same.

Source: INTERFACE "Secrets"; see `redact` and `credentials`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ocpp_proxy.core.blunt import PartMasker as PartMasker
from ocpp_proxy.core.credentials import mask_headers as mask_headers
from ocpp_proxy.core.credentials import mask_target as mask_target
from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import Mask
from ocpp_proxy.core.redact import may_hold_secret, redact


@dataclass(slots=True)  # not frozen: one is made for each message
class Admitted:
    """`data` is what may be recorded, `frame` was read from it, `masked` says what was replaced in it."""

    frame: Frame
    data: bytes
    masked: tuple[Mask, ...] = ()


def admit(raw: bytes, *, binary: bool, keep_secrets: bool) -> Admitted:
    """Never raises, whatever the bytes. `binary`: the message came with the binary opcode."""
    if keep_secrets or not may_hold_secret(raw):
        return Admitted(read(raw, binary=binary), raw)
    data, masked = redact(raw)
    return Admitted(read(data, binary=binary), data, masked)
