"""DataTransfer in 1.6: whether a vendor is known or not.

Decides by the recipient's own words: a vendorId that it has called unknown before. Refuses to know vendors itself.

Source: OCPP 1.6 edition 2 sections 4.3, 5.6 and 7.23.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.frame import OTHER_SIDE, CallResult, Side
from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import folded, member
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, check, learn

VENDORS_KEPT = 64
UNKNOWN = "UnknownVendorId"
KNOWN = frozenset(("Accepted", "Rejected", "UnknownMessageId"))


@dataclass(slots=True)
class Vendors:
    """What each side has called unknown, the VENDORS_KEPT last: by recipient and folded vendorId."""

    unknown: dict[tuple[Side, str], FrameRef] = field(default_factory=dict)


@check("datatransfer-vendor", answer("DataTransfer"), answer("DataTransfer", by="csms"))
def data_answered(now: Now) -> Iterator[Hit]:
    vendor = folded(now.request, "vendorId")
    if vendor is None or now.exchange is None or now.status is None:
        return
    if now.status == UNKNOWN:
        data = member(now.response, "data")
        if data is not None:
            yield now.hit("DataTransfer was answered UnknownVendorId with data", "/data", expected="no data")
        return
    before = now.session.book(Vendors).unknown.get((OTHER_SIDE[now.exchange.caller], vendor))
    empty = member(now.response, "data") in (None, "")
    if before is not None and (now.status == "Rejected" or (now.status == "Accepted" and empty)):
        yield now.hit(f"DataTransfer was answered {now.status}, though the same vendorId was answered UnknownVendorId "
                      "before", "/status", seen=now.status, expected=UNKNOWN, also=[before])


@learn(answer("DataTransfer"), answer("DataTransfer", by="csms"))
def remember(now: Now) -> None:
    vendor = folded(now.request, "vendorId")
    if vendor is None or now.exchange is None or not isinstance(now.frame, CallResult) or now.status != UNKNOWN:
        return
    book = now.session.book(Vendors).unknown
    key = (OTHER_SIDE[now.exchange.caller], vendor)
    book.pop(key, None)
    book[key] = now.ref
    if len(book) > VENDORS_KEPT:
        del book[next(iter(book))]
