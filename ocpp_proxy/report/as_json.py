"""An analysis as one line of JSON. Decides the keys and their order, which scripts rely on."""

from __future__ import annotations

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.report.analysis import Analysis

FORMAT_VERSION = 1


def line(analysis: Analysis) -> str:
    """One compact object without a line break. The same analysis gives the same text."""
    accepted = {} if analysis.accepted is None else {"accepted": analysis.accepted}
    changed = {"changed": analysis.changed} if analysis.changed else {}
    return dumps({
        "version": FORMAT_VERSION,
        "capture": analysis.capture,
        "counts": dict(analysis.counts),
        "findings": [finding.as_dict() for finding in analysis.findings],
        "skipped": analysis.skipped,
        "notes": [{"connection": note.connection, "message": note.message} for note in analysis.notes],
        **changed, **accepted,
    })
