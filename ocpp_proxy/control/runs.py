"""Where running proxies leave word of themselves, so that the commands find them.

Decides the place: a folder that only this user can enter, one JSON file a run with what its ready file says, and beside
it the run's token. Both go with the run; what a killed one has left is cleared away by whoever looks next. Refuses to
talk to a proxy (`client`).

Source: XDG Base Directory Specification 0.8 (XDG_RUNTIME_DIR, XDG_STATE_HOME).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ocpp_proxy.core.errors import BadInput

TOKEN_BYTES = 32
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_LARGEST = 64 * 1024
_NAME = re.compile(r"([0-9]{1,9})-[0-9a-f]+\.(?:json|token)")


def runtime_folder(environment: Mapping[str, str], home: PurePath | None, platform: str) -> Path:
    """The folder, by the custom of the platform; it need not exist. `home`: None where it is not known. Raises
    BadInput."""
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or (home / "AppData" / "Local" if home is not None else None)
    elif platform == "darwin":
        base = home / "Library" / "Application Support" if home is not None else None
    elif os.path.isabs(named := environment.get("XDG_RUNTIME_DIR", "")):
        return Path(named) / "ocpp-proxy"
    elif os.path.isabs(named := environment.get("XDG_STATE_HOME", "")):
        base = named
    else:
        base = home / ".local" / "state" if home is not None else None
    if base is None:
        raise BadInput("there is no place for the control API's token: set XDG_RUNTIME_DIR or HOME, or use "
                       "--no-control")
    return Path(base) / "ocpp-proxy" / "run"


def own_folder() -> Path:
    """This user's. Raises BadInput."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    return runtime_folder(os.environ, home, sys.platform)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run says of itself. `file`: where; `control` and `token_file` as in the ready file; `started`: RFC 3339,
    None in a ready file of the user's own."""

    file: Path
    listen: str
    control: str | None
    token_file: Path | None
    capture: str
    pid: int
    started: str | None = None

    def token(self) -> str | None:
        """None where the file is gone or closed to this user."""
        try:
            return self.token_file.read_text("ascii").strip() if self.token_file is not None else None
        except (OSError, ValueError):
            return None


class Word:
    """The word that a run leaves: made at its start, removed at its end. Raises BadInput where that is not possible."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        stem = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.token_file = folder / f"{stem}.token"
        self._file = folder / f"{stem}.json"
        try:
            _make_private(folder)
            _write(self.token_file, self.token + "\n")
        except OSError as error:
            raise BadInput(f"cannot keep the control API's token there: {error.strerror}; set XDG_RUNTIME_DIR to a "
                           "folder of your own, or use --no-control", str(folder)) from None

    def publish(self, ready: Mapping[str, Any], started: str) -> None:
        """Let it be found. Raises BadInput."""
        try:
            _write(self._file, json.dumps({**ready, "started": started}) + "\n")
        except OSError as error:
            raise BadInput(f"cannot be written: {error.strerror}", str(self._file)) from None

    def remove(self) -> None:
        """It is over. Never raises."""
        for file in (self._file, self.token_file):
            with contextlib.suppress(OSError):
                file.unlink()


def running(folder: Path) -> list[Run]:
    """Those whose process is there, oldest first; what others have left is cleared away."""
    found = []
    for file in folder.iterdir() if folder.is_dir() else ():
        ours = _NAME.fullmatch(file.name)
        if ours is not None and not is_alive(int(ours[1])):
            clear(file)
        elif ours is not None and file.suffix == ".json" and (run := read_run(file)) is not None:
            found.append(run)
    return sorted(found, key=lambda run: run.started or "")


def clear(file: Path) -> None:
    """Remove what a run has left that is gone. Never raises."""
    for left in (file.with_suffix(".json"), file.with_suffix(".token")):
        with contextlib.suppress(OSError):
            left.unlink()


def read_run(file: Path) -> Run | None:
    """A run's file or a ready file; None where it is neither."""
    try:
        with file.open("rb") as opened:
            said = json.loads(opened.read(_LARGEST))
        token = said["token_file"]
        return Run(file, str(said["listen"]), said["control"], Path(token) if token is not None else None,
                   str(said["capture"]), int(said["pid"]), said.get("started"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def is_alive(pid: int) -> bool:
    """Whether there is such a process; on Windows, where asking would end it, taken for granted."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
    folder.mkdir(exist_ok=True, mode=_PRIVATE_FOLDER)
    if sys.platform == "win32":
        return  # the user's own folder there is closed to others by its access list
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise BadInput("has to be a folder of your own, since the control API's token is kept there", str(folder))
    if about.st_mode & 0o077:
        folder.chmod(_PRIVATE_FOLDER)


def _write(file: Path, text: str) -> None:
    """A new file that nobody else can read, whatever the umask; whole or not at all for those who look for it."""
    temporary = file.with_name(f".{file.name}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with open(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    temporary.replace(file)
