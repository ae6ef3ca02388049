"""The API put together: routes, refusals, OpenAPI document, and the guard before all of them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Depends, FastAPI, Security

from ocpp_proxy import __version__
from ocpp_proxy.control import answers
from ocpp_proxy.control.acts_api import acts
from ocpp_proxy.control.board_api import general, inquiries
from ocpp_proxy.control.events_api import events
from ocpp_proxy.control.guard import Guard
from ocpp_proxy.control.subject import Subject


def guarded(
    subject: Subject, token: str, hosts: frozenset[str], on_mistake: Callable[[BaseException], None]
) -> Guard:
    """The ASGI application. `hosts`: names by which the API may be called besides loopback's."""
    return Guard(bare(subject), token, hosts, on_mistake)


def bare(subject: Subject) -> FastAPI:
    """Without the guard. No pages for people: they would load scripts from the network."""
    app = FastAPI(
        title="ocpp-proxy", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False,
        description="The control API of a running ocpp-proxy. Every request but /health bears the run's token.",
    )
    answers.install(app)
    app.include_router(general(subject))
    checks = [Security(answers.TOKEN), Depends(answers.only_known_parameters)]
    for router in (inquiries(subject), acts(subject), events(subject.board.hub)):
        app.include_router(router, prefix="/v1", dependencies=checks)
    return app
