"""The benchmark runs and fills its table. How fast anything is, is no test's affair."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.compare import Settings

TINY = Settings(rounds=1, warm_up_s=0.05, measure_s=0.3, idle_stations=5)


@pytest.mark.slow
def test_a_tiny_run_fills_the_whole_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    bench.report(TINY, file, analysed_stations=1, analysis_rounds=1)
    told = json.loads(file.read_text())
    rows = {row["name"]: row for row in told["rows"]}
    assert list(rows) == ["direct", "bare", "mitmproxy", "relaying", "everything"]
    for name in ("direct", "bare", "relaying", "everything"):
        assert rows[name]["trouble"] is None
        for figures in rows[name]["loads"].values():
            assert figures["messages_per_s"] > 0
            assert 0 < figures["p50_us"] <= figures["p99_us"]
            assert (figures["cpu_us"] is None) == (name == "direct")
    assert rows["mitmproxy"]["trouble"] is None or rows["mitmproxy"]["trouble"].startswith("not installed")
    assert rows["bare"]["loads"]["20"]["cpu_ratio"] == 1
    assert told["analysis"]["ours_us"] > 0
    assert told["analysis"]["findings"] == 0  # the measured frames are as they should be
    assert {aim["what"] for aim in told["aims"] if aim["met"] is None} <= {
        "CPU at 20 stations, everything / mitmproxy", "added p99 at 20 stations, relaying only / bare",
        "added p99 at 20 stations, everything / bare",
        "added p99 at 20 resting stations, everything / bare"}
    shown = capsys.readouterr().out
    assert "everything" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_an_absent_mitmproxy_keeps_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import subjects
    monkeypatch.setattr(subjects, "mitmdump", lambda: None)
    with pytest.raises(subjects.NotInstalledError, match="OCPP_PROXY_MITMDUMP"), subjects.mitmproxy(1):
        pass
