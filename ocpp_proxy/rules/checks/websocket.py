"""Handshakes: what the station asks for, and what the CSMS makes of it.

Handshakes that failed are judged as well, where somebody wanted a WebSocket: a browser or a port check is nobody. What
a station asks for it asks for each time, so it is told again only after it has changed.

Source: OCPP-J 1.6 sections 3.1, 3.2 and 5.1; OCPP 2.0.1 and 2.1 Part 4 chapter 3; OCPP 2.0.1 Part 2, identifierString;
RFC 3986 sections 2 and 3.3; RFC 6455 section 4; RFC 7692.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.record import Opened
from ocpp_proxy.core.vocabulary import version_of_subprotocol
from ocpp_proxy.rules.checks.security_facts import basic, decoded, header, upgrade
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import HANDSHAKE, OPENED, check, message

KNOWN = ("ocpp1.2", "ocpp1.5", "ocpp1.6", "ocpp2.0", "ocpp2.0.1", "ocpp2.1")
SUBPROTOCOL = "sec-websocket-protocol"
EXTENSIONS = "sec-websocket-extensions"
DEFLATE = "permessage-deflate"
NAMED = 5  # offers that a sentence names
LONGEST_NAMED = 40
# Refusals that may be meant for the subprotocol; 401, 403 and 404 have a meaning of their own.
STYLES = frozenset({400, 406, 426})

LONGEST_IDENTITY = 48
NOT_IDENTIFIER = re.compile(r"[^a-zA-Z0-9*\-_=:+|@.]")
NOT_IN_A_SEGMENT = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@%]")
NOT_AN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
TWICE_ESCAPED = re.compile(r"%25[0-9A-Fa-f]{2}")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


@dataclass(slots=True)
class Handshakes:
    """`told`: what was last said by each rule; `agreed`: the subprotocols that led to a connection, of those known."""

    told: dict[str, object] = field(default_factory=dict)
    agreed: set[str] = field(default_factory=set)


def _anew(now: Now, what: object) -> bool:
    """Whether the rule says something else than it said of the handshake before."""
    told, rule = now.session.book(Handshakes).told, now.rule.rule.id
    if rule in told and told[rule] == what:
        return False
    told[rule] = what
    return True


def _wanted(now: Now) -> Opened | None:
    """The record of a handshake that wanted a WebSocket."""
    record = now.record
    if not isinstance(record, Opened):
        return None
    wanted = record.status == 101 or record.refused_by == "csms" or header(record, "upgrade") is not None
    return record if wanted else None


# Subprotocols


@check("ws-subprotocol-missing", HANDSHAKE)
def subprotocol_missing(now: Now) -> Iterator[Hit]:
    record = now.once(_wanted)
    if record is None or record.offered:
        return
    if upgrade(now) is None:
        yield from now.unknown("the headers of the handshakes were not recorded")
    elif not header(record, SUBPROTOCOL) and _anew(now, True):
        yield now.hit("The station offers no subprotocol", by="station", expected="Sec-WebSocket-Protocol")


@check("ws-subprotocol-unknown", HANDSHAKE)
def subprotocol_unknown(now: Now) -> Iterator[Hit]:
    record = now.once(_wanted)
    if record is None or not record.offered or not set(KNOWN).isdisjoint(record.offered):
        return
    meant = nearest(record.offered[0], KNOWN)
    hint = f"; did you mean {meant}?" if meant else ""
    if _anew(now, record.offered):
        yield now.hit(f"The station offers nothing but {_listed(record.offered)}, which OCPP does not know{hint}",
                      by="station", seen=_listed(record.offered), expected=list(KNOWN))


@check("ws-subprotocol-not-echoed", HANDSHAKE)
def subprotocol_foreign(now: Now) -> Iterator[Hit]:
    """The CSMS chooses what was not offered."""
    record = now.once(_wanted)
    if record is None or record.status != 101 or record.subprotocol is None:
        return
    if not record.offered and upgrade(now) is None:
        yield from now.unknown("what was offered was not recorded")
    elif record.subprotocol not in record.offered:
        chosen = record.subprotocol[:LONGEST_NAMED]
        yield now.hit(f"The CSMS chooses the subprotocol {chosen}, which was not offered", by="csms", seen=chosen,
                      expected=list(record.offered[:NAMED]))


@check("ws-subprotocol-not-echoed", message(by="csms"))
def subprotocol_not_echoed(now: Now) -> Iterator[Hit] | None:
    """The CSMS chooses none and goes on all the same, instead of closing at once."""
    link = now.link
    if link is None or "csms" in link.heard or link.opened is None or link.opened.subprotocol is not None:
        return None
    return _not_echoed(now, link.opened)


def _not_echoed(now: Now, record: Opened) -> Iterator[Hit]:
    if record.offered and record.csms_headers:
        yield now.hit(f"The CSMS chooses none of the subprotocols offered ({_listed(record.offered)}) and keeps the"
                      " connection all the same", expected=list(record.offered[:NAMED]))


@check("ws-subprotocol-reject-style", HANDSHAKE)
def reject_style(now: Now) -> Iterator[Hit]:
    record, agreed = now.once(_wanted), now.session.book(Handshakes).agreed
    if record is None:
        return
    if record.status == 101 and record.subprotocol in KNOWN:
        agreed.add(record.subprotocol)
    elif record.refused_by == "csms" and record.status in STYLES and agreed.isdisjoint(record.offered):
        offered = _listed(record.offered)
        if offered and _anew(now, (record.status, offered)):
            yield now.hit(f"The CSMS answers the offer of {offered} with HTTP {record.status}", by="csms",
                          seen=record.status, expected="101 without a subprotocol, then a close")


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
    return ", ".join(name[:LONGEST_NAMED] for name in names[:NAMED]) + more


# The station's identity in the path


@dataclass(frozen=True, slots=True)
class Path:
    """A request's target. `path` without its query, None for that where there is none."""

    path: str
    query: str | None

    @classmethod
    def of(cls, record: Opened) -> Path | None:
        if not record.target:
            return None
        target = _ORIGIN.sub("", record.target, count=1)
        path, mark, query = target.partition("?")
        return cls(path or "/", query if mark else None)

    @property
    def identity(self) -> str | None:
        """The last segment that is not empty, as it was sent."""
        return next((segment for segment in reversed(self.path.split("/")) if segment), None)


def _path(now: Now) -> Path | None:
    record = now.once(_wanted)
    return Path.of(record) if record is not None else None


@check("ws-identity-encoding", HANDSHAKE)
def identity_encoding(now: Now) -> Iterator[Hit]:
    path = now.once(_path)
    if path is None or path.identity is None:
        return
    identity = path.identity
    trouble = _misspelt(identity) or _plus(now, identity)
    if trouble is not None and _anew(now, (identity, trouble)):
        yield now.hit(trouble, by="station", seen=identity[:LONGEST_NAMED])


def _misspelt(identity: str) -> str | None:
    """What is wrong with the percent-encoding of a segment."""
    if raw := NOT_IN_A_SEGMENT.search(identity):
        return f"The identity in the path holds {_shown(raw[0])}, which has to be percent-encoded there"
    if NOT_AN_ESCAPE.search(identity):
        return "The identity in the path holds a percent sign without two hexadecimal digits behind it"
    if twice := TWICE_ESCAPED.search(identity):
        return f"The identity in the path is percent-encoded twice ({twice[0]})"
    return None


def _plus(now: Now, identity: str) -> str | None:
    """A plus sign is a character like any other, unless the user name tells that a space is meant."""
    record = upgrade(now)
    shown = basic(record) if record is not None and "+" in identity else None
    if shown is not None and shown.user == decoded(identity.replace("+", " ")):
        return "The identity in the path holds a plus sign for a space, which means a plus sign there"
    return None


@check("ws-identity-charset", HANDSHAKE)
def identity_charset(now: Now) -> Iterator[Hit]:
    path = now.once(_path)
    identity = decoded(path.identity) if path is not None and path.identity is not None else None
    if identity is None or not _anew(now, identity):
        return
    shown = identity[:LONGEST_NAMED]
    if len(identity) > LONGEST_IDENTITY:
        yield now.hit(f"The station's identity has {len(identity)} characters, {LONGEST_IDENTITY} are allowed",
                      by="station", seen=shown)
    if ":" in identity:
        yield now.hit("The station's identity holds a colon, which Basic authentication takes for its end",
                      by="station", seen=shown)
    if foreign := sorted(set(NOT_IDENTIFIER.findall(identity))):
        spaces_only = now.version == "2.0.1" and foreign == [" "]
        listed = " and ".join(_shown(one) for one in foreign[:NAMED])
        yield now.hit(f"The station's identity holds {listed}, which identities may not", by="station", seen=shown,
                      expected="a-z A-Z 0-9 * - _ = + | @ .", case="space" if spaces_only else None)


@check("ws-identity-trailing", HANDSHAKE)
def identity_trailing(now: Now) -> Iterator[Hit]:
    path = now.once(_path)
    if path is None or not _anew(now, path):
        return
    trimmed = path.path.strip("/")
    if not trimmed:
        yield now.hit("The path names no station", by="station", seen=path.path[:LONGEST_NAMED])
    elif path.path.endswith("/"):
        yield now.hit("The path ends in a slash, behind which the identity is expected", by="station")
    if "//" in path.path.rstrip("/"):
        yield now.hit("The path holds two slashes in a row", by="station")
    if path.query is not None:
        yield now.hit("The station's URL has a query", by="station")


def _shown(character: str) -> str:
    if character == " ":
        return "a space"
    return f'"{character}"' if character.isprintable() else f"U+{ord(character):04X}"


# Compression


@check("ws-compression-16", OPENED)
def compression_16(now: Now) -> Iterator[Hit]:
    record = now.once(_wanted)
    if record is None or version_of_subprotocol(record.subprotocol) != "1.6":
        return
    if DEFLATE in (record.extensions or "") and _anew(now, record.extensions):
        yield now.hit("Station and CSMS have agreed on permessage-deflate", by="station", seen=record.extensions)


@check("ws-compression-csms", OPENED)
def compression_csms(now: Now) -> Iterator[Hit]:
    """An offer that the proxy could not carry never reached the CSMS."""
    record = upgrade(now)
    if record is None or version_of_subprotocol(record.subprotocol) in (None, "1.6") or record.extra.get("struck"):
        return
    offered = header(record, EXTENSIONS)
    declined = isinstance(offered, str) and DEFLATE in offered and not record.extensions and bool(record.csms_headers)
    if _anew(now, declined) and declined:
        yield now.hit("The CSMS declines permessage-deflate, which the station offers", by="csms")
