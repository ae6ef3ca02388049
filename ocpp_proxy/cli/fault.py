"""`ocpp-proxy fault`: faults on the live links of a running proxy.

Decides how a fault is written as options and shown on a line. Refuses to judge it: the proxy does.
"""

from __future__ import annotations

from typing import Any, get_args

import click

from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.cli.faultoptions import error_of, object_of, patch_of
from ocpp_proxy.cli.quantity import Quantity
from ocpp_proxy.cli.remote import BY, confirmed, connected, format_option, proxy_option, yes_option
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.live.safe import safe
from ocpp_proxy.relay.acts import FaultKind

ADD_EPILOG = """\b
Kinds, and what they need:
  delay --seconds S      messages go on S seconds late
  hold                   they are kept until the fault ends
  drop                   they are never forwarded
  duplicate              they are forwarded twice
  drip --bytes-per-s N   they trickle
  modify --set …         their payload is changed (--remove …, --patch …)
  answer --result …      the Call never arrives; its caller is answered
                         (--error …, --no-answer)
  disconnect             both legs are closed (--code, --reason)
  reset                  both TCP connections are reset
  half-open              pongs are swallowed
  offline --seconds S    disconnected, and refused for so long
\b
Examples:
  ocpp-proxy fault add CP001 delay --seconds 40 --sender csms --count 1
  ocpp-proxy fault add CP001 answer --action Authorize --error InternalError:busy --count 1
  ocpp-proxy fault add 'CP*' modify --action BootNotification --part answer --set /interval=10
  ocpp-proxy fault add CP001 offline --seconds 120 --yes
"""


@click.group("fault", epilog="""\b
Example: the station's next Authorize gets no answer, then all is well again
  ocpp-proxy fault add CP001 answer --action Authorize --no-answer --count 1
  ocpp-proxy fault list
  ocpp-proxy fault clear
""")
def command() -> None:
    """Faults on the live links of a running proxy, which has to run with --allow-injection. They end by themselves
    (--count, --for), when they are cleared, with `ocpp-proxy panic`, or with the run."""


@command.command(epilog=ADD_EPILOG)
@click.argument("station")
@click.argument("kind", type=click.Choice(get_args(FaultKind)), metavar="KIND")
@click.option("--sender", type=click.Choice(["station", "csms"]), help="Whose messages.  [default: both sides']")
@click.option("--action", metavar="NAME", help="Calls of this action and their answers.  [default: every message]")
@click.option("--part", type=click.Choice(["call", "answer"]), help="Only Calls, or only answers.  [default: both]")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N messages.")
@click.option("--for", "for_s", type=Quantity(), metavar="S", help="End after S seconds.")
@click.option("--seconds", type=Quantity(zero=True), metavar="S", help="How late, or how long.")
@click.option("--bytes-per-s", type=click.IntRange(1), metavar="N", help="How fast it trickles.")
@click.option("--set", "sets", multiple=True, metavar="/POINTER=VALUE",
              help="Put a value (JSON, else text) into the payload; repeatable.")
@click.option("--remove", "removes", multiple=True, metavar="/POINTER", help="Take it out; repeatable.")
@click.option("--patch", metavar="FILE|JSON", help="A JSON Patch (RFC 6902) for the payload.")
@click.option("--result", metavar="JSON", help="Answer with this CALLRESULT payload.")
@click.option("--error", metavar="CODE[:TEXT]", help="Answer with this CALLERROR.")
@click.option("--no-answer", is_flag=True, help="Answer with nothing at all.")
@click.option("--code", type=click.IntRange(1000, 4999), metavar="N", help="Close code.  [default: 1000]")
@click.option("--reason", metavar="TEXT", help="Close reason.")
@yes_option
@format_option
@proxy_option
def add(station: str, kind: str, yes: bool, form: str, proxy: str | None, **options: Any) -> None:
    """Put a fault of KIND on the links of STATION (an identity, or a pattern with * and ?)."""
    order = _order(station, kind, options)
    with connected(proxy) as client:
        fault = confirmed(lambda confirm: client.post("faults", body={**order, "confirm": confirm}), yes)
    click.echo(dumps(fault) if form == "json" else _line(fault))


@command.command("list", epilog="""\b
Example:
  ocpp-proxy fault list --format json
""")
@format_option
@proxy_option
def list_(form: str, proxy: str | None) -> None:
    """The faults in force, oldest first."""
    with connected(proxy) as client:
        _print(client.get("faults")["faults"], form, "no fault is in force")


@command.command(epilog="""\b
Examples:
  ocpp-proxy fault clear
  ocpp-proxy fault clear f2
""")
@click.argument("fault", required=False, metavar="[ID]")
@format_option
@proxy_option
def clear(fault: str | None, form: str, proxy: str | None) -> None:
    """End one fault, or all; what was held goes on. Prints those that ended."""
    with connected(proxy) as client:
        path = ("faults", fault) if fault is not None else ("faults",)
        _print(client.delete(*path, body={"by": BY})["faults"], form, "no fault was in force")


def _order(station: str, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The request's body. Raises BadInput."""
    patch = patch_of(options["sets"], options["removes"], options["patch"])
    answer = _answer(options)
    closing = {name: value for name in ("code", "reason") if (value := options[name]) is not None}
    for names, given, whose in (
        ("--set, --remove or --patch", bool(patch), "modify"),
        ("--result, --error or --no-answer", answer is not None, "answer"),
        ("--code or --reason", bool(closing), "disconnect"),
    ):
        if given and kind != whose:
            raise BadInput(f"{names}: only for {whose}")
    if kind == "answer" and answer is None:
        raise BadInput("answer: say with what: --result, --error or --no-answer")
    taken = {name: value for name in ("sender", "action", "part", "count", "for_s", "seconds", "bytes_per_s")
             if (value := options[name]) is not None}
    given_patch = {"patch": patch} if patch else {}
    return {"kind": kind, "station": station, **taken, **given_patch, **(answer or {}), **closing, "by": BY}


def _answer(options: dict[str, Any]) -> dict[str, Any] | None:
    """What a Call is answered with, empty for nothing; None where no option says it."""
    given = [name for name in ("result", "error", "no_answer") if options[name]]
    if len(given) > 1:
        raise BadInput("--result, --error and --no-answer: use one of them")
    if options["result"]:
        return {"result": object_of("--result", options["result"])}
    if options["error"]:
        return {"error": error_of(options["error"])}
    return {} if given else None


def _print(faults: list[dict[str, Any]], form: str, none: str) -> None:
    if form == "json":
        click.echo(dumps(faults))
        return
    for fault in faults:
        click.echo(_line(fault))
    if not faults:
        click.echo(none, err=True)


def _line(fault: dict[str, Any]) -> str:
    """On one line: what, where, since when, how often it has met something."""
    order = dict(fault["order"])
    head = f"{fault['id']}  {order.pop('kind')}  {order.pop('station')}"
    hidden = {"confirmed", "by", *(("code", "reason") if not head.partition("  ")[2].startswith("disconnect") else ())}
    said = " ".join(f"{name}={value if isinstance(value, str) else dumps(value)}" for name, value in order.items()
                    if name not in hidden)
    return safe(f"{head}  {said}  since {fault['since']}, {fault['hits']} so far", 1000)
