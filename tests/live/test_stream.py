from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_screen import ZONE, Screen, console_of
from live_story import CLOCK, START, Story, day
from rich.console import Console

from ocpp_proxy.core.event import FindingRaised
from ocpp_proxy.core.frame import CallResult, CallResultError, Send
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Entry
from ocpp_proxy.live.safe import width_of
from ocpp_proxy.live.stream import StreamView

Make = Callable[..., Screen]
AVAILABLE = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}


@pytest.mark.parametrize("width", [80, 160, None])
def test_a_morning_on_the_screen(screen: Make, golden: Callable[[str, str], None], width: int | None) -> None:
    golden(f"stream-{width or 'pipe'}.txt", screen(width).draw(*day()).text())


@pytest.mark.parametrize("width", [40, 79, 80, 120, 200])
def test_no_line_is_wider_than_the_screen(screen: Make, width: int) -> None:
    for line in screen(width).draw(*day()).text().splitlines():
        assert width_of(line) <= width


def test_colour_changes_nothing_but_colour(screen: Make) -> None:
    coloured = screen(80, colour=True).draw(*day()).text()
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == screen(80).draw(*day()).text()


def test_no_color_is_respected(screen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in screen(80, colour=True).draw(*day()).text()


def test_a_pipe_gets_no_colour_and_a_line_a_frame_that_stands_alone(screen: Make) -> None:
    pipe = Console(file=console_of(None).file, color_system="truecolor")
    view = StreamView(pipe, zone=ZONE)
    for batch in day():
        view.show(batch)
    assert view.close()
    text = pipe.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    lines = text.splitlines()[1:]
    assert all(re.match(r"2026-11-2[12] \d\d:\d\d:\d\d\.\d{3} (CP001|CP009|NL-GFX-E12345-000017) ", line)
               for line in lines)
    assert sum("→ csms BootNotification" in line for line in lines) == 2
    assert any("warning boot-missing-iccid" in line and "Insert a SIM card" in line for line in lines)


def test_direction_is_told_by_arrow_and_word(screen: Make) -> None:
    cp = Story()
    lines = screen().draw(cp.call("station", "Authorize", {"idTag": "A"}), cp.call("csms", "ClearCache")).lines()
    assert lines == ["10:00:00.000 CP001 → csms Authorize  A", "10:00:00.000 CP001 ← csms ClearCache"]


def test_an_answer_names_its_action_and_how_long_it_took(screen: Make) -> None:
    cp = Story()
    asked = cp.call("station", "Authorize", {"idTag": "A"})
    cp.wait(41)
    lines = screen().draw(asked, cp.result("csms", {"idTagInfo": {"status": "Accepted"}})).lines()
    assert lines[1] == "10:00:00.041 CP001 ← csms Authorize ✓ 41 ms  Accepted"


def test_an_answer_that_is_no_yes_has_another_sign(screen: Make) -> None:
    cp = Story()
    asked = cp.call("station", "Authorize", {"idTag": "A"})
    lines = screen().draw(asked, cp.result("csms", {"idTagInfo": {"status": "Blocked"}})).lines()
    assert " Authorize ! 0.0 ms  Blocked" in lines[1]


def test_a_callerror_is_a_word(screen: Make) -> None:
    cp = Story()
    asked = cp.call("csms", "Reset", {"type": "Hard"})
    lines = screen(120).draw(asked, cp.error("station", "InternalError", "no")).lines()
    assert re.search(r"→ csms Reset ✗ CALLERROR InternalError 0\.0 ms +no$", lines[1])


def test_a_second_answer_and_an_answer_to_nothing_say_so(screen: Make) -> None:
    cp = Story()
    asked = cp.call("station", "Authorize", {"idTag": "A"})
    answered = cp.result("csms", {"idTagInfo": {"status": "Accepted"}})
    [first] = answered
    again = replace(first, record=cp.record("csms", b"[3]"), frame=CallResult(b"[3]", (), "1", {}))
    first.exchange.answers = 2
    lines = screen().draw(asked, answered, [again], cp.orphan("csms", "x\x1b[0m")).lines()
    assert "Authorize ✓ ANSWERED TWICE" in lines[2]
    assert "answer without a CALL (x\\x1b[0m)" in lines[3]


def test_an_answer_to_each_of_two_attempts_is_none_too_many(screen: Make) -> None:
    cp = Story()
    asked = cp.call("station", "Authorize", {"idTag": "A"})
    [first] = answered = cp.result("csms", {"idTagInfo": {"status": "Accepted"}})
    first.exchange.attempts = first.exchange.answers = 2
    again = replace(first, record=cp.record("csms", b"[3]"), frame=CallResult(b"[3]", (), "1", {}))
    assert "Authorize ✓ once more" in screen().draw(asked, answered, [again]).lines()[2]


def test_types_5_and_6_are_named(screen: Make) -> None:
    cp = Story()
    asked = cp.call("station", "Authorize", {"idTag": "A"})
    [answer] = cp.result("csms", {})
    complaint = replace(answer, record=cp.record("station", b"[5]"),
                        frame=CallResultError(b"[5]", (), "1", "TypeConstraintViolation", "idTagInfo", {}))
    send = Send(b"[6]", (), "9", "NotifyPeriodicEventStream", {"id": 1, "data": [], "pending": 0})
    lines = screen(120).draw(asked, [answer], [complaint], cp.seen(cp.record("station", b"[6]"), send)).lines()
    assert "→ csms Authorize ✗ CALLRESULTERROR TypeConstraintViolation  idTagInfo" in lines[2]
    assert re.search(r"→ csms NotifyPeriodicEventStream SEND +stream 1 0 values", lines[3])


def test_what_we_did_ourselves_is_marked_in_words(screen: Make) -> None:
    cp = Story()
    lines = screen(120).draw(
        cp.call("proxy", "ClearCache", injected=True), cp.result("station", {"status": "Accepted"}, origin="withheld"),
        cp.call("station", "Authorize", {"idTag": "A"}, origin="modified", original=b"[]"),
        cp.call("csms", "Reset", {"type": "Soft"}, held_ms=120.0, fragments=(3, 4), opcode="binary"),
    ).lines()
    assert "← proxy ClearCache injected" in lines[0]
    assert "→ proxy ClearCache ✓ 0.0 ms withheld" in lines[1]
    assert "→ csms Authorize modified" in lines[2]
    assert "← csms Reset held 120 ms in 2 fragments binary" in lines[3]


def test_a_retry_is_counted(screen: Make) -> None:
    cp = Story()
    [first] = cp.call("station", "Authorize", {"idTag": "A"})
    first.exchange.attempts = 2  # type: ignore[union-attr]
    lines = screen().draw([replace(first, record=cp.record("station", b""))]).lines()
    assert "Authorize attempt 2" in lines[0]


# --- findings --------------------------------------------------------------------------------------------------


def test_a_finding_stands_beneath_its_frame_with_what_to_do(screen: Make) -> None:
    cp = Story()
    assert screen().draw(cp.call("station", "BootNotification", {}) + cp.finding()).lines()[1:] == [
        "    └ warning: the station names no ICCID",
        "      to do: Insert a SIM card, or declare the site with --site no-sim.",
        "      boot-missing-iccid · station at fault · OCPP 1.6 section 6.3",
    ]


def test_a_finding_about_another_frame_names_it(screen: Make) -> None:
    cp = Story()
    cp.call("station", "BootNotification", {})
    lines = screen().draw(cp.call("station", "Authorize", {}) + cp.finding(frames=[1])).lines()
    assert lines[1] == "    └ warning: CP001 frame 1: the station names no ICCID"


def test_what_to_do_is_said_once_a_rule_and_station(screen: Make) -> None:
    cp = Story()
    lines = screen().draw(
        cp.call("station", "BootNotification", {}) + cp.finding(),
        cp.call("station", "BootNotification", {}) + cp.finding(message="another"),
        Story("CP002", "c2").call("station", "BootNotification", {}) + Story("CP002", "c2").finding()).lines()
    assert [line.split(":")[0].strip() for line in lines].count("to do") == 2


def test_repetitions_are_told_at_round_numbers_only(screen: Make) -> None:
    cp = Story()
    drawn = screen()
    for count in range(1, 1_001):
        events = cp.call("station", "StatusNotification", AVAILABLE)
        [raised] = cp.finding("status-repeated", count=count)
        assert isinstance(raised, FindingRaised)
        drawn.draw([*events, replace(raised, first=count == 1)])
    text = drawn.text()
    assert text.count("status-repeated") == 4
    assert [text.count(f"seen {times} times") for times in ("1", "10", "100", "1 000")] == [0, 1, 1, 1]


def test_long_findings_wrap_with_a_hanging_indent(screen: Make) -> None:
    cp = Story()
    lines = screen(60).draw(cp.call("station", "A") + cp.finding(message="word " * 30 + "x" * 130, fix="")).lines()
    assert len(lines) > 5
    assert lines[1].startswith("    └ warning: word")
    assert all(line.startswith("      ") for line in lines[2:])


def test_a_finding_cannot_bring_escape_codes_either(screen: Make) -> None:
    cp = Story("CP\x1b[2J001")
    text = screen().draw(cp.call("station", "A\x1b[2J") + cp.finding(message="seen \x1b[31m\nvalue", fix="\x07")).text()
    assert not set(text) & {"\x1b", "\x07"}
    assert "seen \\x1b[31m\\nvalue" in text


# --- keep-alives -----------------------------------------------------------------------------------------------


def beats(cp: Story, count: int, every_ms: float = 1_000) -> list[Any]:
    told: list[Any] = []
    for _ in range(count):
        cp.wait(every_ms)
        beat = cp.heartbeat()
        told += [beat[:1], beat[1:], cp.control("station", "ping"), cp.control("csms", "pong")]
    return told


def test_the_first_heartbeat_is_drawn_and_the_others_are_folded(screen: Make) -> None:
    cp = Story()
    told = beats(cp, 13)
    cp.wait(10_000)
    lines = screen().draw(*told, cp.call("station", "Authorize", {"idTag": "A"})).lines()
    assert [line[19:] for line in lines] == [
        "→ csms Heartbeat", f"← csms Heartbeat ✓ 35 ms  clock {CLOCK}",
        "· 12 heartbeats, 13 pings since 10:00:01 (last 35 ms)", "→ csms Authorize  A"]


def test_a_quiet_line_speaks_once_a_minute(screen: Make) -> None:
    cp = Story()
    lines = screen().draw(*beats(cp, 181)).lines()
    folded = [line for line in lines if "· " in line]
    assert len(folded) == 4  # three minutes, and the rest at the end
    assert sum(int(line.split("· ")[1].split()[0]) for line in folded) == 180


def test_time_alone_unfolds_too(screen: Make) -> None:
    cp = Story()
    drawn = screen().draw(*beats(cp, 2))
    drawn.view.tick(cp.wait(58_000).now)
    drawn.view.tick(cp.wait(2_000).now)
    lines = drawn.lines()
    assert lines[2] == "10:01:02.070 CP001 · 1 heartbeat, 2 pings since 10:00:01 (last 35 ms)"


def test_pongs_are_named_where_they_are_not_as_many(screen: Make) -> None:
    cp = Story()
    told = [cp.control("csms", "ping"), *[cp.control("station", "pong") for _ in range(3)]]
    assert "· 1 ping, 3 pongs since" in screen().draw(*told).text()


@pytest.mark.parametrize("ms", [1_500, 40_000])
def test_a_slow_heartbeat_is_drawn(screen: Make, ms: float) -> None:
    cp = Story()
    told = beats(cp, 2)
    beat = cp.heartbeat(ms)
    assert "Heartbeat ✓ " in screen().draw(*told, beat[:1], beat[1:]).text().split("clock")[-2]


def test_a_heartbeat_with_a_finding_or_an_error_is_drawn(screen: Make) -> None:
    cp = Story()
    told = beats(cp, 2)
    found = cp.call("station", "Heartbeat") + cp.finding("hb-too-often")
    refused = cp.error("csms", "InternalError")
    text = screen().draw(*told, found, refused).text()
    assert "→ csms Heartbeat\n    └ warning" in text
    assert "Heartbeat ✗ CALLERROR InternalError" in text


def test_folded_keep_alives_come_before_the_end_of_their_connection(screen: Make) -> None:
    cp = Story()
    told = beats(cp, 3)
    lines = screen().draw(*told, cp.closed()).lines()
    assert "· 2 heartbeats, 3 pings" in lines[-2]
    assert "○ closed" in lines[-1]


def test_keep_alives_of_several_stations_make_one_line(screen: Make) -> None:
    one = Story()
    two = Story("CP002", "c2", one.clock)
    drawn = screen().draw(one.control("station", "ping"), two.control("station", "ping"))
    assert "- · 2 pings, 0 pongs of 2 stations since 10:00:00" in drawn.text()


# --- connections -----------------------------------------------------------------------------------------------


def test_a_connection_from_its_start_to_its_end(screen: Make) -> None:
    cp = Story()
    opened = cp.opened(tls={"station": {"version": "TLSv1.3"}, "csms": None}, extensions="permessage-deflate")
    cp.wait(192_000)
    lines = screen(160).draw(opened, cp.closed("csms", 1001, "bye\n", echo=(1000, ""))).lines()
    assert lines[0].endswith("● connected ocpp1.6 from 192.0.2.7:40112, TLS station, CSMS in 12 ms, compressed")
    assert lines[1].endswith('○ closed by csms: 1001 going away "bye\\n", answered 1000, after 3 min 12 s')


@pytest.mark.parametrize(("changes", "said"), [
    ({"status": 401, "refused_by": "csms"}, "✗ refused by csms: 401 Unauthorized from"),
    ({"status": 502, "refused_by": "proxy"}, "✗ refused by proxy: 502 Bad Gateway from"),
    ({"status": 799, "refused_by": "csms"}, "✗ refused by csms: 799 from"),
    ({"status": None, "refused_by": "station"}, "✗ refused by station: no answer from"),
    ({"subprotocol": None}, "● connected no subprotocol from"),
])
def test_a_handshake_says_how_it_ended(screen: Make, changes: dict[str, Any], said: str) -> None:
    assert said in screen(120).draw(Story().opened(**changes)).text()


def test_the_end_of_a_refused_handshake_is_not_told_again(screen: Make) -> None:
    cp = Story()
    lines = screen().draw(cp.opened(status=401, refused_by="csms"), cp.closed("csms", 1006)).lines()
    assert len(lines) == 1


@pytest.mark.parametrize(("code", "meaning"), [
    (1000, "normal"), (1005, "no code given"), (1006, "connection lost"), (1013, "try again later"),
    (4001, "private"), (2999, "unassigned")])
def test_close_codes_are_explained(screen: Make, code: int, meaning: str) -> None:
    assert f"closed by station: {code} {meaning}\n" in screen().draw(Story().closed("station", code)).text()


def test_a_call_without_an_answer_is_told_when_the_connection_ends(screen: Make) -> None:
    cp = Story()
    lines = screen(120).draw(cp.call("csms", "ClearCache"), cp.closed()).lines()
    assert "← csms ClearCache UNANSWERED when the connection closed (frame 1)" in lines[1]


def test_a_call_without_an_answer_is_told_in_time_and_once(screen: Make) -> None:
    cp = Story()
    drawn = screen().draw(cp.call("csms", "ClearCache"))
    drawn.view.tick(cp.wait(29_999).now)
    assert "UNANSWERED" not in drawn.file.getvalue()
    drawn.view.tick(cp.wait(1).now)
    drawn.draw(cp.result("station", {"status": "Accepted"}), cp.closed())
    text = drawn.text()
    assert text.count("UNANSWERED for 30 s (frame 1)") == text.count("UNANSWERED") == 1
    assert "ClearCache ✓ 30.0 s" in text


def test_a_gap_is_loud_and_names_the_station(screen: Make) -> None:
    cp = Story()
    lines = screen().draw(cp.call("station", "A"), cp.gap(2, 3), cp.gap(9, 1)).lines()
    assert lines[1].endswith("CP001 GAP: frames 2 to 4 forwarded but NOT RECORDED: disk full")
    assert "GAP: frame 9 forwarded" in lines[2]


# --- stations and screens --------------------------------------------------------------------------------------


def test_stations_are_aligned_and_long_ones_shortened_in_the_middle(screen: Make) -> None:
    told = [Story(name, f"c{n}").call("station", "A") for n, name in
            enumerate(("CP1", "NL-GFX-E12345-000017", "NL-GFX-E12345-000018", None))]
    drawn = screen(80).draw(*told).lines()
    assert [line[13:26] for line in drawn[1:]] == ["NL-GF…000017 ", "NL-GF…000018 ", "           - "]
    assert drawn[0][13:] == "  CP1 → csms A"


def test_a_station_cannot_pass_for_another_line(screen: Make) -> None:
    hostile = Story("CP1 → csms Heartbeat\n10:00:00.000 CP2")
    lines = screen(160).draw(hostile.call("station", 'Reset ✓ 3 ms\r  "x"')).lines()
    assert len(lines) == 1
    assert "CP1_→_csms_Hear…10:00:00.000_CP2 → csms" in lines[0]
    assert '→ csms "Reset ✓ 3 ms\\r  "x""' in lines[0]


def test_a_new_day_is_announced(screen: Make) -> None:
    cp = Story()
    drawn = screen().draw(cp.call("station", "A"))
    cp.wait(86_400_000)
    text = drawn.draw(cp.call("station", "B")).text()
    assert "── 2026-11-21 Sat, UTC+01:00, local time ─" in text
    assert "── 2026-11-22 Sun, UTC+01:00, local time ─" in text


def test_a_resized_terminal_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_of(80)
    view = StreamView(console, zone=ZONE)
    cp = Story()
    view.show(cp.call("station", "SecurityEventNotification", {"type": "x" * 40, "techInfo": "y" * 50}))
    console.width = 60
    cp.wait(600)
    view.show(cp.call("station", "SecurityEventNotification", {"type": "x" * 40, "techInfo": "y" * 50}))
    assert view.close()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [width_of(line) for line in lines[-2:]] == [80, 60]


anything = st.text(st.characters(exclude_categories=()), max_size=30)


@given(anything, anything, anything, st.sampled_from([40, 80, 160, None]))
def test_hostile_text_anywhere_stays_text_on_its_own_line(a: str, b: str, c: str, width: int | None) -> None:
    console = console_of(width)
    view = StreamView(console, zone=ZONE)
    cp = Story(a)
    for batch in (
        cp.opened(subprotocol=b, station_address=c, offered=(a,)), cp.call("station", b, {c: a}, message_id=a),
        cp.error("csms", c, a), cp.orphan("csms", b), cp.malformed("station", c.encode("utf-8", "replace"), b),
        cp.gap(1, 2, c), cp.closed("csms", 4000, b), cp.opened(status=400, refused_by="csms", offered=(a, b, c)),
    ):
        view.show(batch)
    view.show(cp.finding(a, message=b, references=(c,), fix="") if width is None else [])
    assert view.close()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == 10


def test_memories_stay_bounded(screen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocpp_proxy.live.stream._KEPT", 10)
    drawn = screen()
    for n in range(100):
        cp = Story(f"CP{n}", f"c{n}")
        drawn.draw(cp.opened(), cp.call("station", "A") + cp.finding(message=str(n)))
    view = drawn.view
    assert max(len(memory) for memory in (view._open, view._opened, view._stations, view._colours,
                                          view._drawn_stations, view._findings._seen, view._findings._told)) <= 10
    assert drawn.text()


def test_a_capture_of_any_year_can_be_shown(screen: Make) -> None:
    cp = Story(clock=[Instant(START.utc_us * 10_000, 0)])
    assert "--:--:--.000" in screen().draw(cp.call("station", "A")).text()


ACTS = {
    "a fault": (
        {"act": "fault", "by": "ada", "fault": "f1", "kind": "delay", "station": "CP*", "action": "Heartbeat",
         "seconds": 2.0},
        "◆ fault f1 delay on CP* action=Heartbeat seconds=2.0 (by ada)"),
    "its end": ({"act": "fault-end", "by": "its time", "fault": "f1", "hits": 1},
                "◆ fault f1 is over, 1 hit (by its time)"),
    "no answer": (
        {"act": "inject", "by": "api", "action": "Reset", "to": "station", "outcome": "timeout"},
        "◆ Reset to the station: timeout (by api)"),
    "a panic": ({"act": "panic", "by": "api"}, "◆ PANIC: pure relay from here on (by api)"),
}


@pytest.mark.parametrize("what", ACTS)
def test_what_was_done_to_the_link_is_drawn(screen: Make, what: str) -> None:
    fields, words = ACTS[what]
    shown = screen()
    shown.view.act(Entry(type="act", at=Story().now, fields=fields))
    assert shown.lines()[-1].endswith(words)


def test_a_remark_is_drawn_harmlessly_and_an_injection_that_is_seen_anyway_is_not(screen: Make) -> None:
    shown = screen()
    shown.view.act(Entry(type="note", at=Story().now, fields={"text": "plugged in \x1b[2J", "by": "ada"}))
    shown.view.act(Entry(type="act", at=Story().now, fields={"act": "inject", "action": "Reset", "seq": 3}))
    (line,) = shown.lines()
    assert line.endswith("✎ plugged in \\x1b[2J (by ada)")
