"""Real traffic, recorded and converted without a changed byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from capture_records import frame, opened, record_into

from ocpp_proxy.capture import open_capture
from ocpp_proxy.capture.convert import import_file
from ocpp_proxy.core.record import FrameRecord

CORPUS = os.environ.get("OCPP_CORPUS")

pytestmark = [pytest.mark.corpus,
              pytest.mark.skipif(CORPUS is None, reason="OCPP_CORPUS does not name the reference corpus")]


def test_every_frame_survives_both_forms(tmp_path: Path) -> None:
    lines = Path(str(CORPUS), "frames.jsonl").read_text(encoding="utf-8").splitlines()
    raws = [raw.encode() for line in lines if (raw := json.loads(line)["raw"]) is not None]
    assert len(raws) > 100
    path = record_into(tmp_path / "a.db", [opened()], [frame(seq, raw) for seq, raw in enumerate(raws, 1)])
    for name in ("b.jsonl", "c.db", "d.jsonl"):
        with open_capture(path) as source:
            import_file(source, tmp_path / name, lambda _: None)
        path = tmp_path / name
        with open_capture(path) as capture:
            assert [record.data for record in capture.records() if isinstance(record, FrameRecord)] == raws
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "d.jsonl").read_bytes()
