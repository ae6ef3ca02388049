"""Periodic monitors of an OCPP 2.x station, and in 2.1 the event streams that carry their values.

Decides when a monitored value is told, and whether by NotifyEvent or by a stream's SEND. Refuses to know what is
monitored. Of the monitor types only Periodic is known; the others are answered so.

Source: OCPP 2.0.1 N04, N06, N08; OCPP 2.1 N11 to N15 (periodic event streams).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocpp_proxy.sim.endpoint import Payload, Reply
from ocpp_proxy.sim.jobs import status
from ocpp_proxy.sim.variables import Variable

if TYPE_CHECKING:
    from ocpp_proxy.sim.station2x import Station2x


@dataclass(slots=True, eq=False)
class Monitor:
    """`stream` holds the interval and number of values of the stream that carries it; None where none does."""

    identifier: int
    asked: Payload
    variable: Variable
    interval_s: float
    stream: Payload | None = None
    cleared: bool = False


class Monitors:
    def __init__(self, station: Station2x) -> None:
        self._station = station
        self._monitors: dict[int, Monitor] = {}
        self._identifiers = itertools.count(1)

    def set(self, request: Payload) -> Reply:
        """SetVariableMonitoring."""
        made: list[Monitor] = []
        results = [self._set(asked, made) for asked in request["setMonitoringData"]]

        def begin() -> None:
            for monitor in made:
                self._station.host.spawn(self._run(monitor), f"monitor {monitor.identifier}")

        return Reply({"setMonitoringResult": results}, begin)

    def _set(self, asked: Payload, made: list[Monitor]) -> Payload:
        result = {key: asked[key] for key in ("id", "type", "severity", "component", "variable") if key in asked}
        found = self._station.model.find(asked)
        if isinstance(found, str):
            return result | {"status": found}
        if asked["type"] != "Periodic" or not callable(found.value):
            return result | {"status": "UnsupportedMonitorType"}
        if asked["value"] <= 0 or ("id" in asked and asked["id"] not in self._monitors):
            return result | {"status": "Rejected"}
        replaced = self._monitors.pop(asked.get("id", 0), None)
        if replaced is not None:
            replaced.cleared = True
        identifier = asked.get("id") or next(self._identifiers)
        monitor = Monitor(identifier, asked, found, float(asked["value"]), asked.get("periodicEventStream"))
        self._monitors[identifier] = monitor
        made.append(monitor)
        return result | {"status": "Accepted", "id": identifier}

    def clear(self, request: Payload) -> Reply:
        """ClearVariableMonitoring."""
        cleared = [self._monitors.pop(identifier, None) for identifier in request["id"]]
        for monitor in cleared:
            if monitor is not None:
                monitor.cleared = True
        results = [{"id": identifier, "status": "NotFound" if monitor is None else "Accepted"}
                   for identifier, monitor in zip(request["id"], cleared, strict=True)]
        return Reply({"clearMonitoringResult": results})

    def streams(self, _request: Payload) -> Reply:
        """GetPeriodicEventStream. A stream has the number of its monitor."""
        found = [{"id": one.identifier, "variableMonitoringId": one.identifier, "params": one.stream}
                 for one in self._monitors.values() if one.stream is not None]
        return Reply({"constantStreamData": found} if found else {})

    def adjust(self, request: Payload) -> Reply:
        """AdjustPeriodicEventStream."""
        monitor = self._monitors.get(request["id"])
        if monitor is None or monitor.stream is None:
            return status("Rejected")
        monitor.stream = request["params"]
        return status("Accepted")

    async def _run(self, monitor: Monitor) -> None:
        if monitor.stream is not None and not await self._open(monitor):
            monitor.stream = None
        values: list[Payload] = []
        clock = self._station.clock
        base, base_s = clock.timestamp(), clock.seconds()
        while not monitor.cleared:
            await clock.sleep(monitor.interval_s)
            if monitor.stream is None:
                await self._tell(monitor)
                continue
            values.append({"t": round(clock.seconds() - base_s, 3), "v": monitor.variable.text})
            full = len(values) >= monitor.stream.get("values", 1)
            if full or clock.seconds() - base_s >= monitor.stream.get("interval", float("inf")):
                await self._station.host.stream("NotifyPeriodicEventStream", {
                    "id": monitor.identifier, "pending": 0, "basetime": base, "data": values})
                values, base, base_s = [], clock.timestamp(), clock.seconds()
        if monitor.stream is not None:
            await self._station.host.say("ClosePeriodicEventStream", {"id": monitor.identifier})

    async def _open(self, monitor: Monitor) -> bool:
        response = await self._station.host.say("OpenPeriodicEventStream", {"constantStreamData": {
            "id": monitor.identifier, "variableMonitoringId": monitor.identifier, "params": monitor.stream}})
        return response is not None and response.get("status") == "Accepted"

    async def _tell(self, monitor: Monitor) -> None:
        await self._station.notify(
            monitor.asked["component"], monitor.asked["variable"]["name"], monitor.variable.text, "Periodic",
            eventNotificationType="CustomMonitor", variableMonitoringId=monitor.identifier)
