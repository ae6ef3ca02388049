"""Who may charge, in 1.6.

Decides whether a transaction was begun or ended by somebody whom the CSMS, or what the station may know by itself, lets
do so. Refuses to know what the station has in its cache and its local list beyond what it was sent.

Source: OCPP 1.6 edition 2 sections 3.4, 3.5, 3.10, 4.1 and 7.27; configuration keys of section 9.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, kept, member, moment_us, text
from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks.transactions16_past import (
    about,
    connectors_of,
    known_start,
    may_have_waited,
    named,
    stamped_us,
    time_of,
    token_of,
    told_before,
    whole_since,
)
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_16, answer, call, check, learn

ASKED_KEPT = 256
PLUG_IN_S = 60.0      # what a driver may need on top of ConnectionTimeOut
SAME_SWIPE_S = 600.0  # a refusal that is older need not be of this swipe
STOPPING_S = 10.0     # from a swipe to the end of the transaction
ACTIONS = ("StartTransaction", "StopTransaction", "Authorize")
Kept = TypeVar("Kept")
VALID = ("Accepted", "ConcurrentTx")  # section 3.5.2: ConcurrentTx is a valid tag that charges elsewhere

# A tag that no card reader has read: MAC addresses (autocharge), contracts (plug and charge), words.
_NO_CARD = re.compile(
    r"(vid:?)?([0-9a-f]{2}[:-]?){5}[0-9a-f]{2}|[a-z]{2}-?[a-z0-9]{3}-?c?[a-z0-9]{8,9}(-?[a-z0-9])?"
    r"|.*(free|vend|plug|auto|guest|anon|default|noauth|public|local).*", re.DOTALL)
_FREE_MODE = re.compile(
    r"free|vend|plug|auto.?charge|anon|no.?auth|auth.*(enabled|required|disabled|mode)|default.*tag")
_CACHE_KEY = "AuthorizationCacheEnabled"
_CARD_KEYS = frozenset((_CACHE_KEY.casefold(), "localauthlistenabled"))


@dataclass(slots=True)
class Asked:
    """The last Authorize of a token. `status`: None without an answer, and after a CALLERROR; `used`: a transaction has
    begun or ended with it since."""

    ref: FrameRef
    time: float
    status: str | None = None
    answer: FrameRef | None = None
    used: bool = False


@dataclass(slots=True)
class Asks:
    """`asked`: by folded token; `remote`: when the CSMS last asked to start with it; `groups`: the group that it last
    named for it, which it need not name each time. ASKED_KEPT of each are kept."""

    asked: dict[str, Asked] = field(default_factory=dict)
    remote: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


@learn(call("Authorize"), versions=IN_16)
def asks(now: Now) -> None:
    _keep(now.session.book(Asks).asked, token_of(now), Asked(now.ref, now.time))


@learn(answer("Authorize"), versions=IN_16)
def told(now: Now) -> None:
    asked = now.session.book(Asks).asked.get(token_of(now) or "")
    if asked is not None and isinstance(now.frame, CallResult) and asked.ref == now.call_ref:
        asked.status, asked.answer = kept(now.response, "idTagInfo", "status"), now.ref


@learn(call("StartTransaction", "StopTransaction"), versions=IN_16)
def used(now: Now) -> None:
    asked = now.session.book(Asks).asked.get(token_of(now) or "")
    if asked is not None:
        asked.used = True


@learn(call("RemoteStartTransaction", by="csms"), versions=IN_16)
def asked_from_afar(now: Now) -> None:
    _keep(now.session.book(Asks).remote, token_of(now), now.time)


@learn(answer(*ACTIONS), versions=IN_16)
def grouped(now: Now) -> None:
    group = folded(now.response, "idTagInfo", "parentIdTag")
    if group:
        _keep(now.session.book(Asks).groups, token_of(now), group)


def _keep(book: dict[str, Kept], token: str | None, what: Kept) -> None:
    if token is not None:
        book.pop(token, None)
        book[token] = what
        if len(book) > ASKED_KEPT:
            del book[next(iter(book))]


# What the station may know by itself


def may_be_listed(session: Session, token: str) -> bool:
    """Whether the local list may have an entry that lets the token charge."""
    settings, tokens, profiles = session.settings, session.tokens, session.feature_profiles
    if settings.flag("LocalAuthListEnabled") is False or tokens.list_version in (0, -1):
        return False
    if profiles is not None and not any("list" in profile for profile in profiles):
        return False
    if tokens.list_whole:
        return tokens.listed.get(token, "Invalid") in ("Accepted", None)
    return True


def may_be_cached(session: Session) -> bool:
    """Whether the station may keep a cache: one that has none has no key for it."""
    settings = session.settings
    absent = settings.listed is not None and settings.find(_CACHE_KEY) is None
    return not absent and settings.flag(_CACHE_KEY) is not False


def may_be_known(session: Session, token: str) -> bool:
    return may_be_listed(session, token) or may_be_cached(session)


def from_no_card(session: Session, token: str) -> bool:
    """Whether the token is one that the station takes by itself: autocharge, plug and charge, free charging."""
    if _NO_CARD.fullmatch(token) or token == (session.station or "").casefold():
        return True
    boot = session.registration.last
    if boot is not None and token in {(own or "").casefold() for own in (boot.device.serial, boot.device.model)}:
        return True
    return any(one.value is not None and one.value.casefold() == token for one in session.settings.known.values())


def no_free_mode(session: Session) -> bool:
    """Whether the station has listed all its keys, and none of them speaks of charging without a card."""
    settings = session.settings
    return settings.listed is not None and not any(
        _FREE_MODE.search(key) and key not in _CARD_KEYS for key in settings.known)


# Before a transaction


@check("auth-before-start", call("StartTransaction"))
def auth_before_start(now: Now) -> Iterator[Hit]:
    token, session = token_of(now), now.session
    if token is None or now.once(known_start) is not None or may_have_waited(now, stamped_us(now)):
        return
    timeout_s = session.settings.integer("ConnectionTimeOut") or None
    window_s = None if timeout_s is None else timeout_s + PLUG_IN_S
    asks, began = session.book(Asks), time_of(now, stamped_us(now)) or now.time
    asked = asks.asked.get(token)
    if asked is not None and not _too_old(began, asked, window_s):
        return
    if token in asks.remote and (window_s is None or began - asks.remote[token] <= window_s):
        return
    if any(one.token == token for one in session.connectors.reservations.values()) or from_no_card(session, token):
        return
    since = now.time - (window_s if window_s is not None else PLUG_IN_S + 60)
    since = max(since, session.registration.since or since)  # a boot forgets who was authorised
    if not whole_since(now, since) or session.links.offline_between(since, now.time):
        yield from now.unknown("what came before a StartTransaction was not seen for long enough")
        return
    alone = session.settings.flag("LocalPreAuthorize")
    if alone is None or (alone and may_be_known(session, token)):
        yield from now.unknown("whether the station authorises by itself is not known: LocalPreAuthorize, "
                               "AuthorizationCacheEnabled, LocalAuthListEnabled")
        return
    said = "no Authorize was about" if asked is None else f"no Authorize of the last {window_s:g} s was about"
    keys = "LocalPreAuthorize is false" if alone is False else "it has neither a cache nor an entry in the local list"
    yield now.hit(f"StartTransaction with an idTag that {said}, and {keys}", "/idTag",
                  case="unexplained" if no_free_mode(session) else None,
                  also=[asked.ref if asked is not None else None])


def _too_old(began: float, asked: Asked, window_s: float | None) -> bool:
    """Whether an Authorize says nothing of this start any more. One that was refused, or had no answer, is another
    rule's concern: a station whose CSMS does not answer counts as offline."""
    return asked.status in VALID and window_s is not None and began - asked.time > window_s


@check("auth-refused-start", call("StartTransaction"))
def auth_refused_start(now: Now) -> Iterator[Hit]:
    token, session = token_of(now), now.session
    asks = session.book(Asks)
    asked = asks.asked.get(token or "")
    if token is None or asked is None or asked.status is None or asked.status in VALID:
        return
    if now.once(known_start) is not None:
        return
    lately = session.tokens.get(token)
    if (lately is not None and lately.status == "Accepted") or asks.remote.get(token, -1.0) >= asked.time:
        return
    if session.tokens.listed.get(token) == "Accepted":
        return
    if told_before(now, stamped_us(now), asked.time) or session.links.offline_between(asked.time, now.time):
        return
    if not whole_since(now, asked.time):
        yield from now.unknown("frames are missing since the idTag was refused")
    elif now.time - asked.time > SAME_SWIPE_S and may_be_listed(session, token):
        yield from now.unknown("an idTag was refused long ago, and what is in the local list is not known")
    else:
        yield now.hit(f"StartTransaction with an idTag whose last Authorize was answered {asked.status}", "/idTag",
                      expected="a transaction only after Accepted", also=[asked.ref, asked.answer])


# At its end


@check("auth-same-tag-stop", call("StopTransaction"))
def auth_same_tag_stop(now: Now) -> Iterator[Hit]:
    transaction, session = now.once(named), now.session
    if transaction is None or not transaction.open or transaction.start is None or transaction.token is None:
        return
    asked = session.book(Asks).asked.get(transaction.token)
    if asked is None or asked.used or not transaction.start_time < asked.time <= now.time <= asked.time + STOPPING_S:
        return
    if asked.status is not None and asked.status not in VALID:
        return  # it can hardly have ended anything
    if not _at_the_station(now, since=asked.time - STOPPING_S) or token_of(now) not in (None, transaction.token):
        return
    if told_before(now, stamped_us(now), asked.time, STOPPING_S) or not whole_since(now, asked.time):
        return
    count = connectors_of(session)
    yield now.hit(
        f"Authorize for the idTag that had started the transaction, within {STOPPING_S:g} s before its end", "/idTag",
        frame=asked.ref, also=[transaction.start, now.ref], transaction=None, connector=transaction.place,
        case=None if count == 1 else "several",
    )


@check("auth-parent-stop", call("StopTransaction"))
def auth_parent_stop(now: Now) -> Iterator[Hit]:
    transaction, stopper, session = now.once(named), token_of(now), now.session
    if transaction is None or not transaction.open or transaction.start is None or stopper is None:
        return
    since = transaction.start_time
    if transaction.token in (None, stopper) or not _at_the_station(now, since=now.time - STOPPING_S):
        return
    asked = session.book(Asks).asked.get(stopper)
    if asked is not None and (asked.time > since or told_before(now, transaction.started_us, asked.time)):
        return
    if may_have_waited(now, stamped_us(now)):
        return
    if not whole_since(now, since) or session.links.offline_between(since, now.time):
        yield from now.unknown("the transaction was not seen from its start to its end")
    elif _one_group(session, transaction, stopper):
        return
    elif session.tokens.get(transaction.token) is None or _group_may_be_known(session, stopper):
        yield from now.unknown("the groups of the two idTags are not known")
    else:
        yield now.hit("Ended with another idTag than it was started with, of another group as far as the CSMS said, "
                      "and without an Authorize", "/idTag", also=[transaction.start, transaction.confirmed],
                      connector=transaction.place)


def _at_the_station(now: Now, since: float) -> bool:
    """Whether somebody at the station ended it, as the reason says and nothing that the CSMS asked for denies."""
    if text(now.request, "reason") not in (None, "Local"):
        return False
    asked = now.session.commands.since(since, "RemoteStopTransaction", "Reset", "UnlockConnector")
    return next(asked, None) is None


def _one_group(session: Session, transaction: Transaction, stopper: str) -> bool:
    groups = session.book(Asks).groups
    first, second = groups.get(transaction.token or ""), groups.get(stopper)
    return (first is not None and first in (second, stopper)) or (second is not None and second == transaction.token)


def _group_may_be_known(session: Session, stopper: str) -> bool:
    """Whether the station may know of a group what is not on record."""
    if stopper in session.tokens.listed:
        return True
    return session.tokens.get(stopper) is None and may_be_known(session, stopper)


# What the CSMS says


@check("auth-expiry-past", answer(*ACTIONS))
def auth_expiry_past(now: Now) -> Iterator[Hit]:
    """A transaction message that comes late is judged by its own time: its idTag was valid then."""
    info = member(now.response, "idTagInfo")
    expiry_us = moment_us(info, "expiryDate")
    if text(info, "status") != "Accepted" or expiry_us is None:
        return
    own_us = moment_us(now.request, "timestamp")
    past_s = (min(now.at.utc_us, own_us or now.at.utc_us) - expiry_us) / 1e6
    if past_s > now.bounds.time_warn_s:
        yield now.hit(f"Accepted, with an expiryDate that lay {about(past_s)} in the past", "/idTagInfo/expiryDate",
                      transaction=None)

