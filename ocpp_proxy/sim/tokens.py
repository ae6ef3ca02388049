"""Which tokens may charge: by the CSMS's word, by the list it sent, by what it said before.

Decides who is asked in which order, online and offline. Refuses to know the messages and the settings' names: each
version hands in both.

Source: OCPP 1.6 sections 3.5, 4.1 and 5.15; OCPP 2.0.1 C01, C10 to C15, D01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from ocpp_proxy.sim.endpoint import Payload, dig

if TYPE_CHECKING:
    from ocpp_proxy.sim.station import SimulatedStation

Setting: TypeAlias = Literal["cache", "local list", "local first", "local offline", "unknown offline"]


class LocalList:
    """The CSMS's list of tokens. `version` 0 is an empty list that was never sent."""

    def __init__(self) -> None:
        self.version = 0
        self._statuses: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._statuses)

    def status(self, token: str) -> str | None:
        return self._statuses.get(token)

    def update(self, version: int, kind: str, entries: Iterable[tuple[str, str | None]]) -> str:
        """The status of the update. `entries` are tokens with their status; None takes a token off the list."""
        if kind == "Differential" and version <= self.version:
            return "VersionMismatch"
        if version <= 0:
            return "Failed"
        if kind == "Full":
            self._statuses.clear()
        for token, status in entries:
            if status is None:
                self._statuses.pop(token, None)
            else:
                self._statuses[token] = status
        self.version = version
        return "Accepted"


class Tokens:
    """`allows` reads a setting; `info` is where a response tells a token's status, under "status"."""

    def __init__(self, host: SimulatedStation, info: str, allows: Callable[[Setting], bool]) -> None:
        self._host = host
        self._info = info
        self._allows = allows
        self.local_list = LocalList()
        self.cache: dict[str, str] = {}

    async def authorised(self, token: str, request: Payload) -> bool:
        """Whether `token` may charge; `request` is the Authorize that asks."""
        known = self.known(token)
        if known == "Accepted" and self._allows("local first"):
            return True
        response = await self._host.say("Authorize", request)
        if response is not None:
            return self.remember(token, response) == "Accepted"
        if self._host.online:
            return False
        if known is not None:
            return known == "Accepted" and self._allows("local offline")
        return self._allows("unknown offline")

    def known(self, token: str) -> str | None:
        """The status that the station itself knows, of the local list before the cache."""
        listed = self.local_list.status(token) if self._allows("local list") else None
        return listed or (self.cache.get(token) if self._allows("cache") else None)

    def remember(self, token: str, response: Payload) -> str:
        """The status that a response tells; "Invalid" where it tells none."""
        status = dig(response, str, self._info, "status") or "Invalid"
        if self._allows("cache"):
            self.cache[token] = status
        return status
