"""The command line's root: finds the commands, reads the configuration file, and nothing else.

Commands are imported when they are asked for, so that `--help` and `--version` answer at once on a small machine.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import click

from ocpp_proxy import __version__, config
from ocpp_proxy.cli.configured import blamed, defaults, options_of, read

# Name → module below ocpp_proxy.cli, and the line shown by --help; in the order in which a newcomer needs them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "See the whole chain at work on simulated peers, in under a minute."),
    "run": ("run", "Relay, record and check the traffic between stations and a CSMS."),
    "check": ("check", "Check captures: everything the rules and schemas have to say."),
    "doctor": ("doctor", "Tell whether and why a handshake with a CSMS would fail, before any OCPP."),
    "capture": ("capture", "Look into captures, search, export and import them."),
    "inject": ("inject", "Send a Call to a station or its CSMS through a running proxy."),
    "fault": ("fault", "Put faults on the live links of a running proxy, list and clear them."),
    "panic": ("panic", "Make a running proxy a pure relay again, at once."),
    "note": ("note", "Write a remark into the capture of a running proxy."),
    "stop": ("stop", "End a running proxy, everything saved."),
    "rules": ("rules", "List, explain, test and lint the rules."),
    "sim": ("sim", "Simulated stations and CSMSs."),
}


class CommandTable(click.Group):
    """Loads each command's module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"ocpp_proxy.cli.{COMMANDS[cmd_name][0]}").command
        _name_variables(command, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            ctx.fail(f"there is no command {name!r}; known: {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Whoever read our output has enough: no error. (click would make it exit code 1, which means findings.)"""
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The interpreter must not complain either, when it flushes at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except click.BadParameter as error:
            raise blamed(error, ctx.obj) or error from None
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


EPILOG = """\b
Example, between a charger that is told ws://this-laptop:9000 and its CSMS:
  ocpp-proxy run --upstream wss://csms.example.com/ocpp
\b
Exit codes: 0 all well; 1 findings at or above --fail-on, a failing rule
test, or a step of the doctor's that is not ok; 2 wrong usage or an unusable file; 3 something could not be recorded;
130 interrupted, after everything received was saved.
\b
Every option may also stand in ocpp-proxy.toml ([run] upstream = "…") or in
the environment (OCPP_PROXY_RUN_UPSTREAM); the command line counts first, then
the environment, then the file. The file also takes [[station]] entries, see
"ocpp-proxy run --help". Shell completion, for bash:
  eval "$(_OCPP_PROXY_COMPLETE=bash_source ocpp-proxy)"
"""


@click.group(
    cls=CommandTable,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="ocpp-proxy")
@click.option(
    "--config", "config_file", envvar="OCPP_PROXY_CONFIG", type=click.Path(path_type=Path), metavar="FILE",
    help=f"Options, a table a command; [[station]] entries.  [default: {config.DEFAULT_NAME} in this folder, if there]",
)
@click.pass_context
def app(ctx: click.Context, config_file: Path | None) -> None:
    """Stand between an EV charging station and its CSMS: relay every OCPP frame unharmed, record it, and say what
    is wrong with it and whose fault that is."""
    file = config_file or Path(config.DEFAULT_NAME)
    if config_file is not None or file.is_file():
        ctx.obj = read(ctx, file)
        ctx.default_map = defaults(ctx, ctx.obj)


def _name_variables(command: click.Command, path: str) -> None:
    """Each option's environment variable, from the option's own name rather than from the parameter's."""
    for name, option in options_of(command).items():
        option.envvar = f"OCPP_PROXY_{path}_{name}".replace(" ", "_").replace("-", "_").upper()
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            _name_variables(inner, f"{path} {name}")
