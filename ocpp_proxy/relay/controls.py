"""The one door for everything that alters traffic, be it from the command line, the control API or a script.

Decides what is allowed: nothing without leave, nothing dangerous unconfirmed, nothing at all after a panic. Refuses to
know how frames get onto a connection (`part`) and how orders arrive. Whatever is done goes on record as an `act`, with
who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ocpp_proxy.clock import now
from ocpp_proxy.core.danger import OF_BILLING, why_dangerous
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.record import Entry
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.relay.acts import Fault, FaultOrder, Injection, Outcome, RefusedActError
from ocpp_proxy.relay.faults import Faults, is_about, is_immediate
from ocpp_proxy.relay.pair import Pair
from ocpp_proxy.relay.part import Part

NOT_ALLOWED = "this proxy only watches: start it with --allow-injection, so that something may alter its traffic"
PANICKED = "back to pure relay since the panic: nothing alters traffic until that is taken back (panic --over)"
NOTE_MOST = 4000  # characters


class Links(Protocol):
    """What it wants of the relay."""

    @property
    def connections(self) -> Mapping[str, Pair]: ...

    def stop_listening(self) -> None: ...

    def listen_again(self) -> None: ...


class Controls:
    """Acts on the live links of one running proxy.

    `allowed`: `run --allow-injection`. `version_of`: what a station speaks where its subprotocol does not tell. `write`
    puts entries on record, `on_notice` hears what an engineer should read at once.
    """

    def __init__(
        self, links: Links, schemas: Schemas, *, allowed: bool, version_of: Callable[[str], Version | None],
        write: Callable[[list[Entry]], object], on_notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.allowed = allowed
        self.panicked = False
        self.on_act: list[Callable[[Entry], None]] = []  # views
        self._links = links
        self._schemas = schemas
        self._version_of = version_of
        self._write = write
        self._on_notice = on_notice
        self._faults = Faults()
        self._endings: dict[str, asyncio.TimerHandle] = {}

    # -- what the relay asks

    def attach(self, pair: Pair) -> None:
        """Give a new connection its part, before its first frame is forwarded."""
        if self.allowed:
            pair.part = Part(pair, self._faults, self._on_notice, self._show)

    def turned_away(self, identity: str) -> str | None:
        """Why a station gets no connection now."""
        fault = self._faults.of_kind("offline", identity) if self._faults else None
        if fault is None:
            return None
        fault.hits += 1
        return f"the station is kept offline for a test (fault {fault.id})"

    # -- injection

    async def inject(self, order: Injection) -> Outcome:
        """Send a Call and wait for what comes of it. Raises RefusedActError where it is not even tried; "refused" comes
        back where no moment was found for it."""
        self._leave()
        pair = self._pair(order.station, order.connection)
        version = pair.version or self._version_of(order.station)
        if not order.force:
            self._check(order, version)
        danger = why_dangerous(order.action, order.payload)
        if danger is not None and not order.confirmed:
            raise RefusedActError("confirm", f"{order.action} needs a confirmation: {danger}")
        assert pair.part is not None
        outcome = await pair.part.inject(order)
        if outcome.message_id is None:  # else its part has put it on record
            self._record("inject", order.by, pair.connection, action=order.action, to=order.to,
                         outcome=outcome.outcome)
        return outcome

    def _check(self, order: Injection, version: Version | None) -> None:
        """Raises RefusedActError for a Call that the specification does not know."""
        if version is None:
            raise RefusedActError("schema", f"it is not known which OCPP {order.station} speaks; --force sends it")
        known = ACTIONS[version].get(order.action)
        sender = "csms" if order.to == "station" else "station"
        if known is None or sender not in known.callers:
            names = sorted(name for name, action in ACTIONS[version].items() if sender in action.callers)
            guess = nearest(order.action, names)
            hint = f"; did you mean {guess}?" if guess else ";"
            raise RefusedActError("schema", f"no {sender} sends {order.action} in {version}{hint} --force sends it",
                                  [{"pointer": "", "message": f"known: {', '.join(names)}", "rule": "action"}])
        errors = self._schemas.check(version, order.action, "request", dict(order.payload))
        if errors:
            raise RefusedActError(
                "schema", f"the payload breaks the schema of {order.action} in OCPP {version}; --force sends it",
                [{"pointer": one.pointer, "message": one.message, "rule": one.rule} for one in errors])

    # -- faults

    def add_fault(self, order: FaultOrder) -> Fault:
        """Put a fault on the links; one that is done at once is not kept. Raises RefusedActError."""
        self._leave()
        if order.action in OF_BILLING and order.kind in ("answer", "modify", "drop") and not order.confirmed:
            raise RefusedActError("confirm", f"{order.kind} on {order.action} needs a confirmation: "
                                             f"{why_dangerous(order.action, {})}")
        fault = self._faults.add(order, now().isoformat())
        self._record("fault", order.by, None, fault=fault.id, kind=order.kind, station=order.station,
                     **_told(order))
        if is_immediate(order):
            self._faults.remove(fault.id)
            fault.hits = self._cut(order)
        elif order.kind == "offline":
            fault.hits = self._cut(order)
            if order.station == "*":
                self._links.stop_listening()
        lasts_s = order.seconds if order.kind == "offline" else order.for_s
        if lasts_s is not None and self._faults.get(fault.id) is not None:
            self._endings[fault.id] = asyncio.get_running_loop().call_later(lasts_s, self._end, fault.id)
        return fault

    def faults(self) -> list[Fault]:
        """Those in force, oldest first."""
        return self._faults.all()

    def clear_faults(self, fault_id: str | None = None, *, by: str = "api") -> list[Fault]:
        """End one, or all; what was held goes on. Raises RefusedActError for an id that is not there."""
        if fault_id is not None and self._faults.get(fault_id) is None:
            known = ", ".join(fault.id for fault in self._faults.all()) or "none"
            raise RefusedActError("unknown-fault", f"there is no fault {fault_id}; in force: {known}")
        ending = [fault for fault in self._faults.all() if fault_id in (None, fault.id)]
        for fault in ending:
            self._end(fault.id, by)
        return ending

    # -- all at once

    def panic(self, by: str = "api") -> None:
        """Back to pure relay at once: no faults, nothing held, no injection any more until `calm`."""
        self.panicked = True
        self.clear_faults(by=by)
        for pair in self._links.connections.values():
            if pair.part is not None:
                pair.part.stand_down(PANICKED)
        self._record("panic", by, None)

    def calm(self, by: str = "api") -> None:
        """End the panic: what was allowed at the start is allowed again."""
        if self.panicked:
            self.panicked = False
            self._record("calm", by, None)

    def asked_to_stop(self, by: str = "api") -> None:
        """Put on record who ended the run."""
        self._record("stop", by, None)

    def stop(self) -> None:
        """The run ends: so do the faults."""
        self.clear_faults(by="end of the run")

    def note(self, text: str, *, station: str | None = None, by: str = "api") -> None:
        """A remark into the capture; with a station, on its newest connection. Needs no leave."""
        if not text.strip() or len(text) > NOTE_MOST:
            raise RefusedActError("bad-order", f"a note has 1 to {NOTE_MOST} characters")
        connection = self._pair(station, None).connection if station is not None else None
        self._tell(Entry(type="note", connection=connection, at=now(), fields={"text": text, "by": by}))

    # -- how

    def _leave(self) -> None:
        if not self.allowed:
            raise RefusedActError("not-allowed", NOT_ALLOWED)
        if self.panicked:
            raise RefusedActError("panicked", PANICKED)

    def _pair(self, station: str, connection: str | None) -> Pair:
        """The connection meant, else the station's newest. Raises RefusedActError."""
        pairs = self._links.connections
        mine = [pair for pair in pairs.values() if pair.identity == station]
        if not mine:
            here = ", ".join(sorted({pair.identity for pair in pairs.values()})[:20]) or "none"
            raise RefusedActError("unknown-station", f"{station} is not connected; connected: {here}")
        if connection is None:
            return mine[-1]
        found = next((pair for pair in mine if pair.connection == connection), None)
        if found is None:
            open_now = ", ".join(pair.connection for pair in mine)
            raise RefusedActError("unknown-connection", f"{station} has no connection {connection}; open: {open_now}")
        return found

    def _cut(self, order: FaultOrder) -> int:
        """End the connections that the order is about; how many."""
        chosen = [pair for pair in self._links.connections.values() if is_about(order, pair.identity)]
        for pair in chosen:
            if pair.part is not None:
                pair.part.cut(order)
        return len(chosen)

    def _end(self, fault_id: str, by: str = "its time") -> None:
        fault = self._faults.remove(fault_id)
        timer = self._endings.pop(fault_id, None)
        if timer is not None:
            timer.cancel()
        if fault is None:
            return
        for pair in self._links.connections.values():
            if pair.part is not None:
                pair.part.release(fault_id)
        if fault.order.kind == "offline" and fault.order.station == "*":
            self._links.listen_again()
        self._record("fault-end", by, None, fault=fault_id, hits=fault.hits)

    def _record(self, act: str, by: str, connection: str | None, **fields: Any) -> None:
        given = {name: value for name, value in fields.items() if value is not None}
        self._tell(Entry(type="act", connection=connection, at=now(), fields={"act": act, "by": by, **given}))

    def _tell(self, entry: Entry) -> None:
        self._write([entry])
        self._show(entry)

    def _show(self, entry: Entry) -> None:
        for listener in self.on_act:
            listener(entry)


def _told(order: FaultOrder) -> dict[str, Any]:
    """What of an order goes on record: no payloads, which may hold anything."""
    names = ("sender", "action", "part", "count", "for_s", "seconds", "bytes_per_s")
    told = {name: getattr(order, name) for name in names}
    return told | ({"code": order.code, "reason": order.reason} if order.kind == "disconnect" else {})
