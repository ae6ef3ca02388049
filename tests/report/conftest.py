"""A small capture, and what a few stable rules say of it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from report_capture import LINES

from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.report.analysis import analyse
from ocpp_proxy.rules.ruleset import RuleSet

IDS = ("boot-missing-iccid", "frame-json", "frame-overlap", "remotestop-outcome", "schema-additional", "schema-enum")


@pytest.fixture
def rules():
    """A few rules, chosen so that their findings here do not change when others are added."""

    def choose(**more):
        return RuleSet([rule for rule in load_rules().all if rule.id in IDS], **more)

    return choose


@pytest.fixture
def analysed(tmp_path, rules):
    """The path of a capture with these lines, and its analysis."""

    def make(lines=LINES, name="x.jsonl", **more) -> tuple[Path, object]:
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path, analyse(path, partial(Pipeline, rules(**more), Schemas(load_schema)), lambda _: None)

    return make
