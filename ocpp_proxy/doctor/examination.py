"""The examination: all steps in their order, each told as soon as it is known.

Decides which step depends on which: after one that fails, those behind it are not tried, and say why. Refuses to judge
a single step (`addresses`, `security`, `visit`, `listening`) and to print.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypeAlias

from ocpp_proxy.doctor import addresses, listening, security
from ocpp_proxy.doctor.addresses import Place
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.handshakes import Handshakes
from ocpp_proxy.doctor.line import quietly, reach
from ocpp_proxy.doctor.step import Notes, Quotes, Step, Trouble, not_tried
from ocpp_proxy.doctor.visit import Visit

Tell: TypeAlias = Callable[[Step], None]
Busy: TypeAlias = Callable[[str], None]

_PLAIN = "a ws:// URL goes without; whoever is on the way can read the station's password and all messages"


def _in_silence(_: object) -> None: ...


async def examine(
    case: Case, tls: ssl.SSLContext | None, tell: Tell = _in_silence, busy: Busy = _in_silence
) -> list[Step]:
    """`tls` is the case's context, None for ws://. `tell` gets each step as soon as it is known, `busy` what is waited
    for next."""
    examination = _Examination(case, tell, busy)
    await examination.csms(tls)
    busy("listen: looking at this machine's addresses")
    examination.notes.add(*listening.places(case))
    return examination.notes.steps


class _Examination:
    def __init__(self, case: Case, tell: Tell, busy: Busy) -> None:
        self.notes = Notes(tell)
        self._case = case
        self._busy = busy
        self._quotes = Quotes(case.secrets())

    async def csms(self, tls: ssl.SSLContext | None) -> None:
        """Everything but the listening side."""
        try:
            place = await self._place()
            shakes = Handshakes(self._case, place, tls, self._quotes)
            if tls is None:
                self.notes.add(not_tried("tls", _PLAIN))
            if tls is None or await self._secure(place, tls, shakes):
                await Visit(self._case, shakes, self.notes, self._quotes, self._busy).pay()
        except Trouble as trouble:
            self.notes.add(trouble.step)
        failed = next((step.name for step in self.notes.steps if step.ok is False), "the one before")
        self.notes.fill(f"{failed} failed")

    async def _place(self) -> Place:
        host, port = self._case.upstream.host, self._case.upstream.port
        self._busy(f"dns: looking up {host}")
        found, step = await addresses.find(self._case)
        self.notes.add(step)
        self._busy(f"tcp: connecting to port {port} of {host}")
        place, step = await addresses.connect(self._case, found)
        self.notes.add(step)
        return place

    async def _secure(self, place: Place, tls: ssl.SSLContext, shakes: Handshakes) -> bool:
        """Whether there is TLS to go on with. Raises Trouble where nobody speaks it."""
        self._busy("tls: shaking hands")
        try:
            line = await reach(self._case, *place, tls)
        except Trouble as trouble:
            if not security.is_tls(trouble):
                raise await self._without_tls(trouble, shakes) from None
            self.notes.add(trouble.step)
            works = False
        else:
            self.notes.add(*security.agreed(self._case, line))
            await quietly(line, self._case)
            works = True
        self.notes.add(*await security.suites(self._case, place, self._busy))
        return works

    async def _without_tls(self, trouble: Trouble, shakes: Handshakes) -> Trouble:
        """No TLS came about: perhaps because none is spoken there (and who waits for the end of a line is silent)."""
        if trouble.name != "tls":
            return trouble
        self._busy("tls: looking whether the port speaks plain HTTP")
        if not await shakes.speaks_http():
            return trouble
        return Trouble("tls", "that port speaks plain HTTP, not TLS",
                       "use ws:// in the URL, or ask the CSMS's operator for the port that speaks wss://")
