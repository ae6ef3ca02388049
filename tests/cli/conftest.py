"""The certificates that the tests of TLS itself use are good for the commands' too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "wire"))
