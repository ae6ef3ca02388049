"""Whether a station has reason to be late with what is awaited of it.

Decides that a station which waits for an answer of the CSMS, or has called a moment ago, may be given more time.
Refuses to say how much, and to judge.

Source: engineering judgement; OCPP 2.0.1 and 2.1 Part 2 FR.01 (one CALL after the other).
"""

from __future__ import annotations

from ocpp_proxy.rules.now import Now


def waits(now: Now) -> bool:
    """Whether the CSMS has said nothing since the station's last Call."""
    link = now.link
    return link is not None and link.called.get("station", 0.0) > link.heard.get("csms", 0.0)


def busy(now: Now, lately_s: float) -> bool:
    """Whether it waits, or has called in the last so many seconds."""
    link = now.link
    return waits(now) or (link is not None and now.time - link.called.get("station", -lately_s) <= lately_s)
