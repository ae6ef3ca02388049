"""What an answer that opens no WebSocket means: 401, 403, 404 and the others.

Decides on whose side the cause lies as far as one answer shows it. With a made-up identity a refusal proves nothing
against the CSMS, which does right to turn strangers away; nor does it prove anything in favour of the real one's
credentials. Refuses to try anything.

Source: RFC 9110 section 15 (status codes), 11.6.1 (WWW-Authenticate); RFC 6455 section 4.2.2; OCPP-J 1.6 section 3.1.1;
Improved security for OCPP 1.6-J edition 3 and OCPP 2.0.1 Part 2, A00.FR.203 to .205.
"""

from __future__ import annotations

from typing import NamedTuple

from ocpp_proxy.core.gate import mask_target
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.request import Answer
from ocpp_proxy.doctor.step import Quotes, Step, not_tried

UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
_ABOUT_STATION = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_FOUND})
_TEXTS = ("text/plain", "application/json", "application/problem+json")
_GIVE_REAL = "give --id, --user and --password-file to try the real ones"

_NO_WEBSOCKET = "check the URL's path against what the CSMS's operator says: at this one there is no WebSocket"
_REMEDIES = {
    400: ("the CSMS does not like the request: check the path, and whether the identity has a form that it allows; a "
          "load balancer that takes the Upgrade header away shows like this too"),
    405: _NO_WEBSOCKET,
    410: "the operator has moved the CSMS: ask for its new URL",
    421: "this host is not served at that address: check the name in the URL, and --upstream-sni",
    426: ("the CSMS did not see a WebSocket request: a load balancer or proxy in between takes the Upgrade header "
          "away, and has to pass WebSockets through"),
    429: "too many attempts: wait as long as it says (Retry-After), then try again",
    502: "a load balancer answers, and the CSMS behind it does not: ask the operator",
    503: "a load balancer answers, or the CSMS itself, which is not ready: ask the operator",
    504: "a load balancer answers, and the CSMS behind it does not in time: ask the operator",
}


class Refused(NamedTuple):
    """What is said of an answer in the steps `upgrade` and `auth`."""

    upgrade: Step
    auth: Step


def told(answer: Answer, quotes: Quotes) -> str:
    """Status and what the CSMS says with it."""
    reason = quotes.quote(answer.response.reason_phrase or "", 60)
    words = f"{answer.status} {reason}".strip()
    kind = (answer.header("Content-Type") or "").partition(";")[0].strip().lower()
    body = answer.body.decode("utf-8", "replace").strip() if kind in _TEXTS else ""
    said = quotes.quote(body)
    return f"{words} (“{said}”)" if said and said != reason else words


def refused(answer: Answer, case: Case, quotes: Quotes) -> Refused:
    """Judge an answer other than 101."""
    if answer.status in _ABOUT_STATION:
        return _made_up(answer, case, quotes) if case.identity is None else _real(answer, case, quotes)
    words = told(answer, quotes)
    auth = not_tried("auth", f"the CSMS answered {answer.status}")
    if 300 <= answer.status < 400:
        place = quotes.quote(answer.header("Location") or "nowhere")
        return Refused(Step("upgrade", False, f"answers {words}: a redirection to {place}",
                            "stations do not follow redirections: use the CSMS's final URL"), auth)
    if 200 <= answer.status < 300:
        return Refused(Step("upgrade", False, f"answers {words}, as a web page would, and opens no WebSocket",
                            f"{_NO_WEBSOCKET}; or a load balancer in between takes the Upgrade header away"), auth)
    remedy = _REMEDIES.get(answer.status) or (
        "that is an error within the CSMS: its operator finds it in the logs" if answer.status >= 500 else _NO_WEBSOCKET
    )
    return Refused(Step("upgrade", False, f"answers {words} in place of 101", remedy), auth)


def _made_up(answer: Answer, case: Case, quotes: Quotes) -> Refused:
    words = told(answer, quotes)
    upgrade = Step("upgrade", None, f"answers {words} to the made-up identity {case.station}, before any upgrade: "
                                    "whether a WebSocket opens cannot be told with it")
    if answer.status == NOT_FOUND:
        seen = (f"cannot be told: 404 means either that no station {case.station} is known, as it should be, or that "
                f"the path {_path(case)} is wrong (the URL has to end before the identity); {_GIVE_REAL}")
    elif answer.status == UNAUTHORIZED and case.password is None:
        seen = (f"cannot be told: the CSMS asks for credentials{_scheme(answer, quotes)}, which is right for a "
                f"stranger; {_GIVE_REAL}")
    else:
        sent = "whatever they are worth" if case.password is not None else "which is its good right"
        seen = f"cannot be told: the CSMS turns a stranger away with {answer.status}, {sent}; {_GIVE_REAL}"
    return Refused(upgrade, Step("auth", None, seen))


def _real(answer: Answer, case: Case, quotes: Quotes) -> Refused:
    words = told(answer, quotes)
    if answer.status == NOT_FOUND:
        upgrade = Step("upgrade", False, f"answers {words} for {_path(case)}",
                       f"either the CSMS does not know the station {case.station} (create it there, in exactly this "
                       f"spelling), or the path is wrong{_twice(case)}: compare it with what the operator says")
        return Refused(upgrade, not_tried("auth", "the CSMS answered 404, which says nothing of credentials"))
    upgrade = Step("upgrade", False, f"answers {words} in place of 101", "see auth, which says what that means here")
    if answer.status == FORBIDDEN:
        auth = Step("auth", False, f"{_sent(case)}: 403, the CSMS does not let {case.station} in, whoever that is",
                    "ask the operator whether the station is blocked or not yet approved there, and whether only "
                    "certain addresses may connect (firewall, VPN, SIM's network)" + _without(case))
        return Refused(upgrade, auth)
    return Refused(upgrade, _unauthorized(answer, case, quotes))


def _unauthorized(answer: Answer, case: Case, quotes: Quotes) -> Step:
    scheme = _scheme(answer, quotes)
    if case.password is None:
        return Step("auth", False, f"no credentials were sent: 401, the CSMS asks for them{scheme}",
                    "give --password-file (and --user, unless it is the identity); on the station set the password: "
                    "AuthorizationKey in 1.6, BasicAuthPassword in 2.x")
    causes = ["compare user and password with those in the CSMS"]
    if case.account != case.station:
        causes.append(f"OCPP wants the identity {case.station} as the user")
    if not case.has_hex_key:
        causes.append("where the operator gave 40 hexadecimal digits, those are the password")
    if (asked := answer.header("WWW-Authenticate")) and "basic" not in asked.lower():
        causes.append("the CSMS does not ask for Basic authentication, the only one that OCPP stations know")
    return Step("auth", False, f"{_sent(case)}: 401, the CSMS does not accept them{scheme}", "; ".join(causes))


def _sent(case: Case) -> str:
    if case.password is None:
        return "no credentials were sent"
    size = len(case.password)
    forms = ", the key both as its 20 bytes and as text" if case.has_hex_key else f", a password of {size} bytes"
    return f"credentials of user {case.account} were sent{forms}"


def _without(case: Case) -> str:
    return "; some CSMSs also answer so to a station without credentials" if case.password is None else ""


def _scheme(answer: Answer, quotes: Quotes) -> str:
    asked = answer.header("WWW-Authenticate")
    return f" ({quotes.quote(asked)})" if asked else " (without WWW-Authenticate, which would say what kind it wants)"


def _path(case: Case) -> str:
    return mask_target(case.target)


def _twice(case: Case) -> str:
    if not case.upstream.path.rstrip("/").endswith(f"/{case.station}"):
        return ""
    return f" (the URL ends in {case.station} already, and --id puts it there once more: leave it out of the URL)"
