"""Real traffic against all bundled rules: nothing raises, and every known deviation is found, or it is said why not.

The corpus is not part of this project; what is known to be wrong in it is told in `deviations.yaml`, in our words.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus_traffic import Conversation, Said, conversations, judged, logged, places, records
from sample_errors import sample

from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.files.rules import load_rules

CORPUS = os.environ.get("OCPP_CORPUS")
KEYS = {"rules", "none", "never"}
RULES = frozenset(rule.id for rule in load_rules().all)

needs_corpus = pytest.mark.skipif(CORPUS is None, reason="OCPP_CORPUS does not name the reference corpus")


def _frames(text: str | int) -> range:
    """The frames that "7" or "7-9" means."""
    first, _, last = str(text).partition("-")
    return range(int(first), int(last or first) + 1)


def _entries() -> dict[str, dict[range, dict[str, Any]]]:
    document = yaml.safe_load(Path(__file__).with_name("deviations.yaml").read_text(encoding="utf-8"))
    return {entry: {_frames(frames): told for frames, told in frames.items()} for entry, frames in document.items()}


ENTRIES = _entries()
CLAIMS = [(entry, frames, told) for entry, frames_told in ENTRIES.items() for frames, told in frames_told.items()]


@cache
def _talks() -> list[Conversation]:
    return conversations(Path(str(CORPUS)))


@cache
def _found() -> dict[int, set[str]]:
    return places(_talks(), judged(_talks())[1])


def test_every_entry_names_a_rule_or_a_reason() -> None:
    for entry, frames, told in CLAIMS:
        assert told.keys() <= KEYS, (entry, frames)
        assert ("none" in told) is not bool(told.get("rules")), (entry, frames)


def test_the_rules_named_exist() -> None:
    assert {rule for _, _, told in CLAIMS for key in ("rules", "never") for rule in told.get(key, ())} <= RULES


@pytest.mark.corpus
@needs_corpus
def test_every_deviation_with_a_frame_is_in_our_list() -> None:
    text = Path(str(CORPUS), "deviations.md").read_text(encoding="utf-8").split("## M.")[0]
    rows = re.findall(r"^\| ([A-K]\d+) \| ([^|]*)\|", text, re.MULTILINE)
    assert len(rows) > 50
    assert {entry for entry, _ in rows} == ENTRIES.keys() - {"L21"}  # of L, the one whose frames are there
    for entry, cell in rows:
        listed = {frame for frames in ENTRIES[entry] for frame in frames}
        spans = re.findall(r"\d+(?:–\d+)?", cell) if "session" not in cell else []
        told = {frame for span in spans for frame in _frames(span.replace("–", "-"))}
        assert told <= listed, entry


@pytest.mark.corpus
@needs_corpus
@pytest.mark.parametrize(("entry", "frames", "told"), CLAIMS, ids=[f"{one[0]}-{one[1].start}" for one in CLAIMS])
def test_a_deviation_is_found_where_it_is(entry: str, frames: range, told: dict[str, Any]) -> None:
    for frame in frames:
        rules = _found().get(frame, set())
        assert rules >= set(told.get("rules", ())), (frame, rules)
        assert not rules & set(told.get("never", ())), (frame, rules)


@pytest.mark.corpus
@needs_corpus
def test_every_frame_goes_through_the_pipeline() -> None:
    pipeline, _ = judged(_talks())
    assert pipeline.counts["frames"] == sum(len(one.said) for one in _talks()) > 800
    assert pipeline.counts["malformed"] < 5
    assert pipeline.counts["exchanges"] > 400


@pytest.mark.corpus
@needs_corpus
def test_every_frame_in_the_logs_does_too() -> None:
    talks = list(logged(Path(str(CORPUS))))
    pipeline, _ = judged(talks)
    assert len(talks) > 80
    assert pipeline.counts["frames"] == sum(len(one.said) for one in talks) > 800
    assert pipeline.counts["exchanges"] > 400


@pytest.mark.corpus
@needs_corpus
def test_the_same_traffic_gives_the_same_findings() -> None:
    again = [finding.as_dict() for finding in judged(_talks())[1]]
    assert [finding.as_dict() for finding in judged(conversations(Path(str(CORPUS))))[1]] == again


@pytest.mark.corpus
@needs_corpus
def test_a_sample_of_errors_can_be_judged() -> None:
    head, *told = sample(Path(str(CORPUS)), count=5)
    assert re.fullmatch(r"5 of \d+ errors, seed \d+", head)
    assert all(re.search(r"^   frame \d+", one, re.MULTILINE) for one in told)
    assert [head, *told] == list(sample(Path(str(CORPUS)), count=5))
    assert told != list(sample(Path(str(CORPUS)), seed=1, count=5))[1:]


def test_who_spoke_is_told_by_what_was_said() -> None:
    said = [
        '[2,"a","BootNotification",{}]', '[3,"a",{"currentTime":"2026-11-21T09:00:00Z"}]', '[2,"b","Reset",{}]',
        '[4,"b","InternalError","",{}]', '[2,"c","DataTransfer",{}]', "nonsense",
    ]  # fmt: skip
    talk = Conversation("x", "1.6", [Said(None, raw, None) for raw in said])
    frames = [record for record in records(talk) if isinstance(record, FrameRecord)]
    assert [one.sender for one in frames] == ["station", "csms", "csms", "station", "station", "station"]
    assert [one.seq for one in frames] == [1, 2, 3, 4, 5, 6]


def test_a_log_with_the_newest_on_top_is_turned_round(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 8, "raw": '[3,"a",{}]', "direction": "csms->cs", "ts": "2026-11-21 09:00:02,000"},
        {"id": 6, "raw": None, "direction": "csms->cs", "ts": None},
        {"id": 7, "raw": '[2,"a","Heartbeat",{}]', "direction": "cs->csms", "ts": "2026-11-21 09:00:01,000"},
    ]
    lines = [json.dumps(row | {"session": "x", "version": "1.6", "truncated": row["id"] == 8}) for row in rows]
    (tmp_path / "frames.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (talk,) = conversations(tmp_path)
    assert [(said.id, said.sender, said.maimed) for said in talk.said] == [(7, "station", False), (8, "csms", True)]


def test_a_clock_of_another_zone_is_set_by_what_the_frames_say() -> None:
    said = [
        Said(None, '[2,"a","Heartbeat",{}]', "station", "2026/11/21 10:59:59"),
        Said(None, '[3,"a",{"currentTime":"2026-11-21T09:00:00Z"}]', "csms", "2026/11/21 11:00:01"),
        Said(None, '[2,"b","Heartbeat",{}]', "station"),
    ]
    frames = [record for record in records(Conversation("x", "1.6", said)) if isinstance(record, FrameRecord)]
    assert [one.at.isoformat()[:19] for one in frames] == [
        "2026-11-21T08:59:59", "2026-11-21T09:00:01", "2026-11-21T09:00:02",
    ]  # fmt: skip
    assert frames[0].seq == 2  # what came before is not known
