"""Whether a 2.x station that updates its firmware waits for the transactions.

Decides that from what came of a transaction that was open when the installation began. Refuses to guess whether the
station could have installed the firmware beside it.

Source: OCPP 2.0.1 and 2.1 Part 2 L01.FR.06, L01.FR.07, L01.FR.33, L02.FR.03, L02.FR.04, L02.FR.22.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ocpp_proxy.core.occasion import FrameRef
from ocpp_proxy.core.payload import kept, text
from ocpp_proxy.core.station.transactions import OPEN_KEPT
from ocpp_proxy.rules.checks.boot2x_standing import BOOT, tells_of_boot
from ocpp_proxy.rules.checks.boot2x_status import connectors, named
from ocpp_proxy.rules.checks.firmware2x import STATUS, Updates
from ocpp_proxy.rules.checks.inventory2x import Inventory
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import IN_2X, call, check, learn

BEGUN = ("Installing", "InstallRebooting")
READY = ("Downloaded", "SignatureVerified", "InstallScheduled")
ALLOW = "ChargingStation.AllowNewSessionsPendingFirmwareUpdate"
FREE = ("Available", "Occupied")


@dataclass(slots=True)
class Waiting:
    """`busy`: the EVSEs with a transaction when new firmware was ready, None while there is none; `since`, `ref`: then.
    `begun`: the status that began the installation and its frame; `running`: ids of the transactions open then;
    `booted`: the station has booted since."""

    busy: frozenset[int] | None = None
    since: float = 0.0
    ref: FrameRef | None = None
    begun: tuple[str, FrameRef] | None = None
    running: set[str] = field(default_factory=set)
    booted: bool = False


@learn(call(STATUS), versions=IN_2X)
def told(now: Now) -> None:
    book, name = now.session.book(Waiting), text(now.request, "status") or ""
    transactions = now.session.transactions.open
    if name in READY and transactions and book.busy is None:
        book.busy = frozenset(one.place for one in transactions if one.place is not None)
        book.since, book.ref = now.time, now.ref
    elif name not in READY:
        book.busy = None
    if name in BEGUN:
        book.begun, book.booted = (name, now.ref), False
        book.running = {one.id for one in transactions[:OPEN_KEPT] if isinstance(one.id, str)}
    elif name not in READY:
        book.begun = None


@learn(call(BOOT), versions=IN_2X)
def booted(now: Now) -> None:
    if tells_of_boot(now):
        now.session.book(Waiting).booted = True


@learn(call("TransactionEvent"))
def settled(now: Now) -> None:
    number, book = kept(now.request, "transactionInfo", "transactionId"), now.session.book(Waiting)
    if number is not None and (book.booted or text(now.request, "eventType") == "Ended"):
        book.running.discard(number)


@check("fw201-tx-wait", call("TransactionEvent"))
def cut_off(now: Now) -> Iterator[Hit]:
    book, number = now.session.book(Waiting), kept(now.request, "transactionInfo", "transactionId")
    if book.begun is None or not book.booted or number not in book.running or now.link is None or not now.link.whole:
        return
    ended = text(now.request, "eventType") == "Ended"
    if not ended or text(now.request, "transactionInfo", "stoppedReason") == "Reboot":
        name, ref = book.begun
        yield now.hit(f"{name} is told during a transaction, and the station has booted before that ended", "/status",
                      seen=name, frame=ref, also=[now.ref])


@check("fw201-tx-wait", call(STATUS))
def kept_free(now: Now) -> Iterator[Hit]:
    book, current = now.session.book(Waiting), now.session.book(Updates).current
    if text(now.request, "status") not in BEGUN:
        return
    if book.busy is None or now.session.transactions.open or current is None or current.dated:
        yield from now.unknown("no update was seen that waited for a transaction")
        return
    places = connectors(now)
    if now.time - book.since <= now.bounds.status_s * (len(places) + 1) or now.link is None or not now.link.whole:
        return
    allowed = _allowed(now)
    if allowed is None:
        yield from now.unknown("AllowNewSessionsPendingFirmwareUpdate was not seen")
        return
    known = now.session.connectors
    free = [place for place in places if place[0] not in book.busy and known.status(*place) in FREE]
    if free and not allowed:
        yield now.hit(f"The status of {named(free)} is not Unavailable while new firmware waits for transactions",
                      case="free", also=[book.ref])


def _allowed(now: Now) -> bool | None:
    """Whether new sessions may begin meanwhile; None where that is not known."""
    found, variables = now.session.settings.flag(ALLOW), now.session.book(Inventory).variables
    if found is None and variables is not None and tuple(ALLOW.casefold().split(".")) not in variables:
        return False
    return found
