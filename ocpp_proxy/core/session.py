"""What is known of a station, over all its connections.

Decides which books are kept of a station and what each happening teaches them. Refuses to judge. What has not been seen
is None, which is not the same as no.

A station costs little until something happens that a book is about: a book is made when it is first asked for. Each
says how much it keeps at most; the stations heard of last are kept, STATIONS_KEPT of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from ocpp_proxy.core.frame import Call, Send, Side, Version
from ocpp_proxy.core.occasion import Occasion
from ocpp_proxy.core.station import commands, connectors, registration, settings, tokens, transactions
from ocpp_proxy.core.station.commands import Commands
from ocpp_proxy.core.station.connectors import Connectors
from ocpp_proxy.core.station.links import Links
from ocpp_proxy.core.station.registration import Registration
from ocpp_proxy.core.station.settings import Settings
from ocpp_proxy.core.station.tokens import Tokens
from ocpp_proxy.core.station.transactions import Transactions

STATIONS_KEPT = 20_000

Reducer: TypeAlias = Callable[[Occasion], None]
Book = TypeVar("Book")


class Session:
    """`station`: identity, None where the capture does not name it; `version`: of its newest connection; `held_s`: how
    long this program has kept frames of either side waiting so far, which counts against neither."""

    __slots__ = (
        "_books", "commands", "connectors", "held_s", "links", "registration", "settings", "station", "timers",
        "tokens", "transactions", "version",
    )  # fmt: skip

    registration: Registration
    settings: Settings
    connectors: Connectors
    transactions: Transactions
    tokens: Tokens
    commands: Commands
    links: Links

    def __init__(self, station: str | None = None, version: Version | None = None) -> None:
        self.station = station
        self.version = version
        self.held_s = 0.0
        self.timers: dict[Any, Any] | None = None  # the engine's
        self._books: dict[type[Any], Any] = {}

    def book(self, kind: type[Book]) -> Book:
        """This station's book of that kind; a rule may keep one of its own, which has to be bounded."""
        try:
            return self._books[kind]  # type: ignore[no-any-return]
        except KeyError:
            made = self._books[kind] = kind()
            return made

    def __getattr__(self, name: str) -> Any:
        """A book of the session's own that nobody has asked for before."""
        kind = _BOOKS.get(name)
        if kind is None:
            raise AttributeError(name)
        made = kind()
        setattr(self, name, made)
        return made

    @property
    def feature_profiles(self) -> frozenset[str] | None:
        """What the last SupportedFeatureProfiles of 1.6 claimed, in lower case and without the spaces
        that some put into their names; None where it was not seen."""
        claimed = self.settings.words("SupportedFeatureProfiles")
        return None if claimed is None else frozenset("".join(word.lower().split()) for word in claimed)

    def learn(self, now: Occasion) -> None:
        """Let the books hear of a Call or of an answer, once it has been judged. Its payloads may be anything."""
        frame, exchange = now.frame, now.exchange
        if isinstance(frame, (Call, Send)):
            for reduce in _ON_CALL.get((frame.action, now.side), ()):
                reduce(now)
        elif exchange is not None:
            for reduce in _ON_ANSWER.get((exchange.action, exchange.caller), ()):
                reduce(now)
            if exchange.caller == "csms":
                commands.answered(now)


_BOOKS: Mapping[str, Callable[[], Any]] = {
    "registration": Registration, "settings": Settings, "connectors": Connectors, "transactions": Transactions,
    "tokens": Tokens, "commands": Commands, "links": Links,
}  # fmt: skip
_ON_CALL: Mapping[tuple[str, Side | None], tuple[Reducer, ...]] = {
    ("BootNotification", "station"): (registration.called,),
    ("Authorize", "station"): (tokens.asked,),
    ("StatusNotification", "station"): (connectors.status_told,),
    ("NotifyEvent", "station"): (connectors.events_told,),
    ("NotifyReport", "station"): (settings.reported,),
    ("StartTransaction", "station"): (transactions.started, connectors.reservation_used),
    ("MeterValues", "station"): (transactions.metered,),
    ("StopTransaction", "station"): (transactions.stopped,),
    ("TransactionEvent", "station"): (transactions.event_told, connectors.reservation_used),
    ("ReservationStatusUpdate", "station"): (connectors.reservation_used,),
}
_ON_ANSWER: Mapping[tuple[str, Side], tuple[Reducer, ...]] = {
    ("BootNotification", "station"): (registration.answered, settings.booted),
    ("Authorize", "station"): (tokens.told,),
    ("StartTransaction", "station"): (transactions.start_confirmed, tokens.told),
    ("StopTransaction", "station"): (transactions.stop_confirmed, tokens.told),
    ("TransactionEvent", "station"): (transactions.event_confirmed, tokens.told),
    ("GetConfiguration", "csms"): (settings.configuration_read,),
    ("ChangeConfiguration", "csms"): (settings.configuration_changed,),
    ("GetVariables", "csms"): (settings.variables_read,),
    ("SetVariables", "csms"): (settings.variables_set,),
    ("ChangeAvailability", "csms"): (connectors.availability_changed,),
    ("ReserveNow", "csms"): (connectors.reserved,),
    ("CancelReservation", "csms"): (connectors.reservation_cancelled,),
    ("SendLocalList", "csms"): (tokens.list_sent,),
    ("GetLocalListVersion", "csms"): (tokens.list_version_read,),
}


class Sessions:
    """The sessions by station, those heard of last."""

    def __init__(self) -> None:
        self._by_station: dict[str, Session] = {}

    def of(self, station: str | None) -> Session:
        """The station's session; one of its own for a connection whose station is not known."""
        if station is None:
            return Session()
        session = self._by_station.pop(station, None) or Session(station)
        self._by_station[station] = session
        if len(self._by_station) > STATIONS_KEPT:
            del self._by_station[next(iter(self._by_station))]
        return session

    def known(self, station: str | None) -> Session | None:
        """The station's session, if it was heard of."""
        return self._by_station.get(station) if station is not None else None
