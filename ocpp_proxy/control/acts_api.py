"""What can be asked to be done.

Decides how a request becomes an order. Refuses to decide what is allowed: every order goes to `Controls`.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from ocpp_proxy.capture.jsontext import dumps, loads
from ocpp_proxy.control import models
from ocpp_proxy.control.answers import CONFIRM, NOT_FOUND, REFUSALS, Said
from ocpp_proxy.control.board_api import Identity
from ocpp_proxy.control.follow import Follower
from ocpp_proxy.control.subject import Subject
from ocpp_proxy.core.redact import redact
from ocpp_proxy.relay.acts import Fault, FaultOrder, Injection

FaultId = Annotated[str, Path(min_length=1, max_length=100)]
ME = models.By(by="api")


def acts(subject: Subject) -> APIRouter:
    """Under /v1."""
    router = APIRouter(tags=["acts"], responses=REFUSALS)
    router.include_router(_injection(subject))
    router.include_router(_faults(subject))
    router.include_router(_run(subject))
    return router


def _injection(subject: Subject) -> APIRouter:
    router = APIRouter()

    @router.post("/stations/{station}/inject", response_model=models.Injected, responses={**NOT_FOUND, **CONFIRM},
                 summary="Send a Call and wait for what comes of it")
    async def inject(station: Identity, asked: models.Inject) -> Response:
        order = Injection(
            station=station, confirmed=asked.confirm,
            **asked.model_dump(include={"action", "payload", "to", "connection", "timeout_s", "wait_s", "force",
                                        "hasten", "by"}),
        )
        with Follower(subject.board.hub, station, asked.follow_s) as follower:
            outcome = await subject.controls.inject(order)
            followed = await follower.after(outcome)
        return Said({**asdict(outcome), "followed": followed})

    return router


def _faults(subject: Subject) -> APIRouter:
    router = APIRouter()
    controls = subject.controls

    @router.get("/faults", response_model=models.Faults, summary="The faults in force")
    async def faults() -> Response:
        return _all(controls.faults())

    @router.post("/faults", response_model=models.Fault, status_code=201, responses={**NOT_FOUND, **CONFIRM},
                 summary="Put a fault on live links")
    async def add_fault(asked: models.AddFault) -> Response:
        fields = asked.model_dump(exclude={"confirm"})
        return Said(_fault(controls.add_fault(FaultOrder(**fields, confirmed=asked.confirm))), 201)

    @router.delete("/faults", response_model=models.Faults, summary="End all faults; what was held goes on")
    async def clear_faults(asked: models.By = ME) -> Response:
        return _all(controls.clear_faults(by=asked.by))

    @router.delete("/faults/{fault}", response_model=models.Faults, responses=NOT_FOUND, summary="End one fault")
    async def clear_fault(fault: FaultId, asked: models.By = ME) -> Response:
        return _all(controls.clear_faults(fault, by=asked.by))

    return router


def _run(subject: Subject) -> APIRouter:
    router = APIRouter()
    controls = subject.controls

    @router.post("/panic", response_model=models.Done, summary="Back to pure relay at once")
    async def panic(asked: models.By = ME) -> Response:
        controls.panic(by=asked.by)
        return Said({"done": True})

    @router.delete("/panic", response_model=models.Done, summary="End the panic: what was allowed is allowed again")
    async def calm(asked: models.By = ME) -> Response:
        controls.calm(by=asked.by)
        return Said({"done": True})

    @router.post("/notes", response_model=models.Done, status_code=201, responses=NOT_FOUND,
                 summary="A remark into the capture; needs no leave")
    async def note(asked: models.Note) -> Response:
        controls.note(asked.text, station=asked.station, by=asked.by)
        return Said({"done": True}, 201)

    @router.post("/stop", response_model=models.Done, status_code=202, summary="End the run, as SIGTERM does")
    async def stop(asked: models.By = ME) -> Response:
        controls.asked_to_stop(by=asked.by)
        asyncio.get_running_loop().call_soon(subject.end)
        return Said({"done": True}, 202)

    return router


def _all(faults: list[Fault]) -> Said:
    return Said({"faults": [_fault(one) for one in faults]})


def _fault(fault: Fault) -> dict[str, Any]:
    """Payloads in it are masked, and of a patch no values are told: what they are for cannot be known."""
    order = {name: value for name, value in asdict(fault.order).items() if value is not None}
    if fault.order.patch is not None:
        order["patch"] = [{key: one[key] for key in ("op", "path", "from") if key in one} for one in fault.order.patch]
    masked, _ = redact(dumps(order).encode())
    return {"id": fault.id, "order": loads(masked.decode()), "since": fault.since, "hits": fault.hits}
