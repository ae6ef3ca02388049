"""How a simulated station reaches its CSMS: where, as whom, and how long it waits after a failure.

Decides the handshake and the back-off. Refuses to know what is said on the connection.

Source: OCPP-J 1.6 section 3; OCPP 2.0.1 Part 4 sections 3 and 5.3 (the wait doubles, plus a random part).
"""

from __future__ import annotations

import base64
import os
import random
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim.endpoint import MUTE

SUBPROTOCOLS: Final[dict[Version, str]] = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}


class Unreachable(Exception):  # noqa: N818 # named for what the user reads
    """The CSMS cannot be reached, or does not want this station. Says why on one line."""


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is the CSMS's base, to which the station's id is appended; `ping_interval_s` None sends no pings."""

    url: str
    station_id: str
    version: Version
    user: str | None = None
    password: str | None = None
    ping_interval_s: float | None = None

    @property
    def target(self) -> str:
        return f"{self.url.rstrip('/')}/{quote(self.station_id, safe='')}"

    @property
    def headers(self) -> dict[str, str]:
        if self.password is None:
            return {}
        pair = f"{self.user or self.station_id}:{self.password}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}


async def dial(address: Address) -> ClientConnection:
    """A connection on which the CSMS has chosen the station's subprotocol. Raises Unreachable."""
    wanted = SUBPROTOCOLS[address.version]
    where = urlsplit(address.url).netloc
    try:
        connection = await connect(
            address.target, subprotocols=[Subprotocol(wanted)], additional_headers=address.headers, proxy=None,
            compression=None, ping_interval=address.ping_interval_s, max_size=None, close_timeout=2, logger=MUTE,
        )
    except InvalidStatus as error:
        raise Unreachable(f"{where} answered the handshake with HTTP {error.response.status_code}") from error
    except (InvalidHandshake, InvalidURI, EOFError) as error:
        raise Unreachable(f"handshake with {where} failed: {error}") from error
    except TimeoutError as error:
        raise Unreachable(f"{where} did not answer the handshake in time") from error
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"the certificate of {where} is not trusted: {error.verify_message}") from error
    except OSError as error:
        raise Unreachable(f"cannot connect to {where}: {_why(error)}") from error
    if connection.subprotocol is None:
        await connection.close(1002, "no subprotocol chosen")
        raise Unreachable(f"{where} does not speak {wanted}: it chose no subprotocol")
    return connection


def _why(error: OSError) -> str:
    """The system's words; asyncio's own repeat the address."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or str(error)


@dataclass(slots=True)
class Backoff:
    """Simulated seconds to wait after each failure in a row: doubled `doublings` times, then constant."""

    random: random.Random
    minimum_s: float = 2.0
    jitter_s: float = 1.0
    doublings: int = 5
    failures: int = 0

    def next_s(self) -> float:
        wait_s = self.minimum_s * 2.0 ** min(self.failures, self.doublings)
        self.failures += 1
        return wait_s + self.random.random() * self.jitter_s

    def reset(self) -> None:
        self.failures = 0
