"""The documentation names every step, and every option that it explains exists."""

from __future__ import annotations

import re
from pathlib import Path

from ocpp_proxy.cli.doctor import command
from ocpp_proxy.doctor.step import NAMES

TEXT = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")


def test_every_step_has_its_row() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", TEXT, re.MULTILINE) == list(NAMES)


def test_the_options_exist() -> None:
    known = {name for option in command.params for name in option.opts} | {"--help"}
    of_run = {"--upstream", "--tls-auto", "--tls-cert"}
    assert set(re.findall(r"--[a-z-]+[a-z]", TEXT)) <= known | of_run
