"""Parts of a capture: the same ones from both forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_records import after, closed, frame, opened, record_into

from ocpp_proxy.capture import jsonl, open_capture
from ocpp_proxy.capture.select import Selection
from ocpp_proxy.core.record import Entry, Gap, Record

FROM_CSMS = {"sender": "csms", "to": "station"}
ALL: list[Record] = [
    opened("c1", "CP1"), opened("c2", "CP2"), frame(1), frame(2, **FROM_CSMS), frame(1, connection="c2"),
    Gap(connection="c2", at=after(4), first_seq=2, lost=1, reason="disk full"),
    Entry(type="note", fields={"text": "of nobody"}), Entry(type="note", connection="c1", at=after(5), fields={}),
    frame(6, connection="c2", **FROM_CSMS), closed("c1"), opened("c3", "CP1"), frame(7, connection="c3"),
]


@pytest.mark.parametrize(("selection", "places"), [
    (Selection(), range(12)),
    (Selection(station="CP1"), [0, 2, 3, 7, 9, 10, 11]),
    (Selection(station="CP9"), []),
    (Selection(connection="c2"), [1, 4, 5, 8]),
    (Selection(connection="c9"), []),
    (Selection(sender="csms"), [3, 8]),
    (Selection(station="CP2", sender="csms"), [8]),
    (Selection(since=after(2)), [3, 5, 7, 8, 9, 11]),
    (Selection(until=after(2)), [0, 1, 2, 4, 10]),
    (Selection(since=after(1), until=after(5), connection="c2"), [4, 5]),
])
@pytest.mark.parametrize("form", ["db", "jsonl"])
def test_what_is_asked_for_comes(tmp_path: Path, form: str, selection: Selection, places: list[int]) -> None:
    if form == "db":
        path = record_into(tmp_path / "a.db", ALL)
    else:
        path = tmp_path / "a.jsonl"
        path.write_text("".join(f"{jsonl.encode(record)}\n" for record in ALL))
    with open_capture(path) as capture:
        assert list(capture.records(selection)) == [ALL[place] for place in places]
        everything = dict(capture.numbered())
        assert [everything[number] for number, _ in capture.numbered(selection)] == [ALL[place] for place in places]
