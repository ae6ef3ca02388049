"""The control API of one run, put together: socket, token, board and server, opened and closed in the right order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ocpp_proxy.control.board import Board
from ocpp_proxy.control.runs import Word, own_folder
from ocpp_proxy.control.server import ControlServer
from ocpp_proxy.control.subject import Subject
from ocpp_proxy.relay.settings import parse_listen


class ControlApi:
    """Bound at once, and closed to everybody until `open`. `place`: HOST:PORT, port 0 for a free one; `folder`: where
    word of the run is left, by default the user's own. Raises BadInput."""

    def __init__(self, place: str, on_notice: Callable[[str], None], folder: Path | None = None) -> None:
        host, port = parse_listen(place, "--control")
        self._word = Word(folder or own_folder())
        try:
            self._server = ControlServer(host, port, on_notice)
        except BaseException:
            self._word.remove()
            raise
        self._board: Board | None = None

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self._server.is_loopback

    @property
    def token_file(self) -> Path:
        return self._word.token_file

    def open(self, subject: Subject) -> None:
        """Answer from now on."""
        self._board = subject.board
        self._server.start(subject, self._word.token)

    def publish(self, ready: Mapping[str, Any], started: str) -> None:
        """Let the commands find it. Raises BadInput."""
        self._word.publish(ready, started)

    async def close(self) -> None:
        """End the event streams, give the last answers, remove every trace. A second time it does nothing."""
        if self._board is not None:
            self._board.hub.end()
        await self._server.stop()
        self._word.remove()
