"""Whatever peers say, in whatever order: no rule raises, and the same traffic gives the same findings.

Conversations are made from the schemas of all actions of a version, valid ones and broken ones, with answers of all
kinds, silence, lost connections and handshakes that fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from oracle_frames import Maker, text_of
from oracle_verdicts import messages, schema

from ocpp_proxy.core.frame import OTHER_SIDE, Side
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, FrameRecord, Gap, Opened, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import ACTIONS, SUBPROTOCOLS, VERSIONS
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.rules.timers import DEADLINES_MAX

SEED = 20261121
STEPS = 4000
MESSAGES = {message[:3]: message for message in messages()}
RULES = load_rules(profiles=["greenflux", "lab"])
SCHEMAS = Schemas(load_schema)
SMALL = {"connectorId": 4, "evseId": 4, "transactionId": 5, "requestId": 4, "reservationId": 4, "id": 4, "seqNo": 6}
CODES = (1000, 1001, 1005, 1006, 1009, 1011)
HUGE = ("1e4000000", "-1e4000000", "1e-4000000", "123456789012345678901234567890.5", "0e-5000000")
TOKENS = ["A", "a", "B", "04A1B2C3"]


class Babble:
    """One station's conversation in one version."""

    def __init__(self, version: Any, seed: int) -> None:
        self.random = Random(seed)
        self.version = version
        self.subprotocol = next(name for name, known in SUBPROTOCOLS.items() if known == version)
        self.at_us = Instant.parse("2026-11-21T09:00:00Z").utc_us
        self.connections = 0
        self.seq = 0
        self.open: list[tuple[Side, str, str]] = []

    def records(self) -> Iterator[Record]:
        yield self._opened()
        for number in range(STEPS):
            self.at_us += self.random.choice((1_000, 100_000, 1_000_000, 20_000_000, 400_000_000))
            yield from self._step(number)

    def _step(self, number: int) -> Iterator[Record]:
        dice = self.random.random()
        if dice < 0.02:
            by, code = self.random.choice(("station", "csms", "proxy")), self.random.choice(CODES)
            yield Closed(connection=self._connection, at=self._at(), by=by, code=code)
            self.open.clear()
            if self.random.random() < 0.5:
                yield self._opened(status=self.random.choice((401, 404, 503)))
            yield self._opened()
        elif dice < 0.03:
            yield Gap(connection=self._connection, at=self._at(), first_seq=self.seq + 1, lost=2, reason="x")
            self.seq += 2
        elif dice < 0.06:
            yield self._frame(self.random.choice(("station", "csms")), b"", opcode=self.random.choice(("ping", "pong")))
        elif self.open and dice < 0.5:
            yield self._answer()
        else:
            yield self._call(number)

    def _call(self, number: int) -> Record:
        action = self.random.choice(list(ACTIONS[self.version].values()))
        side: Side = self.random.choice(sorted(action.callers))
        message_id = f"{number if self.random.random() < 0.97 else number // 2}"
        self.open.append((side, message_id, action.name))
        kind = 6 if action.kind == "send" else 2
        payload = self._payload(action.name, "request")
        return self._frame(side, f'[{kind},"{message_id}","{action.name}",{payload}]'.encode())

    def _answer(self) -> Record:
        side, message_id, action = self.open.pop(self.random.randrange(len(self.open)))
        if self.random.random() < 0.1:
            code = self.random.choice(("NotImplemented", "NotSupported", "SecurityError", "GenericError", "Odd"))
            text = f'[4,"{message_id}","{code}","",{{}}]'
        else:
            text = f'[3,"{message_id}",{self._payload(action, "response")}]'
        return self._frame(OTHER_SIDE[side], text.encode())

    def _payload(self, action: str, part: str) -> str:
        message = MESSAGES.get((self.version, action, part))
        if message is None:
            return "{}"
        maker = Maker(schema(message), self.random)
        payload = self._likely(maker.payload())
        if self.random.random() < 0.15:
            payload = maker.mutant(payload)[1]
        return text_of(self._huge(payload) if self.random.random() < 0.1 else payload)

    def _huge(self, value: Any) -> Any:
        """The same with some numbers that nobody can reckon with."""
        if isinstance(value, list):
            return [self._huge(item) for item in value]
        if isinstance(value, dict):
            return {key: self._huge(item) for key, item in value.items()}
        number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
        return Decimal(self.random.choice(HUGE)) if number and self.random.random() < 0.3 else value

    def _likely(self, value: Any) -> Any:
        """The same with numbers, tokens and times that meet again."""
        if isinstance(value, list):
            return [self._likely(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: self._value(key, item) for key, item in value.items()}

    def _value(self, key: str, value: Any) -> Any:
        if key in SMALL and isinstance(value, int):
            return self.random.randrange(SMALL[key])
        if key == "value" and isinstance(value, str) and self.random.random() < 0.5:
            return self.random.choice(("12.5", "1e400", "-1", "NaN", "", *HUGE))
        if key in ("idTag", "idToken", "parentIdTag") and isinstance(value, str):
            return self.random.choice(TOKENS)
        if key == "transactionId" and isinstance(value, str):
            return f"T{self.random.randrange(5)}"
        if key in ("timestamp", "currentTime") and self.random.random() < 0.9:
            return Instant(self.at_us + self.random.randrange(-3600, 60) * 1_000_000).isoformat()
        return self._likely(value)

    def _opened(self, status: int = 101) -> Opened:
        self.connections += 1
        self.seq = 0
        headers = (("Authorization", {"scheme": "Basic", "user": "S", "masked": 16, "form": "text"}), ("Host", "h"))
        return Opened(connection=self._connection, at=self._at(), station="S", offered=(self.subprotocol,),
                      status=status, subprotocol=self.subprotocol if status == 101 else None, target="/ocpp/S",
                      station_headers=headers[self.random.randrange(2) :])

    def _frame(self, sender: Side, data: bytes, opcode: Any = "text") -> FrameRecord:
        self.seq += 1
        return FrameRecord(connection=self._connection, seq=self.seq, at=self._at(), sender=sender,
                           to=OTHER_SIDE[sender], opcode=opcode, data=data,
                           held_ms=5000 if self.random.random() < 0.01 else None)

    @property
    def _connection(self) -> str:
        return f"c{self.connections}"

    def _at(self) -> Instant:
        return Instant(self.at_us)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_no_rule_raises_and_every_book_stays_bounded(version: Any) -> None:
    pipeline = Pipeline(RULES, SCHEMAS)
    for record in Babble(version, SEED).records():
        pipeline.feed(record)
    pipeline.finish()
    session = pipeline.session("S")
    assert session is not None
    assert len(session.timers or ()) <= DEADLINES_MAX
    assert sum(pipeline.counts[severity] for severity in ("error", "warning", "info")) > 100
    found = {finding.rule for finding in pipeline.findings()}
    assert len(found) > 40, "the babble is too tame to say anything of the rules"


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_traffic_gives_the_same_findings(version: Any) -> None:
    def findings() -> list[dict[str, Any]]:
        pipeline = Pipeline(RULES, SCHEMAS)
        for record in Babble(version, SEED + 1).records():
            pipeline.feed(record)
        pipeline.finish()
        return [finding.as_dict() for finding in pipeline.findings()]

    assert findings() == findings()
