"""The first two steps: what the CSMS's name means, and which of its addresses take a TCP connection.

Decides that one address which works is enough, and says which do not: a station may take those first. Refuses to know
what is spoken there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from typing import TypeAlias

from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.line import no_tcp
from ocpp_proxy.doctor.step import Step, Trouble
from ocpp_proxy.relay.dial import Address, connect_to, in_words, spell
from ocpp_proxy.relay.settings import Keepalive

Place: TypeAlias = "tuple[int, Address]"


async def find(case: Case) -> tuple[list[Place], Step]:
    """All addresses of the host. Raises Trouble."""
    host, began = case.upstream.host, time.perf_counter()
    try:
        async with asyncio.timeout(case.timeout_s):
            places = await _look_up(host, case.upstream.port)
    except TimeoutError:
        raise Trouble("dns", f"no address for {host} within {case.timeout_s:g} s",
                      "the name servers do not answer: check this computer's network and DNS, or use the address in "
                      "the URL (with --upstream-sni for the name)", late=True) from None
    except (OSError, UnicodeError) as error:
        raise Trouble("dns", f"{host} has no address here ({in_words(error)})",
                      "check the spelling, and whether the name is known only within a VPN or the station's own "
                      "network; stations may use other name servers than this computer") from None
    if _is_address(host):
        return places, Step("dns", None, f"not tried: {host} is an address already")
    spelt = ", ".join(str(address[0]) for _, address in places)
    return places, Step("dns", True, f"{host} is {spelt} ({_ms(time.perf_counter() - began)})")


async def connect(case: Case, places: Sequence[Place]) -> tuple[Place, Step]:
    """The first address, in the order of the name service, that takes a connection. Raises Trouble."""
    tries = await asyncio.gather(*(_try(case, place) for place in places))
    working = [(place, outcome) for place, outcome in zip(places, tries, strict=True) if isinstance(outcome, float)]
    failing = [outcome for outcome in tries if isinstance(outcome, Trouble)]
    if not working:
        causes = "; ".join(trouble.cause for trouble in failing)
        remedies = "; ".join(dict.fromkeys(trouble.remedy for trouble in failing))
        raise Trouble("tcp", causes, remedies)
    seen = ", ".join(f"{spell(place[1])} takes connections ({_ms(took)})" for place, took in working)
    if failing:
        seen += "; but " + "; ".join(trouble.cause for trouble in failing)
        seen += ": a station that takes that address first waits, or fails"
    return working[0][0], Step("tcp", True, seen)


async def _try(case: Case, place: Place) -> float | Trouble:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(case.timeout_s):
            sock = await connect_to(*place, Keepalive())
    except OSError as error:
        return no_tcp(spell(place[1]), error, case.timeout_s)
    sock.close()
    return time.perf_counter() - began


async def _look_up(host: str, port: int) -> list[Place]:
    """In a thread that nobody waits for in the end: with dead name servers a look-up outlasts every patience, and the
    loops would wait for those that they started. Raises OSError and UnicodeError."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Place]] = loop.create_future()

    def tell(found: list[Place], trouble: Exception | None) -> None:
        if answer.done():
            return
        if trouble is not None:
            answer.set_exception(trouble)
        else:
            answer.set_result(found)

    def work() -> None:
        found: list[Place] = []
        trouble: Exception | None = None
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys((family, address) for family, _, _, _, address in entries))
        except (OSError, UnicodeError) as error:
            trouble = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, found, trouble)

    threading.Thread(target=work, name="look-up", daemon=True).start()
    return await answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _ms(took_s: float) -> str:
    return f"{took_s * 1000:.1f} ms"
