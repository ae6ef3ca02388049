"""The list of tokens that a CSMS sends to a station for use without it.

Source: OCPP 1.6 sections 3.5.2 and 5.15; OCPP 2.0.1 D01.
"""

from __future__ import annotations

from collections.abc import Iterable


class LocalList:
    """`version` 0 is an empty list that was never sent."""

    def __init__(self) -> None:
        self.version = 0
        self._statuses: dict[str, str] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._statuses

    def __len__(self) -> int:
        return len(self._statuses)

    def status(self, token: str) -> str:
        return self._statuses[token]

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
