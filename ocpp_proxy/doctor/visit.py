"""The visit: from the upgrade on, everything that is said to a CSMS which has been reached.

Decides in which order it is asked what, and keeps the number of handshakes small: each one with a real identity may
cost the live station its connection. Refuses to judge the answers (`refusal`, `agreement`, `timing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ocpp_proxy.core.gate import mask_target
from ocpp_proxy.doctor import agreement
from ocpp_proxy.doctor.case import Case, Form
from ocpp_proxy.doctor.handshakes import Handshakes, Shaken
from ocpp_proxy.doctor.refusal import refused
from ocpp_proxy.doctor.request import DEFLATE_OFFER, SUBPROTOCOLS
from ocpp_proxy.doctor.step import Notes, Quotes, Step, Trouble
from ocpp_proxy.doctor.timing import clock

_BAD_REQUEST = 400


@dataclass(slots=True)
class _Knocked:
    """What came of the password's forms: all outcomes, and the handshakes that had an answer."""

    outcomes: agreement.Outcomes = field(default_factory=list)
    answered: list[tuple[Form, Shaken]] = field(default_factory=list)

    @property
    def opened(self) -> tuple[Form, Shaken] | None:
        return next((one for one in self.answered if one[1].opened), None)


class Visit:
    """One CSMS, one identity."""

    def __init__(
        self, case: Case, shakes: Handshakes, notes: Notes, quotes: Quotes, busy: Callable[[str], None]
    ) -> None:
        self._case = case
        self._shakes = shakes
        self._notes = notes
        self._quotes = quotes
        self._busy = busy

    async def pay(self) -> None:
        """All steps from `upgrade` to `clock`. Raises Trouble where the upgrade request gets no answer."""
        knocked = await self._knock()
        if knocked.opened is not None:
            await self._inside(knocked, *knocked.opened)
        else:
            await self._outside(knocked.answered[-1][1])
        self._notes.add(clock(knocked.answered[0][1].answer, self._quotes))

    async def _knock(self) -> _Knocked:
        self._busy(f"upgrade: asking as {self._case.station}")
        knocked = _Knocked()
        for form in self._case.forms():
            try:
                async with self._shakes.shake(form, SUBPROTOCOLS) as shaken:
                    knocked.answered.append((form, shaken))
            except Trouble as trouble:
                if not knocked.answered:
                    raise await self._without_http(trouble) from None
                knocked.outcomes.append((form, trouble))
            else:
                knocked.outcomes.append((form, None if shaken.opened else shaken.answer))
        return knocked

    async def _without_http(self, trouble: Trouble) -> Trouble:
        """No HTTP answer came: perhaps because TLS is spoken there."""
        if trouble.name != "upgrade" or trouble.late or not await self._speaks_tls():
            return trouble
        return _tls_is_spoken()

    async def _speaks_tls(self) -> bool:
        if self._case.upstream.secure:
            return False
        self._busy("upgrade: looking whether the port speaks TLS")
        return await self._shakes.speaks_tls()

    # -- not let in

    async def _outside(self, shaken: Shaken) -> None:
        answer = shaken.answer
        if shaken.wrong is not None:
            self._notes.add(Step("upgrade", False, *shaken.wrong))
            why = "upgrade failed"
        elif answer.status == _BAD_REQUEST and await self._speaks_tls():
            self._notes.add(_tls_is_spoken().step)
            why = "upgrade failed"
        else:
            upgrade, auth = refused(answer, self._case, self._quotes)
            why = f"the CSMS answered {answer.status}"
            self._notes.add(upgrade)
            self._notes.fill(why, "subprotocol")
            self._notes.add(auth)
        self._notes.fill(why, "ping")

    # -- let in

    async def _inside(self, knocked: _Knocked, form: Form, shaken: Shaken) -> None:
        self._notes.add(self._welcome(shaken))
        spoken = await self._subprotocols(form)
        self._notes.add(agreement.let_in(self._case, knocked.outcomes, frozenset(spoken)))
        await self._compression_and_ping(form, spoken or SUBPROTOCOLS)

    def _welcome(self, shaken: Shaken) -> Step:
        chosen = f"of {', '.join(SUBPROTOCOLS)} it chooses {self._quotes.quote(shaken.chosen or 'none', 60)}"
        server = shaken.answer.header("Server")
        who = f"; it says it is {self._quotes.quote(server, 60)}" if server else ""
        return Step("upgrade", True, f"a WebSocket opens at {mask_target(self._case.target)}; {chosen}{who}")

    async def _subprotocols(self, form: Form) -> tuple[str, ...]:
        tried: dict[str, Shaken | Trouble] = {}
        for name in SUBPROTOCOLS:
            self._busy(f"subprotocol: offering {name} alone")
            try:
                async with self._shakes.shake(form, (name,)) as shaken:
                    tried[name] = shaken
            except Trouble as trouble:
                tried[name] = trouble
        steps, spoken = agreement.subprotocols(tried, self._quotes)
        self._notes.add(*steps)
        return spoken

    async def _compression_and_ping(self, form: Form, offered: tuple[str, ...]) -> None:
        self._busy("compression: offering permessage-deflate")
        try:
            async with self._shakes.shake(form, offered, DEFLATE_OFFER) as shaken:
                self._notes.add(agreement.compression(shaken, self._quotes))
                if shaken.opened:
                    self._notes.add(await self._ping(shaken))
                    return
        except Trouble as trouble:
            self._notes.add(Step("compression", False, f"{trouble.cause}, where permessage-deflate is offered",
                                 trouble.remedy))
        try:
            async with self._shakes.shake(form, offered) as shaken:
                self._notes.add(await self._ping(shaken))
        except Trouble as trouble:
            self._notes.add(Step("ping", False, trouble.cause, trouble.remedy))

    async def _ping(self, shaken: Shaken) -> Step:
        self._busy("ping: waiting for the pong")
        if not shaken.opened:
            return Step("ping", None, f"not tried: the CSMS answered {shaken.answer.status} this time")
        try:
            took_s = await shaken.line.ping(self._case.timeout_s)
        except Trouble as trouble:
            if self._case.identity is None and not (trouble.late or shaken.line.broke):
                return Step("ping", None, f"{trouble.cause}; it may do so because it does not know "
                                          f"{self._case.station}, which is its good right")
            return trouble.step
        return Step("ping", True, f"pong after {took_s * 1000:.1f} ms")


def _tls_is_spoken() -> Trouble:
    return Trouble("upgrade", "that port speaks TLS, not plain HTTP",
                   "use wss:// in the URL, or ask the CSMS's operator for the port that speaks ws://")
