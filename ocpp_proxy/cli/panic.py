"""`ocpp-proxy panic`: back to pure relay."""

from __future__ import annotations

import click

from ocpp_proxy.cli.remote import BY, connected, proxy_option


@click.command("panic", epilog="""\b
Examples:
  ocpp-proxy panic
  ocpp-proxy panic --over
""")
@click.option("--over", is_flag=True, help="End it: what was allowed at the start is allowed again.")
@proxy_option
def command(over: bool, proxy: str | None) -> None:
    """Make a running proxy a pure relay at once: all faults end, what was held goes on, nothing is injected any more.
    Relaying and recording go on."""
    with connected(proxy) as client:
        if over:
            client.delete("panic", body={"by": BY})
        else:
            client.post("panic", body={"by": BY})
    click.echo("the panic is over; what was allowed is allowed again" if over else
               "pure relay: nothing alters traffic until ocpp-proxy panic --over", err=True)
