"""`ocpp-proxy stop`: the end of a running proxy."""

from __future__ import annotations

import time

import click

from ocpp_proxy.cli.output import notice
from ocpp_proxy.cli.quantity import Quantity
from ocpp_proxy.cli.remote import BY, connected, proxy_option

LOOK_S = 0.05
STILL_THERE = 1


@click.command("stop", epilog="""\b
Examples:
  ocpp-proxy stop
  ocpp-proxy stop --wait --proxy ready.json
""")
@click.option("--wait", is_flag=True, help="Come back when it has ended (with 1 if it has not within --patience).")
@click.option("--patience", "patience_s", type=Quantity(zero=True), default=60.0, show_default=True, metavar="S",
              help="How long --wait waits.")
@proxy_option
def command(wait: bool, patience_s: float, proxy: str | None) -> None:
    """End a running proxy as SIGTERM does: connections are closed with 1001, everything is saved."""
    from ocpp_proxy.control.client import Gone

    with connected(proxy) as client:
        try:
            client.post("stop", body={"by": BY})
        except Gone as gone:
            if not gone.asked:
                raise
        target = client.target
    if wait:
        _wait(target.url, target.pid, patience_s)


def _wait(url: str, pid: int | None, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while _is_there(url, pid):
        if time.monotonic() > end:
            notice(f"the proxy at {url} has not ended within {patience_s:g} s")
            raise SystemExit(STILL_THERE)
        time.sleep(LOOK_S)


def _is_there(url: str, pid: int | None) -> bool:
    from ocpp_proxy.control.discovery import answers
    from ocpp_proxy.control.runs import is_alive

    return is_alive(pid) if pid is not None else answers(url)
