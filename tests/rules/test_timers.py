"""Deadlines run out in the order of their times, and not because of us."""

import pytest

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.links import Link
from ocpp_proxy.rules.bound import BoundRule
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.place import Place
from ocpp_proxy.rules.timers import DEADLINES_MAX, Timers


class Clock:
    """Sets deadlines of one rule for one station, and lets them run out."""

    def __init__(self, bound):
        self.timers = Timers()
        self.session = Session("S")
        self.bound = bound

    def now(self, time, connection="c1"):
        now = Now(self.session, "1.6", connection, time, Instant(0), link=Link(connection, None, 0.0, whole=True))
        now.timers, now.rule = self.timers, self.bound
        return now

    def set(self, time, seconds, data=None, **more):
        now = self.now(time)
        now.later(seconds, lambda *_: None, data=data, place=Place("c1", self.session, None, "station", ()), **more)

    def due(self, time):
        return [(timer.due, timer.deadline.data) for timer in self.timers.due(time)]


@pytest.fixture
def clock(make_rule):
    return Clock(BoundRule(make_rule("r", given={"kind": "frame"}), "1.6"))


def test_they_run_out_in_order_and_once(clock):
    for name, seconds in (("b", 20), ("a", 10), ("c", 30)):
        clock.set(0, seconds, name, key=name)
    assert clock.due(9) == []
    assert clock.due(25) == [(10, "a"), (20, "b")]
    assert clock.due(25) == []
    assert clock.due(99) == [(30, "c")]


def test_one_that_was_put_off_meanwhile_runs_out_later(clock):
    heard = [0]
    clock.set(0, 10, "a", key="k", until=lambda session, deadline: heard[0] + 10)
    heard[0] = 7
    assert clock.due(12) == []
    assert clock.due(17) == [(17, "a")]
    clock.set(20, 10, "b", key="k", until=lambda session, deadline: 5)
    assert clock.due(30) == [(30, "b")]


def test_one_that_is_cancelled_or_set_anew_does_not(clock):
    clock.set(0, 10, "a", key="k")
    clock.set(5, 10, "b", key="k")
    clock.set(0, 10, "c", key="x")
    now = clock.now(6)
    assert now.expected("k").data == "b"
    assert now.cancel("x") is True
    assert now.cancel("x") is False
    assert clock.due(99) == [(15, "b")]
    assert now.expected("k") is None


def test_the_end_of_the_connection_ends_them_but_across(clock):
    clock.set(0, 10, "a", key="a")
    clock.set(0, 10, "b", key="b", across=True)
    clock.timers.end(clock.session, "c9")
    clock.timers.end(clock.session, "c1")
    assert clock.due(99) == [(10, "b")]


def test_what_this_program_holds_up_is_added(clock):
    clock.set(0, 10, "a")
    clock.session.held_s += 4
    assert clock.due(13.9) == []
    clock.session.held_s += 1
    assert clock.due(14.5) == []
    assert clock.due(15) == [(15, "a")]


def test_a_station_has_no_more_than_so_many(clock):
    for number in range(DEADLINES_MAX + 10):
        clock.set(0, 10, number, key=number)
    assert len(clock.due(99)) == DEADLINES_MAX


def test_deadlines_that_are_always_set_anew_do_not_pile_up(clock):
    for number in range(20_000):
        clock.set(number, 300, key="k")
    assert len(clock.timers._heap) < 3000
    assert len(clock.due(10**6)) == 1
