"""The part of `run` that concerns its control API.

Decides what the options mean and what the engineer is told of it. With --no-control nothing of it is loaded.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocpp_proxy.cli.output import notice, progress
from ocpp_proxy.clock import now
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.session import Session
from ocpp_proxy.relay.analysis import Listener
from ocpp_proxy.relay.service import Service

if TYPE_CHECKING:
    from ocpp_proxy.control.board import Board
    from ocpp_proxy.control.service import ControlApi

DEFAULT_PLACE = "127.0.0.1:0"
Command = TypeVar("Command", bound=Callable[..., Any])


def control_options(command: Command) -> Command:
    """The options that `Controlled` reads."""
    for option in (
        click.option("--allow-injection", is_flag=True,
                     help="Let commands and the control API alter traffic: inject Calls, put faults on links."),
        click.option("--no-control", is_flag=True, help="No control API: nothing can be asked or told while it runs."),
        click.option("--control", metavar="HOST:PORT",
                     help=f"Where the control API listens (HTTP).  [default: {DEFAULT_PLACE}]"),
    ):
        command = option(command)
    return command


class Controlled:
    """`ready` is what the ready file says of the API. Raises BadInput where the API cannot be had, before anything is
    relayed."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.ready: dict[str, str | None] = {"control": None, "token_file": None}
        self._api: ControlApi | None = None
        self._board: Board | None = None
        self._started = now().isoformat()
        self._told = False
        self._keep_secrets = options["keep_secrets"]
        if options["no_control"]:
            if options["control"]:
                raise BadInput("--control and --no-control: use one of them")
            return
        from ocpp_proxy.control.service import ControlApi  # takes long to load

        self._api = ControlApi(options["control"] or DEFAULT_PLACE, notice)
        self.ready = {"control": self._api.url, "token_file": str(self._api.token_file)}

    def listeners(self, lookup: Callable[[str | None], Session | None]) -> list[Listener]:
        """Who has to hear the run's events. `lookup`: what the rules know of a station."""
        if self._api is None:
            return []
        from ocpp_proxy.control.board import Board

        self._board = Board(lookup, keep_secrets=self._keep_secrets, on_mistake=self._mistaken)
        return [self._board]

    def open(self, service: Service, addresses: list[str], stop: asyncio.Future[signal.Signals]) -> None:
        """Answer, and say where and what is allowed."""
        if self._api is None or self._board is None:
            return
        from ocpp_proxy.control.subject import Subject

        def end() -> None:
            if not stop.done():
                stop.set_result(signal.SIGTERM)

        service.controls.on_act.append(self._board.act)
        recorder = service.recorder
        self._api.open(Subject(service.controls, self._board, self._started, tuple(addresses), recorder.path.absolute(),
                               lambda: not recorder.had_gap, end))
        allowed = "may alter traffic" if service.controls.allowed else "may not alter traffic (--allow-injection)"
        progress(f"control API on {self._api.url}, token in {self._api.token_file}; it {allowed}")
        if not self._api.is_loopback:
            notice("the control API can be reached from other machines, and its token crosses the network in the clear")

    def _mistaken(self, error: Exception) -> None:
        if not self._told:  # once is enough: it may come with every frame
            self._told = True
            notice(f"a mistake in the control API, what it tells may be incomplete: {type(error).__name__}; the relay "
                   "goes on")

    def publish(self, ready: dict[str, Any]) -> None:
        """Let the commands find this run."""
        if self._api is not None:
            self._api.publish({**ready, "capture": str(Path(ready["capture"]).absolute())}, self._started)

    async def close(self) -> None:
        """End it; a second time it does nothing."""
        if self._api is not None:
            await self._api.close()
