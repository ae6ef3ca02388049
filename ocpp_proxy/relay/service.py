"""A running proxy, put together: relay, recorder and analysis, started and stopped in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ocpp_proxy.capture import Recorder
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.analysis import Analysis, Listener
from ocpp_proxy.relay.controls import Controls
from ocpp_proxy.relay.proxy import Proxy, RelaySettings
from ocpp_proxy.relay.routes import Routes


class Service:
    """`listeners` hear every event, `on_notice` every sentence that the engineer should read at once;
    `routes` as for `Proxy`."""

    def __init__(
        self,
        settings: RelaySettings,
        recorder: Recorder,
        pipeline: Pipeline,
        *,
        listeners: Sequence[Listener] = (),
        on_notice: Callable[[str], None],
        schemas: Schemas | None = None,
        routes: Routes | None = None,
        allow_injection: bool = False,
    ) -> None:
        self.recorder = recorder
        self.analysis = Analysis(pipeline, recorder, listeners, on_notice)
        self.proxy = Proxy(settings, recorder, self.analysis.observe, on_notice, routes,
                           on_open=lambda pair: self.controls.attach(pair),
                           turned_away=lambda identity: self.controls.turned_away(identity))
        self.controls = Controls(
            self.proxy, schemas or Schemas(load_schema), allowed=allow_injection, write=recorder.write,
            on_notice=on_notice, version_of=partial(_version_of, pipeline),
        )

    async def start(self) -> list[str]:
        """Listen; the URLs that stations can be given. Raises BadInput where an address cannot be had."""
        addresses = await self.proxy.start()
        self.analysis.start()
        return addresses

    async def stop(self) -> None:
        """Close both legs of each connection with 1001, analyse what waits, save everything."""
        await self.proxy.stop()
        self.controls.stop()
        self.analysis.finish()
        self.recorder.close()


def _version_of(pipeline: Pipeline, station: str) -> Version | None:
    session = pipeline.session(station)
    return session.version if session is not None else None
