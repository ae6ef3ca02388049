"""One leg's WebSocket, without I/O: bytes come in, the handshake message and then every single frame come out.

Decides where a frame begins and ends and whether it breaks RFC 6455. Refuses to act on what it reads: no pong, no
echo of a close, no verdict on UTF-8 or on close codes, since all of that is the business of the two ends. Each frame
keeps the bytes it came in, so that it can go on exactly as it was: same fragments, masking key, length form and
compressed data.

It stands on the Sans-I/O protocols of `websockets` (handshake messages, unmasking, deflate, close states) and takes
over two things: the handshake is held after its message until `release`, so that whatever comes right behind it waits
for the 101; and frames are cut out of the received bytes directly, which is also several times cheaper than the
library's way through generators.

Source: RFC 6455 sections 5 (framing), 7.1 (closing) and 9.1 (extensions own the RSV bits).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator

from websockets.client import ClientProtocol
from websockets.exceptions import HeaderLineTooLong, PayloadTooBig, ProtocolError, RequestLineTooLong, TooManyHeaders
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.frames import apply_mask as _apply_mask  # type: ignore[attr-defined]  # there the C version is chosen
from websockets.http11 import Request, Response, read_body
from websockets.protocol import SERVER, Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import WebSocketURI

from ocpp_proxy.wire.happening import BINARY, CLOSE, CONT, TEXT, Breach, Happening, Message, NoMessage, Received

_HEADER_MOST = 14  # two bytes, eight of length, four of masking key
_REASON_BYTES = 123
apply_mask: Callable[[bytes, bytes], bytes] = _apply_mask

# Shared, and silent: a logger a connection would cost memory, and a peer's bytes have no business in a log.
_LOGGER = logging.Logger("ocpp_proxy.wire", logging.CRITICAL + 1)
_NOBODY = WebSocketURI(False, "", 0, "", "")


class _Link(Protocol):
    """What both sides have in common. After each `receive_data` look at `message` while the handshake is held, at
    `happened` from `release` on; who reads `happened` leaves an empty list there."""

    def _begin(self, opaque: bool) -> None:
        self.message: Message | NoMessage | None = None
        self.happened: list[Happening] = []
        self.held = True
        # Where nobody looks into messages (nothing is recorded) they need not be unmasked or inflated.
        self.opaque = opaque
        self.deflate: PerMessageDeflate | None = None
        self._opening: bytearray | None = bytearray()
        self._mask_bit = 0x80 if self.side is SERVER else 0
        self._head_bytes = 6 if self.side is SERVER else 2
        self._needed = 0
        self._plain = max_size_is_open(self)

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take what came from the network."""
        if self.held:
            if self._opening is not None:
                self._opening += data
            super().receive_data(data)
        elif self._state is not State.CLOSED:
            self._receive_frames(bytes(data))

    def release(self, deflate: PerMessageDeflate | None = None) -> None:
        """The handshake is through: read frames from here on, those that wait first."""
        self.held = False
        self.deflate = deflate
        self._opening = None
        self.message = None
        self.state = State.OPEN
        waiting = bytes(self.reader.buffer)
        self.reader.discard()
        if waiting:
            self._receive_frames(waiting)

    @property
    def spoken_to(self) -> bool:
        """Whether anything of a handshake message has come."""
        return bool(self._opening)

    @property
    def opening(self) -> bytes:
        """What has come while the handshake was held."""
        return bytes(self._opening or b"")

    @property
    def held_bytes(self) -> int:
        """How much has come behind the handshake message and waits."""
        return len(self.reader.buffer)

    def close_frame(self, code: int, reason: str = "") -> bytes:
        """A close frame of our own."""
        payload = Close(code, _cut(reason)).serialize()
        return Frame(Opcode.CLOSE, payload).serialize(mask=self.side is not SERVER)

    def message_frame(self, data: bytes, *, binary: bool = False) -> bytes:
        """A data message of our own, in one frame and never compressed: the peers' compressors know nothing of it."""
        return Frame(Opcode.BINARY if binary else Opcode.TEXT, data).serialize(mask=self.side is not SERVER)

    # -- handshake

    def parse(self) -> Generator[None, None, None]:
        try:
            yield from self._read_message()
        except Exception as error:  # whatever a peer sends: the library raises seven kinds for it
            self.message = NoMessage(_sentence(error), _STATUSES.get(type(error), 400), bytes(self._opening or b""))
        while True:
            yield

    def _read_message(self) -> Generator[None, None, None]:
        raise NotImplementedError

    def _taken(self) -> bytes:
        """The bytes of the handshake message so far."""
        received = self._opening or bytearray()
        return bytes(received[: len(received) - len(self.reader.buffer)])

    # -- frames

    def _receive_frames(self, data: bytes) -> None:
        buffer = self.reader.buffer
        if buffer:
            buffer += data
            if len(buffer) < self._needed:
                return
            data = bytes(buffer)
            buffer.clear()
        try:
            self._cut_frames(data)
        except ProtocolError as error:
            self._breach(1002, str(error), data)
        except PayloadTooBig as error:
            self._breach(1009, str(error), data)

    def _cut_frames(self, data: bytes) -> None:
        # In one piece, for its speed: it runs for each frame.
        start, size, happened = 0, len(data), self.happened
        self._at = 0
        while start < size:
            rest = size - start
            if rest < 2:
                self._needed = 2
                break
            first, second = data[start], data[start + 1]
            length = second & 0x7F
            payload = start + self._head_bytes
            if length > 125:
                wide = 2 if length == 126 else 8
                if rest < 2 + wide:
                    self._needed = 2 + wide
                    break
                length = int.from_bytes(data[start + 2 : start + 2 + wide], "big")
                payload += wide
                if length >> 63:
                    raise ProtocolError("length of 64 bits")
            # A whole text message, the usual case, needs no more than this one look.
            if first != 0x81 or second & 0x80 != self._mask_bit or not self._plain:
                self._check(first, second, length)
            end = payload + length
            if end > size:
                self._needed = end - start
                break
            if self.opaque and first & 0x0F < CLOSE:
                content = b""
            elif self._mask_bit:
                content = apply_mask(data[payload:end], data[payload - 4 : payload])
            else:
                content = data[payload:end]
            if first != 0x81 or not self._plain:
                content = self._account(first, content, length)
            happened.append(Received(first & 0x0F, first > 0x7F, content, data[start:end]))
            start = self._at = end
            if first == 0x88:
                # 1.4: what comes after a close frame is not looked at.
                self.state = State.CLOSED
                return
        else:
            return
        self.reader.buffer += data[start:]

    def _check(self, first: int, second: int, length: int) -> None:
        """Judge a frame by its header. Raises ProtocolError and PayloadTooBig."""
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            raise ProtocolError(f"reserved opcode {first & 0x0F:#x}") from None
        if second & 0x80 != self._mask_bit:
            raise ProtocolError("frame without a mask" if self._mask_bit else "masked frame from a server")
        compressed = self.deflate is not None and opcode in (TEXT, BINARY) and first & 0x70 == 0x40
        if first & 0x70 and not compressed:
            raise ProtocolError("reserved bits set without an extension that uses them")
        if opcode >= CLOSE:
            if second & 0x7F > 125:
                raise ProtocolError("control frame of more than 125 bytes")
            if not first & 0x80:
                raise ProtocolError("fragmented control frame")
            return
        if (opcode == CONT) != (self.current_size is not None):
            raise ProtocolError("continuation of nothing" if opcode == CONT else "new message within a fragmented one")
        limit = self.max_message_size
        if limit is not None and length + (self.current_size or 0) > limit:
            raise PayloadTooBig(length, limit, self.current_size)

    def _account(self, first: int, content: bytes, length: int) -> bytes:
        """Keep the books of a frame that is not plain, and inflate it; returns its content."""
        opcode = first & 0x0F
        if opcode >= CLOSE:
            return content
        if self.deflate is not None and not self.opaque:
            limit = self.max_message_size
            left = None if limit is None else limit - (self.current_size or 0)
            frame = Frame(Opcode(opcode), content, first > 0x7F, bool(first & 0x40))
            content = bytes(self.deflate.decode(frame, max_size=left).data)
            length = len(content)
        self.current_size = None if first > 0x7F else (self.current_size or 0) + length
        self._plain = first > 0x7F and max_size_is_open(self)
        return content

    def _breach(self, code: int, reason: str, data: bytes) -> None:
        self.happened.append(Breach(code, reason, _header(data[self._at : self._at + _HEADER_MOST])))
        self.state = State.CLOSED


def max_size_is_open(link: Protocol) -> bool:
    """Whether a message may have any size, so that no frame's length needs a look."""
    return link.max_message_size is None and link.current_size is None


class StationLink(_Link, ServerProtocol):
    """The leg to the station, where we are the server."""

    def __init__(self, *, max_message: int | None = None, opaque: bool = False) -> None:
        ServerProtocol.__init__(self, max_size=max_message, logger=_LOGGER)
        self._begin(opaque)

    def _read_message(self) -> Generator[None, None, None]:
        request = yield from Request.parse(self.reader.read_line)
        self.message = Message(request, self._taken())


class CsmsLink(_Link, ClientProtocol):
    """The leg to the CSMS, where we are the client. `response`: the head of its answer, once that is there."""

    def __init__(self, *, max_message: int | None = None, opaque: bool = False) -> None:
        self.response: Response | None = None
        ClientProtocol.__init__(self, _NOBODY, max_size=max_message, logger=_LOGGER)
        self._begin(opaque)

    def _read_message(self) -> Generator[None, None, None]:
        reader = self.reader
        while True:
            # With proxy=True the library leaves the body to us and understands HTTP/1.0.
            response = yield from Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof, proxy=True)
            self.response = response
            if response.status_code == 101 or response.status_code >= 200:
                break
        yield from read_body(
            response.status_code, response.headers, reader.read_line, reader.read_exact, reader.read_to_eof
        )
        self.message = Message(response, self._taken())

    def answer_so_far(self) -> Message | None:
        """The CSMS's answer with as much of its body as has come; None before its head is complete."""
        if self.response is None or self._opening is None:
            return None
        return Message(self.response, bytes(self._opening))


def _header(data: bytes) -> bytes:
    """The frame's own header and no byte of its payload, which may hold a secret."""
    if len(data) < 2:
        return data
    wide = {126: 2, 127: 8}.get(data[1] & 0x7F, 0)
    return data[: 2 + wide + (4 if data[1] & 0x80 else 0)]


_STATUSES: dict[type[Exception], int] = {RequestLineTooLong: 414, HeaderLineTooLong: 431, TooManyHeaders: 431}


def _sentence(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error}; {cause}" if cause else str(error)


def _cut(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES].decode("utf-8", "ignore")
