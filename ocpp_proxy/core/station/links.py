"""A station's connections: which are open, when it was offline, how its handshakes went.

Keeps the open connections, the last WINDOWS_KEPT times offline and the last HANDSHAKES_KEPT handshakes.

Source: OCPP-J 1.6 chapter 5; OCPP 2.0.1 Part 4 chapter 5 (reconnecting).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import Sender, Side
from ocpp_proxy.core.record import Opened

WINDOWS_KEPT = 32
HANDSHAKES_KEPT = 32


@dataclass(slots=True)
class Link:
    """An open connection. `opened`: its handshake, None where the capture does not hold it; `whole`: nothing of it is
    missing so far; `last_seq`: number of the last frame; `heard`: when each side last sent a message, `called`: when it
    last sent a Call, `pinged`: when it last sent a ping or pong, in seconds of the capture's clock."""

    connection: str
    opened: Opened | None
    opened_time: float
    whole: bool
    last_seq: int = 0
    heard: dict[Side, float] = field(default_factory=dict)
    called: dict[Side, float] = field(default_factory=dict)
    pinged: dict[Side, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """A time without a connection, by both clocks; `by` and `code`: how the connection before it ended."""

    from_us: int
    to_us: int
    from_time: float
    to_time: float
    by: Sender
    code: int

    @property
    def length_s(self) -> float:
        return self.to_time - self.from_time


@dataclass(frozen=True, slots=True)
class Handshake:
    """`status`: the HTTP status, 101 where it led to a connection."""

    connection: str
    time: float
    status: int | None


@dataclass(slots=True)
class Links:
    """`open`: by connection, the newest last; `offline_since`: time and UTC microseconds of the end of the last
    connection, None while there is one or none was seen yet; `lost_by`: how that one ended; `since`: when the station
    was first heard of; `hole_time`: when something of it was last found missing, or could not be read."""

    open: dict[str, Link] = field(default_factory=dict)
    windows: deque[Window] = field(default_factory=lambda: deque(maxlen=WINDOWS_KEPT))
    handshakes: deque[Handshake] = field(default_factory=lambda: deque(maxlen=HANDSHAKES_KEPT))
    offline_since: tuple[float, int] | None = None
    lost_by: tuple[Sender, int] | None = None
    count: int = 0
    since: float | None = None
    hole_time: float | None = None

    def whole_since(self, time: float) -> bool:
        """Whether everything that was said since then is on record, as far as is known; what is missing is missing
        before the frame that showed it."""
        return self.since is not None and self.since <= time and (self.hole_time is None or self.hole_time <= time)

    def shake(self, connection: str, time: float, status: int | None) -> None:
        self.handshakes.append(Handshake(connection, time, status))

    def begin(self, link: Link, at_us: int) -> None:
        """A connection is there."""
        self.count += 1
        if self.since is None:
            self.since = link.opened_time
        self.open[link.connection] = link
        if self.offline_since is not None and self.lost_by is not None:
            since, since_us = self.offline_since
            self.windows.append(Window(since_us, at_us, since, link.opened_time, *self.lost_by))
            self.offline_since = None

    def end(self, connection: str, time: float, at_us: int, by: Sender, code: int) -> None:
        if self.open.pop(connection, None) is not None and not self.open:
            self.offline_since = (time, at_us)
            self.lost_by = (by, code)

    def offline_at(self, at_us: int) -> Window | None:
        """The time offline that this moment (UTC microseconds) lies in."""
        if not self.windows:
            return None
        return next((window for window in self.windows if window.from_us <= at_us <= window.to_us), None)

    def offline_between(self, from_time: float, to_time: float) -> bool:
        """Whether the station was offline at some time between these (seconds of the capture's clock)."""
        if self.offline_since is not None and self.offline_since[0] < to_time:
            return True
        if not self.windows or self.windows[-1].to_time <= from_time:
            return False
        return any(window.from_time < to_time and window.to_time > from_time for window in self.windows)
