"""SIGHUP: the configuration file read again while the relay runs.

Decides what follows from another file: new routes and names for those who connect from then on, a sentence for what
only a restart can change, and nothing at all where the file has a mistake. What was changed goes on record. Refuses to
touch what is open. The file and the TLS files it names are read beside the event loop: no frame waits for them.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ocpp_proxy import config
from ocpp_proxy.cli.configured import again, options_of, read
from ocpp_proxy.cli.routing import ROUTING, build_routes
from ocpp_proxy.clock import now
from ocpp_proxy.config import Configuration
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import Entry
from ocpp_proxy.live.face import Face
from ocpp_proxy.relay.routes import Routes
from ocpp_proxy.relay.service import Service
from ocpp_proxy.tasks import Tasks


class Reload:
    """Made with what the run was started with: `ctx` and `options`. `on_notice` hears of everything."""

    def __init__(
        self, ctx: click.Context, options: Mapping[str, Any], service: Service, face: Face,
        on_notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._ctx = ctx
        self._started_with = dict(options)
        self._options = dict(options)
        self._configuration: Configuration | None = ctx.find_root().obj
        self._service = service
        self._face = face
        self._on_notice = on_notice
        self._tasks = Tasks(self._unexpected)
        self._asked = self._busy = self._over = False

    def listen(self) -> None:
        """Reload at each SIGHUP from now on, where this system knows it."""
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.ask)

    def ask(self) -> None:
        """Reload soon; once more where a reload is under way, since that may have read the file as it was."""
        self._asked = True
        if not (self._busy or self._over):
            self._busy = True
            self._tasks.spawn(self._work(), "reload")

    async def stop(self) -> None:
        """From now on SIGHUP does nothing, and does not end the process either: it may still have much to save."""
        self._over = True
        await self._tasks.cancel()

    async def _work(self) -> None:
        try:
            while self._asked:
                self._asked = False
                await self._reload()
        finally:
            self._busy = False

    async def _reload(self) -> None:
        file = self._file()
        if file is None:
            self._on_notice(f"SIGHUP: there is no {config.DEFAULT_NAME} in this folder and no --config, so nothing to "
                            "read again; the relay goes on as it is")
            return
        try:
            configuration, options, routes = await asyncio.to_thread(self._read, file)
        except BadInput as error:
            self._on_notice(f"{error}; the relay goes on with the configuration that it had")
            return
        self._apply(configuration, options, routes)

    def _file(self) -> Path | None:
        named: Path | None = self._ctx.find_root().params["config_file"]
        file = named or Path(config.DEFAULT_NAME)
        return file if named or self._configuration is not None or file.is_file() else None

    def _read(self, file: Path) -> tuple[Configuration, dict[str, Any], Routes]:
        configuration = read(self._ctx.find_root(), file)
        options = again(self._ctx, configuration)
        return configuration, options, build_routes(self._ctx, options, configuration, self._on_notice)

    def _apply(self, configuration: Configuration, options: dict[str, Any], routes: Routes) -> None:
        changed = self._changed(configuration, options)
        waiting = [name for name, option in options_of(self._ctx.command).items()
                   if name not in ROUTING and options[str(option.name)] != self._started_with[str(option.name)]]
        self._service.proxy.routes = routes
        self._face.use_names(routes.name)
        self._configuration, self._options = configuration, options
        summary = f"{', '.join(changed) or 'nothing'} changed"
        fields: dict[str, Any] = {"act": "reload", "by": "SIGHUP", "file": configuration.file, "summary": summary}
        if waiting:
            fields["needs_restart"] = waiting
        self._service.recorder.write([Entry(type="act", at=now(), fields=fields)])
        self._on_notice(f"{configuration.file} was read again: {summary}; it counts for new connections, open ones "
                        "stay as they are")
        if waiting:
            self._on_notice(f"{configuration.file}: {', '.join(waiting)} differs from what the relay was started with; "
                            "that takes a restart")

    def _changed(self, configuration: Configuration, options: Mapping[str, Any]) -> list[str]:
        """What differs from before, in the words of the file; of TLS files only their names are compared."""
        names = [name for name in sorted(ROUTING) if options[_parameter(name)] != self._options[_parameter(name)]]
        before = {entry.id: entry for entry in self._configuration.stations} if self._configuration else {}
        after = {entry.id: entry for entry in configuration.stations}
        stations = [station for station in before | after if before.get(station) != after.get(station)]
        order = list(before) != list(after) and not stations
        return names + [f"[[station]] {station}" for station in stations] + ["order of [[station]]"] * order

    def _unexpected(self, error: BaseException) -> None:
        self._on_notice(f"a mistake in the proxy itself, nothing was read again: {error!r}")


def _parameter(option: str) -> str:
    return option.replace("-", "_")
