"""A running proxy, put together: relay, recorder and analysis, started and stopped in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ocpp_proxy.capture import Recorder
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.analysis import Analysis, Listener
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
        routes: Routes | None = None,
    ) -> None:
        self.recorder = recorder
        self.analysis = Analysis(pipeline, recorder, listeners, on_notice)
        self.proxy = Proxy(settings, recorder, self.analysis.observe, on_notice=on_notice, routes=routes)

    async def start(self) -> list[str]:
        """Listen; the URLs that stations can be given. Raises BadInput where an address cannot be had."""
        addresses = await self.proxy.start()
        self.analysis.start()
        return addresses

    async def stop(self) -> None:
        """Close both legs of each connection with 1001, analyse what waits, save everything."""
        await self.proxy.stop()
        self.analysis.finish()
        self.recorder.close()
