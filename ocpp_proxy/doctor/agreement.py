"""What a CSMS that opens WebSockets agreed to: whom it lets in, which subprotocols, which compression.

Decides what may be concluded from each. A subprotocol that is not spoken is no fault as long as another is; being let
in says nothing of what else would have been let in. Refuses to connect.

Source: OCPP-J 1.6 section 3.1.2, OCPP 2.0.1 and 2.1 Part 4 section 3.1.2 (subprotocols); RFC 6455 sections 1.9, 4.1
(a subprotocol that was not asked for ends the connection); RFC 7692 section 5; Improved security for OCPP 1.6-J
edition 3, section 7.2 (the key's bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ocpp_proxy.doctor.case import Case, Form
from ocpp_proxy.doctor.handshakes import Shaken
from ocpp_proxy.doctor.request import Answer
from ocpp_proxy.doctor.step import Quotes, Step, Trouble
from ocpp_proxy.wire import deflate

_BUSY = frozenset({429, 503})
# What came of the password's forms, None where a form was let in.
Outcomes: TypeAlias = "list[tuple[Form, Answer | Trouble | None]]"


def let_in(case: Case, outcomes: Outcomes, spoken: frozenset[str]) -> Step:
    """At least one form of the credentials was let in. `spoken`: the subprotocols that the CSMS takes."""
    if case.identity is None:
        sent = "without credentials" if case.password is None else f"with credentials of user {case.account}"
        return Step("auth", True, f"the made-up identity {case.station} is let in {sent}: the CSMS takes strangers in "
                                  "at this URL; how it treats the real station was not tried")
    if case.password is None:
        return Step("auth", True, f"{case.station} is let in without credentials (security profile 0, or 3 where TLS "
                                  "showed a certificate)")
    user = f" as user {case.account}" if case.account != case.station else ""
    plain = "" if case.upstream.secure else "; with ws:// the password crosses the network readable by all"
    if not case.has_hex_key:
        return Step("auth", True, f"{case.station} is let in{user} with its password (whether a wrong one would be "
                                  f"refused was not tried){plain}")
    return _key(case, outcomes, spoken, user, plain)


def _key(case: Case, outcomes: Outcomes, spoken: frozenset[str], user: str, plain: str) -> Step:
    """The password is 40 hexadecimal digits, and both of its forms were tried."""
    taken = [form.name for form, outcome in outcomes if outcome is None]
    if len(taken) == len(outcomes):
        return Step("auth", True, f"{case.station} is let in{user} with the key in either form, as its 20 bytes and "
                                  f"as text{plain}")
    (other, outcome), = ((form.name, outcome) for form, outcome in outcomes if outcome is not None)
    how = str(outcome.status) if isinstance(outcome, Answer) else str(outcome)
    seen = f"{case.station} is let in{user} with the key {taken[0]}, and not with it {other} ({how}){plain}"
    if taken[0] != "as text":
        return Step("auth", True, f"{seen}; so OCPP 1.6 wants it: a station that is refused with this key sends its "
                                  "40 digits as they stand")
    if spoken and "ocpp1.6" not in spoken:
        return Step("auth", True, f"{seen}; so OCPP 2.x wants it")
    return Step("auth", False, seen,
                "a 1.6 station sends the 20 bytes that the 40 digits stand for, and would get 401: have the operator "
                "store the key as those bytes; only a 2.x station sends such a password as text")


def subprotocols(tried: Mapping[str, Shaken | Trouble], quotes: Quotes) -> tuple[list[Step], tuple[str, ...]]:
    """A step for each that was offered alone, and those that are spoken."""
    spoken = tuple(name for name, one in tried.items() if isinstance(one, Shaken) and one.opened and one.chosen == name)
    return [_subprotocol(name, one, spoken, quotes) for name, one in tried.items()], spoken


def _subprotocol(name: str, tried: Shaken | Trouble, spoken: tuple[str, ...], quotes: Quotes) -> Step:
    if isinstance(tried, Trouble):
        return Step("subprotocol", False, f"{name} alone: {tried.cause}", tried.remedy)
    if name in spoken:
        return Step("subprotocol", True, f"{name} is spoken")
    if tried.agreed and tried.chosen is not None:
        return Step("subprotocol", False, f"{name} was offered alone, and the CSMS chose {quotes.quote(tried.chosen)}, "
                                          "which stations must hang up on",
                    "the CSMS has to choose of those that were offered: its operator has to mend that; a load balancer "
                    "that adds the header shows like this too")
    how = "it chose none" if tried.agreed else f"it answered {tried.answer.status}"
    if spoken:
        return Step("subprotocol", None, f"{name} is not spoken ({how}): only a station that knows no other cannot "
                                         "connect")
    return Step("subprotocol", False, f"{name} is not spoken ({how}), nor is any other",
                "without a subprotocol stations hang up, and so may the CSMS: check that the URL is that of its OCPP-J "
                "service, and that no load balancer takes Sec-WebSocket-Protocol away")


def compression(tried: Shaken, quotes: Quotes) -> Step:
    """permessage-deflate was offered."""
    if tried.answer.status in _BUSY:
        return Step("compression", None, f"cannot be told: the CSMS answered {tried.answer.status} this time, perhaps "
                                         "for the many handshakes")
    if not tried.agreed:
        return Step("compression", False, f"a handshake that offers permessage-deflate is answered with "
                                          f"{tried.answer.status}, one without is not",
                    "a CSMS has to leave out what it does not know, and not to refuse: tell its operator, and switch "
                    "compression off in stations that offer it")
    if tried.wrong is not None:
        return Step("compression", False, *tried.wrong)
    if tried.compression is None:
        return Step("compression", True, "permessage-deflate offered and declined: messages go uncompressed")
    value = ", ".join(tried.answer.response.headers.get_all(deflate.HEADER))
    return Step("compression", True, f"permessage-deflate offered and accepted: {quotes.quote(value)}")
