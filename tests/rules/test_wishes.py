"""What profiles wish for, put together."""

from ocpp_proxy.rules.wishes import Bounds, Wanted, Wish, wishes_of


def test_wishes_add_up_and_the_last_time_counts():
    wishes = wishes_of([
        ("a", {"boot_fields": ["iccid"], "heartbeat": {"at_most_s": 3600, "why": "w"}, "bounds": {"status_s": 5}}),
        ("b", {"boot_fields": [{"name": "imsi", "why": "x"}], "measurands": ["Voltage"],
               "bounds": {"status_s": 7, "stop_s": 1}, "feature_profiles": ["RemoteTrigger"]}),
    ])
    assert wishes.profiles == ("a", "b")
    assert wishes.boot_fields == (Wish("a", "iccid"), Wish("b", "imsi", why="x"))
    assert wishes.heartbeat == (Wish("a", "HeartbeatInterval", 3600.0, "w"),)
    assert (wishes.measurands, wishes.feature_profiles) == ((Wish("b", "Voltage"),), (Wish("b", "RemoteTrigger"),))
    assert (wishes.bounds.status_s, wishes.bounds.stop_s, wishes.bounds.trigger_s) == (7, 1, Bounds().trigger_s)


def test_a_setting_is_wanted_as_a_station_would_write_it():
    settings = {"A": True, "B": 3, "C": {"equals": "x"}, "D": {"one_of": [False, 1]},
                "E": {"at_least": 1, "at_most": 9}, "F": {"contains": ["Voltage"], "why": "w"}}
    assert wishes_of([("p", {"settings": settings})]).settings == (
        Wanted("p", "A", one_of=("true",)), Wanted("p", "B", one_of=("3",)), Wanted("p", "C", one_of=("x",)),
        Wanted("p", "D", one_of=("false", "1")), Wanted("p", "E", at_least=1, at_most=9),
        Wanted("p", "F", contains=("Voltage",), why="w"))


def test_a_tolerance_is_seconds_or_a_share_whichever_is_more():
    assert [Bounds().tolerance_s(interval) for interval in (1, 20, 600)] == [2, 2, 60]


def test_where_time_runs_faster_answers_are_awaited_in_true_time_and_all_else_gets_a_second_more():
    scaled = Bounds().scaled(60)
    assert (scaled.answer_fail_s, scaled.status_s, scaled.energy_wh) == (1800, 70, Bounds().energy_wh)
    assert Bounds().scaled(1) == Bounds()
