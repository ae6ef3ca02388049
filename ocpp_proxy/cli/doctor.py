"""`ocpp-proxy doctor`: whether and why a handshake with a CSMS would fail."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.cli.output import Stdout, notice
from ocpp_proxy.cli.password import read_password
from ocpp_proxy.core.gate import mask_target
from ocpp_proxy.doctor.case import Case, CsmsTls
from ocpp_proxy.doctor.examination import examine
from ocpp_proxy.doctor.step import Step
from ocpp_proxy.live.safe import safe
from ocpp_proxy.relay.settings import parse_listen
from ocpp_proxy.tasks import run_on_fast_loop
from ocpp_proxy.wire.upstream import Upstream

EPILOG = """\b
Examples:
  ocpp-proxy doctor wss://csms.example.com/ocpp
  ocpp-proxy doctor wss://csms.example.com/ocpp --id CP001 --password-file key.txt
  ocpp-proxy doctor ws://10.0.0.5:8080 --listen 0.0.0.0:80 --format json
\b
Without --id it asks as a station that does not exist. With --id many CSMSs
drop the live station of that name: do it when nobody is charging.
Exit codes: 0 nothing found, 1 a step is not ok, 2 wrong usage, 130 Ctrl-C.
"""

FOUND = 1
FILE = click.Path(path_type=Path, dir_okay=False)
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}
_WAIT_BEFORE_WORDS_S = 1.0


@click.command("doctor", epilog=EPILOG)
@click.argument("url", metavar="URL")
@click.option("--id", "identity", metavar="ID",
              help="The station's identity, put behind URL.  [default: a made-up one]")
@click.option("--user", metavar="U", help="User for HTTP Basic authentication; the identity unless given.")
@click.option("--password-file", type=FILE, metavar="F",
              help="File whose first line is the password. 40 hexadecimal digits are tried as key and as text.")
@click.option("--listen", multiple=True, metavar="HOST:PORT",
              help="Where run shall listen for stations; repeatable.  [default: 0.0.0.0:9000]")
@click.option("--timeout", "timeout_s", type=float, default=10.0, show_default=True,
              metavar="S", help="How long each step may take.")
@click.option("--upstream-ca", type=FILE, multiple=True, metavar="FILE",
              help="CA that signed the CSMS's certificate; repeatable.")
@click.option("--upstream-cert", type=FILE, metavar="FILE", help="Client certificate for the CSMS.")
@click.option("--upstream-key", type=FILE, metavar="FILE", help="Its private key.")
@click.option("--upstream-insecure", "--insecure", "upstream_insecure", is_flag=True,
              help="Accept any certificate of the CSMS, weak keys and old TLS versions too.")
@click.option("--upstream-sni", metavar="NAME", help="Server name to ask the CSMS for, in place of the URL's host.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="json: one object, on one line.")
def command(url: str, form: str, **options: Any) -> None:
    """Tell, before any OCPP, whether and why a handshake with the CSMS at URL would fail: name, TCP, TLS, upgrade,
    subprotocols, credentials, compression, pings, clock; and which address to type into the charger."""
    case = _case(url, options)
    tls = case.context(notice)
    if case.identity is not None:
        notice(f"asking as the real station {safe(case.identity)}: many CSMSs drop its live connection for that")
    face = _Face()
    if form == "text":
        face.begin(case)
    steps = run_on_fast_loop(_examined(case, tls, face, form == "text"))
    if form == "json":
        click.echo(dumps({"version": 1, "url": mask_target(url), "steps": [step.to_json() for step in steps]}))
    else:
        face.end(steps)
    if any(step.ok is False for step in steps):
        raise SystemExit(FOUND)


def _case(url: str, options: dict[str, Any]) -> Case:
    for text in options["listen"]:
        parse_listen(text)
    password = options["password_file"]
    return Case(
        upstream=Upstream.parse(url, "URL", "name them with --user and --password-file"),
        identity=options["identity"],
        user=options["user"],
        password=None if password is None else read_password(password),
        tls=CsmsTls(**{name: options[f"upstream_{name}"] for name in ("ca", "cert", "key", "insecure", "sni")}),
        listen=tuple(options["listen"]),
        timeout_s=options["timeout_s"],
    )


async def _examined(case: Case, tls: ssl.SSLContext | None, face: _Face, printing: bool) -> list[Step]:
    try:
        return await examine(case, tls, face.tell if printing else face.pass_over, face.busy)
    finally:
        face.quiet()


class _Face:
    """Each step as a line of a note, on stdout; on a terminal what is waited for, on stderr, where it takes long."""

    def __init__(self) -> None:
        self._console = Stdout()
        self._waits = sys.stderr.isatty()
        self._timer: asyncio.TimerHandle | None = None
        self._shown = False

    def begin(self, case: Case) -> None:
        who = case.station if case.identity else f"{case.station}, a made-up identity"
        self._print("", Text(f"Asking {safe(mask_target(case.upstream.url), 300)} as {safe(who, 300)}.\n"))

    def tell(self, step: Step) -> None:
        self.quiet()
        mark, colour = _MARKS[step.ok]
        head = Text.assemble((mark, colour), f" {step.name:<11} ")
        self._print(head, Text(step.seen))
        if step.remedy is not None:
            self._print(Text(" " * 14), Text(f"→ {step.remedy}"))

    def end(self, steps: list[Step]) -> None:
        wrong = list(dict.fromkeys(step.name for step in steps if step.ok is False))
        open_ = any(step.ok is None for step in steps)
        words = f"To be mended: {', '.join(wrong)}." if wrong else (
            "Nothing is wrong, as far as could be tried." if open_ else "All is well.")
        self._print("", Text(f"\n{words}"))

    def pass_over(self, _: Step) -> None:
        """It is printed with the others in the end."""
        self.quiet()

    def busy(self, what: str) -> None:
        self.quiet()
        if self._waits:
            self._timer = asyncio.get_running_loop().call_later(_WAIT_BEFORE_WORDS_S, self._show, what)

    def quiet(self) -> None:
        """Take back what is shown of waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._shown = False

    def _show(self, what: str) -> None:
        self._shown = True
        click.echo(f"  … {safe(what, 70)}", err=True, nl=False)

    def _print(self, head: Text | str, body: Text) -> None:
        """With a hanging indent on a terminal; elsewhere in one line, for grep."""
        if not head or not self._console.is_terminal:
            self._console.print(Text.assemble(head, body), soft_wrap=True)
            return
        grid = Table.grid()
        grid.add_column(width=14)
        grid.add_column(overflow="fold")
        grid.add_row(head, body)
        self._console.print(grid)
