"""What is to be examined: the CSMS's URL, who asks there, with which credentials, and how long a step may take.

Decides in which forms a password is tried and what is secret in all that. Refuses to connect.

Source: RFC 7617 (Basic); Improved security for OCPP 1.6-J edition 3, A00.FR.203 to .205 and section 7.2: a key of 40
hexadecimal digits is sent as the 20 bytes that they stand for; OCPP 2.0.1 Part 2 A00.FR.203 to .205: as text.
"""

from __future__ import annotations

import base64
import re
import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.secrets import parameter_spans
from ocpp_proxy.wire.pem import Warn, trust
from ocpp_proxy.wire.tls import csms_context
from ocpp_proxy.wire.upstream import Upstream, as_segment

_HEX_KEY = re.compile(rb"[0-9A-Fa-f]{40}")
_LONGEST_S = 3600
_DEFAULT_LISTEN = ("0.0.0.0:9000",)  # as `run` has it


@dataclass(frozen=True, slots=True)
class Form:
    """One way to send the password. `name` tells it from others, "" where there is only one."""

    name: str
    authorization: str | None


@dataclass(frozen=True, slots=True)
class CsmsTls:
    """What TLS is spoken with; the options are named as those of `run`."""

    ca: tuple[Path, ...] = ()
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    sni: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """`identity` None: a made-up one is used. `password` as bytes, since it need not be text. `listen` empty: the place
    where `run` listens unless told otherwise. Raises BadInput for what cannot be used."""

    upstream: Upstream
    identity: str | None = None
    user: str | None = None
    password: bytes | None = field(default=None, repr=False)
    tls: CsmsTls = field(default_factory=CsmsTls)
    listen: tuple[str, ...] = ()
    timeout_s: float = 10.0
    made_up: str = field(default_factory=lambda: f"doctor-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        if self.identity == "":
            raise BadInput("--id is empty: expected the station's identity, or leave --id out")
        if not 0 < self.timeout_s <= _LONGEST_S:  # "nan" is a number on the command line, too
            raise BadInput(f"--timeout {self.timeout_s:g}: expected seconds, more than 0 and at most {_LONGEST_S}")
        for option, value in (("--id", self.identity), ("--user", self.user)):
            if value is not None and not _is_text(value):
                raise BadInput(f"{option}: expected text in UTF-8, without control characters")
        if self.user is not None and self.password is None:
            raise BadInput("--user needs --password-file")
        if self.password is not None and self.account is None:
            raise BadInput("--password-file needs --user or --id: whose password is it?")
        if self.password is not None and ":" in (self.account or ""):
            raise BadInput("a user name for Basic authentication holds no colon: what follows it would be the password")
        named = [name for name in ("ca", "cert", "key", "insecure", "sni") if getattr(self.tls, name)]
        if named and not self.upstream.secure:
            raise BadInput(f"--upstream-{named[0]} needs a wss:// URL")
        if self.tls.sni and not _is_host(self.tls.sni):
            raise BadInput(f"--upstream-sni {self.tls.sni!r}: expected a host name")

    @property
    def station(self) -> str:
        """Who asks."""
        return self.identity or self.made_up

    @property
    def account(self) -> str | None:
        """The user of the credentials: the station itself unless another is named, as OCPP demands."""
        return self.user if self.user is not None else self.identity

    @property
    def target(self) -> str:
        """The path that the CSMS is asked for, as `run` makes it of a station's."""
        return self.upstream.target(f"/{as_segment(self.station)}", self.station)

    @property
    def server_name(self) -> str:
        return self.tls.sni or self.upstream.host

    @property
    def places(self) -> tuple[str, ...]:
        return self.listen or _DEFAULT_LISTEN

    def context(self, warn: Warn) -> ssl.SSLContext | None:
        """What the CSMS is dialled with, None without TLS. `warn` hears of what works but should be known. Raises
        BadInput that names the file."""
        if not self.upstream.secure:
            return None
        first, *others = self.tls.ca or (None,)
        context = csms_context(first, self.tls.cert, self.tls.key, self.tls.insecure, warn=warn)
        for other in others:
            assert other is not None
            trust(context, other)
        return context

    @property
    def has_hex_key(self) -> bool:
        return self.password is not None and _HEX_KEY.fullmatch(self.password) is not None

    def forms(self) -> list[Form]:
        """The ways to send the password, that of the specification of 1.6 first."""
        if self.password is None:
            return [Form("", None)]
        if not self.has_hex_key:
            return [Form("", self._basic(self.password))]
        key = bytes.fromhex(self.password.decode("ascii"))
        return [Form("as its 20 bytes", self._basic(key)), Form("as text", self._basic(self.password))]

    def secrets(self) -> set[str]:
        """Everything that must not be shown, whoever says it."""
        headers = {form.authorization for form in self.forms() if form.authorization}
        pairs = {header.partition(" ")[2] for header in headers}
        pairs |= {self.target[start:end] for start, end in parameter_spans(self.target)}
        if self.password is None:
            return pairs
        kinds = {self.password.decode("latin-1"), self.password.decode("utf-8", "replace"), self.password.hex()}
        if self.has_hex_key:
            text = self.password.decode("ascii")
            key = bytes.fromhex(text)
            kinds |= {text.lower(), text.upper(), key.decode("latin-1"), key.decode("utf-8", "replace")}
        return pairs | kinds | {base64.b64encode(self.password).decode("ascii")}

    def _basic(self, password: bytes) -> str:
        pair = (self.account or "").encode() + b":" + password
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes of the command line that were no UTF-8
        return False
    return not any(ord(char) < 0x20 or ord(char) == 0x7F for char in value)


def _is_host(name: str) -> bool:
    """Whether TLS can ask for it."""
    try:
        return not name.startswith(".") and bool(name.encode("idna"))
    except UnicodeError:
        return False
