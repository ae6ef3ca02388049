"""Each answer finds its Call, and what is odd about it is named."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.exchange import OPEN_MAX, PAST_MAX, Correlation, Correlator
from ocpp_proxy.core.frame import CallError, CallResult, CallResultError, Sender, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.reader import read


class Line:
    """One connection, told frame by frame: `line.station(…)` is what the station sends at the second `at_s`."""

    def __init__(self, timeout_s: float = 30) -> None:
        self.correlator = Correlator("c1", timeout_s)
        self.seq = count(1)

    def send(self, sender: Sender, text: str, at_s: float = 0, injected_for: Side | None = None) -> Correlation:
        at = Instant(round(at_s * 1e6))
        return self.correlator.receive(read(text.encode()), next(self.seq), sender, at, injected_for)

    def station(self, text: str, at_s: float = 0) -> Correlation:
        return self.send("station", text, at_s)

    def csms(self, text: str, at_s: float = 0) -> Correlation:
        return self.send("csms", text, at_s)

    @property
    def open(self) -> list[tuple[str, str]]:
        return [(exchange.caller, exchange.message_id) for exchange in self.correlator.unanswered()]


def test_call_and_result() -> None:
    line = Line()
    called = line.station('[2,"1","Heartbeat",{}]', 1)
    assert called.remarks == ("opened",)
    exchange = called.exchange
    assert exchange is not None
    assert (exchange.connection, exchange.caller, exchange.call_seq) == ("c1", "station", 1)
    assert (exchange.request, exchange.response, exchange.latency_ms, exchange.injected) == ({}, None, None, False)
    assert line.open == [("station", "1")]
    answered = line.csms('[3,"1",{"currentTime":"x"}]', 1.25)
    assert answered.exchange is exchange
    assert answered.remarks == ("answered",)
    assert (exchange.response, exchange.answer_seq, exchange.latency_ms) == ({"currentTime": "x"}, 2, 250)
    assert isinstance(exchange.answer, CallResult)
    assert line.open == []


def test_call_and_error() -> None:
    line = Line()
    line.csms('[2,"1","Reset",{"type":"Soft"}]')
    answered = line.station('[4,"1","NotSupported","",{}]')
    assert answered.remarks == ("answered",)
    assert answered.exchange is not None
    assert isinstance(answered.exchange.answer, CallError)
    assert answered.exchange.response is None


@pytest.mark.parametrize("raw", ['[2,"1","Heartbeat"', '["2","1","Heartbeat",{}]', '\ufeff[2,"1","Heartbeat",NaN]\0'])
def test_a_defective_call_pairs_with_its_answer(raw: str) -> None:
    line = Line()
    line.station(raw)
    assert line.csms('[4,"1","FormationViolation","",{}]').remarks == ("answered",)


def test_a_number_as_id_pairs_with_either_spelling() -> None:
    line = Line()
    line.station('[2,17,"Heartbeat",{}]')
    assert line.csms('[3,"17",{}]').remarks == ("answered",)
    line.station('[2,"18","Heartbeat",{}]')
    assert line.csms("[3,18,{}]").remarks == ("answered",)


def test_the_same_id_in_both_directions_at_once() -> None:
    line = Line()
    line.station('[2,"1","Heartbeat",{}]')
    line.csms('[2,"1","ClearCache",{}]')
    assert line.open == [("station", "1"), ("csms", "1")]
    first, second = line.station('[3,"1",{"status":"Accepted"}]'), line.csms('[3,"1",{"currentTime":"x"}]')
    assert (first.exchange and first.exchange.action, first.remarks) == ("ClearCache", ("answered",))
    assert (second.exchange and second.exchange.action, second.remarks) == ("Heartbeat", ("answered",))


def test_answered_twice() -> None:
    line = Line()
    called = line.station('[2,"1","Heartbeat",{}]')
    line.csms('[3,"1",{"currentTime":"x"}]')
    again = line.csms('[4,"1","InternalError","",{}]')
    assert (again.exchange, again.remarks) == (called.exchange, ("answered-twice",))
    assert again.exchange is not None
    assert isinstance(again.exchange.answer, CallResult)
    for number in range(2, 5):
        line.station(f'[2,"{number}","Heartbeat",{{}}]')
        line.csms(f'[3,"{number}",{{}}]')
    later = line.csms('[3,"1",{}]')
    assert (later.exchange, later.remarks) == (None, ("answered-twice",))
    assert later.earlier is not None
    assert (later.earlier.action, later.earlier.call_seq, later.earlier.answer_seq) == ("Heartbeat", 1, 2)


def test_late() -> None:
    line = Line(timeout_s=10)
    line.station('[2,"1","Heartbeat",{}]', 0)
    line.station('[2,"2","Heartbeat",{}]', 0)
    assert line.csms('[3,"1",{}]', 10).remarks == ("answered",)
    assert line.csms('[3,"2",{}]', 10.001).remarks == ("answered", "late")


@pytest.mark.parametrize("answer", ['[3,"9",{}]', '[4,"9","GenericError","",{}]', '[4,"-1","RpcFrameworkError","",{}]'])
def test_orphan(answer: str) -> None:
    line = Line()
    line.station('[2,"1","Heartbeat",{}]')
    assert line.csms(answer) == Correlation(None, ("orphan",))
    assert line.station('[3,"1",{}]') == Correlation(None, ("orphan",))  # the caller cannot answer itself
    assert line.open == [("station", "1")]


def test_retry_while_open() -> None:
    line = Line()
    called = line.station('[2,"1","Authorize",{"idTag":"A"}]', 0)
    again = line.station('[2, "1", "Authorize", {"idTag": "A"}]', 20)
    assert (again.exchange, again.remarks) == (called.exchange, ("retry",))
    answered = line.csms('[3,"1",{}]', 21)
    assert answered.exchange is not None
    assert (answered.exchange.attempts, answered.exchange.call_seq, answered.exchange.latency_ms) == (2, 1, 1000)


def test_retry_after_the_answer() -> None:
    line = Line()
    line.station('[2,"1","Authorize",{"idTag":"A"}]')
    line.csms('[3,"1",{}]')
    again = line.station('[2,"1","Authorize",{"idTag":"A"}]')
    assert again.remarks == ("opened", "retry")
    assert again.earlier is not None
    assert again.earlier.call_seq == 1
    assert line.csms('[3,"1",{}]').remarks == ("answered",)


def test_id_reuse() -> None:
    line = Line()
    line.station('[2,"1","Authorize",{"idTag":"A"}]', 0)
    line.csms('[3,"1",{}]', 1)
    assert line.station('[2,"1","Authorize",{"idTag":"B"}]', 2).remarks == ("opened", "id-reuse")
    changed = line.station('[2,"1","Heartbeat",{}]', 3)
    assert changed.remarks == ("opened", "id-reuse", "overlap")
    answered = line.csms('[3,"1",{}]', 4)
    assert answered.exchange is changed.exchange
    assert line.csms('[3,"1",{}]', 5).remarks == ("answered-twice",)


def test_overlap() -> None:
    line = Line(timeout_s=10)
    assert line.station('[2,"1","Heartbeat",{}]', 0).remarks == ("opened",)
    assert line.csms('[2,"a","ClearCache",{}]', 1).remarks == ("opened",)  # the other side's Call is no overlap
    assert line.station('[2,"2","Heartbeat",{}]', 5).remarks == ("opened", "overlap")
    line.csms('[3,"2",{}]', 6)
    assert line.station('[2,"3","Heartbeat",{}]', 10.5).remarks == ("opened",)  # the first has timed out
    assert line.station('[2,"3","Heartbeat",{}]', 11).remarks == ("retry",)


def test_injected_exchanges_are_marked_and_do_not_count_against_their_caller() -> None:
    line = Line()
    injected = line.send("proxy", '[2,"p1","TriggerMessage",{"requestedMessage":"Heartbeat"}]', 0, "csms")
    assert injected.exchange is not None
    assert (injected.exchange.injected, injected.exchange.caller) == (True, "csms")
    assert line.csms('[2,"1","Reset",{"type":"Soft"}]', 1).remarks == ("opened",)
    assert line.send("proxy", '[2,"p2","ClearCache",{}]', 2, "csms").remarks == ("opened", "overlap")
    answered = line.station('[3,"p1",{"status":"Accepted"}]', 3)
    assert (answered.exchange, answered.remarks) == (injected.exchange, ("answered",))


def test_the_proxy_may_answer_for_a_side() -> None:
    line = Line()
    line.station('[2,"1","Heartbeat",{}]')
    assert line.send("proxy", '[3,"1",{"currentTime":"x"}]', 1, "csms").remarks == ("answered",)
    assert line.send("proxy", '[3,"1",{}]', 1) == Correlation(None)


def test_send_opens_and_closes_itself() -> None:
    line = Line()
    sent = line.station('[6,"1","NotifyPeriodicEventStream",{"id":1}]')
    assert sent.remarks == ("opened",)
    assert sent.exchange is not None
    assert (sent.exchange.action, sent.exchange.answer) == ("NotifyPeriodicEventStream", None)
    assert line.open == []
    assert line.station('[2,"2","Heartbeat",{}]').remarks == ("opened",)
    answered = line.csms('[3,"1",{}]')
    assert answered.remarks == ("orphan",)
    assert answered.earlier is not None
    assert answered.earlier.action == "NotifyPeriodicEventStream"
    assert line.station('[6,"1","NotifyPeriodicEventStream",{"id":2}]').remarks == ("opened", "id-reuse")


def test_a_result_error_belongs_to_the_exchange_whose_result_it_complains_about() -> None:
    line = Line()
    line.station('[2,"1","BootNotification",{}]')
    answered = line.csms('[3,"1",{"status":"Accepted"}]')
    complained = line.station('[5,"1","FormatViolation","no interval",{}]')
    assert (complained.exchange, complained.remarks) == (answered.exchange, ())
    assert complained.exchange is not None
    assert isinstance(complained.exchange.complaint, CallResultError)
    assert isinstance(complained.exchange.answer, CallResult)
    assert line.csms('[5,"1","FormatViolation","",{}]').remarks == ("orphan",)  # the CSMS called nothing
    assert line.station('[5,"9","FormatViolation","",{}]').remarks == ("orphan",)


def test_what_cannot_be_read_belongs_to_nothing() -> None:
    line = Line()
    line.station('[2,"1","Heartbeat",{}]')
    assert line.csms("garbage") == Correlation(None)
    assert line.open == [("station", "1")]


def test_memory_is_bounded_by_count() -> None:
    line = Line()
    for number in range(1000):
        line.station(f'[2,"{number}","Heartbeat",{{}}]')
    assert line.open == [("station", str(number)) for number in range(1000 - OPEN_MAX, 1000)]
    for number in range(1000):
        line.csms(f'[2,"{number}","ClearCache",{{}}]')
        line.station(f'[3,"{number}",{{}}]')
    assert line.station('[3,"0",{}]').remarks == ("orphan",)
    assert line.station(f'[3,"{1000 - PAST_MAX}",{{}}]').remarks == ("answered-twice",)


def test_an_idle_connection_costs_less_than_a_kibibyte() -> None:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    idle = [Correlator(f"c{number}") for number in range(1000)]
    cost = (tracemalloc.get_traced_memory()[0] - before) / len(idle)
    tracemalloc.stop()
    assert cost < 1024


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[Side, str, str]]:
    """Calls of both sides, ids shared between them, and one answer each, somewhere behind its Call."""
    sides: tuple[Side, Side] = ("station", "csms")
    calls = draw(st.lists(st.sampled_from(sides), min_size=1, max_size=20))
    left = [(caller, str(index // 2)) for index, caller in enumerate(calls)]
    left = list(dict.fromkeys(left))
    steps: list[tuple[Side, str, str]] = []
    waiting: list[tuple[Side, str]] = []
    while left or waiting:
        if left and (not waiting or draw(st.booleans())):
            call = left.pop(0)
            steps.append((call[0], "call", call[1]))
            waiting.append(call)
        else:
            caller, message_id = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
            steps.append((caller, "answer", message_id))
    return steps


@given(conversations())
def test_any_interleaving_pairs_each_exchange_once(steps: list[tuple[Side, str, str]]) -> None:
    line = Line()
    opened: dict[tuple[Side, str], object] = {}
    for caller, what, message_id in steps:
        other: Side = "csms" if caller == "station" else "station"
        if what == "call":
            seen = line.send(caller, f'[2,"{message_id}","DataTransfer",{{"vendorId":"{caller}{message_id}"}}]')
            assert seen.exchange is not None
            assert seen.remarks[0] == "opened"
            assert set(seen.remarks) <= {"opened", "overlap"}
            opened[caller, message_id] = seen.exchange
        else:
            seen = line.send(other, f'[3,"{message_id}",{{}}]')
            assert seen.remarks == ("answered",)
            assert seen.exchange is opened.pop((caller, message_id))
            assert seen.exchange.request == {"vendorId": f"{caller}{message_id}"}
    assert not opened
    assert line.open == []


@given(st.lists(st.tuples(
    st.sampled_from(["station", "csms", "proxy"]),
    st.sampled_from(["2", "3", "4", "5", "6", "7"]),
    st.sampled_from(["1", "2", "x"]),
    st.sampled_from(['"Heartbeat",{}]', "{}]", '"E","",{}]', ""]),
    st.sampled_from([None, "station", "csms"]),
    st.floats(0, 100),
)))  # fmt: skip
def test_no_order_of_frames_raises(frames: list[tuple[Sender, str, str, str, Side | None, float]]) -> None:
    line = Line()
    for sender, type_id, message_id, rest, injected_for, at_s in frames:
        line.send(sender, f'[{type_id},"{message_id}",{rest}', at_s, injected_for)
