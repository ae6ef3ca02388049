"""What comes out of the pipeline: the events that views, reports and scripts listen to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import Frame
from ocpp_proxy.core.record import Closed, FrameRecord, Gap, Opened


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    record: Opened


@dataclass(slots=True)  # not frozen: one is made for each frame
class FrameSeen:
    """`frame` is None for ping and pong; `exchange` the one that a Call opened or an answer belongs to, else None."""

    record: FrameRecord
    station: str | None
    frame: Frame | None
    exchange: Exchange | None


@dataclass(frozen=True, slots=True)
class FindingRaised:
    """`first` is False where the finding was known already and only its counter rose."""

    finding: Finding
    first: bool


@dataclass(frozen=True, slots=True)
class GapSeen:
    record: Gap


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    record: Closed
    station: str | None


Event: TypeAlias = ConnectionOpened | FrameSeen | FindingRaised | GapSeen | ConnectionClosed
