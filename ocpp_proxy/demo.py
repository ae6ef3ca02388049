"""The whole chain on one screen: a simulated CSMS, the proxy and a simulated station on free loopback ports.

Decides the story: the station of a commissioning sheet that was filled in by hand (no SIM card, no TriggerMessage)
boots, reports, charges, and is asked what it cannot do. Refuses to fake anything: every frame crosses real sockets
and the real relay, and the capture is checked again from its file at the end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ocpp_proxy import __version__
from ocpp_proxy.capture import Recorder
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.live.face import Face
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.proxy import RelaySettings
from ocpp_proxy.relay.service import Service
from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.station import SimulatedStation

TIME_SCALE = 60.0
CHARGING_S = 600.0
PATIENCE_S = 50.0
CAPTURE_NAME = "demo.db"
STATION = "CPB1-0042"
EXPECTED = frozenset({"boot-missing-iccid", "trigger-message-not-implemented"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """`capture`: where it lies; `rules`: ids of the rules that raised a finding while it ran."""

    capture: Path
    rules: frozenset[str]
    complete: bool


async def play(out: Path, console: Console, notice: Callable[[str], None]) -> Outcome:
    """Run the demo; its capture is left in the folder `out`. Raises BadInput where that cannot be written."""
    capture = _fresh(out)
    clock = ScaledClock(TIME_SCALE)
    rules = load_rules()
    pipeline = Pipeline(rules, Schemas(load_schema), time_scale=TIME_SCALE)
    recorder = Recorder.create(capture, f"ocpp-proxy {__version__}", time_scale=TIME_SCALE, on_trouble=notice)
    face = Face("stream", capture, console)
    async with SimulatedCsms(clock=clock) as csms:
        settings = RelaySettings(upstream=csms.url, listen=("127.0.0.1:0",))
        service = Service(settings, recorder, pipeline, listeners=[face], on_notice=notice)
        try:
            [address] = await service.start()
            _introduce(console, csms.url, address)
            async with asyncio.timeout(PATIENCE_S):
                await _story(csms, address, clock)
        finally:
            await service.stop()
    face.close()
    return Outcome(capture, frozenset(finding.rule for finding in pipeline.findings()), not recorder.had_gap)


async def _story(csms: SimulatedCsms, address: str, clock: ScaledClock) -> None:
    async with SimulatedStation(address, STATION, "1.6", "wallbox-cpb1", clock=clock) as station:
        await station.ready.wait()
        # What an operator asks first while commissioning.
        await csms.call(STATION, "GetConfiguration", {})
        await csms.call(STATION, "TriggerMessage", {"requestedMessage": "StatusNotification"})
        await station.charge(1, seconds=CHARGING_S)


def _fresh(out: Path) -> Path:
    capture = out / CAPTURE_NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        capture.unlink(missing_ok=True)  # the demo's own, of an earlier time
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", str(capture)) from None
    return capture


def _introduce(console: Console, csms: str, address: str) -> None:
    console.print(
        f"A simulated Wallbox CPB1 at {address}/{STATION} talks through the proxy to a simulated CSMS at {csms}.\n"
        f"Time runs {TIME_SCALE:g} times as fast as on a real site.\n",
        markup=False, highlight=False, soft_wrap=False,
    )
    sys.stdout.flush()
