"""A station and its CSMS, joined: what one sends the other gets, until both have ended.

Decides what an end on one leg means for the other. Refuses to read messages (`scribe`, `core.gate`) and to choose the
moment of anything (`ledger`): it is asked twice for each event, first what goes on record (`note`), then, when that
is written, what is done (`act`).

| what happens on a leg | the other leg | on record |
|---|---|---|
| close frame | gets it, as it is | who, code, reason |
| the answering close frame | gets it; then both connections end | its echo |
| none within the time | both are dropped | no echo |
| TCP ends without a close frame | is dropped without one | 1006, by whom |
| breach of RFC 6455 | is dropped; the offender gets 1002 | the frame's head, then 1002 by the proxy |
| the proxy is stopped | both get 1001 | 1001 by the proxy |

Source: RFC 6455 sections 5.5.1, 7.1 and 7.4; OCPP 2.0.1 Part 4 section 6.3 (a controller in between closes one side
when it loses the other).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ocpp_proxy.core.frame import Sender, Side, Version
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import NO_EXTRA, Closed, Entry, Writable
from ocpp_proxy.core.vocabulary import SUBPROTOCOLS
from ocpp_proxy.relay.ledger import Page
from ocpp_proxy.relay.leg import GOING_AWAY, GOODBYE_S, Expired, Leg, LegEvent, Lost, Stopped
from ocpp_proxy.rules.place import SHOWN
from ocpp_proxy.wire.deflate import Chosen
from ocpp_proxy.wire.happening import CLOSE, LOST, Breach, Received, close_of, payload_of

if TYPE_CHECKING:
    from ocpp_proxy.relay.ledger import Ledger, Seen
    from ocpp_proxy.relay.part import Part
    from ocpp_proxy.relay.scribe import Scribe
    from ocpp_proxy.relay.settings import RelaySettings


class Pair:
    """One relayed connection. `identity`, `version`, `since` and both legs' `frames` are for views; `part`: what this
    program itself may do on it, None without leave."""

    __slots__ = (
        "_closed", "_closes", "_lost", "_on_end", "_settings", "_timer", "csms", "identity", "ledger",
        "part", "scribe", "since", "station", "subprotocol",
    )  # fmt: skip

    def __init__(
        self,
        station: Leg,
        csms: Leg,
        *,
        identity: str,
        subprotocol: str | None,
        since: Instant,
        ledger: Ledger,
        scribe: Scribe,
        settings: RelaySettings,
        on_end: Callable[[Pair], None],
    ) -> None:
        self.station = station
        self.csms = csms
        self.identity = identity
        self.subprotocol = subprotocol
        self.since = since
        self.ledger = ledger
        self.scribe = scribe
        self._settings = settings
        self._on_end = on_end
        self._closed = False  # the Closed record is written: nothing is on record after it
        self._closes: tuple[tuple[Side, bytes], ...] = ()  # the close frames' payloads, as they came
        self._lost: Side | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.part: Part | None = None
        station.join(self, csms)
        csms.join(self, station)

    @property
    def connection(self) -> str:
        return self.scribe.connection

    @property
    def version(self) -> Version | None:
        """By the subprotocol that the CSMS chose."""
        return SUBPROTOCOLS.get(self.subprotocol or "")

    def open(self, answer: bytes, deflate: Chosen | None) -> None:
        """Pass the CSMS's 101 on, and from then on every frame, those first that came meanwhile."""
        self.station.write(answer)
        for leg in (self.station, self.csms):
            leg.link.release(deflate.reader(leg is self.station) if deflate else None)
            leg.resume_reading()
        for leg in (self.station, self.csms):
            leg.tell()

    # -- first half: what goes on record

    def note(self, leg: Leg, event: LegEvent, at: Instant, records: list[Writable], seen: list[Seen]) -> None:
        """Append what has to be written before `act` is called with the same event."""
        if self._closed:
            return
        part = self.part
        if part is not None and (type(event) is not Received or event.opcode == CLOSE):
            part.ending(event, Page(at, records, seen), _gone(leg, event), _why(leg, event))
        if type(event) is Received:
            if event.opcode == CLOSE:
                self._note_close(leg, event, at, records, seen)
            elif self._lost is None:
                if part is None:
                    self.scribe.write_down(leg.side, event, at, records, seen)
                else:
                    part.note(leg, event, at, records, seen)
        elif type(event) is Lost:
            self._note_loss(leg, event, at, records, seen)
        elif type(event) is Breach:
            fields = {"sender": leg.side, "code": event.code, "reason": event.reason, "head": event.head.hex()}
            entry = Entry(type="breach", connection=self.connection, at=at, fields=fields)
            records.append(entry)
            seen.append((entry, None))
            self._note_end(event.code, event.reason, at, records, seen)
        elif type(event) is Stopped:
            self._note_end(event.code, event.reason, at, records, seen)
        else:
            self._note_end(GOING_AWAY, "", at, records, seen)

    def _note_close(
        self, leg: Leg, event: Received, at: Instant, records: list[Writable], seen: list[Seen]
    ) -> None:
        self._closes += ((leg.side, event.data),)
        if len(self._closes) == 2:
            self._note_end(LOST, "", at, records, seen)

    def _note_loss(self, leg: Leg, event: Lost, at: Instant, records: list[Writable], seen: list[Seen]) -> None:
        self._lost = leg.side
        if not self._closes:
            self._close(leg.side, LOST, event.reason, None, at, records, seen)
        elif self._closes[0][0] != leg.side:
            self._note_end(LOST, event.reason, at, records, seen)

    def _note_end(self, code: int, reason: str, at: Instant, records: list[Writable], seen: list[Seen]) -> None:
        """It ends, by a close frame if one has come, else by the proxy with this code and reason."""
        if not self._closes:
            self._close("proxy", code, reason, None, at, records, seen)
            return
        by, payload = self._closes[0]
        echo = close_of(self._closes[1][1]) if len(self._closes) > 1 else None
        self._close(by, *close_of(payload), echo, at, records, seen, self._odd_payloads())

    def _odd_payloads(self) -> dict[str, str]:
        """Of the close frame and of its echo, where code and reason do not tell them exactly."""
        names = ("payload_base64", "echo_payload_base64")
        return {
            name: b64encode(payload).decode()
            for name, (_, payload) in zip(names, self._closes, strict=False)
            if payload != payload_of(*close_of(payload))
        }

    def _close(
        self, by: Sender, code: int, reason: str, echo: tuple[int, str] | None, at: Instant,
        records: list[Writable], seen: list[Seen], extra: Mapping[str, str] = NO_EXTRA,
    ) -> None:  # fmt: skip
        self._closed = True
        seen += self.scribe.broken_off()
        closed = Closed(connection=self.connection, at=at, by=by, code=code, reason=reason, echo=echo, extra=extra)
        records.append(closed)
        seen.append((closed, None))

    # -- second half: what is done

    def act(self, leg: Leg, event: LegEvent) -> None:
        """Do what the event asks for; the bytes of a frame go on exactly as they came."""
        if self.part is not None and self.part.act(leg, event):
            return
        if type(event) is Received:
            peer = leg.peer
            if peer is not None and not peer.over:
                leg.frames += 1
                peer.transport.write(event.raw)
            if event.opcode == CLOSE:
                self._pass_close(leg)
        else:
            _ACTS[type(event)](self, leg, event)

    def _pass_close(self, leg: Leg) -> None:
        leg.closing = True
        if leg.peer is not None and leg.peer.closing:
            # 7.1.1: it is the server who closes the connection first; to the station that is us.
            self.station.finish(self._settings.linger_s)
            self.csms.await_end(self._settings.close_timeout_s)
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.close_timeout_s, self.ledger.receive, leg, [Expired()])

    def _act_loss(self, leg: Leg, _event: LegEvent) -> None:
        leg.drop(self._settings.linger_s)
        other = self.csms if leg is self.station else self.station
        if not leg.closing or other.closing:
            other.drop(self._settings.close_timeout_s)

    def _act_breach(self, leg: Leg, event: LegEvent) -> None:
        assert isinstance(event, Breach)
        other = self.csms if leg is self.station else self.station
        other.drop(self._settings.linger_s)
        leg.write(leg.link.close_frame(event.code, event.reason))
        leg.finish(self._settings.linger_s)

    def _act_expiry(self, _leg: Leg, _event: LegEvent) -> None:
        for each in (self.station, self.csms):
            each.drop(self._settings.linger_s)

    def _act_stop(self, _leg: Leg, event: LegEvent) -> None:
        assert isinstance(event, Stopped)
        for each in (self.station, self.csms):
            if event.abrupt:
                each.reset()
            elif each.over:
                each.close()
            else:
                each.write(each.link.close_frame(event.code, event.reason))
                linger_s = self._settings.linger_s
                each.finish(min(linger_s, GOODBYE_S) if each.secure else linger_s)

    def stop(self) -> None:
        """Close both legs with 1001, in turn with what was received before."""
        self.end()

    def end(self, code: int = GOING_AWAY, reason: str = "", *, abrupt: bool = False) -> None:
        """Close both legs with this code, or `abrupt` without a close frame."""
        self.ledger.receive(self.station, [Stopped(code, reason, abrupt=abrupt)])

    def abort(self) -> None:
        """End both connections at once, whatever is still to be sent."""
        self.station.abort()
        self.csms.abort()

    def leg_gone(self) -> None:
        """A leg's transport is closed."""
        if self.station.gone and self.csms.gone:
            if self._timer is not None:
                self._timer.cancel()
            self._on_end(self)


_ACTS: dict[type, Callable[[Pair, Leg, LegEvent], None]] = {
    Lost: Pair._act_loss,
    Breach: Pair._act_breach,
    Expired: Pair._act_expiry,
    Stopped: Pair._act_stop,
}


def _gone(leg: Leg, event: LegEvent) -> tuple[Side, ...]:
    """Who gets nothing any more."""
    if type(event) is Lost:
        return (leg.side,)
    return ("station", "csms") if type(event) is Stopped and event.abrupt else ()


def _why(leg: Leg, event: LegEvent) -> str:
    """Why a connection ends, for those who still wait for something on it."""
    if type(event) is Lost:
        return f"the {SHOWN[leg.side]} lost the connection" + (f": {event.reason}" if event.reason else "")
    if type(event) is Received:
        code, reason = close_of(event.data)
        return f"the {SHOWN[leg.side]} closed the connection with {code}" + (f" ({reason})" if reason else "")
    if type(event) is Breach:
        return f"the {SHOWN[leg.side]} broke the WebSocket protocol: {event.reason}"
    return "the proxy closed the connection"
