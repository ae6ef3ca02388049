"""Captures: written by `Recorder`, read by `open_capture`, in SQLite and in JSONL form."""

from ocpp_proxy.capture.missing import Hole, holes
from ocpp_proxy.capture.model import Capture
from ocpp_proxy.capture.reader import open_capture
from ocpp_proxy.capture.recorder import Recorder

__all__ = ["Capture", "Hole", "Recorder", "holes", "open_capture"]
