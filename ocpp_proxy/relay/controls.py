"""The one door for everything that alters traffic, be it from the command line, the control API or a script.

Decides what is allowed: nothing without leave, nothing dangerous unconfirmed, nothing at all after a panic. Refuses to
know how frames get onto a connection (`part`) and how orders arrive.
"""

from __future__ import annotations

from ocpp_proxy.relay.acts import Fault, FaultOrder, Injection, Outcome


class Controls:
    """Acts on the live links of one running proxy. `allowed`: `run --allow-injection`. Every act goes on record."""

    allowed: bool
    panicked: bool

    async def inject(self, order: Injection) -> Outcome:
        """Send a Call and wait for what comes of it. Raises RefusedActError where it is not even tried; "refused" comes
        back where no moment was found for it."""
        raise NotImplementedError

    def add_fault(self, order: FaultOrder) -> Fault:
        """Put a fault on the links. Raises RefusedActError."""
        raise NotImplementedError

    def faults(self) -> list[Fault]:
        """Those in force, oldest first."""
        raise NotImplementedError

    def clear_faults(self, fault_id: str | None = None, *, by: str = "api") -> list[Fault]:
        """End one, or all; what was held goes on. Raises RefusedActError for an id that is not there."""
        raise NotImplementedError

    def panic(self, by: str = "api") -> None:
        """Back to pure relay at once: no faults, nothing held, no injection any more until `calm`."""
        raise NotImplementedError

    def calm(self, by: str = "api") -> None:
        """End the panic: what was allowed at the start is allowed again."""
        raise NotImplementedError

    def note(self, text: str, *, station: str | None = None, by: str = "api") -> None:
        """A remark into the capture; with a station, on its newest connection. Needs no leave."""
        raise NotImplementedError
