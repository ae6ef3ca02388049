"""What the commands share that talk to a running proxy: which one is meant, and what a refusal does.

Decides exit codes: 7 where the proxy's own interlock says no, 2 for everything else that it refuses. HTTP is loaded
only when one of them is carried out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocpp_proxy.cli.output import notice
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.live.safe import safe

if TYPE_CHECKING:
    from ocpp_proxy.control.client import Client, Refused

USAGE, INTERLOCK = 2, 7
BY = "command line"
LONGEST = 400
_INTERLOCK = frozenset({"not-allowed", "panicked", "confirm"})
Command = TypeVar("Command", bound=Callable[..., Any])

proxy_option = click.option(
    "--proxy", "proxy", metavar="URL|READY-FILE",
    help="The running proxy that is meant.  [default: OCPP_PROXY_PROXY, else the only one that runs]")
format_option = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
yes_option = click.option("--yes", is_flag=True, help="Something dangerous is meant as it is said.")


@contextmanager
def connected(proxy: str | None) -> Iterator[Client]:
    """Somebody who talks to the proxy; its refusals end the command."""
    from ocpp_proxy.control.client import Client, Refused
    from ocpp_proxy.control.discovery import find
    from ocpp_proxy.control.runs import own_folder

    with Client(find(proxy, os.environ, own_folder())) as client:
        try:
            yield client
        except Refused as refused:
            raise SystemExit(told(refused)) from None


def told(refused: Refused) -> int:
    """Print a refusal; the exit code."""
    for error in refused.errors:
        click.echo(f"  {safe(str(error.get('pointer') or 'the payload'), LONGEST)}: "
                   f"{safe(str(error.get('message')), LONGEST)}", err=True)
    also = "; --yes says that it is meant" if refused.why == "confirm" else ""
    notice(safe(refused.reason, LONGEST) + also)
    return INTERLOCK if refused.why in _INTERLOCK else USAGE


def confirmed(ask: Callable[[bool], Any], yes: bool) -> Any:
    """What `ask` gives; where the proxy wants something dangerous to be confirmed, a person on a terminal is asked."""
    from ocpp_proxy.control.client import Refused

    try:
        return ask(yes)
    except Refused as refused:
        if refused.why != "confirm" or yes or not sys.stdin.isatty():
            raise
        if not click.confirm(f"{safe(refused.reason, LONGEST)}\nGo on?", default=False, err=True):
            raise SystemExit(INTERLOCK) from None
    return ask(True)


def known_station(client: Client, station: str) -> dict[str, Any]:
    """What the proxy knows of it. Raises BadInput with those that are known."""
    from ocpp_proxy.control.client import Refused
    from ocpp_proxy.core.nearest import nearest

    try:
        found: dict[str, Any] = client.get("stations", station)
    except Refused as refused:
        if refused.why != "unknown-station":
            raise
        names = [one["station"] for one in client.get("stations")["stations"]]
        guess = nearest(station, names)
        meant = f" (did you mean {safe(guess)}?)" if guess else ""
        listed = ", ".join(safe(name) for name in names[:20]) or "none so far"
        raise BadInput(f"no station {station} has connected{meant}; known: {listed}") from None
    return found
