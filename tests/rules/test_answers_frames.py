"""Sizes that are too large for an example in a rule's file."""

from __future__ import annotations

import pytest

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord, Opened
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline

AT = Instant.parse("2026-11-21T09:00:00Z")


@pytest.mark.parametrize(
    ("size_bytes", "severity"), [(16384, None), (16385, "info"), (65536, "info"), (65537, "warning")]
)
def test_large_and_huge_messages(size_bytes: int, severity: str | None) -> None:
    frame = b'[2,"1","DataTransfer",{"vendorId":"V","data":"%s"}]'
    data = frame % (b"x" * (size_bytes - len(frame) + 2))
    pipeline = Pipeline(load_rules(), Schemas(load_schema))
    pipeline.feed(Opened(connection="c1", at=AT, station="S", subprotocol="ocpp1.6"))
    pipeline.feed(FrameRecord(connection="c1", seq=1, at=AT, sender="station", to="csms", opcode="text", data=data))

    found = [finding.severity for finding in pipeline.findings() if finding.rule == "frame-size"]

    assert len(data) == size_bytes
    assert found == ([severity] if severity else [])
