"""A board, controls that only note what they are asked, and the API before them on a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ocpp_proxy.control.board import Board
from ocpp_proxy.control.service import ControlApi
from ocpp_proxy.control.subject import Subject
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Closed, FrameRecord, Opened, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.acts import Fault, FaultOrder, Injection, Outcome, RefusedActError
from ocpp_proxy.relay.controls import Controls

START_US = 1_795_000_000_000_000


class NotingControls(Controls):
    """Does nothing but note what it was asked for; `answer` is what an injection comes to, `refusal` is raised."""

    def __init__(self) -> None:
        self.allowed = True
        self.panicked = False
        self.asked: list[Any] = []
        self.answer = Outcome(outcome="result", connection="c1", message_id="m", seq=3, latency_ms=1.5,
                              response={"status": "Accepted"})
        self.refusal: RefusedActError | None = None
        self.in_force: list[Fault] = []

    async def inject(self, order: Injection) -> Outcome:
        self._hear(order)
        return self.answer

    def add_fault(self, order: FaultOrder) -> Fault:
        self._hear(order)
        fault = Fault(id=f"f{len(self.in_force) + 1}", order=order, since="2026-11-21T09:00:00.000000Z")
        self.in_force.append(fault)
        return fault

    def faults(self) -> list[Fault]:
        return self.in_force

    def clear_faults(self, fault_id: str | None = None, *, by: str = "api") -> list[Fault]:
        gone = [one for one in self.in_force if fault_id in (None, one.id)]
        if fault_id is not None and not gone:
            raise RefusedActError("unknown-fault", f"there is no fault {fault_id}")
        self.in_force = [one for one in self.in_force if one not in gone]
        return gone

    def panic(self, by: str = "api") -> None:
        self.panicked = True

    def calm(self, by: str = "api") -> None:
        self.panicked = False

    def asked_to_stop(self, by: str = "api") -> None:
        self._hear(("stop", by))

    def note(self, text: str, *, station: str | None = None, by: str = "api") -> None:
        self._hear((text, station, by))

    def _hear(self, order: Any) -> None:
        self.asked.append(order)
        if self.refusal is not None:
            raise self.refusal


@dataclass
class Parts:
    """A pipeline with a board behind it, fed by hand."""

    keep_secrets: bool = False
    pipeline: Pipeline = field(default_factory=lambda: Pipeline(load_rules(), Schemas(load_schema), forget_closed=True))
    controls: NotingControls = field(default_factory=NotingControls)
    ended: list[bool] = field(default_factory=list)
    recorded: bool = True
    at_us: int = START_US
    seqs: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.board = Board(self.pipeline.session, keep_secrets=self.keep_secrets)

    def feed(self, record: Record) -> None:
        self.board.show(self.pipeline.feed(record))

    def now(self) -> Instant:
        self.at_us += 10_000
        return Instant(self.at_us)

    def open(self, station: str | None = "CP1", connection: str = "c1", **more: Any) -> None:
        self.feed(Opened(**{"connection": connection, "at": self.now(), "station": station,
                            "subprotocol": "ocpp1.6", **more}))

    def close(self, connection: str = "c1") -> None:
        self.feed(Closed(connection=connection, at=self.now(), by="station", code=1000))

    def say(self, data: str, sender: str = "station", connection: str = "c1", **more: Any) -> None:
        seq = self.seqs[connection] = self.seqs.get(connection, 0) + 1
        to = more.pop("to", "csms" if sender == "station" else "station")
        self.feed(FrameRecord(connection=connection, seq=seq, at=self.now(), sender=sender, to=to,  # type: ignore[arg-type]
                              opcode=more.pop("opcode", "text"), data=data.encode(), **more))

    def subject(self, capture: Path) -> Subject:
        return Subject(self.controls, self.board, "2026-11-21T09:00:00.000000Z", ("ws://127.0.0.1:9000",), capture,
                       lambda: self.recorded, lambda: self.ended.append(True))


@dataclass
class Served:
    """The API, and somebody who knows its token."""

    parts: Parts
    api: ControlApi
    client: httpx.AsyncClient
    notices: list[str]

    async def get(self, path: str, **more: Any) -> Any:
        answer = await self.client.get(path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def served(tmp_path: Path, parts: Parts | None = None) -> AsyncIterator[Served]:
    parts = parts or Parts()
    notices: list[str] = []
    api = ControlApi("127.0.0.1:0", notices.append, tmp_path / "run")
    try:
        api.open(parts.subject(tmp_path / "x.db"))
        token = api.token_file.read_text().strip()
        async with httpx.AsyncClient(base_url=api.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False,
                                     timeout=20) as client:
            yield Served(parts, api, client, notices)
    finally:
        await api.close()


