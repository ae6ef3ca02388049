"""ocpp-proxy with nothing but its relay: no capture, no analysis.

    python -m bench.relaying ws://127.0.0.1:PORT     prints the port it listens on
"""

from __future__ import annotations

import asyncio
import sys

from bench import loop
from ocpp_proxy.relay.proxy import Proxy, RelaySettings


async def main(upstream: str) -> None:
    settings = RelaySettings(upstream=upstream + "/", listen=("127.0.0.1:0",))
    proxy = Proxy(settings, recorder=None, observer=None)
    (address,) = await proxy.start()
    print(address.rstrip("/").rsplit(":", 1)[1], flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    loop.run(main(sys.argv[1]))
