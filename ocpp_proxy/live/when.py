"""Moments and durations as an engineer reads them: in the time zone of the laptop.

Decides how times are written in the views. Refuses to know what time it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from ocpp_proxy.core.instant import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class LocalTime:
    """Writes instants in one zone (None: the machine's). The last second is kept: most frames share it."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._second: int | None = None
        self._written = ("", "")

    def _write(self, second: int) -> tuple[str, str]:
        if second != self._second:
            try:
                local = (_EPOCH + timedelta(seconds=second)).astimezone(self._zone)
                offset = local.strftime("%z")
                date = f"{local.date().isoformat()} {_DAYS[local.weekday()]}, UTC{offset[:3]}:{offset[3:5]}"
                self._written = (date, local.strftime("%H:%M:%S"))
            except (OverflowError, ValueError, OSError):  # a capture written by hand may name any year
                self._written = ("unknown date", "--:--:--")
            self._second = second
        return self._written

    def date(self, at: Instant) -> str:
        """Date, weekday and distance from UTC."""
        return self._write(at.utc_us // 1_000_000)[0]

    def time(self, at: Instant) -> str:
        """HH:MM:SS.mmm."""
        second, micro = divmod(at.utc_us, 1_000_000)
        return f"{self._write(second)[1]}.{micro // 1000:03d}"

    def stamp(self, at: Instant) -> str:
        """Date and time, for lines that have to stand alone."""
        return f"{self.date(at)[:10]} {self.time(at)}"


def milliseconds(ms: float) -> str:
    """A latency: three significant digits at most."""
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 99_950 else duration(ms / 1000)


def duration(seconds: float) -> str:
    """A span of time in its two largest units."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def number(value: int) -> str:
    """1 234 567"""
    return f"{value:,}".replace(",", " ")


def counted(value: int, one: str, many: str | None = None) -> str:
    """"1 frame", "1 234 frames"."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"
