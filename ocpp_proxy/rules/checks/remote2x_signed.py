"""Messages of 2.x that are signed as a whole: whether their frame says what it should.

Decides whether the JWS object is one and its protected header fits the message. Refuses to verify signatures: the
signer's certificate is not in the traffic.

Source: OCPP 2.0.1 and 2.1 Part 4, chapter 7; RFC 7515 sections 4.1 and 7.2.2.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

from ocpp_proxy.core.frame import Send
from ocpp_proxy.core.payload import integer, text
from ocpp_proxy.core.vocabulary import SIGNED_SUFFIX
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import call, check

ALGORITHMS = frozenset(("ES256", "RS256", "RS384"))
CALL, SEND = 2, 6
LONGEST_HEADER = 10_000
LONGEST_PAYLOAD = 1_000_000
PARTS = ("payload", "protected", "signature")


@check("signed-action", call(), call(by="csms"))
def signed(now: Now) -> Iterator[Hit] | None:
    return _signed(now) if now.action.endswith(SIGNED_SUFFIX) else None


def _signed(now: Now) -> Iterator[Hit]:
    parts = [text(now.request, name) for name in PARTS]
    if missing := [name for name, part in zip(PARTS, parts, strict=True) if part is None]:
        yield now.hit(f"A signed message is no flattened JWS: it lacks {' and '.join(missing)}", "", case="header",
                      expected="payload, protected and signature")
        return
    yield from _header(now, _json(parts[1] or "", LONGEST_HEADER))
    if not isinstance(_json(parts[0] or "", LONGEST_PAYLOAD), dict):
        yield now.hit("The payload of a signed message is no JSON object", "/payload", case="header")
    yield now.hit("A signed message; its signature and what is inside are not checked", "", seen=now.action[:60])


def _header(now: Now, header: Any) -> Iterator[Hit]:
    action = now.action.removesuffix(SIGNED_SUFFIX)
    if not isinstance(header, dict):
        yield now.hit("The protected header of a signed message cannot be read", "/protected", case="header")
        return
    if text(header, "OCPPAction") != action:
        yield now.hit("OCPPAction in the protected header is not the action of the message", "/protected",
                      seen=str(header.get("OCPPAction"))[:60], expected=action[:60], case="header")
    kind = SEND if isinstance(now.frame, Send) else CALL
    if integer(header, "OCPPMessageTypeId") != kind:
        yield now.hit("OCPPMessageTypeId in the protected header is not the type of the message", "/protected",
                      seen=str(header.get("OCPPMessageTypeId"))[:20], expected=kind, case="header")
    if text(header, "alg") not in ALGORITHMS:
        yield now.hit("The algorithm of the signature is none of those for OCPP", "/protected",
                      seen=str(header.get("alg"))[:20], expected=sorted(ALGORITHMS), case="header")
    if text(header, "x5t#S256") is None:
        yield now.hit("The protected header does not name the certificate of the signer", "/protected",
                      expected="x5t#S256")


def _json(encoded: str, longest: int) -> Any:
    """What base64url and JSON make of it; None where they make nothing."""
    if len(encoded) > longest:
        return None
    try:
        raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        return json.loads(raw) if raw.count(b"[") + raw.count(b"{") <= LONGEST_HEADER else None
    except (binascii.Error, ValueError, RecursionError):
        return None
