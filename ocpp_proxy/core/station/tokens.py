"""What the CSMS said of idTags and idTokens, and what it put into the station's local list.

Keeps the TOKENS_KEPT tokens heard of last, and of the local list its version and up to LIST_KEPT entries. Tokens are
folded: idTags are compared without regard to case, and idTokens of 2.x are as well where their type is not eMAID or
another that says otherwise; for what the rules ask this does no harm.

Source: OCPP 1.6 edition 2 sections 3.5, 4.1, 5.15 and 7.8; OCPP 2.0.1 Part 2 blocks C and D.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import folded, integer, kept, member, moment_us, objects, text

TOKENS_KEPT = 256
LIST_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Token:
    """The last word on a token. `by`: the action that it was an answer to; `group`: parentIdTag or groupIdToken."""

    status: str | None
    by: str
    call: FrameRef
    ref: FrameRef
    time: float
    expiry_us: int | None
    group: str | None


@dataclass(slots=True)
class Tokens:
    """`known`: by folded token; `asked`: Authorize Calls without an answer so far, token to time. `list_version`: of
    the local list as accepted last, None where none was seen; `listed`: its entries' statuses by folded token, None for
    a token whose entry says nothing; `list_whole`: whether all of it is known (a full one was seen)."""

    known: dict[str, Token] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    list_version: int | None = None
    list_ref: FrameRef | None = None
    listed: dict[str, str | None] = field(default_factory=dict)
    list_whole: bool = False

    def get(self, token: str | None) -> Token | None:
        return self.known.get(token) if token is not None else None

    def put(self, token: str, known: Token) -> None:
        self.known.pop(token, None)
        self.known[token] = known
        if len(self.known) > TOKENS_KEPT:
            del self.known[next(iter(self.known))]


def token_in(payload: Any) -> str | None:
    """The token that a request or a list's entry names, folded: `idTag` of 1.6, `idToken` of 2.x."""
    return folded(payload, "idTag") or folded(payload, "idToken", "idToken")


def info_in(payload: Any) -> Any:
    """What an answer says of a token: `idTagInfo` of 1.6, `idTokenInfo` of 2.x."""
    return member(payload, "idTagInfo") or member(payload, "idTokenInfo")


def group_in(info: Any) -> str | None:
    return folded(info, "parentIdTag") or folded(info, "groupIdToken", "idToken")


def asked(now: Occasion) -> None:
    token = token_in(now.request)
    if token is not None:
        book = now.session.tokens.asked
        book[token] = now.time
        if len(book) > TOKENS_KEPT:
            del book[next(iter(book))]


def told(now: Occasion) -> None:
    """An answer to Authorize, StartTransaction, StopTransaction or TransactionEvent."""
    token, info = token_in(now.request), info_in(now.response)
    if token is None:
        return
    now.session.tokens.asked.pop(token, None)
    if isinstance(info, dict):
        expiry = moment_us(info, "expiryDate") or moment_us(info, "cacheExpiryDateTime")
        now.session.tokens.put(token, Token(
            kept(info, "status"), now.action, now.call_ref, now.ref, now.time, expiry, group_in(info)))


def list_sent(now: Occasion) -> None:
    if now.status != "Accepted":
        return
    book, request = now.session.tokens, now.request
    entries = "localAuthorizationList"
    book.list_version = integer(request, "listVersion" if now.version == "1.6" else "versionNumber")
    book.list_ref = now.ref
    if text(request, "updateType") == "Full":
        book.listed = {}
        book.list_whole = True
    for _, entry in objects(request, entries):
        token, info = token_in(entry), info_in(entry)
        if token is None:
            continue
        if info is None and text(request, "updateType") == "Differential":
            book.listed.pop(token, None)
        elif len(book.listed) < LIST_KEPT:
            book.listed[token] = kept(info, "status")
        else:
            book.list_whole = False


def list_version_read(now: Occasion) -> None:
    version = integer(now.response, "listVersion" if now.version == "1.6" else "versionNumber")
    if version is not None:
        now.session.tokens.list_version = version
        now.session.tokens.list_ref = now.ref
