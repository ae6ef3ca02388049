"""Masks what cannot be parsed: broken messages, and the fragments of a message that has not come to its end.

Decides by pattern alone, and rather masks too much: once a secret has been named, every string, number and word behind
the head is masked, but for keys. Refuses to understand the message; what is whole and sound goes to `redact`.

Source: as `redact`.
"""

from __future__ import annotations

import re

from ocpp_proxy.core.record import Mask
from ocpp_proxy.core.secrets import names_secret
from ocpp_proxy.core.vocabulary import ACTIONS, SIGNED_SUFFIX

# Type, id and, but for answers, the action: what lets an engineer see what the message was.
_HEAD = re.compile(
    rb'(?:\xef\xbb\xbf)?[\0\s]{0,32}\[\s{0,8}"?(?P<type>[2-6])(?:\.0)?"?\s{0,8},\s{0,8}(?:"[^"\\]{0,64}"|[0-9]{1,40})\s{0,8},'
    rb'(?:\s{0,8}"(?P<action>[A-Za-z0-9.-]{0,60})"\s{0,8},)?'
)
_HEAD_LENGTH_MAX = 256
_ACTION_LENGTH_MAX = 80
# Actions whose payload may hold a secret before it names it, or without naming it.
_BEARERS = frozenset((
    "ChangeConfiguration", "DataTransfer", "NotifyEvent", "NotifyReport", "SetNetworkProfile", "SetVariables",
))  # fmt: skip
_HARMLESS_ACTIONS = frozenset(action for actions in ACTIONS.values() for action in actions) - _BEARERS
# What tells of secrets to come in an answer, which does not name its action, or hides what it says.
_OMENS = re.compile(rb"configurationkey|getvariableresult|reportdata|://|:\\/|\\u|\0", re.IGNORECASE)
_TAIL_LENGTH = 256

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},:]|[\s\0]++|[^\s\0\[\]{},:"]++', re.DOTALL)
_KEY_FOLLOWS = re.compile(rb"[\s\0]{0,64}:")
_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]*")
_KEPT_WORDS = frozenset({b"true", b"false", b"null"})
_KEPT_STRINGS = frozenset({b'"authorizationkey"', b'"basicauthpassword"'})
_LENGTH_MAX = 1 << 20  # beyond this, token by token takes too long for a relay
_ALL_BUT_STRUCTURE = bytes(byte if byte in b'[]{},:" \t\r\n' else ord("*") for byte in range(256))
_DIGITS = bytes(ord("9") if byte in b"0123456789" else byte for byte in range(256))
_ESCAPED_ASCII = re.compile(r"\\u00([0-7][0-9a-fA-F])")


def redact(raw: bytes) -> tuple[bytes, tuple[Mask, ...]]:
    """A message that cannot be parsed; unchanged where it names no secret."""
    if not _seems_secret(raw):
        return raw, ()
    head = _HEAD.match(raw)
    start = head.end() if head else 0
    masked = raw[:start] + (_star(raw, start) if len(raw) <= _LENGTH_MAX else raw[start:].translate(_ALL_BUT_STRUCTURE))
    length = sum(before != after for before, after in zip(raw, masked, strict=False))
    return masked, (Mask(None, length, "text"),) if length else ()


class PartMasker:
    """Masks the fragments of one message, each as it comes, since each is recorded before it goes on.

    From the moment that a secret is named, or may come unnamed, nothing but the structure is left of what follows, that
    fragment included. When the message is whole it goes through `redact` and takes the place of its fragments.
    """

    __slots__ = ("_beginning", "_length", "_suspicious", "_tail")

    def __init__(self) -> None:
        self._beginning = b""
        self._tail = b""
        self._length = 0
        self._suspicious = False

    def mask(self, part: bytes) -> bytes:
        if len(self._beginning) < _HEAD_LENGTH_MAX:
            self._beginning += part[: _HEAD_LENGTH_MAX - len(self._beginning)]
        head = _HEAD.match(self._beginning)
        window = self._tail + part
        self._suspicious = (
            self._suspicious or self._may_bear(head) or bool(_OMENS.search(window)) or _seems_secret(window)
        )
        kept = max(0, (head.end() if head else 0) - self._length)
        self._tail = window[-_TAIL_LENGTH:]
        self._length += len(part)
        return part[:kept] + part[kept:].translate(_ALL_BUT_STRUCTURE) if self._suspicious else part

    def _may_bear(self, head: re.Match[bytes] | None) -> bool:
        if head is None:
            return len(self._beginning) >= _HEAD_LENGTH_MAX
        if head["type"] not in (b"2", b"6"):
            return False
        if head["action"] is None:
            return len(self._beginning) > head.end() + _ACTION_LENGTH_MAX
        return head["action"].decode().removesuffix(SIGNED_SUFFIX) not in _HARMLESS_ACTIONS


def _seems_secret(raw: bytes) -> bool:
    text = raw.decode("latin-1").replace("\0", "")
    text = _ESCAPED_ASCII.sub(lambda match: chr(int(match[1], 16)), text).replace("\\/", "/")
    return names_secret(text) or any("@" in url or "?" in url or '"' not in url for url in text.split("://")[1:])


def _star(raw: bytes, start: int) -> bytes:
    """Everything from `start` on masked, but structure, keys, and the names of the best known secrets."""
    out = [b""]
    previous = b""
    for match in _TOKEN.finditer(raw, start):
        token = match[0]
        if token[:1] == b'"':
            is_key = previous in (b"{", b",") and _KEY_FOLLOWS.match(raw, match.end())
            kept = is_key or token.lower() in _KEPT_STRINGS
            out.append(token if kept else _star_string(token))
        elif token[0] in b"[]{},: \t\r\n\v\f\0" or token in _KEPT_WORDS:
            out.append(token)
        else:
            out.append(token.translate(_DIGITS) if _NUMBER.fullmatch(token) else b"*" * len(token))
        if token[0] not in b" \t\r\n\v\f\0":
            previous = token
    return b"".join(out)


def _star_string(token: bytes) -> bytes:
    closed = len(token) > 1 and token.endswith(b'"')
    return b'"' + b"*" * (len(token) - 1 - closed) + (b'"' if closed else b"")
