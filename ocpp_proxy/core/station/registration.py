"""Whether the CSMS has accepted the station, and since which boot.

Keeps the last answer to a BootNotification, and the times of the last BOOTS_KEPT of them.

Source: OCPP 1.6 edition 2 section 4.2; OCPP 2.0.1 Part 2 B01 to B03.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import integer, kept, member

BOOTS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Device:
    """What the station said of itself; texts are cut."""

    vendor: str | None
    model: str | None
    serial: str | None
    firmware: str | None

    @classmethod
    def of(cls, request: object) -> Device:
        device = member(request, "chargingStation") or request
        return cls(
            kept(device, "chargePointVendor") or kept(device, "vendorName"),
            kept(device, "chargePointModel") or kept(device, "model"),
            kept(device, "chargePointSerialNumber") or kept(device, "serialNumber")
            or kept(device, "chargeBoxSerialNumber"),
            kept(device, "firmwareVersion"),
        )


@dataclass(frozen=True, slots=True)
class Boot:
    """A BootNotification that was answered. `reason`: of 2.x; `content`: a hash of the request."""

    call: FrameRef
    answer: FrameRef
    time: float
    status: str | None
    interval_s: int | None
    reason: str | None
    device: Device
    content: int


@dataclass(slots=True)
class Registration:
    """`status`: of the last answered boot, None where none was seen; `since`: when it was answered; `pending_call`: a
    BootNotification that has no answer yet."""

    boots: deque[Boot] = field(default_factory=lambda: deque(maxlen=BOOTS_KEPT))
    pending_call: FrameRef | None = None
    pending_time: float = 0.0

    @property
    def last(self) -> Boot | None:
        return self.boots[-1] if self.boots else None

    @property
    def status(self) -> str | None:
        return self.boots[-1].status if self.boots else None

    @property
    def since(self) -> float | None:
        return self.boots[-1].time if self.boots else None

    @property
    def interval_s(self) -> int | None:
        """The interval of the last answer."""
        return self.boots[-1].interval_s if self.boots else None


def called(now: Occasion) -> None:
    book = now.session.registration
    book.pending_call, book.pending_time = now.ref, now.time


def answered(now: Occasion) -> None:
    book = now.session.registration
    book.pending_call = None
    if not isinstance(now.frame, CallResult):
        return
    request = now.request
    book.boots.append(Boot(
        now.call_ref, now.ref, now.time, kept(now.response, "status"), integer(now.response, "interval"),
        kept(request, "reason"), Device.of(request), hash(now.exchange.call.raw.partition(b"{")[2]) if now.exchange
        else 0,
    ))  # fmt: skip
