"""Who may start and stop a transaction in 2.x.

How a token came to be accepted is seen only where it was by Authorize: a cache, a local list and a station without
authorization leave no trace, so that these have to be known to be off.

Source: OCPP 2.0.1 and 2.1 Part 2, C01.FR.01 to .03, C09.FR.03, C09.FR.07, C09.FR.11, C11.FR.04, C12.FR.09, C16.FR.03,
E07.FR.01, F01.FR.01, and the variables of AuthCtrlr, AuthCacheCtrlr and LocalAuthListCtrlr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ocpp_proxy.core.payload import objects
from ocpp_proxy.core.station.tokens import group_in, info_in, token_in
from ocpp_proxy.rules.checks.transactions2x_book import Event, Story, Told, fresh, stories
from ocpp_proxy.rules.now import FrameRef, Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, answer, call, check, learn

ENABLED, REMOTE = "AuthCtrlr.Enabled", "AuthCtrlr.AuthorizeRemoteStart"
NO_REMOTE, MASTER = "AuthCtrlr.DisableRemoteAuthorization", "AuthCtrlr.MasterPassGroupId"
CACHE, LIST = "AuthCacheCtrlr.Enabled", "LocalAuthListCtrlr.Enabled"
NOT_SEEN = "{} was not seen"
WITHOUT = frozenset(("NoAuthorization", "Central"))  # types of tokens that are not asked for
ASKED_KEPT = 64
GROUPS_KEPT = 256
ASKED_S = 3600.0     # so long before a transaction its token may have been asked for
WATCHED_S = 60.0     # a connection that is younger may have followed one on which it was
STOPPING_S = 60.0    # from the Authorize that a stop needs not to the stop


class Asked(NamedTuple):
    """An Authorize Call."""

    ref: FrameRef
    time: float


@dataclass(slots=True)
class Askings:
    """The last Authorize Call for each folded token."""

    last: dict[str, Asked] = field(default_factory=dict)


@learn(call("Authorize"))
def learn_asked(now: Now) -> None:
    token = token_in(now.request)
    if now.version == "1.6" or token is None or now.injected:
        return
    last = now.session.book(Askings).last
    last.pop(token, None)
    last[token] = Asked(now.ref, now.time)
    if len(last) > ASKED_KEPT:
        del last[next(iter(last))]


@dataclass(slots=True)
class Groups:
    """The group that an answer or a local list told last for each folded token; an answer that is silent about it does
    not take it away."""

    last: dict[str, str] = field(default_factory=dict)

    def put(self, token: str | None, group: str | None) -> None:
        if token is None or group is None:
            return
        self.last.pop(token, None)
        self.last[token] = group
        if len(self.last) > GROUPS_KEPT:
            del self.last[next(iter(self.last))]


@learn(answer("Authorize", "TransactionEvent"), versions=IN_2X)
def learn_group(now: Now) -> None:
    if (group := group_in(info_in(now.response))) is not None:
        now.session.book(Groups).put(token_in(now.request), group)


@learn(answer("SendLocalList", by="csms"), versions=IN_2X)
def learn_list(now: Now) -> None:
    if now.status == "Accepted":
        for _, entry in objects(now.request, "localAuthorizationList"):
            now.session.book(Groups).put(token_in(entry), group_in(info_in(entry)))


def asked(now: Now, token: str, within_s: float) -> Asked | None:
    found = now.session.book(Askings).last.get(token)
    return found if found is not None and now.time - found.time <= within_s else None


# Was the CSMS asked?


@check("auth201-required", call("TransactionEvent"))
def required(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.offline or one.event.token is None:
        return
    event = one.event
    if event.reason == "StopAuthorized":
        yield from _asked_to_stop(now, event, one.story)
    elif event.reason in ("Authorized", "RemoteStart") and event.token_type not in WITHOUT and one.first("token"):
        yield from _not_asked(now, one)


def _not_asked(now: Now, one: Told) -> Iterator[Hit]:
    token = one.event.token or ""
    if asked(now, token, ASKED_S) is not None or not _watched(now, one):
        return
    if (unknown := _unknown(now, one.event)) is not None:
        yield from now.unknown(NOT_SEEN.format(unknown))
        return
    if not _explained(now, one.event, token):
        yield now.hit(f"A transaction is authorized ({one.event.reason}), and the CSMS was not asked about its token",
                      "/idToken", expected="Authorize before")


def _watched(now: Now, one: Told) -> bool:
    """Whether an Authorize would have been seen."""
    link, last = now.link, now.session.registration.last
    if link is None or stories(now).hole_time > now.time - WATCHED_S:
        return False
    booted = last is not None and last.call.connection == now.connection
    running = one.story is not None and one.in_turn and one.story.last is not None
    return booted or running or now.time - link.opened_time >= WATCHED_S


def _unknown(now: Now, event: Event) -> str | None:
    """The variable without which nothing can be said. What a complete list of variables lacks is not implemented."""
    settings = now.session.settings
    needed = (ENABLED, CACHE, LIST) + ((REMOTE,) if event.reason == "RemoteStart" else ())
    for name in needed:
        if settings.flag(name) is None and not (settings.listed is not None and settings.find(name) is None):
            return name
    return None


def _explained(now: Now, event: Event, token: str) -> bool:
    """Whether the station did not have to ask."""
    settings, tokens = now.session.settings, now.session.tokens
    if settings.flag(ENABLED) is False or settings.flag(CACHE) or settings.flag(NO_REMOTE):
        return True
    if event.reason == "RemoteStart" and not settings.flag(REMOTE):
        return True
    return bool(settings.flag(LIST)) and (not tokens.list_whole or tokens.listed.get(token) == "Accepted")


def _asked_to_stop(now: Now, event: Event, story: Story | None) -> Iterator[Hit]:
    """The token that started needs no word of the CSMS to stop."""
    if story is None or event.token is None or event.token != story.token:
        return
    before = asked(now, event.token, STOPPING_S)
    if before is None or before.time <= story.first_time or before.time <= _elsewhere(now, event):
        return
    yield now.hit("The CSMS was asked about the token that started the transaction before it stopped it", "/idToken",
                  case="stop", also=[before.ref])


def _elsewhere(now: Now, event: Event) -> float:
    """When another transaction of the same token was last heard of: the question may have been about that one."""
    times = [one.last_time for key, one in stories(now).by_id.items() if one.token == event.token and key != event.tx]
    return float("inf") if times and max(times) > now.time - STOPPING_S else float("-inf")


# Whose token stops, and whose must not start?


@check("auth201-group", call("TransactionEvent"))
def group(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.reason != "StopAuthorized" or one.story is None:
        return
    event, story = one.event, one.story
    if event.token is None or story.token is None or event.token == story.token:
        return
    stopper, groups = now.session.tokens.get(event.token), now.session.book(Groups).last
    if stopper is None:
        yield from now.unknown("what the CSMS says of the token was not seen")
        return
    ours, theirs = groups.get(story.token), groups.get(event.token)
    if stopper.status not in (None, "Accepted"):
        yield now.hit(f"A transaction is stopped by another token, whose status is {stopper.status[:40]}", "/idToken",
                      expected="Accepted", also=[stopper.ref])
    elif now.session.tokens.get(story.token) is not None and _foreign(now, ours, theirs):
        yield now.hit("A transaction is stopped by a token that is not of the group of the one that started it",
                      "/idToken", expected="the same token or group", also=[stopper.ref])


def _foreign(now: Now, ours: str | None, theirs: str | None) -> bool:
    """Whether the group of the token that stops is certainly not that of the one that started."""
    return theirs is None or (ours is not None and theirs != ours and not _may_be_master(now, theirs))


def _may_be_master(now: Now, group: str) -> bool:
    master = now.session.settings.value(MASTER)
    return master is None or master.casefold() == group


@check("auth201-masterpass", call("TransactionEvent"))
def master_pass(now: Now) -> Iterator[Hit]:
    one = fresh(now)
    if one is None or one.event.token is None or not one.first("token") or one.event.reason == "StopAuthorized":
        return
    if one.event.kind == "Ended" or (one.story is not None and one.story.begun is None):
        return
    master, known = now.session.settings.value(MASTER), now.session.tokens.get(one.event.token)
    if master is None:
        yield from now.unknown(NOT_SEEN.format(MASTER))
    elif master.strip() and known is not None and known.group == master.casefold():
        yield now.hit("A token of the master pass group starts a transaction", "/idToken", also=[known.ref],
                      expected="a token of another group")


# The cache


@check("auth201-cache-clear", answer("ClearCache", by="csms"))
def cache_clear(now: Now) -> Iterator[Hit]:
    enabled = now.session.settings.flag(CACHE)
    if enabled is None:
        yield from now.unknown(NOT_SEEN.format(CACHE))
    elif not enabled and now.status == "Accepted":
        yield now.hit("ClearCache is accepted, and AuthCacheCtrlr.Enabled is false", "/status", seen="Accepted",
                      expected="Rejected")

