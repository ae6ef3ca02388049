"""Sound traffic is silent: conformant stations and CSMSs live through a day, and no rule has an error or a warning.

All days are lived through side by side, each behind a relay of its own, on clocks that run faster than true. What was
recorded is judged twice: as it was, where time runs faster than the relay's clock; and as if it had taken its own time,
with the clocks of all three held against each other.
"""

from __future__ import annotations

import asyncio

import pytest
from sound_stories import Accepting, Lived, Often, OftenAfterPending, Story, day_2x, day_16, recorded, short

from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.rules.ruleset import RuleSet

SCALE = 40.0
# A second in which this machine does nothing is most of a minute of a day.
PATIENT = {"title": "A slow machine", "bounds": {"interval_s": 30, "status_s": 40, "trigger_s": 40,
                                                 "answer_warn_s": 120, "answer_fail_s": 240}}
DAYS: dict[str, tuple[str, str, Story, type[Accepting], float]] = {
    "1.6": ("1.6", "conformant", day_16, Often, SCALE),
    "1.6 secured": ("1.6", "secured", day_16, Often, SCALE),
    "2.0.1": ("2.0.1", "conformant", day_2x, Often, SCALE),
    "2.1": ("2.1", "conformant", day_2x, Often, SCALE),
    "1.6 pending first": ("1.6", "conformant", short, OftenAfterPending, SCALE),
    "2.0.1 pending first": ("2.0.1", "conformant", short, OftenAfterPending, SCALE),
    "2.1 pending first": ("2.1", "conformant", short, OftenAfterPending, SCALE),
    "1.6 in true time": ("1.6", "conformant", short, Often, 1.0),
    "2.0.1 in true time": ("2.0.1", "conformant", short, Often, 1.0),
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lived]:
    folder = tmp_path_factory.mktemp("sound")

    async def all_days() -> dict[str, Lived]:
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(recorded(folder / f"{number}.db", version, behaviour, story, scale=scale,
                                                 csms=csms()))
                for number, (name, (version, behaviour, story, csms, scale)) in enumerate(DAYS.items())
            }  # fmt: skip
        return {name: task.result() for name, task in tasks.items()}

    return asyncio.run(all_days())


def grave(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.at_fault, finding.message) for finding in findings if finding.severity != "info"]


@pytest.mark.parametrize("name", DAYS)
def test_nothing_is_found_while_it_runs(lived: dict[str, Lived], name: str) -> None:
    assert grave(lived[name].live) == []


@pytest.mark.parametrize("name", DAYS)
def test_nothing_is_found_with_the_clocks_held_against_each_other(lived: dict[str, Lived], name: str) -> None:
    rules = RuleSet(load_rules().all, ["patient"], documents={"patient": PATIENT})
    pipeline = Pipeline(rules, Schemas(load_schema))
    for record in lived[name].records():
        pipeline.feed(record)
    pipeline.finish()
    assert grave(pipeline.findings()) == []


def test_most_rules_had_something_to_judge(lived: dict[str, Lived]) -> None:
    """Silence proves nothing of a rule that was never asked."""
    rules = load_rules()
    silent = {rule.id for rule in rules.all}
    for day in lived.values():
        pipeline = Pipeline(rules, Schemas(load_schema))
        for record in day.records():
            pipeline.feed(record)
        silent &= {entry["rule"] for entry in pipeline.skipped()}
    assert len(silent) < len(rules.all) / 4, sorted(silent)
