"""A capture through the pipeline, in whichever form it was written."""

import json
from functools import partial

import pytest

from ocpp_proxy.capture import Recorder
from ocpp_proxy.capture.jsonl import encode
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import OTHER_SIDE
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Closed, Entry, FrameRecord, Opened
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.report import analysis, as_json
from ocpp_proxy.report.analysis import analyse, quoted
from ocpp_proxy.report.as_text import report
from ocpp_proxy.report.grouping import deviations
from ocpp_proxy.rules.ruleset import RuleSet

RULES = RuleSet([rule for rule in load_rules().all if rule.given.kind in ("frame", "schema", "call")])
BEGIN = Instant.parse("2026-11-21T09:00:00Z")


def at(second):
    return Instant(BEGIN.utc_us + second * 1_000_000, second * 1_000_000_000)


def frame(seq, sender, text):
    return FrameRecord(connection="c1", seq=seq, at=at(seq), sender=sender, to=OTHER_SIDE[sender], opcode="text",
                       data=text.encode())


RECORDS = [
    Opened(connection="c1", at=BEGIN, station="CP001", subprotocol="ocpp1.6", offered=("ocpp1.6",)),
    frame(1, "station", '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'),
    frame(2, "csms", '[3,"1",{"status":"Accepted","currentTime":"now","interval":300}]'),
    frame(3, "station", '[2,"2","Heartbeat",{}'),
    Closed(connection="c1", at=at(4), by="station", code=1000),
]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "x.db"
    recorder = Recorder.create(path, "test", on_trouble=pytest.fail)
    assert recorder.write(RECORDS)
    recorder.close()
    return path


def run(path, on_progress=lambda _: None):
    return analyse(path, partial(Pipeline, RULES, Schemas(load_schema)), on_progress)


def test_a_database_says_the_same_as_the_pipeline_that_ran_live(database):
    live = Pipeline(RULES, Schemas(load_schema))
    for record in RECORDS:
        live.feed(record)
    live.finish()
    later = run(database)
    assert [finding.as_dict() for finding in later.findings] == [finding.as_dict() for finding in live.findings()]
    assert [finding.rule for finding in later.findings] == ["boot-missing-iccid", "schema-format", "frame-json"]
    assert (later.counts, later.skipped) == (live.counts, live.skipped())
    assert json.loads(as_json.line(later))["counts"] == live.counts


def test_span_and_device_are_told(database):
    later = run(database)
    assert later.span == (BEGIN, at(4))
    device = later.devices["CP001"]
    known_as = device.registration.last.device
    assert (known_as.vendor, known_as.model, known_as.firmware) == ("V", "M", None)


def test_times_that_were_made_up_are_not_told(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"sender":"station","data":[2,"1","Heartbeat",{}]}\n')
    assert run(path).span is None


def test_only_the_frames_to_quote_are_kept(database):
    frames = quoted(database, {("c1", 2), ("c1", 9)})
    assert {key: record.data[:6] for key, record in frames.items()} == {("c1", 2): b'[3,"1"'}
    assert quoted(database.with_name("missing.db"), set()) == {}


def test_a_long_capture_tells_how_far_it_is(database, monkeypatch):
    monkeypatch.setattr(analysis, "PROGRESS_EVERY", 2)
    heard = []
    run(database, heard.append)
    assert heard == [2, 4]


def test_what_cannot_be_read_is_bad_input(tmp_path):
    with pytest.raises(BadInput):
        run(tmp_path / "missing.db")


@pytest.mark.parametrize("suffix", [".db", ".jsonl"])
def test_a_breach_in_a_capture_is_found_and_shown_with_the_frame_before_it(tmp_path, suffix):
    fields = {"sender": "station", "code": 1002, "reason": "frame without a mask", "head": "810a5b32"}
    records = [*RECORDS[:3], Entry(type="breach", connection="c1", at=at(3), fields=fields), RECORDS[-1]]
    path = tmp_path / f"x{suffix}"
    if suffix == ".db":
        recorder = Recorder.create(path, "test", on_trouble=pytest.fail)
        assert recorder.write(records)
        recorder.close()
    else:
        path.write_text("".join(f"{encode(record)}\n" for record in (CaptureHeader(), *records)))
    found = [finding for finding in run(path).findings if finding.rule == "ws-breach"]
    (finding,) = (one for one in json.loads(as_json.line(run(path)))["findings"] if one["rule"] == "ws-breach")
    assert (finding["at_fault"], finding["frames"], finding["evidence"]) == ("station", [], [["c1", 2]])
    assert finding["seen"] == "810a5b32"
    told = "\n".join(text for text, _ in report(run(path), deviations(found), quoted(path, {("c1", 2)}), 100))
    assert "Frame without a mask" in told
    assert "#2 csms:" in told
