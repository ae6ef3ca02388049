"""What happens, as it happens: Server-Sent Events.

Decides how an event is written and that a silent stream shows that it is alive. Refuses to wait for a reader: what does
not fit into his queue (`hub`) is lost to him, and an event "lost" says how much.

Source: WHATWG HTML section 9.2 (server-sent events).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from ocpp_proxy.control.answers import REFUSALS, RefusedError
from ocpp_proxy.control.board_api import StationQuery
from ocpp_proxy.control.hub import KINDS, SUBSCRIBERS_MOST, Hub, Item

ALIVE_S = 15.0
KindsQuery = Annotated[str | None, Query(max_length=200, description=f"Some of {', '.join(KINDS)}, with commas")]
_HELLO = ": events follow as they happen\n\n"


def events(hub: Hub) -> APIRouter:
    """Under /v1."""
    router = APIRouter(tags=["events"], responses={
        **REFUSALS, 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}})

    @router.get("/events", response_class=Response, summary="What happens, as Server-Sent Events")
    async def stream(station: StationQuery = None, kinds: KindsQuery = None) -> Response:
        wanted = _kinds(kinds)
        if hub.is_full:
            raise RefusedError(503, "busy", f"{SUBSCRIBERS_MOST} others listen already")
        return StreamingResponse(_written(hub, station, wanted), media_type="text/event-stream")

    return router


def _kinds(text: str | None) -> frozenset[str]:
    wanted = frozenset(text.split(",")) if text is not None else frozenset(KINDS)
    if not wanted <= set(KINDS):
        raise RefusedError(422, "bad-request", f"kinds: expected some of {', '.join(KINDS)}, with commas between them")
    return wanted


async def _written(hub: Hub, station: str | None, kinds: frozenset[str]) -> AsyncIterator[str]:
    with hub.subscribed(station, kinds) as subscriber:
        yield _HELLO
        while True:
            item = await subscriber.next(ALIVE_S)
            if item is not None:
                yield _event(item)
            elif subscriber.ended:
                return
            else:
                yield ": alive\n\n"


def _event(item: Item) -> str:
    number = f"id: {item.number}\n" if item.number else ""
    return f"{number}event: {item.kind}\ndata: {item.text}\n\n"
