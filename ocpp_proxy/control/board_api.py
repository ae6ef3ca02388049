"""What can be asked of a running proxy.

Decides paths and bounds. Refuses to change anything.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Security
from starlette.responses import Response

from ocpp_proxy import __version__
from ocpp_proxy.control import models
from ocpp_proxy.control.answers import NOT_FOUND, REFUSALS, TOKEN, RefusedError, Said, listed
from ocpp_proxy.control.board import FINDINGS_KEPT
from ocpp_proxy.control.messages import MESSAGES_KEPT, Message
from ocpp_proxy.control.metrics import CONTENT_TYPE, Standing, reading
from ocpp_proxy.control.stations import Station
from ocpp_proxy.control.subject import Subject
from ocpp_proxy.core.finding import Finding, Severity

Identity = Annotated[str, Path(min_length=1, max_length=1000, description="The station's identity, as it connected")]
StationQuery = Annotated[str | None, Query(max_length=1000, description="Only this station's")]


def general(subject: Subject) -> APIRouter:
    """What monitors ask."""
    router = APIRouter(tags=["monitoring"])
    read = reading(subject.board, lambda: Standing(
        subject.is_recorded(), subject.controls.panicked, len(subject.controls.faults()), subject.capture_bytes))

    @router.get("/health", response_model=models.Health, summary="Whether it runs and records; needs no token")
    async def health() -> Response:
        return Said({"tool": "ocpp-proxy", "version": __version__, "pid": os.getpid(),
                     "recorded": subject.is_recorded()})

    @router.get("/metrics", dependencies=[Security(TOKEN)], response_class=Response, responses={
        **REFUSALS, 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        summary="Figures for Prometheus, text format 0.0.4")
    async def metrics() -> Response:
        return Response(read(), headers={"content-type": CONTENT_TYPE})

    return router


def inquiries(subject: Subject) -> APIRouter:
    """Under /v1."""
    router = APIRouter(tags=["what is known"], responses=REFUSALS)
    board = subject.board

    @router.get("/run", response_model=models.Run, summary="What is allowed, and where things are")
    async def run() -> Response:
        return Said({"version": __version__, "pid": os.getpid(), "started": subject.started,
                     "listen": list(subject.listen), "capture": str(subject.capture),
                     "injection_allowed": subject.controls.allowed, "panicked": subject.controls.panicked})

    @router.get("/stations", response_model=models.Stations, summary="All stations and their state")
    async def stations() -> Response:
        return await listed("stations", board.stations.all(), board.stations.as_dict)

    @router.get("/stations/{station}", response_model=models.Station, responses=NOT_FOUND, summary="One station")
    async def station(station: Identity) -> Response:
        return Said(board.stations.as_dict(_known(subject, station)))

    @router.get("/stations/{station}/messages", response_model=models.Messages, responses=NOT_FOUND,
                summary="Its last messages, masked")
    async def messages(
        station: Identity,
        connection: Annotated[str | None, Query(max_length=100, description="Only this connection's")] = None,
        after: Annotated[int | None, Query(ge=0, description="Only higher numbers, of the given connection or of the "
                                           "newest; the first of them, where without `after` it is the last")] = None,
        limit: Annotated[int, Query(ge=1, le=MESSAGES_KEPT)] = 100,
    ) -> Response:
        known = _known(subject, station)
        if after is not None and connection is None:
            connection = known.newest or (known.closed.connection if known.closed is not None else None)
        chosen = board.messages.of(station, connection, after, limit)
        return await listed("messages", chosen, Message.as_dict, station=station,
                            forgotten=board.messages.forgotten(station))

    @router.get("/findings", response_model=models.Findings, summary="What rules and schemas said, the last of it")
    async def findings(
        station: StationQuery = None, severity: Severity | None = None,
        limit: Annotated[int, Query(ge=1, le=FINDINGS_KEPT)] = 500,
    ) -> Response:
        return await listed("findings", board.findings(station, severity, limit), Finding.as_dict)

    @router.get("/captures", response_model=models.Captures, summary="What is being recorded, and whether all of it is")
    async def captures() -> Response:
        return Said({"captures": [_capture(subject)]})

    return router


def _known(subject: Subject, identity: str) -> Station:
    station = subject.board.stations.get(identity)
    if station is None:
        raise RefusedError(404, "unknown-station", "no station of that identity has connected in this run; GET "
                           "/v1/stations lists those that have")
    return station


def _capture(subject: Subject) -> dict[str, Any]:
    figures = subject.board.figures
    return {"path": str(subject.capture), "size_bytes": subject.capture_bytes, "frames": figures.frames.total(),
            "gaps": figures.gaps, "lost": figures.lost, "complete": subject.is_recorded()}
