"""Replaces secrets in OCPP messages by asterisks before anything is stored or analysed.

Decides which part of a message is secret, from the names around it, and masks it in place: as many asterisks as it has
characters, the JSON stays valid, every other byte stays as it was. Refuses to know who sent the message and what
becomes of it. A message that cannot be parsed is masked bluntly once it names a secret (`blunt`).

Source: `secrets`, and the fields that carry them: OCPP 1.6 ChangeConfiguration.req, GetConfiguration.conf; OCPP 2.0.1
and 2.1 SetVariables, GetVariables, NotifyReport, NotifyEvent, SetNetworkProfile (VPNType, APNType), Part 4 chapter 7
(signed messages).
"""

from __future__ import annotations

import base64
import re
from typing import Literal, NamedTuple, TypeAlias

from ocpp_proxy.core import blunt
from ocpp_proxy.core.record import Mask
from ocpp_proxy.core.scan import Node, begin, escape, scan, skip_padding
from ocpp_proxy.core.secrets import form_of, is_secret_name, names_secret, secret_spans

# Letters in lower case; what may stand between or within words, and NULs, left out.
_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_LEFT_OUT = b'0123456789",:;{}[]()._- \t\r\n\0'
_ESCAPED_ASCII = re.compile(rb"\\+u00([0-7][0-9a-fA-F])")

# Members whose value may name what the other members of the object hold.
_NAMING = frozenset({"key", "name", "variable", "messageid", "id", "parameter", "param", "setting", "keyname"})
# Members that hold no secret themselves although their object names one.
_HARMLESS = _NAMING | frozenset((
    "attributestatus", "attributestatusinfo", "attributetype", "component", "constant", "datatype", "eventid", "evse",
    "instance", "maxlimit", "minlimit", "mutability", "persistent", "readonly", "requestid", "seqno", "severity",
    "status", "supportsmonitoring", "timestamp", "trigger", "type", "unit", "vendorid",
))  # fmt: skip

# What to mask below a place: nothing but what looks like a secret; all but harmless members; everything.
_Mode: TypeAlias = Literal["seeming", "named", "all"]
_NESTING_MAX = 3


class _Cut(NamedTuple):
    """Characters to replace, and where they belong."""

    start: int
    end: int
    text: str
    mask: Mask


def redact(raw: bytes) -> tuple[bytes, tuple[Mask, ...]]:
    """The message with its secrets masked, and where they were; the very same bytes where there are none.

    It takes its time: ask `may_hold_secret` first.
    """
    text = raw.decode(errors="surrogateescape")
    try:
        cuts = _cuts(text)
    except RecursionError:  # only where our own caller is deep down already
        cuts = None
    if cuts is None:
        return blunt.redact(raw)
    if not cuts:
        return raw, ()
    pieces: list[str] = []
    at = 0
    for cut in cuts:
        pieces += (text[at : cut.start], cut.text)
        at = cut.end
    return "".join((*pieces, text[at:])).encode(errors="surrogateescape"), tuple(cut.mask for cut in cuts)


def _cuts(text: str) -> list[_Cut] | None:
    """What to mask; None where the text is not one sound JSON value and nothing else."""
    start, before = begin(text)
    found = scan(text, start)
    alone = skip_padding(text, found.end) == len(text) and all(defect.code != "leading-data" for defect in before)
    if found.broken or found.node is None or not alone:
        return None
    return _Search(text).cuts(found.node)


def may_hold_secret(raw: bytes) -> bool:
    """Whether it is worth looking closer; False is certain, and for nearly every message found in a microsecond."""
    words = raw.translate(_LOWER, _LEFT_OUT).decode("latin-1")
    if "\\" in words:  # which may hide any letter
        raw = _ESCAPED_ASCII.sub(lambda escaped: bytes((int(escaped[1], 16),)), raw)
        words = raw.translate(_LOWER, _LEFT_OUT + b"\\").decode("latin-1")
    if "//" in words or "protected" in words:
        return True
    if "k" in words and ("key" in words or "psk" in words or words.count("token") != words.count("idtoken")):
        return "vpn" in words or names_secret(words)
    return ("pass" in words or "pwd" in words or "cre" in words or "pin" in words) and names_secret(words)


class _Search:
    """Walks the tree of one text; duplicates of a key are looked at like any other member."""

    def __init__(self, text: str, nesting: int = 0) -> None:
        self.text = text
        self.nesting = nesting
        self.found: list[_Cut] = []

    def cuts(self, root: Node) -> list[_Cut]:
        """In the order of the text, none overlapping."""
        self.visit(root, "", "seeming", "")
        return self.found

    def visit(self, node: Node, pointer: str, mode: _Mode, holder: str) -> None:
        """`holder`: the folded name of the member that the node belongs to."""
        if node.kind == "object":
            self.object(node, pointer, mode, holder)
        elif node.kind == "array":
            for index, item in enumerate(node.value):
                by_action = pointer == "" and index > 2 and _is_secret_string(node.value[2])
                self.visit(item, f"{pointer}/{index}", "named" if by_action else mode, holder)
        elif node.kind == "string":
            if mode != "seeming":
                self.whole(node, pointer)
            elif self.nesting < _NESTING_MAX:
                self.within(node, pointer)
        elif node.kind == "number" and mode != "seeming":
            digits = self.text[node.start : node.end]
            self.cut(node.start, node.end, re.sub("[0-9]", "9", digits), pointer, digits)

    def object(self, node: Node, pointer: str, mode: _Mode, holder: str) -> None:
        if mode == "seeming" and any(_names(key, value) for key, value in node.value):
            mode = "named"
        signed = any(key.value.lower() == "protected" for key, _ in node.value)
        for key, value in node.value:
            name = _fold(key.value)
            below = mode
            if (
                is_secret_name(key.value)
                or (name == "key" and holder == "vpn")
                or (signed and name == "payload" and _holds_secret_encoded(value))
            ):
                below = "all"
            elif mode == "named" and name in _HARMLESS:
                below = "seeming"
            self.visit(value, f"{pointer}/{escape(key.value)}", below, name)

    def whole(self, node: Node, pointer: str) -> None:
        if node.value:
            self.cut(node.start + 1, node.end - 1, "*" * len(node.value), pointer, node.value)

    def within(self, node: Node, pointer: str) -> None:
        """Secrets inside a string that is none as a whole: in a URL, a key file, a line of settings, JSON in JSON."""
        value: str = node.value
        if "://" not in value and not names_secret(value):
            return
        if value.lstrip()[:1] in ("{", "["):
            inner = scan(value)
            if inner.broken or inner.node is None:
                if names_secret(value):
                    self.whole(node, pointer)
                return
            cuts = [(cut.start, cut.end, cut.text) for cut in _Search(value, self.nesting + 1).cuts(inner.node)]
        else:
            cuts = [(start, end, "*" * (end - start)) for start, end in secret_spans(value)]
        if cuts:
            at = _offsets(self.text, node)
            for start, end, stars in cuts:
                self.cut(at[start], at[end], stars, pointer, value[start:end])

    def cut(self, start: int, end: int, text: str, pointer: str, secret: str) -> None:
        self.found.append(_Cut(start, end, text, Mask(pointer, len(text), form_of(secret))))


_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)


def _offsets(text: str, node: Node) -> list[int]:
    """For each character of a string's value, and for its end, where it stands in the text."""
    return [match.start() for match in _CHARACTER.finditer(text, node.start + 1, node.end - 1)] + [node.end - 1]


def _fold(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _is_secret_string(node: Node) -> bool:
    return node.kind == "string" and is_secret_name(node.value)


def _names(key: Node, value: Node) -> bool:
    """Whether this member says that its object holds a secret: 1.6 has "key": "AuthorizationKey", 2.x "variable":
    {"name": "BasicAuthPassword"}."""
    if _fold(key.value) not in _NAMING:
        return False
    if value.kind == "object":
        return any(_fold(inner.value) in _NAMING and _is_secret_string(name) for inner, name in value.value)
    return _is_secret_string(value)


def _holds_secret_encoded(node: Node) -> bool:
    """Whether the payload of a signed message, which is base64, would have been masked in clear."""
    if node.kind != "string":
        return False
    encoded = re.sub("[^A-Za-z0-9+/]", "", node.value.translate(str.maketrans("-_", "+/")))
    encoded = encoded[: len(encoded) - 1 if len(encoded) % 4 == 1 else None]
    return bool(redact(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))[1])
