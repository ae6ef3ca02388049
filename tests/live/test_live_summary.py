from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from live_screen import ZONE, console_of
from live_story import BOOT, Story, day, reading
from rich.console import Console

from ocpp_proxy.core.event import FindingRaised
from ocpp_proxy.core.frame import CallResultError, Send
from ocpp_proxy.live.safe import width_of
from ocpp_proxy.live.summary import Summary


def told(*events: list[Any]) -> Summary:
    summary = Summary(zone=ZONE)
    for batch in events:
        summary.add(batch)
    return summary


def drawn(summary: Summary, width: int | None = 80, path: str | Path | None = "captures/day.db", **options: Any) -> str:
    console = console_of(width)
    assert summary.render(console, path, **options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 160, None])
def test_a_morning_summed_up(golden: Callable[[str, str], None], width: int | None) -> None:
    golden(f"summary-{width or 'pipe'}.txt", drawn(told(*day()), width))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_but_what_is_to_be_copied_is_wider_than_the_screen(width: int) -> None:
    text = drawn(told(*day()), width, "/a/very/long/folder/" + "x" * 200 + ".db")
    wide = [line for line in text.splitlines() if width_of(line) > width]
    assert [line.split("/a/")[0].strip() for line in wide] == [
        "Capture:", "ocpp-proxy check", "ocpp-proxy capture show"]


def test_the_figures_are_those_counted_by_hand() -> None:
    cp = Story()
    events = [cp.opened()]
    for ms in (10, 20, 30, 40):  # four MeterValues answered by the csms
        events.append(cp.call("station", "MeterValues", {"connectorId": 1, "meterValue": reading("1")}))
        cp.wait(ms)
        events.append(cp.result("csms"))
    events.append(cp.call("csms", "Reset", {"type": "Soft"}))  # one CALLERROR of the station after 7 ms
    cp.wait(7)
    events.append(cp.error("station", "NotSupported"))
    events += [cp.control("station", "ping"), cp.control("csms", "pong")]
    events.append(cp.malformed("station"))
    events.append(cp.orphan("csms"))
    events.append(cp.call("proxy", "ClearCache", injected=True))  # never answered
    events.append(cp.gap(50, 3))
    events.append(cp.closed())
    again = Story("CP001", "c2", cp.clock)
    events += [again.opened(), again.call("station", "BootNotification", BOOT)]  # still open
    refused = Story("CP002", "c3", cp.clock)
    events.append(refused.opened(status=401, refused_by="csms"))
    events.append(refused.closed("csms"))
    summary = told(*events).as_dict()
    assert summary["counts"] == {
        "frames": 14, "control": 2, "malformed": 1, "injected": 1, "modified": 0, "withheld": 0, "exchanges": 7,
        "answered": 4, "errors": 1, "unanswered": 1, "stray_answers": 1, "result_errors": 0, "connections": 2,
        "refused": 1, "gaps": 1, "lost": 3, "pending": 1}
    assert [(row["action"], row["answered_by"], row["count"]) for row in summary["latencies"]] == [
        ("MeterValues", "csms", 4), ("Reset", "station", 1)]
    values = summary["latencies"][0]
    assert [values["p50_ms"], values["p95_ms"], values["p99_ms"], values["max_ms"]] == pytest.approx(
        [20, 40, 40, 40], rel=0.01)
    first, second = summary["stations"]
    assert first == {"station": "CP001", "vendor": "Wall Box Chargers", "model": "CPB1-S-2-4", "firmware": "4.3.6",
                     "subprotocol": "ocpp1.6", "connections": 2, "refused": 0, "open": 1, "frames": 14,
                     "last_seen": "2026-11-21T09:00:00.107000Z"}
    assert (second["station"], second["connections"], second["refused"], second["open"]) == ("CP002", 0, 1, 0)
    assert (summary["first"], summary["last"]) == ("2026-11-21T09:00:00.000000Z", "2026-11-21T09:00:00.107000Z")
    assert json.loads(json.dumps(summary)) == summary


def test_types_5_and_6_are_no_exchanges() -> None:
    cp = Story()
    asked = cp.call("station", "Authorize", {})
    [answer] = cp.result("csms")
    complaint = replace(answer, frame=CallResultError(b"", (), "1", "FormatViolation", "", {}))
    send = cp.seen(cp.record("station", b""), Send(b"", (), "2", "NotifyPeriodicEventStream", {}), answer.exchange)
    counts = told(asked, [answer], [complaint], send).as_dict()["counts"]
    assert (counts["exchanges"], counts["answered"], counts["stray_answers"], counts["result_errors"]) == (1, 1, 0, 1)


def test_a_retry_is_the_same_exchange_and_a_second_answer_is_stray() -> None:
    cp = Story()
    [first] = cp.call("station", "Authorize", {})
    answer = cp.result("csms")
    first.exchange.attempts = 2  # type: ignore[union-attr]
    summary = Summary()
    first.exchange.attempts = 1  # type: ignore[union-attr]
    summary.add([first])
    first.exchange.attempts = 2  # type: ignore[union-attr]
    summary.add([first, *answer, *answer])
    counts = summary.as_dict()["counts"]
    assert (counts["exchanges"], counts["answered"], counts["stray_answers"]) == (1, 1, 1)


def test_findings_come_worst_first_with_their_numbers() -> None:
    cp, other = Story(), Story("CP002", "c2")
    [info] = cp.finding("an-info", severity="info", message="no fix is known", fix="")
    [warning] = cp.finding("a-warning")
    [elsewhere] = other.finding("a-warning")
    [error] = cp.finding("an-error", severity="error", fix="Do this.")
    assert isinstance(warning, FindingRaised)
    again = replace(warning, first=False)
    summary = told([info], [warning], [again], [again], [elsewhere], [error])
    assert [(row["rule"], row["findings"], row["count"], row["stations"]) for row in summary.as_dict()["findings"]] == [
        ("an-error", 1, 1, ["CP001"]), ("a-warning", 2, 4, ["CP001", "CP002"]), ("an-info", 1, 1, ["CP001"])]
    text = drawn(summary)
    assert "Findings: 1 error, 2 warnings, 1 info\n" in text
    assert "  error   an-error  once, CP001\n          Do this.\n" in text
    assert "  warning a-warning  4 times, CP001, CP002\n" in text
    assert "no fix is known" in text
    assert [line.split("  #")[0].strip() for line in text.splitlines() if "rules explain" in line] == [
        "ocpp-proxy rules explain an-error", "ocpp-proxy rules explain a-warning", "ocpp-proxy rules explain an-info"]


def test_a_rule_that_has_risen_counts_as_what_it_is_now() -> None:
    cp = Story()
    summary = told(cp.finding("r"), cp.finding("r", severity="error"))
    assert summary.as_dict()["findings"][0]["severity"] == "error"


def test_gaps_and_dropped_lines_are_said() -> None:
    cp = Story()
    text = drawn(told(cp.call("station", "A"), cp.gap(2, 3)), lines_dropped=1_234)
    assert "3 frames forwarded but NOT RECORDED" in text
    assert "1 234  lines: the terminal was too slow" in text
    assert "everything that was forwarded is recorded" in drawn(told(cp.call("station", "A")))


def test_nothing_seen_is_said_too() -> None:
    text = drawn(Summary())
    assert "nothing was seen" in text
    assert "ocpp-proxy check captures/day.db" in text
    assert "none was recorded" in drawn(Summary(), path=None)


def test_paths_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    text = drawn(told(Story().call("station", "A")), path=tmp_path / "my day.db")
    assert f"ocpp-proxy check '{tmp_path}/my day.db'" in text


def test_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_STATIONS_KEPT", "_ACTIONS_KEPT", "_RULES_KEPT", "_OPEN_KEPT"):
        monkeypatch.setattr(f"ocpp_proxy.live.summary.{name}", 10)
    summary = Summary(zone=ZONE)
    for n in range(100):
        cp = Story(f"CP{n}", f"c{n}")
        summary.add(cp.opened())
        summary.add(cp.call("station", f"Action{n}") + cp.finding(f"rule-{n}"))
        summary.add(cp.result("csms"))
        for _ in range(20):
            summary.add(cp.call("station", "Unanswered"))
        assert summary.pending <= 10
        summary.add(cp.closed())
    assert (len(summary.stations), len(summary.rules), len(summary._station_of), len(summary._open)) == (10, 10, 0, 0)
    assert len(summary.latencies) == 11
    assert summary.latencies["(other)", "csms"].count == 90
    counts = summary.as_dict()["counts"]
    assert (counts["exchanges"], counts["answered"], counts["unanswered"]) == (2_100, 100, 2_000)
    text = drawn(summary)
    assert "Stations: 100\n" in text
    assert "… and 90 more stations" in text


def test_hostile_text_stays_text() -> None:
    cp = Story("\x1b[2J\nCP")
    summary = told(cp.opened(subprotocol="\x1b[1m"), cp.call("station", "BootNotification", {
        "chargePointVendor": "\x1b[31m\n", "chargePointModel": {"a": 1}, "firmwareVersion": None}),
        cp.call("station", "x\x1b[0m\n"), cp.result("csms"), cp.finding(message="\x07", fix="\x1b"))
    for width in (80, None):
        assert drawn(summary, width).replace("\n", "").isprintable()


@pytest.mark.skipif(os.name != "posix", reason="pipes by descriptor are for POSIX")
def test_a_terminal_that_is_gone_or_stuck_stops_nothing() -> None:
    read, write = os.pipe()
    summary = told(*day())
    with os.fdopen(write, "w", encoding="utf-8") as file:
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b"x" * 65_536)
        except BlockingIOError:
            os.set_blocking(write, True)
        assert not summary.render(Console(file=file), "day.db", timeout_s=0.2)  # full, and nobody reads
        os.close(read)
        assert not summary.render(Console(file=file), "day.db")
