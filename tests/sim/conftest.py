"""A simulated station and a simulated CSMS on one loopback port, every frame between them kept and checkable."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft6Validator, FormatChecker

from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim.behaviours import Conformant
from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.csms_behaviours import Accepting
from ocpp_proxy.sim.station import SimulatedStation

FORMATS = FormatChecker(formats=())
UTC_MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@FORMATS.checks("date-time")
def _is_timestamp(value: object) -> bool:
    return isinstance(value, str) and UTC_MILLISECONDS.fullmatch(value) is not None


@cache
def validator(version: Version, name: str) -> Draft6Validator:
    text = files("ocpp").joinpath(f"v{version.replace('.', '')}/schemas/{name}.json").read_text("utf-8-sig")
    return Draft6Validator(json.loads(text, parse_float=Decimal), format_checker=FORMATS)


@dataclass
class Frames:
    """What passed, in order: (sender, frame), as the station saw it."""

    version: Version
    passed: list[tuple[str, list[Any]]] = field(default_factory=list)

    def observe(self, direction: str, text: str) -> None:
        sender = "station" if direction == "sent" else "csms"
        self.passed.append((sender, json.loads(text, parse_float=Decimal)))

    def calls(self, *actions: str, sender: str = "station") -> list[Any]:
        """Requests of these actions (all, if none), in order; with several actions as (action, request)."""
        found = [(frame[2], frame[3]) for who, frame in self.passed if who == sender and frame[0] in (2, 6)
                 and (not actions or frame[2] in actions)]
        return [request for _, request in found] if len(actions) == 1 else found

    def exchanges(self) -> Iterator[tuple[str, str, dict[str, Any], list[Any] | None]]:
        """(caller, action, request, answering frame)."""
        for place, (caller, frame) in enumerate(self.passed):
            if frame[0] == 2:
                answer = next((other for who, other in self.passed[place:] if who != caller and other[0] in (3, 4)
                               and other[1] == frame[1]), None)
                yield caller, frame[2], frame[3], answer

    def invalid(self) -> list[str]:
        """What breaks a schema, in either direction, and what ended in a mistake of ours. A SEND's schema has the
        action's bare name."""
        suffix = "" if self.version == "1.6" else "Request"
        errors = []
        for _, frame in self.passed:
            if frame[0] == 6:
                errors += [(frame[2], error.message) for error in validator("2.1", frame[2]).iter_errors(frame[3])]
        for _, action, request, answer in self.exchanges():
            errors += [(action, error.message)
                       for error in validator(self.version, action + suffix).iter_errors(request)]
            if answer is not None and answer[2] == "InternalError":
                errors.append((action, str(answer[3])))
            if answer is not None and answer[0] == 3:
                errors += [(action, error.message)
                           for error in validator(self.version, action + "Response").iter_errors(answer[2])]
        return [f"{action}: {message}" for action, message in errors]

    def overlaps(self) -> list[str]:
        """CALLs that were sent while the sender's one before was open."""
        open_calls: dict[str, str] = {}
        found = []
        for sender, frame in self.passed:
            if frame[0] == 2:
                if sender in open_calls:
                    found.append(frame[2])
                open_calls[sender] = frame[1]
            elif frame[0] in (3, 4):
                other = "csms" if sender == "station" else "station"
                if open_calls.get(other) == frame[1]:
                    del open_calls[other]
        return found


@dataclass
class Pair:
    csms: SimulatedCsms
    station: SimulatedStation
    frames: Frames

    async def ask(self, action: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        """A CALL from the CSMS to the station."""
        return await self.csms.call("CP1", action, payload or {})

    async def heard(self, action: str, where: Callable[[dict[str, Any]], bool] = lambda _: True, after: int = 0) -> Any:
        return await self.csms.wait_for("CP1", action, where, after=after)

    async def settled(self) -> None:
        """Wait until every CALL has its answer."""
        async with asyncio.timeout(10):
            while any(answer is None for *_, answer in self.frames.exchanges()):
                await asyncio.sleep(0.005)

    @property
    def received(self) -> list[tuple[str, dict[str, Any]]]:
        return self.csms.stations["CP1"].received

    async def status(self, connector: Any, status: str, after: int = 0) -> None:
        """Wait until the CSMS has heard that status of that connector."""
        await self.heard("StatusNotification", lambda request: (
            request["connectorId"] == connector and request["status"] == status), after)


Pairing = Callable[..., AbstractAsyncContextManager[Pair]]


@pytest.fixture
def pair() -> Pairing:
    @asynccontextmanager
    async def make(
        version: Version = "1.6", behaviour: str | Conformant = "conformant", csms: str | Accepting = "accepting", *,
        scale: float = 200, ready: bool = True, **options: Any,
    ) -> AsyncIterator[Pair]:
        clock = ScaledClock(scale)
        frames = Frames(version)
        async with (
            SimulatedCsms(csms, clock=clock, response_timeout_s=5) as server,
            SimulatedStation(server.url, "CP1", version, behaviour, clock=clock, observe=frames.observe,
                             response_timeout_s=options.pop("response_timeout_s", 5), **options) as station,
        ):
            if ready:
                await station.until_ready()
            yield Pair(server, station, frames)

    return make
