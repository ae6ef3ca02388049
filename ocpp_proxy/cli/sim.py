"""`ocpp-proxy sim`: the simulated CSMS and the simulated station on the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, get_args

import click

from ocpp_proxy.cli.password import read_password
from ocpp_proxy.cli.quantity import Quantity
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.sim.behaviours import STATION_BEHAVIOURS, station_behaviour
from ocpp_proxy.sim.csms import SimulatedCsms
from ocpp_proxy.sim.csms_behaviours import CSMS_BEHAVIOURS
from ocpp_proxy.sim.endpoint import Payload
from ocpp_proxy.sim.link import Unreachable
from ocpp_proxy.sim.station import SimulatedStation

INTERRUPTED = 130
ARROWS = {"sent": "→", "received": "←"}


def _about(behaviours: dict[str, Any]) -> str:
    """The behaviours with what they say of themselves, for --help."""
    width = max(map(len, behaviours))
    lines = [f"  {name:<{width}}  {re.split(r'[.:;](?: |$)', ' '.join((kind.__doc__ or '').split()))[0]}"
             for name, kind in behaviours.items()]
    return "\b\nBehaviours:\n" + "\n".join(lines)


@click.group("sim", epilog="""\b
Example, in two terminals: a CSMS, and a station that charges there once:
  ocpp-proxy sim csms --listen 127.0.0.1:9100
  ocpp-proxy sim station ws://127.0.0.1:9100 --scale 60 --sessions 1
""")
def command() -> None:
    """Simulated peers: a CSMS for stations to connect to, a station to connect to a CSMS.

    Every frame is printed as it is sent (→) or received (←).
    """


@command.command(epilog=_about(CSMS_BEHAVIOURS) + """

\b
Example: ask every station for its statuses after its boot
  ocpp-proxy sim csms --listen 127.0.0.1:9100 \\
    --after-boot 'TriggerMessage {"requestedMessage":"StatusNotification"}'
""")
@click.option("--listen", default="127.0.0.1:9100", show_default=True, metavar="HOST:PORT",
              help="Where to listen; port 0 takes a free one.")
@click.option("--behaviour", type=click.Choice(list(CSMS_BEHAVIOURS)), metavar="NAME", default="accepting",
              show_default=True, help="How it behaves; the names stand below.")
@click.option("--after-boot", multiple=True, metavar="'ACTION [JSON]'",
              help="A CALL for every station whose boot was accepted; repeatable, in this order.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same message ids.")
@click.option("--scale", default=1.0, show_default=True, type=Quantity(),
              help="How many times faster than true its clock runs.")
def csms(listen: str, behaviour: str, after_boot: tuple[str, ...], seed: int, scale: float) -> None:
    """A CSMS for stations of OCPP 1.6, 2.0.1 and 2.1, told apart by the subprotocol they offer."""
    host, port = _address(listen)
    script = [_scripted(text) for text in after_boot] or None
    simulated = SimulatedCsms(
        behaviour, host=host, port=port, seed=seed, scale=scale, after_boot=script,
        observe=lambda station, direction, text: click.echo(f"{station} {ARROWS[direction]} {text}"),
    )
    _run(_listen(simulated, listen))


async def _listen(simulated: SimulatedCsms, listen: str) -> None:
    try:
        url = await simulated.start()
    except OSError as error:
        raise BadInput(f"cannot listen on {listen}: {error.strerror or error}") from error
    click.echo(f"listening on {url}", err=True)
    try:
        await asyncio.Event().wait()
    finally:
        await simulated.stop()


@command.command(epilog=_about(STATION_BEHAVIOURS) + """

\b
Example: three charging sessions of five minutes, an hour passing in a minute
  ocpp-proxy sim station ws://127.0.0.1:9000 --id CP1 --scale 60 --sessions 3
""")
@click.argument("url", metavar="URL")
@click.option("--id", "station_id", default="SIM001", show_default=True, help="The station's identity, put behind URL.")
@click.option("--ocpp-version", type=click.Choice(get_args(Version)), default="1.6", show_default=True)
@click.option("--behaviour", type=click.Choice(list(STATION_BEHAVIOURS)), metavar="NAME", default="conformant",
              show_default=True, help="How it behaves; the names stand below.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same message ids and readings.")
@click.option("--scale", default=1.0, show_default=True, type=Quantity(),
              help="How many times faster than true its clock runs.")
@click.option("--sessions", type=click.IntRange(1), help="Leave after so many charging sessions at the station.")
@click.option("--session-length", default=300.0, show_default=True, type=Quantity(),
              help="Seconds of each of these sessions, on the station's clock.")
@click.option("--duration", type=Quantity(), help="Leave after so many seconds.")
@click.option("--user", help="User for HTTP Basic authentication; the identity unless given.")
@click.option("--password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="File whose first line is the password for HTTP Basic authentication.")
@click.option("--ping-interval", type=Quantity(),
              help="Seconds between WebSocket pings; none unless given.")
@click.option("--retry", is_flag=True, help="Keep trying if the CSMS cannot be reached at first.")
def station(
    url: str, station_id: str, ocpp_version: Version, behaviour: str, seed: int, scale: float, sessions: int | None,
    session_length: float, duration: float | None, user: str | None, password_file: Path | None,
    ping_interval: float | None, retry: bool,
) -> None:
    """A station that connects to the CSMS (or the proxy) at URL and stays until Ctrl-C."""
    if not url.startswith(("ws://", "wss://")):
        raise BadInput(f"{url}: the URL of a CSMS begins with ws:// or wss://")
    if user is not None and password_file is None:
        raise BadInput("--user needs --password-file")
    simulated = SimulatedStation(
        url, station_id, ocpp_version, station_behaviour(behaviour, ocpp_version), seed=seed, scale=scale,
        user=user, password=_password(password_file), ping_interval_s=ping_interval, retry=retry,
        observe=lambda direction, text: click.echo(f"{ARROWS[direction]} {text}"),
    )
    _run(_live(simulated, sessions, session_length, duration))


async def _live(
    simulated: SimulatedStation, sessions: int | None, session_length_s: float, duration_s: float | None
) -> None:
    try:
        async with asyncio.timeout(duration_s) as limit, simulated:
            if sessions is None:
                await simulated.ended()
            for _ in range(sessions or 0):
                await simulated.until_ready()
                await simulated.charge(1, seconds=session_length_s)
    except TimeoutError:
        if not limit.expired():
            raise


def _run(work: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(NotImplementedError):  # Windows has no such signal
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work

    try:
        asyncio.run(main())
    except Unreachable as error:
        click.echo(f"ocpp-proxy: {error}", err=True)
        raise SystemExit(1) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(INTERRUPTED) from None


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"--listen {listen}: expected HOST:PORT")
    return host.strip("[]"), int(port)


def _scripted(text: str) -> tuple[str, Payload]:
    action, _, payload = text.strip().partition(" ")
    if not any(action in known for known in ACTIONS.values()):
        raise BadInput(f"--after-boot {text!r}: no OCPP version has an action {action!r}")
    try:
        parsed = json.loads(payload or "{}")
    except ValueError as error:
        raise BadInput(f"--after-boot {text!r}: the payload is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise BadInput(f"--after-boot {text!r}: the payload is no JSON object")
    return action, parsed


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return read_password(file).decode()
    except UnicodeDecodeError as error:
        raise BadInput("the password is no UTF-8", str(file), 1) from error
