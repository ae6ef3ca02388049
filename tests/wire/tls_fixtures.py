"""Certificates and peers for the tests of TLS.

The peers are blocking sockets in threads, as both event loops close a failed handshake without sending the alert that
a real station or CSMS sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENCE_S = 10

Peer = Callable[[socket.socket], object]


def run(loop: str, work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(work, PATIENCE_S))


# -- certificates


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.encrypted_key_pem(serialization.NoEncryption())

    def encrypted_key_pem(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )


def make(
    common_name: str,
    issuer: Pair | None = None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = ("localhost",),
    days: tuple[int, int] = (-1, 30),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    purpose: x509.ObjectIdentifier | None = None,
) -> Pair:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
    ])
    moment = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment + timedelta(days[0]))
        .not_valid_after(moment + timedelta(days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if not ca and names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


class Certificates:
    """PEM files, each made when first asked for: `certificates["expired"]`. Those to be shown hold their key too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pairs: dict[str, Pair] = {}

    def pair(self, name: str) -> Pair:
        if name not in self.pairs:
            self.pairs[name] = _RECIPES[name](self)
        return self.pairs[name]

    def __getitem__(self, name: str) -> Path:
        file = self.folder / f"{name}.pem"
        if not file.exists():
            pair = self.pair(name)
            chain = [self.pair(above) for above in _CHAINS.get(name, ())]
            file.write_bytes(b"".join([pair.key_pem, pair.pem, *(above.pem for above in chain)]))
        return file

    def write(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.write_bytes(content)
        return file


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


_RECIPES: dict[str, Callable[[Certificates], Pair]] = {
    "ca": lambda c: make("CA", ca=True),
    "other-ca": lambda c: make("Other CA", ca=True),
    "intermediate": lambda c: make("Intermediate", c.pair("ca"), ca=True),
    "good": lambda c: make("localhost", c.pair("ca")),
    "rsa": lambda c: make("localhost", c.pair("ca"), key=_rsa(2048)),
    "weak": lambda c: make("localhost", c.pair("ca"), key=_rsa(1024)),
    "self-signed": lambda c: make("localhost"),
    "expired": lambda c: make("localhost", c.pair("ca"), days=(-9, -1)),
    "not-yet": lambda c: make("localhost", c.pair("ca"), days=(1, 9)),
    "elsewhere": lambda c: make("csms.example", c.pair("ca"), names=("csms.example", "*.eu.example")),
    "incomplete": lambda c: make("localhost", c.pair("intermediate")),
    "complete": lambda c: c.pair("incomplete"),
    "chain-to-root": lambda c: c.pair("good"),
    "station": lambda c: make("CP001", c.pair("ca"), names=()),
    "foreign-station": lambda c: make("CP001", c.pair("other-ca"), names=()),
    "expired-station": lambda c: make("CP001", c.pair("ca"), names=(), days=(-9, -1)),
    "not-yet-station": lambda c: make("CP001", c.pair("ca"), names=(), days=(1, 9)),
    "self-signed-station": lambda c: make("CP001", names=()),
    "weak-station": lambda c: make("CP001", c.pair("ca"), names=(), key=_rsa(1024)),
    "for-servers": lambda c: make("CP001", c.pair("ca"), purpose=ExtendedKeyUsageOID.SERVER_AUTH),
    "for-clients": lambda c: make("localhost", c.pair("ca"), purpose=ExtendedKeyUsageOID.CLIENT_AUTH),
}
_CHAINS = {"complete": ("intermediate",), "chain-to-root": ("ca",)}


def any_context(
    protocol: int,
    cert: Path | None = None,
    ca: Path | None = None,
    *,
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion] = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
    ciphers: str = "ALL:@SECLEVEL=0",
) -> ssl.SSLContext:
    """A peer's own context: it can do anything, and trusts everybody unless it is given a `ca`."""
    context = ssl.SSLContext(protocol)
    context.set_ciphers(ciphers)
    context.check_hostname = context.check_hostname and ca is not None
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if cert:
        context.load_cert_chain(cert)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = versions
    return context


# -- what a peer does with its socket


def speaks_tls(context: ssl.SSLContext, host: str | None = "localhost") -> Peer:
    """Shakes hands, reads a line and answers "pong"; tells the version agreed, or the failure on its own side."""

    def peer(sock: socket.socket) -> object:
        try:
            server = context.protocol == ssl.PROTOCOL_TLS_SERVER
            with context.wrap_socket(sock, server_side=server, server_hostname=None if server else host) as tls:
                if server:
                    tls.recv(100)
                tls.sendall(b"pong")
                while tls.recv(100):
                    pass
                return tls.version(), tls.cipher()[0]
        except OSError as error:
            return error

    return peer


def shakes_hands_in_silence(context: ssl.SSLContext) -> Peer:
    """A server that keeps its alert to itself when the handshake fails."""

    def peer(sock: socket.socket) -> object:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(16384))
            except ssl.SSLError as error:
                return error

    return peer


def says(data: bytes) -> Peer:
    """Sends this and waits until the other side has closed."""

    def peer(sock: socket.socket) -> object:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            while sock.recv(1000):
                pass
        return None

    return peer


def hears_then(answer: bytes, *, reset: bool = False) -> Peer:
    """Waits for the first bytes, sends its own and closes."""

    def peer(sock: socket.socket) -> object:
        sock.recv(1000)
        sock.sendall(answer)
        hang_up(sock, reset)
        return None

    return peer


def hangs_up(data: bytes = b"", *, reset: bool = False) -> Peer:
    def peer(sock: socket.socket) -> object:
        sock.sendall(data)
        hang_up(sock, reset)
        return None

    return peer


def hang_up(sock: socket.socket, reset: bool) -> None:
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def client_hello(**how: Any) -> bytes:
    """The first bytes of a station that speaks TLS; `how` as for any_context, and `host`."""
    host = how.pop("host", "localhost")
    outgoing = ssl.MemoryBIO()
    tls = any_context(ssl.PROTOCOL_TLS_CLIENT, **how).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def sends_alert(description: int) -> Peer:
    """A station that asks for TLS 1.2, hears our offer and refuses it with this alert (RFC 8446 section 6)."""

    def peer(sock: socket.socket) -> object:
        sock.sendall(client_hello(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)))
        sock.recv(1000)
        sock.sendall(bytes([21, 3, 3, 0, 2, 2, description]))
        while sock.recv(1000):
            pass
        return None

    return peer


def server_hello(version: int) -> bytes:
    """The answer of a CSMS that knows no TLS extension (RFC 5246 section 7.4.1.3)."""
    body = version.to_bytes(2, "big") + bytes(32) + b"\0" + b"\xc0\x2f" + b"\0"
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    return b"\x16" + version.to_bytes(2, "big") + len(message).to_bytes(2, "big") + message


# -- our side


class Ours(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.heard.done():
            self.heard.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)


@dataclass
class Met:
    """How it went: `trouble` is what our side was told, during or after the handshake; None if all went well."""

    trouble: BaseException | None
    peer: object
    tls: ssl.SSLObject | None


async def meet_station(context: ssl.SSLContext, station: Peer, timeout_s: float = 5) -> Met:
    """Accept one connection as the relay does, and shake hands on it."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        peer = asyncio.create_task(asyncio.to_thread(_dial, listener.getsockname(), station))
        accepted, _ = await loop.sock_accept(listener)
    ours: list[Ours] = []

    def protocol() -> Ours:
        ours.append(Ours())
        return ours[-1]

    async def connect() -> asyncio.BaseTransport:
        return (await loop.connect_accepted_socket(
            protocol, accepted, ssl=context, ssl_handshake_timeout=timeout_s
        ))[0]

    return await _meet(connect(), ours, peer)


async def meet_csms(
    context: ssl.SSLContext, csms: Peer, host: str = "localhost", timeout_s: float = 5
) -> Met:
    """Dial one connection as the relay does, and say something on it."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    peer = asyncio.create_task(asyncio.to_thread(_accept, listener, csms))
    ours: list[Ours] = []

    def protocol() -> Ours:
        ours.append(Ours())
        return ours[-1]

    async def connect() -> asyncio.BaseTransport:
        transport, _ = await loop.create_connection(
            protocol, *address, ssl=context, server_hostname=host, ssl_handshake_timeout=timeout_s
        )
        transport.write(b"ping")
        return transport

    return await _meet(connect(), ours, peer)


async def _meet(
    connecting: Coroutine[Any, Any, asyncio.BaseTransport], ours: list[Ours], peer: asyncio.Task[object]
) -> Met:
    try:
        transport = await connecting
    except OSError as error:
        return Met(error, await peer, None)
    tls = transport.get_extra_info("ssl_object")
    await asyncio.wait([ours[0].heard, ours[0].lost], return_when=asyncio.FIRST_COMPLETED)
    transport.close()
    trouble = await ours[0].lost
    heard = ours[0].heard.done()
    return Met(None if heard else trouble or ConnectionResetError(), await peer, tls)


def _dial(address: tuple[str, int], station: Peer) -> object:
    with socket.create_connection(address, timeout=PATIENCE_S) as sock:
        return station(sock)


def _accept(listener: socket.socket, csms: Peer) -> object:
    listener.settimeout(PATIENCE_S)
    with listener, listener.accept()[0] as sock:
        sock.settimeout(PATIENCE_S)
        return csms(sock)
