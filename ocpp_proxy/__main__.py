"""The command `ocpp-proxy`, also as `python -m ocpp_proxy`: exit codes and last words."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ocpp_proxy.cli.app import app
from ocpp_proxy.core.errors import BadInput

USAGE, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is as INTERFACE of the commands says (`ocpp-proxy --help`)."""
    try:
        code = app.main(arguments, prog_name="ocpp-proxy", standalone_mode=False)
    except BadInput as error:
        click.echo(f"ocpp-proxy: {error}", err=True)
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code if isinstance(error, click.UsageError) else USAGE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
