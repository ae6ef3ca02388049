"""`ocpp-proxy rules`: list, explain, test, lint."""

import json

import pytest

from ocpp_proxy.__main__ import main
from ocpp_proxy.cli.rules import _explanation
from ocpp_proxy.files.rules import load_rules

OWN = """\
title: Heartbeat in the morning
severity: info
axis: compatibility
what: A heartbeat comes.
why: It wakes people.
fix: Sleep well.
references: [{document: House rules, strength: wish}]
given: {kind: call, action: Heartbeat}
checks: [{in: request, field: /quiet, expect: present}]
message: Not quiet
tests: [{name: loud, frames: [{station: [2, "1", Heartbeat, {}]}], findings: [{message: Not quiet}]}]
"""


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        try:
            code = main(["rules", *arguments])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def own(tmp_path):
    def write(text=OWN, name="house-heartbeat.yaml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path)

    return write


def test_list_tells_all_rules_as_json(run, own):
    code, out, _ = run("list", "--format", "json")
    assert code == 0
    rules = {rule["id"]: rule for rule in json.loads(out)}
    assert list(rules) == sorted(rules)
    iccid = rules["boot-missing-iccid"]
    assert {key: iccid[key] for key in ("title", "severity", "axis", "versions", "kind", "source")} == {
        "title": "BootNotification without an ICCID", "severity": "warning", "axis": "compatibility",
        "versions": ["1.6", "2.0.1", "2.1"], "kind": "call", "source": "bundled",
    }  # fmt: skip
    assert rules["trigger-message-not-implemented"]["kind"] == "exchange"
    assert (rules["frame-json"]["kind"], rules["schema-enum"]["kind"]) == ("frame", "schema")
    assert rules["frame-overlap"]["severities"] == {"1.6": "warning", "2.0.1": "error", "2.1": "error"}


def test_list_tells_own_rules_with_their_path(run, own):
    folder = own()
    _, out, _ = run("list", "--format", "json", "--rules", folder)
    (rule,) = [rule for rule in json.loads(out) if rule["id"] == "house-heartbeat"]
    assert rule["source"] == f"{folder}/house-heartbeat.yaml"
    assert "house-heartbeat" in run("list", "--rules", folder)[1]


def test_list_is_a_line_a_rule(run):
    lines = run("list")[1].splitlines()
    assert len(lines) == len(json.loads(run("list", "--format", "json")[1]))
    assert any(line.split()[:2] == ["boot-missing-iccid", "warning"] for line in lines)


def test_explain_tells_what_why_cause_remedy_clause_and_an_example(run):
    code, out, _ = run("explain", "trigger-message-not-implemented")
    assert code == 0
    titles = ["What", "Why it matters", "Usual cause", "What to do", "To bear in mind", "When", "Clauses", "Example"]
    places = [out.index(f"\n{title}") for title in titles]
    assert places == sorted(places)
    assert "OCPP 1.6 edition 2, 5.17 (may)" in out
    assert "On unless --profile none." in out
    assert "Error on the conformance axis where the station" in " ".join(out.split())
    assert '  station: [3,"t1",{"status":"NotImplemented"}]' in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_every_rule_can_be_explained():
    for rule in load_rules(tests=True).all:
        told = [text for text, _ in _explanation(rule, 80)]
        assert {"What", "What to do", "Clauses"} <= set(told), rule.id
        assert any(text.startswith("Example (") for text in told), rule.id
        assert all(len(text) <= 80 for text in told), rule.id


def test_a_case_that_weighs_otherwise_is_explained(run):
    _, out, _ = run("explain", "status-transition")
    assert "Error where no way leads there over at most two statuses" in " ".join(out.split())


def test_a_misspelt_id_is_exit_2_with_the_nearest(run):
    code, out, err = run("explain", "boot-mising-icid")
    assert (code, out) == (2, "")
    assert "did you mean boot-missing-iccid" in err


def test_the_tests_inside_the_bundled_rules_pass(run):
    code, out, _ = run("test")
    assert code == 0
    assert out.endswith("0 failed\n")


def test_a_failing_test_inside_is_exit_1_and_told(run, own):
    code, out, _ = run("test", own(OWN.replace("message: Not quiet}", "message: Quiet}")))
    assert code == 1
    assert "house-heartbeat: loud: finding 1: message is 'Not quiet', expected 'Quiet'" in out
    assert "1 test of 1 rule, 1 failed" in out


def test_lint_passes_sound_rules(run, own):
    assert run("lint") == (0, run("lint")[1], "")
    assert run("lint", own())[:2] == (0, "1 rule, no mistakes\n")


def test_lint_tells_every_mistake_of_every_file_and_exits_2(run, own):
    own(OWN.replace("severity: info", "severity: inof").replace("kind: call", "kind: cal"))
    folder = own(OWN.replace("title:", "tittle:"), "house-other.yaml")
    code, out, err = run("lint", folder)
    assert code == 2
    assert [line.split(": ")[:2] for line in out.splitlines()] == [
        [f"{folder}/house-heartbeat.yaml:2", "/severity"],
        [f"{folder}/house-heartbeat.yaml:8", "/given/kind"],
        [f"{folder}/house-other.yaml:1", "title is missing"],
        [f"{folder}/house-other.yaml:1", "/tittle"],
    ]
    assert err.startswith("4 mistakes")


def test_test_does_not_run_files_with_mistakes(run, own):
    assert run("test", own(OWN.replace("severity: info", "severity: inof")))[0] == 2


def test_a_missing_folder_is_exit_2(run, tmp_path):
    for command in ("lint", "test"):
        code, _, err = run(command, str(tmp_path / "missing"))
        assert code == 2
        assert "is not a folder" in err
