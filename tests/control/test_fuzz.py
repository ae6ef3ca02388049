"""The API by its own OpenAPI document: whatever is asked, it answers as the document says, and never with a mistake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from control_parts import Parts, served
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from ocpp_proxy.relay.acts import Outcome

BOOT = '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
EXAMPLES = 20


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, list[str]]]:
    """(URL, token, notices) of an API that is served in a loop of its own; its stations have something to tell."""
    parts = Parts()
    parts.open()
    parts.say(BOOT)
    parts.controls.answer = Outcome(outcome="refused", connection="c1", error={"reason": "no moment for it"})
    ready, end = threading.Event(), asyncio.Event()
    found: list[tuple[str, str, list[str]]] = []

    async def serve() -> None:
        async with served(tmp_path_factory.mktemp("fuzz"), parts) as one:
            found.append((one.api.url, one.api.token_file.read_text().strip(), one.notices))
            loops.append(asyncio.get_running_loop())
            ready.set()
            await end.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loops[0].call_soon_threadsafe(end.set)
    thread.join(20)
    assert found[0][2] == []  # no mistake of ours


HOW = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
               phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))


def test_it_answers_as_it_says(api: tuple[str, str, list[str]]) -> None:
    """The event stream has no end, and is tried elsewhere."""
    url, token, _ = api
    headers = {"Authorization": f"Bearer {token}"}
    document = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
    tried = set()
    for found in document.exclude(path="/v1/events").get_all_operations():
        operation = found.ok()
        tried.add((operation.method, operation.path))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @HOW
            @given(operation.as_strategy(generation_mode=mode))
            def answers(case: Case) -> None:
                case.call_and_validate(headers=headers)

            with suppress(Unsatisfiable):  # what takes nothing cannot be asked wrongly
                answers()
    assert ("post", "/v1/stations/{station}/inject") in tried
    assert len(tried) == 17
