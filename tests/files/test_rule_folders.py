"""A folder of a user's own: rules, profiles, and what it changes of other rules."""

import pytest

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.rules import bundled_folder, load_rules, read_folder


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_name(f"{path.name.replace('_', '-')}.yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def mistakes(folder):
    return [(mistake.line, mistake.pointer, mistake.what) for mistake in read_folder(folder).mistakes]


def test_a_rule_is_weighed_otherwise_with_the_reason(folder):
    rules = load_rules(folder(overrides="frame-overlap: {severity: info, reason: all of ours do}\n"
                                        "trigger-message-not-implemented: {severity: warning, reason: known}\n"))
    overlap = rules.find("frame-overlap")
    assert set(overlap.severities.values()) == {"info"}
    assert overlap.changed == "info instead of error: all of ours do"
    assert rules.find("trigger-message-not-implemented").escalations == ()
    assert {change["rule"]: change["what"] for change in rules.changes()} == {
        "frame-overlap": "info instead of error: all of ours do",
        "trigger-message-not-implemented": "warning instead of warning: known"}


def test_a_rule_is_switched_off_with_the_reason(folder):
    rules = load_rules(folder(overrides="frame-overlap: {off: true, reason: all of ours do}\n"))
    assert "frame-overlap" not in {rule.id for rule in rules.active()}
    assert rules.changes() == [{"rule": "frame-overlap", "what": "off: all of ours do"}]
    rule = rules.find("frame-overlap")
    assert rules.why_silent(rule, frozenset(), set()) == "switched off: all of ours do"


def test_a_rule_of_ones_own_may_be_changed_too(folder, rule_file):
    path = rule_file()
    folder(overrides="house-heartbeat: {severity: error, reason: because}\n")
    assert load_rules(path.parent).find("house-heartbeat").severity == "error"


def test_every_mistake_in_a_change_is_told(folder):
    text = "frame-overlapp: {severity: info, reason: x}\nframe-retry: {off: true, reason: y}\n"
    assert mistakes(folder(overrides=text)) == [
        (1, "/frame-overlapp", "there is no rule frame-overlapp; did you mean frame-overlap?")]
    text = ("frame-overlap: {severity: grave, reason: x}\nframe-retry: {off: true}\n"
            "frame-json: {severity: info, off: true, reason: z}\n")
    found = mistakes(folder(overrides=text))
    assert [(line, pointer) for line, pointer, _ in found] == [
        (1, "/frame-overlap/severity"), (2, "/frame-retry"), (3, "/frame-json")]
    assert found[0][2].startswith("grave is not known")
    assert found[1][2] == "reason is missing"


def test_a_change_with_a_mistake_stops_the_run_and_names_it(folder):
    path = folder(overrides="frame-overlapp: {severity: info, reason: x}\n")
    with pytest.raises(BadInput, match="there is no rule frame-overlapp") as error:
        load_rules(path)
    assert (error.value.file, error.value.line) == (str(path / "overrides.yaml"), 1)


def test_a_profile_of_ones_own_is_in_force_when_it_is_asked_for(folder):
    path = folder(profiles__depot="title: Our depot\nboot_fields: [imsi]\nbounds: {stop_s: 90}\n")
    assert load_rules(path).wishes.boot_fields == ()
    wishes = load_rules(path, profiles=["depot", "lab"]).wishes
    assert [wish.name for wish in wishes.boot_fields] == ["imsi"]
    assert (wishes.bounds.stop_s, wishes.bounds.time_fail_s) == (90, 4)


def test_every_mistake_in_a_profile_is_told(folder):
    found = mistakes(folder(profiles__depot="titel: x\nheartbeat: {at_most_s: 0}\nbounds: {stop: 3}\n"))
    assert [(line, pointer, what) for line, pointer, what in found] == [
        (1, "", "title is missing"), (1, "/titel", "unknown key titel; did you mean title?"),
        (2, "/heartbeat/at_most_s", "0 is less than the minimum of 1"),
        (3, "/bounds/stop", "unknown key stop; did you mean stop_s?")]


def test_the_bundled_profiles_are_sound():
    folder = read_folder(bundled_folder(), "bundled")
    assert {"greenflux", "lab"} <= folder.profiles.keys()
    assert folder.overrides == {}
    for name in folder.profiles:
        assert name in load_rules(profiles=[name]).profiles


def test_the_bundled_rules_are_the_same_without_their_tests():
    with_tests, without = load_rules(tests=True), load_rules()
    assert [rule.id for rule in with_tests.all] == [rule.id for rule in without.all]
    for one, other in zip(with_tests.all, without.all, strict=True):
        assert (one.what, one.given, one.checks, one.cases, one.needs) == (
            other.what, other.given, other.checks, other.cases, other.needs)
        assert one.tests
        assert not other.tests
