"""One TCP connection of a relayed pair: an asyncio protocol around a link.

Decides how bytes get in and out, when reading has to pause, and how the connection ends. Refuses to know what frames
mean and where they go: what happens is handed to the ledger, in order.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ocpp_proxy.core.frame import Side
from ocpp_proxy.relay.sockets import is_dead, reset_on_close
from ocpp_proxy.wire.happening import LOST, Breach, Message, NoMessage, Received
from ocpp_proxy.wire.link import CsmsLink, StationLink
from ocpp_proxy.wire.tls import describe, explain, explain_silence

if TYPE_CHECKING:
    from ocpp_proxy.relay.pair import Pair

GOODBYE_S = 1.0  # for TLS's own goodbye when the proxy stops; not everybody answers it
GOING_AWAY = 1001
HELD_LIMIT_BYTES = 65536  # what may wait behind a request before reading pauses


class Lost:
    """TCP ended on this leg; `reason` says how, "" where it just ended."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Expired:
    """The other side has had its time to answer a close frame."""

    __slots__ = ()


class Stopped:
    """The proxy ends the connection: with a close frame to both, or `abrupt`, by resetting TCP without a word."""

    __slots__ = ("abrupt", "code", "reason")

    def __init__(self, code: int = GOING_AWAY, reason: str = "", *, abrupt: bool = False) -> None:
        self.code = LOST if abrupt else code
        self.reason = reason
        self.abrupt = abrupt


LegEvent: TypeAlias = "Received | Breach | Lost | Expired | Stopped"


class Leg(asyncio.Protocol):
    """`peer` and `pair` are there once both legs are. `on_lost` is called at most once, and only before that."""

    __slots__ = (
        "_message", "_reading_held", "_timer", "_waiter", "closing", "eof", "frames", "gone", "link", "on_lost", "over",
        "pair", "peer", "side", "transport",
    )  # fmt: skip

    def __init__(self, side: Side, link: StationLink | CsmsLink) -> None:
        self.side = side
        self.link = link
        self.transport: asyncio.Transport
        self.peer: Leg | None = None
        self.pair: Pair | None = None
        self.on_lost: Callable[[], None] | None = None
        self.frames = 0
        self.over = False  # nothing is written any more, nothing read is looked at
        self.gone = False  # the transport is closed
        self.closing = False  # its close frame has been passed on
        self.eof = False
        self._reading_held = False
        self._message: asyncio.Future[Message | NoMessage] | None = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's do not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        if self.over:
            return
        link = self.link
        link.receive_data(data)
        pair = self.pair
        if pair is not None:
            happened = link.happened
            if happened:
                link.happened = []
                pair.ledger.receive(self, happened, len(data))
        else:
            self._tell_message()
        if link.held and link.message is not None and link.held_bytes > HELD_LIMIT_BYTES:
            self.hold_reading()

    def eof_received(self) -> bool:
        self.eof = True
        if self.pair is None and not self.over:
            self.link.receive_eof()
            self._tell_message(hung_up=True)
        self._lose("")
        # A request may come with half a goodbye and still wants its answer; TLS knows no half-closed connection.
        return self.pair is None and self.side == "station" and not self.secure

    def connection_lost(self, exc: BaseException | None) -> None:
        self.gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._answer(self._hung_up(exc))
        if not self.eof:
            self._lose(describe_loss(exc, self.side))
        self.over = True
        if self.pair is not None:
            self.pair.leg_gone()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.hold_reading()

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.resume_reading()

    # -- the handshake

    async def message(self) -> Message | NoMessage:
        """The handshake message of the other end, or why there is none."""
        assert self._message is not None
        return await self._message

    def _tell_message(self, hung_up: bool = False) -> None:
        message = self.link.message
        if isinstance(message, NoMessage) and not message.raw and hung_up:
            message = self._hung_up(None)
        if message is not None:
            self._answer(message)

    def _hung_up(self, trouble: BaseException | None) -> NoMessage:
        """In place of the other end's message; without a reason where a caller just left who had not said a word."""
        if isinstance(trouble, ssl.SSLError) and not isinstance(trouble, ssl.SSLEOFError):
            return NoMessage(explain(trouble, self.side), 0, b"")  # with TLS 1.3 a certificate is refused only now
        if self.side == "station" and not self.link.spoken_to:
            return NoMessage("", 0, b"")
        reason = describe_loss(None if isinstance(trouble, ssl.SSLEOFError) else trouble, self.side)
        reason = reason or "the connection ended"
        if self.side == "csms" and not self.over:  # a transport that was closed may know nothing of its TLS any more
            reason += explain_silence(self.transport.get_extra_info("ssl_object"))
        return NoMessage(reason, 0, b"")

    def _answer(self, message: Message | NoMessage) -> None:
        if self._message is not None and not self._message.done():
            self._message.set_result(message)

    def join(self, pair: Pair, peer: Leg) -> None:
        """Become one of two: from here on everything that happens goes to the pair's ledger."""
        self.pair = pair
        self.peer = peer
        self.on_lost = None
        self._message = None

    def tell(self) -> None:
        """Hand over what happened without new bytes from the network."""
        happened, self.link.happened = self.link.happened, []
        if happened and self.pair is not None:
            self.pair.ledger.receive(self, happened)

    # -- what the pair asks for

    @property
    def secure(self) -> bool:
        return self.transport.get_extra_info("ssl_object") is not None

    def tls(self) -> dict[str, Any] | None:
        """What was agreed, None without TLS; to be asked while the connection stands."""
        ssl_object = self.transport.get_extra_info("ssl_object")
        return describe(ssl_object) if ssl_object is not None else None

    def write(self, data: bytes) -> None:
        """Send, unless this leg is over."""
        if not self.over:
            self.transport.write(data)

    def hold_reading(self) -> None:
        """The other side cannot take more."""
        if not self._reading_held and not self.transport.is_closing():
            self._reading_held = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_held and not self.transport.is_closing():
            self._reading_held = False
            self.transport.resume_reading()

    def finish(self, wait_s: float) -> None:
        """Everything is said: flush, end the connection from our side, and after `wait_s` at the latest altogether."""
        if self._end(wait_s, self.abort):
            self.resume_reading()
            if self.eof or not self.transport.can_write_eof():
                self.transport.close()
            else:
                self.transport.write_eof()

    def await_end(self, wait_s: float) -> None:
        """Everything is said, and it is for the other end to close the connection; see to it after `wait_s`."""
        if self._end(wait_s, self.close):
            self.resume_reading()

    def drop(self, wait_s: float) -> None:
        """End the connection without a word; what was forwarded before is still sent, if it can be in `wait_s`."""
        if self._end(wait_s, self.abort):
            self.transport.close()

    async def until_gone(self) -> None:
        """Wait until the transport is closed; cancelled, see that it is at once."""
        while not self.gone:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.abort()
                await self.until_gone()
                raise

    def look_for_life(self, patience_ms: int) -> None:
        """Take the connection for lost if its end has acknowledged nothing for so long."""
        if not self.over and not self.gone and is_dead(self.transport.get_extra_info("socket"), patience_ms):
            self._lose(_LOSSES[errno.ETIMEDOUT])

    def close(self) -> None:
        if not self.gone:
            self.transport.close()

    def abort(self) -> None:
        if not self.gone:
            self.transport.abort()

    def reset(self) -> None:
        """End the connection as if the machine had gone: TCP's RST, nothing is sent any more."""
        if not self.gone:
            self.over = True
            reset_on_close(self.transport.get_extra_info("socket"))
            self.transport.abort()

    def _end(self, wait_s: float, then: Callable[[], None]) -> bool:
        first, self.over = not self.over, True
        if first and not self.gone:
            self._timer = asyncio.get_running_loop().call_later(wait_s, then)
        return first and not self.gone

    def _lose(self, reason: str) -> None:
        if self.over:
            return
        if self.pair is not None:
            self.pair.ledger.receive(self, [Lost(reason)])
        elif self.on_lost is not None:
            tell, self.on_lost = self.on_lost, None
            tell()


_LOSSES = {
    errno.ETIMEDOUT: "no sign of life on TCP level: the link was half-open",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "no route any more",
    errno.ENETUNREACH: "no network any more",
}


def describe_loss(trouble: BaseException | None, side: Side) -> str:
    """How a connection was lost, in few words; "" where it just ended."""
    if trouble is None:
        return ""
    if isinstance(trouble, ssl.SSLError):
        return explain(trouble, side)
    return _LOSSES.get(getattr(trouble, "errno", None) or 0) or str(trouble) or type(trouble).__name__
