"""The state of each connector, as the station told it, and what the CSMS asked of it.

Keeps up to CONNECTORS_KEPT connectors. In 1.6 a connector has one number, and 0 is the station as a whole; in 2.x it
has the EVSE's number and its own, and (evse, 0) stands for the EVSE, (0, 0) for the station.

Source: OCPP 1.6 edition 2 sections 4.9, 5.2 and 5.13; OCPP 2.0.1 Part 2 blocks G and H; OCPP 2.1 Part 2 block G (the
AvailabilityState of a Connector takes the place of StatusNotification).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ocpp_proxy.core.occasion import FrameRef, Occasion
from ocpp_proxy.core.payload import folded, integer, kept, member, moment_us, objects, text

CONNECTORS_KEPT = 256
RESERVATIONS_KEPT = 64
LONGEST_STATUS = 40

Place: TypeAlias = "tuple[int, int]"  # in 1.6 (connector, 0), in 2.x (EVSE, connector)
STATION: Place = (0, 0)


@dataclass(frozen=True, slots=True)
class Status:
    """As told. `at_us`: the payload's own time in UTC microseconds, None where it gave none; `number`: counts the
    statuses of a connector."""

    name: str
    error: str | None
    ref: FrameRef
    time: float
    at_us: int | None
    number: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A ChangeAvailability that the station accepted or scheduled. `kind`: Operative or Inoperative."""

    kind: str
    status: str
    ref: FrameRef
    time: float


@dataclass(slots=True)
class Connector:
    """`status`: the last one told, `before`: the one before that, other than it; `wish`: the last availability asked
    for here or for what this is a part of."""

    place: Place
    status: Status | None = None
    before: Status | None = None
    wish: Wish | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """One that the station accepted. `token` and `group` are folded; `expiry_us`: UTC microseconds."""

    number: int
    place: Place
    token: str | None
    group: str | None
    expiry_us: int | None
    ref: FrameRef
    time: float


@dataclass(slots=True)
class Connectors:
    """`known`: by place; `reservations`: those not used, cancelled or expired as far as is known, by number."""

    known: dict[Place, Connector] = field(default_factory=dict)
    reservations: dict[int, Reservation] = field(default_factory=dict)

    def get(self, first: int | None, second: int = 0) -> Connector | None:
        return self.known.get((first, second)) if first is not None else None

    def of(self, place: Place) -> Connector:
        connector = self.known.get(place)
        if connector is None:
            connector = Connector(place, wish=self._inherited(place))
            if len(self.known) < CONNECTORS_KEPT:
                self.known[place] = connector
        return connector

    def of_evse(self, evse: int) -> Iterator[Connector]:
        """The connectors of an EVSE that have told a status."""
        return (one for place, one in self.known.items() if place[0] == evse and place[1] and one.status is not None)

    def status(self, first: int | None, second: int = 0) -> str | None:
        connector = self.get(first, second)
        return connector.status.name if connector is not None and connector.status is not None else None

    def reserved(self, place: Place) -> Reservation | None:
        return next((one for one in self.reservations.values() if one.place == place), None)

    def _inherited(self, place: Place) -> Wish | None:
        """What was asked of the EVSE or the station before this connector was heard of."""
        wishes = [one.wish for key in ((place[0], 0), STATION) if (one := self.known.get(key)) and one.wish]
        return max(wishes, key=lambda wish: wish.time, default=None)


# Statuses


def status_told(now: Occasion) -> None:
    request = now.request
    if now.version == "1.6":
        connector = integer(request, "connectorId")
        if connector is not None:
            _told(now, (connector, 0), text(request, "status"), text(request, "errorCode"))
        return
    evse, connector = integer(request, "evseId"), integer(request, "connectorId")
    if evse is not None and connector is not None:
        _told(now, (evse, connector), text(request, "connectorStatus"), None)


def events_told(now: Occasion) -> None:
    """A connector's AvailabilityState in a NotifyEvent is its status."""
    for _, event in objects(now.request, "eventData"):
        if (place := availability_place(event)) is not None:
            _told(now, place, text(event, "actualValue"), None, moment_us(event, "timestamp"))


def availability_place(event: object) -> Place | None:
    """The connector whose AvailabilityState the element of a NotifyEvent tells, else None."""
    if text(event, "component", "name") != "Connector" or text(event, "variable", "name") != "AvailabilityState":
        return None
    evse, connector = integer(event, "component", "evse", "id"), integer(event, "component", "evse", "connectorId")
    return (evse, connector) if evse is not None and connector is not None else None


def _told(now: Occasion, place: Place, name: str | None, error: str | None, at_us: int | None = None) -> None:
    if name is None:
        return
    connector = now.session.connectors.of(place)
    last = connector.status
    if last is not None and last.name != name[:LONGEST_STATUS]:
        connector.before = last
    number = last.number + 1 if last is not None else 1
    at_us = moment_us(now.request, "timestamp") if at_us is None else at_us
    connector.status = Status(name[:LONGEST_STATUS], kept(error), now.ref, now.time, at_us, number)


# Availability


def availability_changed(now: Occasion) -> None:
    kind = text(now.request, "type") if now.version == "1.6" else text(now.request, "operationalStatus")
    if kind not in ("Operative", "Inoperative") or now.status not in ("Accepted", "Scheduled"):
        return
    place = asked_place(now)
    if place is None:
        return
    book = now.session.connectors
    wish = Wish(kind, now.status or "", now.ref, now.time)
    book.of(place).wish = wish
    for key, connector in book.known.items():
        if place == STATION or (now.version != "1.6" and place[1] == 0 and key[0] == place[0]):
            connector.wish = wish


def asked_place(now: Occasion) -> Place | None:
    """What a ChangeAvailability, ReserveNow, Reset or UnlockConnector is about; the station where it names nothing."""
    if now.version == "1.6":
        connector = integer(now.request, "connectorId")
        return (connector, 0) if connector is not None else None
    evse = member(now.request, "evse")
    number = integer(evse, "id") if evse is not None else integer(now.request, "evseId")
    if number is None:
        return STATION
    return number, integer(evse, "connectorId") or integer(now.request, "connectorId") or 0


# Reservations


def reserved(now: Occasion) -> None:
    number = integer(now.request, "reservationId" if now.version == "1.6" else "id")
    place = asked_place(now)
    if number is None or place is None or now.status != "Accepted":
        return
    request = now.request
    if now.version == "1.6":
        token, group = folded(request, "idTag"), folded(request, "parentIdTag")
        expiry_us = moment_us(request, "expiryDate")
    else:
        token, group = folded(request, "idToken", "idToken"), folded(request, "groupIdToken", "idToken")
        expiry_us = moment_us(request, "expiryDateTime")
    book = now.session.connectors.reservations
    book.pop(number, None)
    book[number] = Reservation(number, place, token, group, expiry_us, now.ref, now.time)
    if len(book) > RESERVATIONS_KEPT:
        del book[next(iter(book))]


def reservation_cancelled(now: Occasion) -> None:
    number = integer(now.request, "reservationId")
    if number is not None and now.status == "Accepted":
        now.session.connectors.reservations.pop(number, None)


def reservation_used(now: Occasion) -> None:
    """By a transaction, or as a 2.x station says of one that has ended."""
    number = integer(now.request, "reservationId")
    if number is not None:
        now.session.connectors.reservations.pop(number, None)
