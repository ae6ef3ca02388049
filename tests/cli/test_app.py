"""The command line's root: help, version, configuration precedence, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ocpp_proxy import __version__
from ocpp_proxy.cli.app import COMMANDS, app


def ocpp_proxy(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ocpp_proxy", *arguments], capture_output=True, text=True, cwd=cwd,
                          timeout=60, env={**os.environ, "COLUMNS": "200", **environment}, check=False)


def test_version() -> None:
    done = ocpp_proxy("--version")
    assert (done.returncode, done.stdout) == (0, f"ocpp-proxy, version {__version__}\n")


def paths(group: click.Group, above: str = "") -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield f"{above}{name}"
        if isinstance(command, click.Group):
            yield from paths(command, f"{above}{name} ")


@pytest.mark.parametrize("path", [*paths(app)])
def test_every_command_has_help_with_an_example(path: str) -> None:
    done = ocpp_proxy(*path.split(), "--help")
    assert done.returncode == 0, done.stderr
    head, example, tail = done.stdout.partition("Example")
    assert example, head
    assert f"ocpp-proxy {path}" in tail


def test_the_help_lists_every_command() -> None:
    done = ocpp_proxy("--help")
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []


def test_an_unknown_command_names_the_known_ones() -> None:
    done = ocpp_proxy("frobnicate")
    assert done.returncode == 2
    assert "known: demo, run, check" in done.stderr
    assert done.stdout == ""


def test_a_bad_configuration_file_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "ocpp-proxy.toml").write_text("[run]\nupstraem = 'ws://c'\n")
    done = ocpp_proxy("run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("ocpp-proxy: ocpp-proxy.toml:2: [run] has no option upstraem; known: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("arguments", "environment", "blamed"), [
    ((), {}, "ftp://file"),
    ((), {"OCPP_PROXY_RUN_UPSTREAM": "ftp://environment"}, "ftp://environment"),
    (("--upstream", "ftp://line"), {"OCPP_PROXY_RUN_UPSTREAM": "ftp://environment"}, "ftp://line"),
])
def test_command_line_over_environment_over_file(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], blamed: str
) -> None:
    (tmp_path / "ocpp-proxy.toml").write_text("[run]\nupstream = 'ftp://file'\n")
    done = ocpp_proxy("run", *arguments, cwd=tmp_path, **environment)
    assert done.returncode == 2
    assert blamed in done.stderr
    assert "wss://" in done.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-m", "ocpp_proxy", "rules", "list", "--format", "json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == ""
        assert listing.wait(60) == 0


@pytest.mark.parametrize("path", [path for path in paths(app) if path != "demo"])
def test_every_option_has_its_own_name_in_the_file_and_in_the_environment(path: str) -> None:
    command: click.Command = app
    for name in path.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    for option in command.params:
        if isinstance(option, click.Option):
            name = max(option.opts, key=len).removeprefix("--")
            assert option.envvar == f"OCPP_PROXY_{path}_{name}".replace(" ", "_").replace("-", "_").upper()


@pytest.mark.parametrize("how", ["file", "environment"])
def test_an_option_whose_parameter_has_another_name(tmp_path: Path, how: str) -> None:
    (tmp_path / "x.jsonl").write_text('{"sender":"station","data":"[2,\\"1\\",\\"Heartbeat\\",{}]"}\n')
    if how == "file":
        (tmp_path / "ocpp-proxy.toml").write_text('[check]\nformat = "json"\nprofile = ["none"]\n')
        done = ocpp_proxy("check", "x.jsonl", cwd=tmp_path)
    else:
        done = ocpp_proxy("check", "x.jsonl", cwd=tmp_path, OCPP_PROXY_CHECK_FORMAT="json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('{"version":1,')
