"""Rule files: the bundled ones are sound, and every mistake of another is told with line and pointer."""

import json
import re
from pathlib import Path

import pytest

from ocpp_proxy.core.defects import DEFECTS
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.exchange import Correlation
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rule_tests import run
from ocpp_proxy.files.rules import SCHEMA_NAME, bundled_folder, load_rules, read_folder, read_rule
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.files.yaml import parse
from ocpp_proxy.rules.bound import WORDS
from ocpp_proxy.rules.expect import OPERATORS
from ocpp_proxy.rules.lint import REMARKS, SCHEMA_ERRORS
from ocpp_proxy.rules.model import rule_from
from ocpp_proxy.rules.wishes import BOUNDS, Bounds

SOUND = {"title": "T", "severity": "info", "axis": "conformance", "what": "W", "why": "W", "fix": "F", "message": "m",
         "references": [{"document": "D", "strength": "may"}], "versions": ["1.6"], "tests": []}
BUNDLED = read_folder(bundled_folder(), "bundled")


def mistakes(path):
    rule, found = read_rule(path)
    assert rule is None
    assert all(mistake.path == str(path) for mistake in found)
    return [(mistake.line, mistake.pointer, mistake.what) for mistake in found]


# The bundled rules


def test_the_bundled_rules_have_no_mistakes():
    assert BUNDLED.mistakes == ()
    assert {"boot-missing-iccid", "trigger-message-not-implemented"} <= {rule.id for rule in BUNDLED.rules}


@pytest.mark.parametrize("rule", BUNDLED.rules, ids=lambda rule: rule.id)
def test_a_bundled_rule_says_of_its_examples_what_it_promises(rule):
    count, failures = run([rule], Schemas(load_schema), BUNDLED.profiles)
    assert failures == []
    assert count == len(rule.tests)


@pytest.mark.parametrize("rule", BUNDLED.rules, ids=lambda rule: rule.id)
def test_a_bundled_rule_is_tested_by_what_breaks_it_what_keeps_it_and_what_looks_alike(rule):
    cases = {case: [test for test in rule.tests if test.case == case] for case in ("violating", "sound", "alike")}
    assert all(cases.values()), {case: len(tests) for case, tests in cases.items()}
    assert all(test.findings for test in cases["violating"])
    assert not any(test.findings for test in cases["sound"])


def test_everything_that_can_be_found_has_its_rule():
    ids = {rule.id for rule in BUNDLED.rules}
    assert set(DEFECTS.values()) <= ids
    assert ids >= SCHEMA_ERRORS
    assert {remark for rule in BUNDLED.rules for remark in rule.given.remarks} == REMARKS
    assert all(f'"{remark}"' in Correlation.__doc__ for remark in REMARKS - {"send-answered"})


def test_a_bundled_rule_cites_a_clause_in_each_of_its_versions():
    for rule in BUNDLED.rules:
        for version in rule.versions:
            assert any(version in reference.versions for reference in rule.references), (rule.id, version)


def test_the_schema_is_one_that_editors_can_use():
    schema = json.loads((bundled_folder() / SCHEMA_NAME).read_text(encoding="utf-8"))
    assert schema["$schema"].endswith("draft-07/schema#")
    assert set(schema["required"]) <= set(schema["properties"])


# Mistakes


def test_a_sound_rule_is_read(rule_file):
    path = rule_file()
    rule, found = read_rule(path)
    assert found == []
    assert (rule.id, rule.source, rule.versions) == ("house-heartbeat", str(path), ("1.6", "2.0.1", "2.1"))


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_their_lines(rule_file):
    path = rule_file(
        ("severity: warning", "severity: eror"),
        ("what: A heartbeat comes.", "waht: A heartbeat comes."),
        ("strength: wish", "strength: whish"),
        ("field: /quiet", "field: quiet"),
        ("expect: present", "expect: {one_of: quiet}"),
    )
    found = mistakes(path)
    assert [(line, pointer) for line, pointer, _ in found] == [
        (1, ""), (2, "/severity"), (4, "/waht"), (8, "/references/0/strength"), (12, "/checks/0/field"),
        (13, "/checks/0/expect/one_of"),
    ]  # fmt: skip
    said = [what for _, _, what in found]
    assert said[0] == "what is missing"
    assert "did you mean error?" in said[1]
    assert said[2] == "unknown key waht; did you mean what?"
    assert "did you mean wish?" in said[3]


@pytest.mark.parametrize(
    ("old", "new", "line", "pointer", "word"),
    [
        ("kind: call", "kind: cal", 9, "/given/kind", "did you mean call?"),
        ("action: Heartbeat", "action: Heartbeet", 9, "/given/action", "did you mean Heartbeat?"),
        ("action: Heartbeat, ", "", 9, "/given", "needs action"),
        ("kind: call, action: Heartbeat, caller: station", "kind: schema", 9, "/given/kind", "no schema error is"),
        ("kind: call, action: Heartbeat, caller: station", "kind: frame", 9, "/given/kind", "no defect leads to"),
        ("kind: call, action: Heartbeat, caller: station", "kind: correlation, remark: orfan", 9, "/given/remark",
         "did you mean orphan?"),
        ("kind: call", "kind: call, remark: orphan", 9, "/given/remark", "takes no remark"),
        ("in: request", "in: response", 11, "/checks/0/in", "sees the request only"),
        ("expect: present", "expect: {matches: '('}", 13, "/checks/0/expect/matches", "not a regular expression"),
        ("expect: present", "expect: presnt", 13, "/checks/0/expect", "did you mean present?"),
        ("{state})", "{stat})", 14, "/message", "no word {stat} here; did you mean state?"),
        ("{state})", "{state", 14, "/message", "brace"),
        ("Not quiet (field {state})\ntests", "'{state.__class__}'\ntests", 14, "/message", "no word {state.__class__}"),
        ("message: Not quiet (field {state})\n", "", 1, "", "message is missing"),
        ('version: "1.6"', 'version: "1.5"', 17, "/tests/0/version", "is not known"),
        ('version: "1.6"', 'site: [no-sim]', 17, "/tests/0/site", "does not ask for no-sim"),
        ("severity: warning", "severity: warning\nversions: ['2.1']", 17, "/tests/0", "is about 1.6, and the rule"),
        ("severity: warning", "severity: {'1.6': error}", 2, "/severity", "while the rule is about 1.6, 2.0.1, 2.1"),
        ("title: Heartbeat", "title: Heartbeat\ntitle: Heartbeat", 2, "/title", "stands here again"),
        ("station: [2", "proxy: [2", 19, "/tests/0/frames/0", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_pointer(rule_file, old, new, line, pointer, word):
    found = mistakes(rule_file((old, new)))
    assert any(at == line and where == pointer and word in what for at, where, what in found), found


@pytest.mark.parametrize("name", ["House.yaml", "house_heartbeat.yaml", "house-.yaml"])
def test_the_name_of_the_file_is_the_id(rule_file, name):
    ((_, _, what),) = mistakes(rule_file(name=name))
    assert "the file's name is the rule's id" in what


def test_a_file_that_is_not_text_is_a_mistake_and_no_crash(tmp_path):
    path = tmp_path / "house-heartbeat.yaml"
    path.write_bytes(b"title: \xff\n")
    assert mistakes(path) == [(None, "", "is not UTF-8 text")]


@pytest.mark.parametrize("text", ["", "- 1\n", "just text\n", "null\n"])
def test_a_file_that_is_no_mapping_is_a_mistake_and_no_crash(rule_file, text):
    assert mistakes(rule_file(text=text))


# Folders


def test_own_rules_come_besides_the_bundled_and_replace_those_of_the_same_name(rule_file, tmp_path):
    rule_file()
    own = rule_file(("Heartbeat in the morning", "Mine"), name="boot-missing-iccid.yaml")
    rules = load_rules(tmp_path)
    assert rules.find("house-heartbeat").title == "Heartbeat in the morning"
    assert rules.find("boot-missing-iccid").title == "Mine"
    assert rules.find("boot-missing-iccid").source == str(own)
    assert rules.find("frame-json").source == "bundled"


def test_a_mistake_in_own_rules_is_bad_input_that_counts_the_others(rule_file, tmp_path):
    path = rule_file(("severity: warning", "severity: eror"), ("strength: wish", "strength: whish"))
    with pytest.raises(BadInput) as caught:
        load_rules(tmp_path)
    assert (caught.value.file, caught.value.line) == (str(path), 2)
    assert f"and 1 more: `ocpp-proxy rules lint {tmp_path}`" in str(caught.value)


def test_two_files_for_one_rule_are_a_mistake(rule_file, tmp_path):
    rule_file()
    (tmp_path / "more").mkdir()
    rule_file(name="more/house-heartbeat.yaml")
    folder = read_folder(tmp_path)
    assert len(folder.rules) == 1
    assert "another file for rule house-heartbeat" in folder.mistakes[0].what


def test_a_folder_without_rules_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="holds no rule"):
        load_rules(tmp_path)
    with pytest.raises(BadInput, match="is not a folder"):
        load_rules(tmp_path / "missing")


# Tests inside


def test_a_test_inside_fails_where_the_rule_says_nothing(rule_file):
    rule, _ = read_rule(rule_file(("Heartbeat, {}]", "Heartbeat, {quiet: 1}]")))
    count, (failure,) = run([rule], Schemas(load_schema))
    assert count == 1
    assert (failure.rule, failure.test) == ("house-heartbeat", "loud")
    assert failure.what == "expected 1 findings, got 0: nothing"


def test_a_test_inside_fails_where_the_rule_says_too_much(rule_file):
    rule, _ = read_rule(rule_file(("\n      - {message: Not quiet (field absent)}", " []")))
    _, (failure,) = run([rule], Schemas(load_schema))
    assert failure.what == "expected 0 findings, got 1: Not quiet (field absent) (frames [1])"


def test_a_test_inside_fails_where_the_rule_says_something_else(rule_file):
    rule, _ = read_rule(rule_file(("{message: Not quiet (field absent)}", "{severity: warning, at_fault: csms}")))
    _, (failure,) = run([rule], Schemas(load_schema))
    assert failure.what == "finding 1: at_fault is 'station', expected 'csms'"


# The documentation


DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")


def documented(beginning):
    """The example in the documentation that begins so, behind its comment for editors."""
    blocks = [block.partition("```")[0] for block in DOCUMENTATION.split("```yaml\n")[1:]]
    (found,) = [block for block in blocks if re.sub("^#.*\n", "", block).startswith(beginning)]
    return found


def test_the_rule_in_the_documentation_works(rule_file):
    text = documented("title: BootNotification without a serial number")
    rule, found = read_rule(rule_file(name="boot-missing-serial.yaml", text=text))
    assert found == []
    assert run([rule], Schemas(load_schema)) == (2, [])


def test_the_profile_and_the_changes_in_the_documentation_are_sound(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "depot.yaml").write_text(documented("title: What our depot wants"), encoding="utf-8")
    changes = documented("frame-overlap: ")
    (tmp_path / "overrides.yaml").write_text(changes, encoding="utf-8")
    assert set(load_rules(tmp_path, profiles=["depot"]).wishes.profiles) == {"depot"}


def test_the_sequence_in_the_documentation_is_that_of_a_bundled_rule():
    given = parse(documented("given:\n  kind: sequence"), "x").value["given"]
    bundled = next(rule for rule in BUNDLED.rules if rule.id == "remotestop-outcome")
    assert rule_from("x", SOUND | {"given": given}, "x").given == bundled.given


def test_the_documentation_names_every_key_and_bound():
    schema = json.loads((bundled_folder() / SCHEMA_NAME).read_text(encoding="utf-8"))
    profile = json.loads((bundled_folder() / "profile.schema.json").read_text(encoding="utf-8"))
    names = {*schema["properties"]["given"]["properties"], *schema["definitions"]["step"]["properties"],
             *schema["definitions"]["test"]["properties"], *profile["properties"], *BOUNDS}
    assert [name for name in sorted(names) if name not in DOCUMENTATION] == []
    for name in BOUNDS:
        assert f"| `{name}` | {getattr(Bounds(), name):g} |" in DOCUMENTATION


def test_the_documentation_names_all_kinds_operators_and_schema_rules():
    for name in [*WORDS, *(f"`{rule}`" for rule in SCHEMA_ERRORS), *OPERATORS, *set().union(*WORDS.values())]:
        assert name in DOCUMENTATION, name
