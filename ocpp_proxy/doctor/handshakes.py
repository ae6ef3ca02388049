"""Handshakes one after the other with one CSMS, each on a connection of its own.

Decides what they have in common (address, TLS, target) and when a connection counts as open. Refuses to judge.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from websockets.exceptions import NegotiationError

from ocpp_proxy.doctor.addresses import Place
from ocpp_proxy.doctor.case import Case, Form
from ocpp_proxy.doctor.line import Line, ask, quietly, reach
from ocpp_proxy.doctor.request import SUBPROTOCOLS, Answer, Request, flaw
from ocpp_proxy.doctor.security import is_tls
from ocpp_proxy.doctor.step import Quotes, Trouble
from ocpp_proxy.wire import deflate
from ocpp_proxy.wire.tls import csms_context

SWITCHING = 101


@dataclass(frozen=True, slots=True)
class Shaken:
    """One handshake. `wrong`: cause and remedy where the CSMS agreed in a way that opens no WebSocket. `compression`:
    what it chose, None for none. `chosen`: the subprotocol as it names it."""

    line: Line
    answer: Answer
    wrong: tuple[str, str] | None
    compression: deflate.Chosen | None = None

    @property
    def agreed(self) -> bool:
        return self.answer.status == SWITCHING

    @property
    def opened(self) -> bool:
        return self.agreed and self.wrong is None

    @property
    def chosen(self) -> str | None:
        return ", ".join(self.answer.response.headers.get_all("Sec-WebSocket-Protocol")) or None


class Handshakes:
    """With the CSMS at `place`."""

    def __init__(self, case: Case, place: Place, tls: ssl.SSLContext | None, quotes: Quotes) -> None:
        self._case = case
        self._place = place
        self._tls = tls
        self._quotes = quotes

    @asynccontextmanager
    async def shake(self, form: Form, offered: tuple[str, ...], extensions: str | None = None) -> AsyncIterator[Shaken]:
        """One handshake, and a close afterwards. Raises Trouble."""
        case = self._case
        line = await reach(case, *self._place, self._tls)
        try:
            request = Request(case.target, case.upstream.authority, offered, form.authorization, extensions).with_key()
            shaken = self._shaken(line, request, await ask(case, line, request, self._quotes))
            if shaken.opened:
                line.open(shaken.compression.reader(sender_is_station=False) if shaken.compression else None)
            yield shaken
        finally:
            await quietly(line, case)

    def _shaken(self, line: Line, request: Request, answer: Answer) -> Shaken:
        if answer.status != SWITCHING:
            return Shaken(line, answer, None)
        if (wrong := flaw(request, answer)) is not None:
            return Shaken(line, answer, wrong)
        values = answer.response.headers.get_all(deflate.HEADER)
        try:
            return Shaken(line, answer, None, deflate.chosen(values, request.extensions is not None))
        except NegotiationError as error:
            return Shaken(line, answer, (
                f"answers 101 with an extension that it may not choose: {self._quotes.quote(str(error))}",
                "that is a fault in the CSMS's WebSocket library: stations hang up here; have compression switched off",
            ))

    async def speaks_tls(self) -> bool:
        """Whether the port of a ws:// URL speaks TLS."""
        try:
            line = await reach(self._case, *self._place, csms_context(insecure=True))
        except Trouble as trouble:
            return is_tls(trouble)
        await quietly(line, self._case)
        return True

    async def speaks_http(self) -> bool:
        """Whether the port of a wss:// URL speaks HTTP without TLS. Nothing secret is sent to it."""
        try:
            line = await reach(self._case, *self._place, None)
        except Trouble:
            return False
        try:
            request = Request("/", self._case.upstream.authority, SUBPROTOCOLS).with_key()
            await ask(self._case, line, request, self._quotes)
        except Trouble:
            return False
        finally:
            await quietly(line, self._case)
        return True
