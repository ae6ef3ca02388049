"""`ocpp-proxy check` on real files: output, exit codes, options."""

import json
import re

import pytest

from ocpp_proxy.__main__ import main

BARE_BOOT = {"chargePointVendor": "Wall Box Chargers", "chargePointModel": "CPB1-S-2-4", "firmwareVersion": "4.3.6"}
BOOTED = {"status": "Accepted", "currentTime": "2026-11-21T09:00:00Z", "interval": 300}
OPENED = {"type": "opened", "connection": "c1", "station": "CP001", "at": "2026-11-21T09:00:00Z",
          "subprotocol": "ocpp1.6"}


def frame(seq, sender, *message, **fields):
    return {"type": "frame", "connection": "c1", "seq": seq, "at": f"2026-11-21T09:00:{seq:02}Z", "sender": sender,
            "data": json.dumps(message, separators=(",", ":"))} | fields


WARNED = [OPENED, frame(1, "station", 2, "1", "BootNotification", BARE_BOOT), frame(2, "csms", 3, "1", BOOTED)]
BROKEN = [*WARNED, frame(3, "station", 2, "2", "Heartbeat", {"uptime": 17})]
SOUND = [OPENED, frame(1, "station", 2, "1", "Heartbeat", {}),
         frame(2, "csms", 3, "1", {"currentTime": "2026-11-21T09:00:00Z"})]


@pytest.fixture
def capture(tmp_path):
    def write(lines, name="x.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(path)

    return write


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        try:
            code = main(["check", *arguments])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run


# JSON


def test_json_is_one_object_with_the_keys_in_their_order(run, capture):
    path = capture(BROKEN)
    code, out, err = run(path, "--format", "json")
    assert (code, err) == (1, "")
    assert out.count("\n") == 1
    answer = json.loads(out)
    assert list(answer) == ["version", "capture", "counts", "findings", "skipped", "notes"]
    assert (answer["version"], answer["capture"], answer["notes"]) == (1, path, [])
    assert list(answer["counts"].items()) == [
        ("frames", 3), ("control", 0), ("malformed", 0), ("exchanges", 2), ("unanswered", 0), ("pending", 1),
        ("error", 1), ("warning", 1), ("info", 0),
    ]  # fmt: skip
    assert {"rule": "trigger-message-not-implemented",
            "reason": "no answered TriggerMessage or ExtendedTriggerMessage seen"} in answer["skipped"]
    assert answer["findings"][1] == {
        "rule": "schema-additional", "severity": "error", "axis": "conformance", "at_fault": "station",
        "station": "CP001", "connection": "c1", "frames": [3], "frames_omitted": 0, "evidence": [["c1", 3]],
        "pointer": "/uptime", "connector": None, "transaction": None,
        "message": 'Heartbeat request: "uptime" is not known here', "seen": 17, "expected": [], "count": 1,
        "references": ["OCPP-J 1.6 errata 2025-04, 3.2 (shall)"],
    }  # fmt: skip


def test_the_same_capture_gives_the_same_bytes(run, capture):
    path = capture(BROKEN)
    assert run(path, "--format", "json") == run(path, "--format", "json")


def test_several_captures_are_a_line_each_and_know_nothing_of_each_other(run, capture):
    code, out, _ = run(capture(BROKEN, "a.jsonl"), capture(SOUND, "b.jsonl"), "--format", "json")
    first, second = map(json.loads, out.splitlines())
    assert code == 1
    assert (first["counts"]["error"], second["counts"]["error"], second["counts"]["frames"]) == (1, 0, 2)


def test_numbers_are_shown_as_they_were_sent(run, capture):
    number = '[2,"2","Heartbeat",{"a":123456789012345678901234567890,"b":0.1000000000000000055511151231257827}]'
    _, out, _ = run(capture([*WARNED, frame(3, "station") | {"data": number}]), "--format", "json")
    assert '"seen":123456789012345678901234567890,' in out
    assert '"seen":0.1000000000000000055511151231257827,' in out


def test_a_hand_written_capture_needs_sender_and_data_only(run, capture):
    path = capture([{"sender": "station", "data": [2, "1", "BootNotification", BARE_BOOT]}])
    _, out, _ = run(path, "--format", "json")
    answer = json.loads(out)
    (finding,) = answer["findings"]
    assert (finding["rule"], finding["station"], finding["connection"]) == ("boot-missing-iccid", None, "1")
    assert answer["notes"] == [{"connection": "1", "message": "OCPP 1.6 was guessed from the frames"}]


# Exit codes


@pytest.mark.parametrize(
    ("lines", "fail_on", "code"),
    [
        (BROKEN, None, 1), (WARNED, None, 0), (SOUND, None, 0),
        (WARNED, "warning", 1), (WARNED, "info", 1), (BROKEN, "never", 0), (SOUND, "info", 0),
    ],
)  # fmt: skip
def test_the_exit_code_tells_of_findings_at_or_above_the_limit(run, capture, lines, fail_on, code):
    assert run(capture(lines), *(["--fail-on", fail_on] if fail_on else []))[0] == code


def test_one_bad_capture_among_several_is_enough(run, capture):
    assert run(capture(BROKEN, "a.jsonl"), capture(SOUND, "b.jsonl"))[0] == 1


def test_a_missing_file_is_exit_2_with_its_name(run, tmp_path):
    code, _, err = run(str(tmp_path / "missing.db"))
    assert code == 2
    assert err.startswith(f"ocpp-proxy: {tmp_path / 'missing.db'}: ")


def test_a_broken_line_is_exit_2_with_its_number(run, capture, tmp_path):
    path = capture(SOUND)
    with open(path, "a") as file:
        file.write("{nonsense\n" + json.dumps(frame(3, "station", 2, "3", "Heartbeat", {})) + "\n")
    code, out, err = run(path)
    assert (code, out) == (2, "")
    assert f"{path}:4: " in err


def test_missing_frames_are_told_and_change_nothing_else(run, capture):
    gap = {"type": "gap", "connection": "c1", "at": "2026-11-21T09:00:03Z", "first_seq": 3, "lost": 2,
           "reason": "disk full"}
    code, out, _ = run(capture([*SOUND, gap]), "--format", "json")
    assert code == 0
    assert json.loads(out)["notes"] == [{"connection": "c1", "message": "frames 3 to 4 are missing: disk full"}]


# Options


def test_no_capture_is_wrong_usage(run):
    assert run()[0] == 2


def test_the_site_and_the_profile_silence_the_iccid(run, capture):
    for options in (["--site", "no-sim"], ["--profile", "none"]):
        _, out, _ = run(capture(WARNED), *options, "--format", "json")
        assert json.loads(out)["findings"] == []


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [("--site", "nosim", "no-sim"), ("--profile", "greenflax", "default, greenflux"),
     ("--ocpp-version", "1.5", "2.0.1")],
)
def test_an_unknown_name_is_exit_2_with_those_allowed(run, capture, option, value, known):
    code, out, err = run(capture(WARNED), option, value)
    assert (code, out) == (2, "")
    assert value in err
    assert known in err


def test_the_version_may_be_given_where_no_subprotocol_tells(run, capture):
    path = capture([{"sender": "station", "data": [2, "1", "Heartbeat", {"x": 1}]}])
    _, out, _ = run(path, "--ocpp-version", "2.1", "--format", "json")
    answer = json.loads(out)
    assert answer["findings"][0]["references"] == ["OCPP 2.1 Part 4, 4.1.5 (shall)"]
    assert answer["notes"] == []


def test_own_rules_are_judged_by_too(run, capture, tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "house-heartbeat.yaml").write_text("""\
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
""")
    code, out, _ = run(capture(SOUND), "--rules", str(folder), "--fail-on", "info", "--format", "json")
    assert code == 1
    assert [finding["rule"] for finding in json.loads(out)["findings"]] == ["house-heartbeat"]


# Text


def test_the_text_is_a_note_that_a_colleague_would_write(run, capture):
    code, out, err = run(capture(BROKEN))
    assert (code, err) == (1, "")
    assert "\x1b" not in out
    assert all(len(line) <= 80 for line in out.splitlines() if "x.jsonl" not in line)
    lines = out.splitlines()
    assert "1 error, 1 warning." in lines
    assert "Station CP001: Wall Box Chargers CPB1-S-2-4, firmware 4.3.6, OCPP 1.6" in lines
    assert out.index("error schema-additional") < out.index("warning boot-missing-iccid")
    assert '    09:00:03.000 #3 station: [2,"2","Heartbeat",{"uptime":17}]' in lines
    assert "  No ICCID (field absent)" in lines
    assert "--site no-sim" in out
    assert "ocpp-proxy rules explain schema-additional" in out


def test_sound_traffic_is_told_in_few_words(run, capture):
    code, out, _ = run(capture(SOUND))
    assert code == 0
    assert "Nothing to find fault with." in out
    assert len(out.splitlines()) < 12


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def test_no_color_is_obeyed(run, capture, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # stands for a terminal
    assert COLOUR.search(run(capture(BROKEN))[1])
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(run(capture(BROKEN))[1])


def test_what_a_peer_sent_is_never_obeyed_by_the_terminal(run, capture):
    evil = OPENED | {"station": "CP\x1b[2J\u202e1"}
    _, out, _ = run(capture([evil, frame(1, "station", 2, "1", "Heartbeat", {"\x1b]0;x\x07": "\x9b31m"})]))
    assert "schema-additional" in out
    assert all(char.isprintable() or char == "\n" for char in out)


def test_the_field_at_fault_is_in_sight_however_long_the_frame(run, capture):
    payload = {"connectorId": 1, "errorCode": "NoError", "info": "x" * 50, "vendorId": "y" * 200, "status": "Occupied"}
    _, out, _ = run(capture([OPENED, frame(1, "station", 2, "1", "StatusNotification", payload)]))
    assert '…"status":"Occupied"}]' in out


def test_deviations_that_differ_in_values_only_are_told_once(run, capture):
    samples = [frame(seq, "station", 2, str(seq), "MeterValues", {"connectorId": 1, "meterValue": [
        {"timestamp": "2026-11-21T09:00:00Z", "sampledValue": [{"value": seq}, {"value": seq + 0.5}]}]})
        for seq in range(1, 20, 2)]  # fmt: skip
    answers = [frame(seq + 1, "csms", 3, str(seq), {}) for seq in range(1, 20, 2)]
    lines = [OPENED, *sorted([*samples, *answers], key=lambda line: line["seq"])]
    _, out, _ = run(capture(lines))
    assert out.count("error schema-type") == 1
    assert "error schema-type (20 times)" in out
    assert "and 17 more like these" in out
    _, out, _ = run(capture(lines), "--format", "json")
    assert json.loads(out)["counts"]["error"] == 20


def test_both_sides_and_all_stations_are_told_apart_the_worst_first(run, capture):
    other = [OPENED | {"connection": "c2", "station": "CP002"},
             frame(1, "station", 2, "1", "BootNotification", BARE_BOOT, connection="c2"),
             frame(2, "csms", 3, "1", BOOTED | {"status": "Perhaps"}, connection="c2")]
    _, out, _ = run(capture([*WARNED, *other]))
    order = ["Station CP002", "At fault: the station", "At fault: the CSMS", "Station CP001", "At fault: the station"]
    places = [line for line in out.splitlines() if line.startswith(("Station", "At fault"))]
    assert [line.split(":")[0] if line.startswith("Station") else line for line in places] == order
