"""Background tasks: none is lost, none fails in silence."""

from __future__ import annotations

import asyncio

from ocpp_proxy.tasks import Tasks


def test_a_failing_task_is_heard_of() -> None:
    async def story() -> list[str]:
        heard: list[str] = []
        tasks = Tasks(lambda error: heard.append(str(error)))

        async def fail() -> None:
            raise ValueError("lost the cable")

        await asyncio.wait([tasks.spawn(fail(), "fail")])
        await asyncio.sleep(0)  # the callback runs one turn of the loop later
        return heard

    assert asyncio.run(story()) == ["lost the cable"]


def test_cancel_waits_until_all_have_ended_and_is_no_error() -> None:
    async def story() -> tuple[list[str], list[BaseException]]:
        ended: list[str] = []
        errors: list[BaseException] = []
        tasks = Tasks(errors.append)
        started = asyncio.Event()

        async def wait() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        tasks.spawn(wait(), "wait")
        await started.wait()
        await tasks.cancel()
        return ended, errors

    assert asyncio.run(story()) == (["ended"], [])
