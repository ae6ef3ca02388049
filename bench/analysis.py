"""The analysis alone, beside what a CSMS on the `ocpp` package spends on reading and validating the same
frames.

Ours: the gate (one reader, masking) and the pipeline with all bundled rules. Theirs: `unpack` and
`validate_payload`, which is less: first error only, no formats, no pairing, no rules. What is done once, whatever the
frames, is not counted on either side: loading and compiling schemas and rules. Runs in a process of its own
and prints JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import TypeVar

from ocpp import messages

from bench import loop, mix
from ocpp_proxy.core.frame import OTHER_SIDE, Side
from ocpp_proxy.core.gate import admit
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.tasks import collect_seldom

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Analysis:
    """Processor microseconds a frame, medians over the rounds; `ratio` is ours to theirs within a round."""

    frames: int
    rounds: int
    ours_us: float
    ocpp_us: float
    ratio: float
    findings: int


def measure(stations: int, rounds: int) -> Analysis:
    days = [[(mix.at(seconds), sender, raw) for seconds, sender, raw in mix.conversation(f"st{number}")]
            for number in range(stations)]
    frames = sum(map(len, days))
    texts = [[raw.decode() for *_, raw in day] for day in days]
    messages.ASYNC_VALIDATION = False
    schemas = Schemas(load_schema)
    rules = load_rules(None, profiles=("default",))
    collect_seldom()  # as the commands do; the other side runs in the same process
    findings = 0

    def ours(pipeline: Pipeline) -> None:
        nonlocal findings
        for number, day in enumerate(days):
            _feed(pipeline, f"c{number}", day)
        findings = len(pipeline.findings())

    def theirs(texts: list[list[str]]) -> None:
        loop.run(_validate(texts))

    ours(Pipeline(rules, schemas))  # compile the schemas, fill the caches
    theirs(texts)
    taken = [(_cpu_us(ours, Pipeline(rules, schemas)) / frames, _cpu_us(theirs, texts) / frames)
             for _ in range(rounds)]
    return Analysis(frames, rounds, median(one for one, _ in taken), median(two for _, two in taken),
                    median(one / two for one, two in taken), findings)


def _feed(pipeline: Pipeline, connection: str, day: list[tuple[Instant, Side, bytes]]) -> None:
    pipeline.feed(mix.opened(connection))
    for seq, (at, sender, raw) in enumerate(day, 1):
        admitted = admit(raw, binary=False, keep_secrets=False)
        pipeline.feed(
            FrameRecord(connection=connection, seq=seq, at=at, sender=sender, to=OTHER_SIDE[sender],
                        opcode="text", data=admitted.data, masked=admitted.masked),
            admitted.frame)
    pipeline.feed(mix.closed(connection, day[-1][0]))


async def _validate(days: list[list[str]]) -> None:
    """As `ocpp.charge_point.ChargePoint` does it: an answer's schema is known by its Call."""
    for day in days:
        actions: dict[str, str] = {}
        for text in day:
            message = messages.unpack(text)
            if isinstance(message, messages.CallError):
                continue
            if isinstance(message, messages.Call):
                actions[message.unique_id] = message.action
            else:
                message.action = actions.pop(message.unique_id)
            await messages.validate_payload(message, "1.6")


def _cpu_us(work: Callable[[Given], None], given: Given) -> float:
    gc.collect()
    before = time.process_time_ns()
    work(given)
    return (time.process_time_ns() - before) / 1000


if __name__ == "__main__":
    print(json.dumps(asdict(measure(stations=int(sys.argv[1]), rounds=int(sys.argv[2])))))
