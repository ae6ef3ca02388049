"""The wheel holds all it needs: built, installed into a fresh environment, it lists the rules."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from ocpp_proxy.files.rules import read_folder

ROOT = Path(__file__).parent.parent


def test_the_installed_wheel_lists_the_rules(tmp_path: Path) -> None:
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT))
    [wheel] = (tmp_path / "dist").glob("*.whl")
    python = fresh_environment(tmp_path / "environment")
    run("-m", "pip", "install", "--no-index", "--no-deps", "--quiet", str(wheel), python=python)
    where = run("-c", "import ocpp_proxy; print(ocpp_proxy.__file__)", python=python, cwd=tmp_path)
    assert str(tmp_path) in where
    rules = json.loads(run("-m", "ocpp_proxy", "rules", "list", "--format", "json", python=python, cwd=tmp_path))
    ids = {rule["id"] for rule in rules}
    assert {rule.id for rule in read_folder(ROOT / "rules").rules} == ids
    run("-m", "ocpp_proxy", "rules", "test", python=python, cwd=tmp_path)
    assert {"boot-missing-iccid", "trigger-message-not-implemented"} <= ids
    assert {rule["source"] for rule in rules} == {"bundled"}


def fresh_environment(folder: Path) -> str:
    """A virtual environment that sees this one's dependencies but not this checkout."""
    run("-m", "venv", str(folder))
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    packages = run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", python=str(python)).strip()
    # A path in a .pth file does not have its own .pth files read: the editable install of this checkout stays out.
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(python)


def run(*arguments: str, python: str = sys.executable, cwd: Path | None = None) -> str:
    done = subprocess.run([python, *arguments], capture_output=True, text=True, cwd=cwd, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
