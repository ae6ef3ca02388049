"""What docs/simulators.md says of names and code holds."""

import re
from pathlib import Path

from ocpp_proxy.sim.behaviours import STATION_BEHAVIOURS
from ocpp_proxy.sim.csms_behaviours import CSMS_BEHAVIOURS

PAGE = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text("utf-8")


def test_every_behaviour_is_described():
    described = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, re.MULTILINE)
    assert described == [*STATION_BEHAVIOURS, *CSMS_BEHAVIOURS]


def test_the_example_runs(capsys):
    code, = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/simulators.md", "exec"), {})
    assert "NotImplemented" in capsys.readouterr().out
