"""The commands share the certificates of the tests of TLS, and the control API of its own tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent.parent / folder) for folder in ("wire", "control")]
