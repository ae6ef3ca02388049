"""`ocpp-proxy inject`: a Call through a running proxy.

Decides how the payload is made of words, and what the outcome looks like and exits with. Refuses to decide what may be
sent: the proxy does, and checks the payload once more.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, get_args

import click

from ocpp_proxy.capture.jsontext import dumps, loads
from ocpp_proxy.cli.outcome import exit_code, outcome_lines
from ocpp_proxy.cli.output import notice
from ocpp_proxy.cli.quantity import Quantity
from ocpp_proxy.cli.remote import (
    BY,
    USAGE,
    confirmed,
    connected,
    format_option,
    known_station,
    proxy_option,
    yes_option,
)
from ocpp_proxy.core.assignments import payload_of
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import OTHER_SIDE, Side, Version
from ocpp_proxy.core.nearest import nearest
from ocpp_proxy.core.schema import Schemas, schema_name
from ocpp_proxy.core.vocabulary import ACTIONS
from ocpp_proxy.files.schemas import load_schema

if TYPE_CHECKING:
    from ocpp_proxy.control.client import Client

LOST = 6

EPILOG = """\b
Examples:
  ocpp-proxy inject CP001 TriggerMessage requestedMessage=StatusNotification connectorId=1
  ocpp-proxy inject CP001 GetConfiguration 'key=["HeartbeatInterval"]' --format json
  ocpp-proxy inject CP001 Reset type=Hard --yes --follow 60
  ocpp-proxy inject CP001 SetVariables setVariableData.0.component.name=OCPPCommCtrlr \\
    setVariableData.0.variable.name=HeartbeatInterval setVariableData.0.attributeValue=60
\b
The proxy has to run with --allow-injection. Values are read as the schema of
the station's version has them; a dot leads into objects and lists. A lone -
has the payload read from standard input: others on this machine can see what
stands on a command line, passwords too.
\b
Exit codes: 0 any CALLRESULT (8 with --require-accepted, if its status is not
Accepted); 4 CALLERROR; 5 no answer in time; 6 the connection was lost; 7
refused by the proxy's interlock; 2 wrong usage, or a payload that breaks its
schema.
"""

FOLLOW_S = 2.0  # stations take a while to do what they have accepted


@click.command("inject", epilog=EPILOG)
@click.argument("station")
@click.argument("action")
@click.argument("words", nargs=-1, metavar="[PAYLOAD-JSON | KEY=VALUE ... | -]")
@click.option("--to", type=click.Choice(["station", "csms"]), default="station", show_default=True,
              help="Who gets it; it is sent in the name of the other side.")
@click.option("--connection", metavar="C", help="Which of the station's connections.  [default: the newest]")
@click.option("--timeout", "timeout_s", type=Quantity(600), default=30.0, show_default=True,
              metavar="S", help="How long to wait for the answer.")
@click.option("--wait", "wait_s", type=Quantity(600, zero=True), default=10.0, show_default=True, metavar="S",
              help="How long to wait for a moment in which no Call is open.")
@click.option("--follow", "follow_s", type=Quantity(600, zero=True), metavar="S",
              help="Show what comes on that connection for so long after the answer.  [default: 2; 0 with json]")
@yes_option
@click.option("--force", is_flag=True, help="Send it even if it breaks its schema, or the version has no such action.")
@click.option("--now", "hasten", is_flag=True, help="Neither quiet period nor pacing between injected Calls.")
@click.option("--require-accepted", is_flag=True, help="Exit with 8 if the answer's status is not Accepted.")
@format_option
@proxy_option
def command(
    station: str, action: str, words: tuple[str, ...], to: Side, connection: str | None, timeout_s: float,
    wait_s: float, follow_s: float | None, yes: bool, force: bool, hasten: bool, require_accepted: bool, form: str,
    proxy: str | None,
) -> None:
    """Send a Call to STATION (or to its CSMS) through a running proxy, and print the answer and what followed."""
    if follow_s is None:
        follow_s = 0.0 if form == "json" else FOLLOW_S
    with connected(proxy) as client:
        version = known_station(client, station)["version"]
        payload = _payload(version if version in get_args(Version) else None, action, words, to, force)
        body = {"action": action, "payload": payload, "to": to, "connection": connection, "timeout_s": timeout_s,
                "wait_s": wait_s, "force": force, "hasten": hasten, "follow_s": follow_s, "by": BY}
        outcome = _injected(client, station, body, yes)
    if form == "json":
        click.echo(dumps(outcome))
    else:
        for line in outcome_lines(station, action, outcome, to, follow_s):
            click.echo(line)
    raise SystemExit(exit_code(outcome, require_accepted))


def _injected(client: Client, station: str, body: dict[str, Any], yes: bool) -> dict[str, Any]:
    from ocpp_proxy.control.client import Gone

    longer_s = body["timeout_s"] + body["wait_s"] + body["follow_s"]
    try:
        found: dict[str, Any] = confirmed(
            lambda confirm: client.post("stations", station, "inject", body={**body, "confirm": confirm},
                                        longer_s=longer_s), yes)
    except Gone as gone:
        if not gone.asked:
            raise
        notice(f"{gone}; whether the Call was sent stands in the capture")
        raise SystemExit(LOST) from None
    return found


def _payload(version: Version | None, action: str, words: tuple[str, ...], to: Side, force: bool) -> dict[str, Any]:
    """What to send. Raises BadInput, or ends the command where the payload breaks its schema."""
    if version is not None and not force:
        _check_action(version, action, to)
    if words == ("-",):
        payload = _parsed(sys.stdin.read())
    elif len(words) == 1 and words[0].lstrip().startswith("{"):
        payload = _parsed(words[0])
    else:
        known = version is not None and action in ACTIONS[version]
        schema = load_schema(version, schema_name(version, action, "request")) if version and known else None
        payload = payload_of(words, schema, lenient=force)
    errors = Schemas(load_schema).check(version, action, "request", payload) if version and not force else ()
    for error in errors:
        click.echo(f"  {error.pointer or 'the payload'}: {error.message}", err=True)
    if errors:
        notice(f"the payload breaks the schema of {action} in OCPP {version}; nothing was sent (--force sends it)")
        raise SystemExit(USAGE)
    return payload


def _check_action(version: Version, action: str, to: Side) -> None:
    known = ACTIONS[version]
    callers = [name for name, one in known.items() if OTHER_SIDE[to] in one.callers and one.kind == "call"]
    if action in callers:
        return
    if action in known:
        other = OTHER_SIDE[to]
        raise BadInput(f"{action} goes to the {other} in OCPP {version}: use --to {other}, or --force")
    guess = nearest(action, callers)
    meant = f" (did you mean {guess}?)" if guess else ""
    raise BadInput(f"OCPP {version} has no action {action}{meant}; to the {to} go: {', '.join(sorted(callers))}")


def _parsed(text: str) -> dict[str, Any]:
    try:
        payload = loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the payload is no JSON: {error}") from None
    if not isinstance(payload, dict):
        raise BadInput("the payload is no JSON object")
    return payload
