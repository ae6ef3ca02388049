"""How the API says yes and no.

Decides the HTTP status of each cause and the one shape that every refusal has. Refuses to quote: neither a request nor
a peer is repeated in an error, but for the names of fields.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.control.models import Refusal
from ocpp_proxy.core.scan import escape
from ocpp_proxy.relay.acts import RefusedActError, Why

# For the document only: the guard has looked at it already.
TOKEN = HTTPBearer(auto_error=False, description="This run's token; the ready file says where it is kept")
Item = TypeVar("Item")
SLICE_S = 0.001
STATUS: Mapping[Why, int] = {
    "not-allowed": 403, "panicked": 403, "confirm": 409, "unknown-station": 404, "unknown-connection": 404,
    "unknown-fault": 404, "schema": 422, "bad-order": 422,
}  # fmt: skip
MISTAKE = "a mistake in the control API itself; what is wrong stands in the proxy's own output"
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The body is not JSON"},
    401: {"model": Refusal, "description": "No token, or not this run's"},
    403: {"model": Refusal, "description": "Not allowed: from a page in a browser, without --allow-injection, or after "
                                           "a panic"},
    408: {"model": Refusal, "description": "The body took too long"},
    413: {"model": Refusal, "description": "The body is too large"},
    415: {"model": Refusal, "description": "The body is something other than JSON"},
    421: {"model": Refusal, "description": "The Host header names another machine"},
    422: {"model": Refusal, "description": "The request, or the payload in it, breaks its schema"},
    503: {"model": Refusal, "description": "The run is ending, or too many listen"},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": Refusal, "description": "There is no such station, connection or fault"}}
CONFIRM: dict[int | str, dict[str, Any]] = {
    409: {"model": Refusal, "description": 'Dangerous: "confirm":true in the body says that it is meant'}}

_HTTP = {
    404: ("unknown-path", "there is no such path; see /openapi.json"),
    405: ("method", "not with this method; see /openapi.json"),
}


class Said(Response):
    """JSON in which numbers stay exact and which is always encodable, whatever a peer sent."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(content).encode()


async def listed(name: str, items: Iterable[Item], show: Callable[[Item], Any], **more: Any) -> Response:
    """A list, made in slices: the loop is the relay's, and gets its turn after each of them."""
    texts: list[str] = []
    end = time.perf_counter() + SLICE_S
    for item in items:
        texts.append(dumps(show(item)))
        if time.perf_counter() > end:
            await asyncio.sleep(0)
            end = time.perf_counter() + SLICE_S
    rest = "".join(f",{dumps(key)}:{dumps(value)}" for key, value in more.items())
    return Response(f'{{{dumps(name)}:[{",".join(texts)}]{rest}}}', media_type=Said.media_type)


class RefusedError(Exception):
    """A refusal of the API's own."""

    def __init__(self, status: int, why: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.why = why
        self.reason = reason


def only_known_parameters(request: Request) -> None:
    """Refuse a query that means something else than it would get, such as a misspelt filter."""
    route = request.scope.get("route")
    known = [one.alias for one in route.dependant.query_params] if isinstance(route, APIRoute) else []
    if any(name not in known for name in request.query_params):
        named = f"known here: {', '.join(known)}" if known else "none is known here"
        raise RefusedError(422, "bad-request", f"the query has an unknown parameter; {named}")


def refusal(status: int, why: str, reason: str, errors: Sequence[Mapping[str, Any]] = (), **more: Any) -> Said:
    """The one shape."""
    return Said({"why": why, "reason": reason, "errors": list(errors), **more}, status)


def install(app: FastAPI) -> None:
    """Give every error its shape."""
    app.add_exception_handler(RefusedError, _ours)
    app.add_exception_handler(RefusedActError, _act)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _mistake)


def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error.status, error.why, error.reason)


def _act(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedActError)
    more = {"needed": {"confirm": True}} if error.why == "confirm" else {}
    return refusal(STATUS[error.why], error.why, error.reason, error.errors, **more)


def _mistake(_: Request, __: Exception) -> Response:
    return refusal(500, "mistake", MISTAKE)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"pointer": "".join(f"/{escape(str(step))}" for step in one["loc"][1:]), "message": str(one["msg"]),
               "rule": str(one["type"])} for one in error.errors()]
    where = {str(one["loc"][0]) for one in error.errors()}
    return refusal(422, "bad-request", f"the request's {' and '.join(sorted(where))} cannot be used", errors)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    why, reason = _HTTP.get(error.status_code, ("bad-request", "the request cannot be used; see /openapi.json"))
    said = refusal(error.status_code, why, reason)
    said.headers.update(error.headers or {})
    return said
