"""What the configuration file says to the command line: options under the names that people know, values for click.

Decides how the file's tables become defaults of the commands, how they do so again while a command runs, and that a
value which will not do is told with its place in the file. Refuses to know any option by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ocpp_proxy import config
from ocpp_proxy.config import Configuration
from ocpp_proxy.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody said something: on the command line or in the environment, or else in this line of this file."""

    file: str | None = None
    line: int | None = None


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The command's options by the names that people know them by: without dashes before them."""
    return {max(option.opts, key=len).lstrip("-"): option
            for option in command.params if isinstance(option, click.Option)}


def read(root: click.Context, file: Path) -> Configuration:
    """The file, with what it says checked against all commands below `root`. Raises BadInput."""
    assert isinstance(root.command, click.Group)
    return config.load(file, _names(root.command, root))


def defaults(root: click.Context, configuration: Configuration) -> dict[str, Any]:
    """What click is to take where neither command line nor environment say anything."""
    assert isinstance(root.command, click.Group)
    return _by_parameter(root.command, root, configuration.options)


def again(ctx: click.Context, configuration: Configuration) -> dict[str, Any]:
    """The values of a running command's options, with another file in place of the one it was started with. Raises
    BadInput."""
    said: Any = defaults(ctx.find_root(), configuration)
    for name in _words(ctx):
        said = said.get(name, {})
    on_command_line = {name: value for name, value in ctx.params.items()
                       if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    try:
        fresh = ctx.command.make_context(ctx.info_name, [], parent=ctx.parent, default_map={**said, **on_command_line})
    except click.BadParameter as error:
        raise blamed(error, configuration) or _elsewhere(error, configuration, _words(ctx)) from None
    return {**fresh.params, **on_command_line}  # the environment would come before the file


def place(ctx: click.Context, option: str, configuration: Configuration | None) -> Place:
    """Where the value of an option comes from, given the file that counts now."""
    parameter = options_of(ctx.command)[option].name
    assert parameter is not None
    given = ctx.get_parameter_source(parameter) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    if given or configuration is None:
        return Place()
    return Place(configuration.file, configuration.line(*_words(ctx), option))


def blamed(error: click.BadParameter, configuration: Configuration | None) -> BadInput | None:
    """The same in the words for a mistake in the file; None where the value does not come from there."""
    ctx, parameter = error.ctx, error.param
    if configuration is None or ctx is None or parameter is None or parameter.name is None:
        return None
    if ctx.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT_MAP:
        return None
    name = next(name for name, option in options_of(ctx.command).items() if option.name == parameter.name)
    words = _words(ctx)
    return BadInput(f"[{'.'.join(words)}] {name}: {error.message.rstrip('.')}", configuration.file,
                    configuration.line(*words, name))


def _elsewhere(error: click.BadParameter, configuration: Configuration, words: list[str]) -> BadInput:
    """An option that the file does not say, and has to."""
    option = max(error.param.opts, key=len).lstrip("-") if error.param is not None else ""
    what = "is missing" if isinstance(error, click.MissingParameter) else error.message
    return BadInput(f"[{'.'.join(words)}] {option} {what}", configuration.file, configuration.line(*words, option))


def _words(ctx: click.Context) -> list[str]:
    """The names of the command and the groups that it is in, as tables of the file have them."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, ctx.info_name or "")
        ctx = ctx.parent
    return words


def _names(group: click.Group, ctx: click.Context) -> dict[str, Any]:
    """For each command the names of its options, for the configuration file."""
    return {name: _names(command, ctx) if isinstance(command, click.Group) else frozenset(options_of(command))
            for name, command in _commands(group, ctx)}


def _by_parameter(group: click.Group, ctx: click.Context, tables: Mapping[str, Any]) -> dict[str, Any]:
    """What `config.load` returned as click wants it: by parameter in place of option."""
    return {
        name: _by_parameter(command, ctx, tables[name]) if isinstance(command, click.Group)
        else {(option := options_of(command)[key]).name: _listed(option, value) for key, value in tables[name].items()}
        for name, command in _commands(group, ctx) if name in tables
    }


def _listed(option: click.Option, value: Any) -> Any:
    """A repeatable option may have its one value without brackets around it: click would take it letter by letter."""
    return [value] if option.multiple and not isinstance(value, list) else value


def _commands(group: click.Group, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        if (command := group.get_command(ctx, name)) is not None:
            yield name, command
