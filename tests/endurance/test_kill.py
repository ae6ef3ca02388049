"""`kill -9` under load: what was forwarded is in the capture. `python -m bench kill --times 100` does more of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.kill import kill

TIMES, STATIONS = 10, 8


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_no_forwarded_frame_is_missing_after_kill_9(tmp_path: Path) -> None:
    seed = time.time_ns()  # other moments each time; it is printed with a failure
    kills = list(kill(TIMES, STATIONS, seed, tmp_path))
    assert len(kills) == TIMES
    assert [one.examples for one in kills if one.lost] == [], f"seed {seed}"
    assert all(one.recorded >= one.got for one in kills), kills
    assert sum(one.got for one in kills) > TIMES * 200, "that was no load"
