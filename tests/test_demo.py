"""The demo: it ends well by itself, shows what it promises, and its capture says the same when checked again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def ocpp_proxy(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ocpp_proxy", *arguments], capture_output=True, text=True, cwd=cwd,
                          timeout=90, check=False)


def test_the_demo_shows_the_whole_chain_and_can_be_played_twice(tmp_path: Path) -> None:
    for _ in range(2):
        done = ocpp_proxy("demo", "--out", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for said in (
        "BootNotification  Wall Box Chargers CPB1-S-2-4", "boot-missing-iccid: No ICCID (field absent)", "38 keys",
        "trigger-message-not-implemented: TriggerMessage answered with status NotImplemented", "StartTransaction",
        "MeterValues", "StopTransaction", "Summary", "$ ocpp-proxy check",
    ):
        assert said in done.stdout, said
    assert done.stderr == ""
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["demo.db"]

    checked = json.loads(ocpp_proxy("check", "out/demo.db", "--format", "json", cwd=tmp_path).stdout)
    assert {finding["rule"]: finding["severity"] for finding in checked["findings"]} == {
        "boot-missing-iccid": "warning", "trigger-message-not-implemented": "warning"}
    assert checked["counts"]["unanswered"] == checked["counts"]["pending"] == 0
    header = json.loads(ocpp_proxy("capture", "export", "out/demo.db", "--to", "jsonl", cwd=tmp_path).stdout
                        .splitlines()[0])
    assert header["time_scale"] == 60


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = ocpp_proxy("demo", "--out", "file/out", cwd=tmp_path)
    assert done.returncode == 2
    assert "file/out" in done.stderr
    assert done.stderr.count("\n") == 1
