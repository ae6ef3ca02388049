"""Where the peers on node come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """Path of node, with the packages of package.json beside it."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    if not (HERE / "node_modules" / "ocpp-rpc").exists():
        pytest.skip("run `npm install --no-package-lock` in tests/interop first")
    return found
