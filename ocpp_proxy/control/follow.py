"""Listens for what a station or a CSMS sends because of an injected Call.

Decides what counts: messages of the same connection after the answer (or after the Call, where no answer came), as long
as one was willing to wait. Refuses to guess which of them the Call has caused.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from ocpp_proxy.control.hub import Hub, Subscriber
from ocpp_proxy.relay.acts import Outcome

FOLLOWED_MOST = 500


class Follower:
    """To be entered before the Call is sent. With `follow_s` 0 it does nothing."""

    def __init__(self, hub: Hub, station: str, follow_s: float) -> None:
        self._hub = hub
        self._station = station
        self._follow_s = follow_s
        self._stack = ExitStack()
        self._subscriber: Subscriber | None = None

    def __enter__(self) -> Self:
        if self._follow_s > 0:
            self._subscriber = self._stack.enter_context(
                self._hub.subscribed(self._station, frozenset({"frame"})))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    async def after(self, outcome: Outcome) -> list[dict[str, Any]]:
        """The messages, oldest first, once the time is over."""
        if self._subscriber is None or outcome.seq is None:
            return []
        heard: list[dict[str, Any]] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._follow_s):
                async for item in self._subscriber:
                    heard += [item.fields] if item.fields.get("connection") == outcome.connection else []
        return _following(heard, outcome)


def _following(heard: list[dict[str, Any]], outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.seq is not None
    answered = next((one["seq"] for one in heard if one["type"] in ("result", "error")
                     and one["message_id"] == outcome.message_id), outcome.seq)
    return [one for one in heard if one["seq"] > answered][:FOLLOWED_MOST]
