"""What is known of a station, over all its connections.

Decides which facts of an exchange are remembered, and how many: a handful of short texts a station, and the stations
heard of last. Refuses to judge them. What has not been seen is None, which is not the same as no.

Source: OCPP 1.6 sections 4.2, 5.8 and 9.1 (SupportedFeatureProfiles); OCPP 2.0.1 Part 2 B01 to B03.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.frame import CallResult, Version

STATIONS_KEPT = 20_000
LONGEST_TEXT = 200


@dataclass(slots=True)
class Session:
    """`station`: identity, None where the capture does not name it. `feature_profiles`: what the last
    SupportedFeatureProfiles claimed, in lower case; `registration`: the last BootNotification's status."""

    station: str | None = None
    version: Version | None = None
    vendor: str | None = None
    model: str | None = None
    firmware: str | None = None
    registration: str | None = None
    feature_profiles: frozenset[str] | None = None

    def learn(self, exchange: Exchange) -> None:
        """Remember what an answered exchange tells. Its payloads may be anything."""
        teach = LESSONS.get(exchange.action)
        if teach is not None and isinstance(exchange.answer, CallResult):
            teach(self, exchange.request, exchange.response)


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


def _boot(session: Session, request: Any, response: Any) -> None:
    device = _member(request, "chargingStation") or request
    session.vendor = _text(device, "chargePointVendor") or _text(device, "vendorName")
    session.model = _text(device, "chargePointModel") or _text(device, "model")
    session.firmware = _text(device, "firmwareVersion")
    session.registration = _text(response, "status")


def _configuration(session: Session, _: Any, response: Any) -> None:
    entries = _member(response, "configurationKey")
    for entry in entries if isinstance(entries, list) else ():
        if (_text(entry, "key") or "").lower() == "supportedfeatureprofiles":
            claimed = (_text(entry, "value") or "").lower().split(",")
            session.feature_profiles = frozenset(name.strip() for name in claimed if name.strip())


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: Any, key: str) -> str | None:
    text = _member(value, key)
    return text[:LONGEST_TEXT] if isinstance(text, str) else None


LESSONS: dict[str, Callable[[Session, Any, Any], None]] = {
    "BootNotification": _boot,
    "GetConfiguration": _configuration,
}
