"""The commands that talk to a running proxy share their API with the tests of the API."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "control"))
