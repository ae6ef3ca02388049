"""The yardstick: the relay one would write first, two tasks a connection on `websockets.asyncio`.

Everything that this library does unasked is turned off (pings, compression, size limit, system proxy), so that
what is measured is relaying alone.

    python -m bench.bare ws://127.0.0.1:PORT     prints the port it listens on
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench import loop

OCPP = [Subprotocol("ocpp1.6")]


async def pump(source: Connection, target: Connection) -> None:
    try:
        async for message in source:
            await target.send(message)
    except ConnectionClosed:
        pass
    finally:
        await target.close()


async def main(upstream: str) -> None:
    async def relay(station: ServerConnection) -> None:
        assert station.request is not None
        async with connect(upstream + station.request.path, subprotocols=OCPP, compression=None,
                           ping_interval=None, max_size=None, proxy=None) as csms:
            await asyncio.gather(pump(station, csms), pump(csms, station))

    async with serve(relay, "127.0.0.1", 0, subprotocols=OCPP, compression=None, ping_interval=None,
                     max_size=None, backlog=1024) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    loop.run(main(sys.argv[1]))
