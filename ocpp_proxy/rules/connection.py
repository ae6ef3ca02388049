"""What the pipeline knows of one open connection.

Decides which of the correlator's remarks hold where frames may be missing. Refuses to judge them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.exchange import Correlation, Correlator
from ocpp_proxy.core.frame import OTHER_SIDE, CallError, Frame, Sender, Side
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.links import Link
from ocpp_proxy.rules.judge import SEND_ANSWERED, Judge, Seen

BOTH: frozenset[Side] = frozenset(("station", "csms"))
UNREADABLE_KEPT = 200  # bytes
UNREADABLE_ID = "-1"  # what a CALLERROR of 2.x bears where it answers a message whose id could not be read


class Connection:
    """`from_the_start`: its beginning is on record."""

    __slots__ = (
        "begun", "correlator", "gap_seq", "judge", "last_seq", "lost", "open", "session", "state", "unheard",
        "unreadable", "waiting",
    )  # fmt: skip

    def __init__(self, state: Link, session: Session, judge: Judge | None, from_the_start: bool) -> None:
        self.correlator = Correlator(state.connection)
        self.session = session
        self.state = state     # what the rules may know of it
        self.judge = judge
        self.waiting: list[Seen] | None = None  # frames that wait for the version to be guessed
        self.begun: dict[Sender, tuple[int, int]] | None = None  # number and bytes of messages that are not whole
        self.open = 0          # Calls without an answer
        self.last_seq = 0
        self.gap_seq = 0       # up to here, frames may be missing
        self.lost = 0          # frames known to be missing, each of which may be a Call whose answer is still to come
        self.unreadable = b""  # the beginning of the last message whose type or id could not be read
        self.unheard: frozenset[Side] = frozenset() if from_the_start else BOTH

    def whole(self, record: FrameRecord) -> None:
        """Forget the beginning of the message, if it was one in fragments."""
        begun = self.begun
        if begun is not None and begun.get(record.sender, (0, 0))[0] == record.seq:
            del begun[record.sender]
            self.begun = begun or None

    def certain(self, record: FrameRecord, frame: Frame, side: Side, correlation: Correlation) -> Iterator[str]:
        """The correlator's remarks less those that only missing frames make it say."""
        for remark in correlation.remarks:
            if remark == "orphan" and correlation.earlier is not None:
                yield SEND_ANSWERED
            elif remark == "orphan":
                if not self._may_be_an_answer(frame, side):
                    yield remark
            elif remark != "overlap" or not self.gap_seq or self._overlaps(record, side, correlation):
                yield remark

    def _may_be_an_answer(self, frame: Frame, side: Side) -> bool:
        """Whether an answer to no known Call may belong to one that is not in the capture, or could not be read."""
        if OTHER_SIDE[side] in self.unheard:
            return True
        if isinstance(frame, CallError) and self.session.version != "1.6" and (
            frame.message_id == UNREADABLE_ID or f'"{frame.message_id}"'.encode(errors="replace") in self.unreadable
        ):
            return True
        if not self.lost:
            return False
        self.lost -= 1
        return True

    def _overlaps(self, record: FrameRecord, side: Side, correlation: Correlation) -> bool:
        """Whether a Call that the same side sent since the last gap is still open."""
        return any(
            other is not correlation.exchange and other.caller == side and not other.injected
            and other.call_seq > self.gap_seq and record.at.seconds_since(other.called_at) <= self.correlator.timeout_s
            for other in self.correlator.unanswered()
        )  # fmt: skip
