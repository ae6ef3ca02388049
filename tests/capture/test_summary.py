"""What a capture holds, in a few figures: the same from both forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_records import after, closed, frame, opened, record_into

from ocpp_proxy.capture import jsonl, open_capture
from ocpp_proxy.capture.summary import Summary, summarise
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry, Gap, Record

ALL: list[Record] = [
    opened("c2", "CP2"), opened("c1", "CP1"), opened("c3", None), opened("c4", "CP2"), frame(3), frame(2),
    Gap(connection="c1", at=after(7), first_seq=4, lost=5, reason="disk full"), Entry(type="finding", fields={}),
    Entry(type="note", fields={}), closed("c1", at=after(9)),
]


def at(seconds: float) -> Instant:
    return Instant(after(seconds).utc_us)


@pytest.mark.parametrize(("records", "summary"), [
    ([], Summary()),
    (ALL, Summary(stations=["CP2", "CP1"], connections=4, frames=2, findings=1, gaps=1, lost=5, first=at(0),
                  last=at(9))),
])
@pytest.mark.parametrize("form", ["db", "jsonl"])
def test_figures(tmp_path: Path, form: str, records: list[Record], summary: Summary) -> None:
    if form == "db":
        path = record_into(tmp_path / "a.db", records)
    else:
        path = tmp_path / "a.jsonl"
        path.write_text("".join(f"{line}\n" for line in ('{"type":"capture"}', *map(jsonl.encode, records))))
    with open_capture(path) as capture:
        result = summarise(capture)
    result.first = result.first and Instant(result.first.utc_us)
    result.last = result.last and Instant(result.last.utc_us)
    assert result == summary
