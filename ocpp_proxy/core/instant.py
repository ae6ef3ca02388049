"""A moment, as two clocks saw it.

Decides how a moment is written and read; refuses to know what time it is: the shells take an `Instant` once
per event (`ocpp_proxy.clock`) and hand it in, so that a capture checked twice gives the same findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Instant:
    """`utc_us`: microseconds since 1970-01-01T00:00:00Z. `mono_ns`: monotonic nanoseconds, None if not known."""

    utc_us: int
    mono_ns: int | None = None

    def isoformat(self) -> str:
        """RFC 3339 in UTC with six fractional digits and Z."""
        moment = _EPOCH + timedelta(microseconds=self.utc_us)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    @classmethod
    def parse(cls, text: str, mono_ns: int | None = None) -> Instant:
        """Any ISO 8601 date and time; one without a zone counts as UTC. Raises ValueError."""
        return cls(parsed_us(text), mono_ns)

    def seconds_since(self, earlier: Instant) -> float:
        """Seconds from `earlier` to here, by the monotonic clock where both have it."""
        if self.mono_ns is not None and earlier.mono_ns is not None:
            return (self.mono_ns - earlier.mono_ns) / 1e9
        return (self.utc_us - earlier.utc_us) / 1e6


def parsed_us(text: str) -> int:
    """What `Instant.parse` makes of it, in microseconds since 1970-01-01T00:00:00Z."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
