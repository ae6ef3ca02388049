"""A message on its way through a connection in which this program takes part."""

from __future__ import annotations

from ocpp_proxy.core.frame import Answer, Call, CallError, CallResult, CallResultError, Frame, Side
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.wire.happening import BINARY, Received

_COMPRESSED = 0x40


class Passing:
    """A whole message of `side`, read but not written down. `raw`: its frames as they came; `data`: its payload, not
    masked; `record` and `frame` hold the masked form; `since`: when it came, by the clock that measures intervals;
    `waited`: it did not go on at once."""

    __slots__ = ("action", "binary", "compressed", "data", "frame", "raw", "record", "side", "since", "waited")

    def __init__(
        self, side: Side, frames: list[Received], record: FrameRecord, frame: Frame | None, since: float
    ) -> None:
        self.side = side
        self.raw = b"".join(each.raw for each in frames)
        self.data = b"".join(each.data for each in frames)
        self.binary = frames[0].opcode == BINARY
        self.compressed = bool(frames[0].raw[0] & _COMPRESSED)
        self.record = record
        self.frame = frame
        self.since = since
        self.waited = False
        self.action: str | None = None  # of the Call, or of the one that is answered, where that is known

    @property
    def call(self) -> Call | None:
        return self.frame if type(self.frame) is Call else None

    @property
    def answer(self) -> Answer | None:
        """Not a CallResultError: that one is its caller's own complaint."""
        frame = self.frame
        return frame if isinstance(frame, (CallResult, CallError)) and type(frame) is not CallResultError else None
