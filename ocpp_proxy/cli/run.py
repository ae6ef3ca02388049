"""`ocpp-proxy run`: the relay with its view."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from ocpp_proxy import __version__
from ocpp_proxy.capture import Recorder
from ocpp_proxy.cli.controlled import Controlled, control_options
from ocpp_proxy.cli.output import notice, progress
from ocpp_proxy.cli.quantity import Quantity
from ocpp_proxy.cli.reload import Reload
from ocpp_proxy.cli.routing import build_routes
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.gate import mask_target
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.rules import load_rules
from ocpp_proxy.files.schemas import load_schema
from ocpp_proxy.live.face import Face
from ocpp_proxy.live.keys import keys
from ocpp_proxy.pipeline import Pipeline
from ocpp_proxy.relay.proxy import RelaySettings
from ocpp_proxy.relay.service import Service
from ocpp_proxy.tasks import collect_seldom, run_on_fast_loop
from ocpp_proxy.wire.tls import station_context

EPILOG = """\b
Examples:
  ocpp-proxy run --upstream wss://csms.example.com/ocpp
  ocpp-proxy run --upstream ws://10.0.0.5:8080 --listen 0.0.0.0:80 --site no-sim
  ocpp-proxy run --upstream wss://csms.example.com --tls-auto --advertise laptop.local
\b
Tell the charger this machine's address in place of the CSMS's; its path, its
user and its password stay what they are. Ctrl-C ends it with a summary.
\b
Several stations and CSMSs, in ocpp-proxy.toml (docs/configuration.md):
  [run]
  upstream = "wss://csms.example.com/ocpp"    # for all others
  allow = ["CP001", "DEPOT-*"]
  [[station]]
  id = "CP001"                                # or a pattern with * and ?
  name = "Garage, left"
  upstream = "wss://other.example.com/ocpp"   # and upstream-ca, -cert, …
SIGHUP reads the file again: new connections follow it, open ones stay.
"""

GAP, INTERRUPTED = 3, 130
FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: by which signal, and whether everything was recorded."""

    by: signal.Signals
    complete: bool

    @property
    def exit_code(self) -> int:
        if not self.complete:
            return GAP
        return INTERRUPTED if self.by == signal.SIGINT else 0


@click.command("run", epilog=EPILOG)
@click.option("--upstream", required=True, metavar="URL",
              help="The CSMS: ws:// or wss:// base. The station's path is appended, or its identity put where the "
                   "base says {station}.")
@click.option("--allow", multiple=True, metavar="ID",
              help="Identity that may connect, or a pattern with * and ?; all others get 403. Repeatable.  [default: "
                   "all]")
@click.option("--listen", multiple=True, default=("0.0.0.0:9000",), show_default=True, metavar="HOST:PORT",
              help="Where stations connect; repeatable. Port 0 picks a free one.")
@click.option("--ready-file", type=FILE, metavar="FILE",
              help="Written when ready: JSON with listen, control, token_file, capture, view and pid.")
@click.option("--capture", type=FILE, metavar="FILE",
              help="Where to record; an existing capture is continued.  [default: captures/<UTC time>.db]")
@click.option("--view", type=click.Choice(["stream", "quiet"]), default="stream", show_default=True,
              help="stream: a line a frame, findings beneath; quiet: nothing on stdout.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME",
              help="Wishes of a CSMS or site to judge by, besides default; none switches that off. Repeatable.")
@click.option("--site", multiple=True, metavar="KEY", help="What is known of the site, e.g. no-sim. Repeatable.")
@click.option("--rules", "rules_folder", type=click.Path(path_type=Path), metavar="DIR",
              help="Rules of your own, added to the bundled ones; those of the same name replace them.")
@click.option("--upstream-timeout", type=Quantity(), default=10.0, show_default=True,
              metavar="S", help="How long the CSMS may take to answer a handshake; then 504.")
@click.option("--upstream-ca", type=FILE, metavar="FILE", help="CA that signed the CSMS's certificate.")
@click.option("--upstream-cert", type=FILE, metavar="FILE", help="Client certificate for the CSMS.")
@click.option("--upstream-key", type=FILE, metavar="FILE", help="Its private key.")
@click.option("--upstream-insecure", is_flag=True,
              help="Accept any certificate of the CSMS, weak keys and old TLS versions too.")
@click.option("--upstream-sni", metavar="NAME", help="Server name to ask the CSMS for, in place of the URL's host.")
@click.option("--tls-cert", type=FILE, metavar="FILE", help="Certificate (chain) shown to stations.")
@click.option("--tls-key", type=FILE, metavar="FILE", help="Its private key.")
@click.option("--tls-client-ca", type=FILE, metavar="FILE",
              help="CA that signed the stations' certificates; they then have to show one.")
@click.option("--tls-min", type=click.Choice(["1.0", "1.1", "1.2", "1.3"]), default="1.2", show_default=True,
              help="Oldest TLS version a station may use.")
@click.option("--tls-auto", is_flag=True, help="TLS with a CA of this machine's own, made once; its path is printed.")
@click.option("--advertise", multiple=True, metavar="NAME",
              help="Name or address for --tls-auto's certificate; repeatable.")
@click.option("--max-message", type=click.IntRange(min=125), metavar="BYTES",
              help="Refuse larger messages with 1009.  [default: no limit]")
@click.option("--keep-secrets", is_flag=True, help="Do not mask passwords and keys in the capture.")
@control_options
def command(**options: Any) -> None:
    """Relay every frame between stations and their CSMS unharmed, record it before it is forwarded, and say at once
    what is wrong with it."""
    raise SystemExit(run_on_fast_loop(_controlled(click.get_current_context(), options)).exit_code)


async def _controlled(ctx: click.Context, options: dict[str, Any]) -> Ended:
    """With the control API, unless it is not wanted."""
    control = Controlled(options)
    try:
        return await _relay(ctx, options, control)
    finally:
        await control.close()


async def _relay(ctx: click.Context, options: dict[str, Any], control: Controlled) -> Ended:
    """From the first check of the options to the last word of the summary."""
    routes = build_routes(ctx, options, ctx.find_root().obj, notice)
    settings = _settings(options)
    rules = load_rules(options["rules_folder"], profiles=options["profiles"])
    schemas = Schemas(load_schema)
    pipeline = Pipeline(rules, schemas, site=frozenset(options["site"]), forget_closed=True,
                        on_mistake=notice)
    collect_seldom()
    path = options["capture"] or _default_capture()
    recorder = Recorder.create(path, f"ocpp-proxy {__version__}", on_trouble=notice)
    try:
        stop = _signals()
        face = Face(options["view"], path)
        face.use_names(routes.name)
        service = Service(settings, recorder, pipeline, listeners=[face, *control.listeners(pipeline.session)],
                          on_notice=notice, routes=routes, schemas=schemas, allow_injection=options["allow_injection"])
        service.controls.on_act.append(face.act)
        reload = Reload(ctx, options, service, face, notice)
        reload.listen()
        addresses = await service.start()
        control.open(service, addresses, stop)
        for address in addresses:
            click.echo(f"listening on {address} → {mask_target(settings.upstream)}", err=True)
        ready = {"listen": addresses[0], **control.ready, "capture": str(path), "view": options["view"],
                 "pid": os.getpid()}
        if options["ready_file"] is not None:
            _write_ready(options["ready_file"], ready)
        control.publish(ready)
        with keys({"p": partial(_panic, service)} if options["allow_injection"] else {}) as there:
            if there:
                progress("press p for panic: back to pure relay at once")
            by = await stop
        await reload.stop()
        await service.stop()
        await control.close()
        face.close()
    finally:
        recorder.close()
    progress(f"capture: {path}")
    return Ended(by, complete=not recorder.had_gap)


def _panic(service: Service) -> None:
    service.controls.panic("panic key")
    notice("pure relay from here on; ocpp-proxy panic --over takes that back")


def _settings(options: dict[str, Any]) -> RelaySettings:
    return RelaySettings(
        upstream=options["upstream"],
        listen=tuple(options["listen"]),
        station_tls=_station_tls(options),
        max_message=options["max_message"],
        keep_secrets=options["keep_secrets"],
    )


def _station_tls(options: dict[str, Any]) -> ssl.SSLContext | None:
    cert, key, client_ca = options["tls_cert"], options["tls_key"], options["tls_client_ca"]
    if options["tls_auto"]:
        if cert or key:
            raise BadInput("--tls-auto makes its own certificate: leave out --tls-cert and --tls-key")
        from ocpp_proxy.wire.tls_auto import auto_context  # takes long to load

        made = auto_context(options["advertise"], client_ca, options["tls_min"], warn=notice)
        notice(f"stations have to trust the CA in {made.ca}; the certificate is for {', '.join(made.names)}")
        return made.context
    if cert:
        return station_context(cert, key, client_ca, options["tls_min"], warn=notice)
    if key or client_ca:
        raise BadInput("--tls-key and --tls-client-ca need --tls-cert (or --tls-auto)")
    if options["advertise"]:
        raise BadInput("--advertise names what --tls-auto's certificate is for: use both or neither")
    return None


def _default_capture() -> Path:
    path = Path("captures") / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.db"
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot be made: {error.strerror}; name another place with --capture", "captures") from None
    return path


def _signals() -> asyncio.Future[signal.Signals]:
    """Done with the first signal that asks for the end; a second Ctrl-C ends the process at once."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def end(by: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(by)
        elif by == signal.SIGINT:
            os._exit(INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, end, number)
        except NotImplementedError:  # Windows: asyncio cannot, but the interpreter can
            signal.signal(number, lambda *_, number=number: loop.call_soon_threadsafe(end, number))
    return stop


def _write_ready(file: Path, ready: dict[str, Any]) -> None:
    """Atomically, so that whoever waits for the file reads all of it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(ready) + "\n", encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", str(file)) from None
