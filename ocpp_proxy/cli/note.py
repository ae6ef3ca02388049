"""`ocpp-proxy note`: a remark into the capture."""

from __future__ import annotations

import click

from ocpp_proxy.cli.remote import BY, connected, proxy_option
from ocpp_proxy.core.errors import BadInput


@click.command("note", epilog="""\b
Examples:
  ocpp-proxy note "breaker 3 switched off"
  ocpp-proxy note --station CP001 "plugged in the blue car"
""")
@click.argument("text")
@click.option("--station", metavar="ID", help="On this station's newest connection.")
@proxy_option
def command(text: str, station: str | None, proxy: str | None) -> None:
    """Write TEXT into the capture of a running proxy, with the time that it is."""
    if not text.strip():
        raise BadInput("a note needs a text, as in: ocpp-proxy note \"breaker 3 switched off\"")
    with connected(proxy) as client:
        client.post("notes", body={"text": text, "station": station, "by": BY})
    click.echo("noted", err=True)
