"""How commands print for people: colours on a terminal only, peers' text never read as markup."""

from __future__ import annotations

from contextlib import suppress

import click
from rich.console import Console


class Stdout(Console):
    """rich's console on stdout. A reader that has enough ends the command quietly (see `app`), where rich itself
    would make it exit code 1."""

    def __init__(self, *, soft_wrap: bool = False) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def notice(text: str) -> None:
    """A sentence for the engineer, at once and on stderr."""
    progress(f"ocpp-proxy: {text}")


def progress(text: str) -> None:
    """A line on stderr. A terminal that is gone stops nothing: a relay outlives it."""
    with suppress(OSError):
        click.echo(text, err=True)
