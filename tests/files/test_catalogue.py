"""Every row of the catalogue has a rule that works, or the reason why no recording can show it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.catalogue import load_catalogue
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.report import catalogue_page

REPOSITORY = Path(__file__).parents[2]
RULES = load_rules().all


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(RULES)


def test_no_row_is_unaccounted_for(catalogue):
    assert catalogue.unaccounted_for == []
    rows = list(catalogue.rows())
    assert len({row.id for row in rows}) == len(rows) == 359
    assert sum(bool(row.rules) for row in rows) == 344
    assert all(row.reason and len(row.reason) > 40 for row in rows if not row.rules)


def test_what_answers_for_a_row_is_in_force_without_any_profile(catalogue):
    active = {rule.id for rule in load_rules(profiles=("default",)).active()}
    assert {rule for row in catalogue.rows() for rule in row.rules} <= active


def test_a_row_without_its_rule_is_noticed():
    without = load_catalogue([rule for rule in RULES if rule.id not in ("hb-interval", "schema-other")])
    assert without.unaccounted_for == ["schema-empty-list", "hb-interval", "hb201-interval"]


def test_a_row_with_a_rule_and_a_reason_is_noticed():
    claimed = [replace(rule, catalogue=("px-restore",)) if rule.id == "hb-daily" else rule for rule in RULES]
    assert load_catalogue(claimed).unaccounted_for == ["px-restore"]


def test_a_rule_cannot_answer_for_what_is_no_row():
    with pytest.raises(BadInput, match=r"^bundled: rule hb-daily answers for hb-monthly, which is no row"):
        load_catalogue([replace(rule, catalogue=("hb-monthly",)) if rule.id == "hb-daily" else rule for rule in RULES])


def test_the_page_in_the_documentation_is_up_to_date(catalogue):
    page = (REPOSITORY / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert page == "\n".join(catalogue_page.lines(catalogue)) + "\n"


def test_the_rows_are_those_that_were_collected(catalogue):
    corpus = os.environ.get("OCPP_CORPUS")
    if not corpus:
        pytest.skip("OCPP_CORPUS does not name the reference corpus, beside which the collection is")
    collected = [row["id"] for row in json.loads((Path(corpus).parent / "rules.json").read_text(encoding="utf-8"))]
    assert sorted(row.id for row in catalogue.rows()) == sorted(collected)
