"""What the tests of captures share: a recorder that is closed in any case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_records import TOOL, MakeRecorder

from ocpp_proxy.capture import Recorder


@pytest.fixture
def troubles() -> list[str]:
    """What the recorders said of trouble."""
    return []


@pytest.fixture
def make_recorder(tmp_path: Path, troubles: list[str]) -> Iterator[MakeRecorder]:
    """Makes recorders, by default of `tmp_path`/a.db, and closes them at the end."""
    made: list[Recorder] = []

    def make(path: Path = tmp_path / "a.db") -> Recorder:
        made.append(Recorder.create(path, TOOL, on_trouble=troubles.append))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()
