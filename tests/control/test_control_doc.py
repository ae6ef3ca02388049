"""docs/control.md says what the API has, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from control_parts import Parts

from ocpp_proxy.control import guard, hub, messages
from ocpp_proxy.control.app import bare
from ocpp_proxy.relay.acts import Why

DOC = (Path(__file__).parent.parent.parent / "docs" / "control.md").read_text("utf-8")


def test_every_path_is_in_the_table_and_no_other(tmp_path: Path) -> None:
    rows = [line for line in DOC.splitlines() if re.match(r"\| `(GET|POST)", line)]
    told = {path for row in rows for path in re.findall(r"/[\w./{}]+", row.split("|")[1])}
    assert told == {*bare(Parts().subject(tmp_path)).openapi()["paths"], "/openapi.json"}


def test_every_cause_of_a_refusal_and_every_kind_of_event_is_named() -> None:
    assert [name for name in (*get_args(Why), *hub.KINDS) if f"`{name}`" not in DOC] == []


def test_its_figures_are_the_codes() -> None:
    assert f"{guard.BODY_MOST // 1024} KiB" in DOC
    assert f"{hub.QUEUE_KEPT:,} events or {hub.TEXT_KEPT // 1024 // 1024} million" in DOC
    assert f"{hub.SUBSCRIBERS_MOST} listen" in DOC
    assert (f"{messages.MESSAGES_KEPT} a station, their first {messages.DATA_KEPT // 1024} KiB each, "
            f"{messages.BYTES_KEPT // 1024 // 1024} MiB in all") in DOC
