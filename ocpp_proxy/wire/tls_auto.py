"""TLS to the station without certificates of the user's own: `--tls-auto`.

Decides where the authority and the certificates under it are kept, when they are made anew, and that two proxies
that start at the same time end up with the same authority. Refuses to know what stands in them (`authority`) and how
they are spoken with (`tls`).

The authority is made once: it has to be installed on every station by hand. Whoever holds its key can impersonate any
host to those stations, so it stays in a folder that only the user can read.

Source: XDG Base Directory Specification 0.8 (XDG_DATA_HOME).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ocpp_proxy.clock import now
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.wire import authority
from ocpp_proxy.wire.certificate import Certificate, read_certificate
from ocpp_proxy.wire.own_names import names_for_certificate
from ocpp_proxy.wire.pem import Warn, add_certificate
from ocpp_proxy.wire.tls import station_context

_CA, _CA_KEY = "ca.pem", "ca-key.pem"
_RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AutoTls:
    """`ca` is the file to install on the stations; `names` those the certificates are for, the first as CN too."""

    context: ssl.SSLContext
    ca: Path
    names: tuple[str, ...]


def auto_context(
    advertise: Iterable[str] = (),
    client_ca: str | Path | None = None,
    minimum: str = "1.2",
    *,
    warn: Warn = lambda _: None,
    folder: Path | None = None,
) -> AutoTls:
    """For listening, with an ECDSA and an RSA certificate at once, so that stations which know only one of them
    connect too. `folder` is where the authority is kept, by default in the user's data folder. Raises BadInput."""
    names = names_for_certificate(advertise)
    folder = folder or data_folder() / "tls"
    with _named(folder):
        _ensure_authority(folder)
        _keep_private(folder, warn)
        first, *others = [_certificate_file(folder, kind, names) for kind in ("ecdsa", "rsa")]
    context = station_context(first, client_ca=client_ca, minimum=minimum, warn=warn)
    for other in others:
        add_certificate(context, other, None, warn)
    return AutoTls(context, folder / _CA, names)


def data_folder() -> Path:
    """Where this user's programs keep what they have to keep, by the custom of the platform."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ocpp-proxy"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "ocpp-proxy"
        named = os.environ.get("XDG_DATA_HOME", "")
        base = Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise BadInput("--tls-auto needs a place to keep its authority: set HOME or XDG_DATA_HOME") from error
    return base / "ocpp-proxy"


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Turns what goes wrong with the files into a message that names the place."""
    try:
        yield
    except OSError as error:
        what = f"{error.strerror}: {error.filename2 or error.filename}"
        raise BadInput(f"--tls-auto cannot keep its authority there: {what}", str(folder)) from error
    except ValueError as error:
        raise BadInput(f"the authority of --tls-auto cannot be used: {error}; remove this folder to make a new one, "
                       "which then has to be installed on the stations anew", str(folder)) from error


def _ensure_authority(folder: Path) -> None:
    """Certificate and key appear together, by the renaming of a finished folder: of two that do it at the same
    time one succeeds, and the other takes what is there."""
    if (folder / _CA).exists():
        _check_authority(folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(prefix=".tls-", dir=folder.parent))  # 0700
    try:
        moment = _moment()
        ca, key = authority.make_authority(f"ocpp-proxy CA {moment:%Y-%m-%d} {socket.gethostname()}", moment)
        _write_private(made / _CA_KEY, key)
        (made / _CA).write_bytes(ca)
        made.rename(folder)
    except OSError:
        if not (folder / _CA).exists():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check_authority(folder: Path) -> None:
    certificate = _in_file(folder / _CA)
    if certificate is None:
        raise ValueError(f"{_CA} holds no certificate")
    if not (folder / _CA_KEY).exists():
        raise ValueError(f"its key {_CA_KEY} is missing")
    if datetime.fromisoformat(certificate.not_after) < _moment():
        raise ValueError(f"it expired on {certificate.not_after}")


def _certificate_file(folder: Path, kind: str, names: tuple[str, ...]) -> Path:
    """The file with key and certificate of this kind for exactly these names, made or renewed where needed. Its name
    comes from what it is for, so that proxies with different names do not take each other's away."""
    ca = (folder / _CA).read_bytes()
    purpose = hashlib.sha256(ca + "\n".join(names).encode()).hexdigest()[:16]
    file = folder / f"{kind}-{purpose}.pem"
    if not _serves(file):
        for old in folder.glob(f"{kind}-*.pem"):
            if not _serves(old):
                old.unlink(missing_ok=True)
        pem = authority.make_certificate(kind, names, ca, (folder / _CA_KEY).read_bytes(), _moment())
        _write_private(file, pem)
    return file


def _serves(file: Path) -> bool:
    """Whether the certificate is there and goes on being valid for a while."""
    certificate = _in_file(file)
    if certificate is None:
        return False
    return datetime.fromisoformat(certificate.not_after) - _moment() > _RENEW_BEFORE


def _in_file(file: Path) -> Certificate | None:
    if not file.exists():
        return None
    _, found, after = file.read_text("latin-1").partition("-----BEGIN CERTIFICATE-----")
    try:
        return read_certificate(ssl.PEM_cert_to_DER_cert(found + after))
    except ValueError:
        return None


def _write_private(file: Path, content: bytes) -> None:
    """Written in full or not at all, and never readable by others, not even while it is written. What is there already
    stays: another process may be reading key and certificate out of it one after the other."""
    handle, name = tempfile.mkstemp(dir=file.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(content)
        try:
            os.link(name, file)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(name, file)
    finally:
        Path(name).unlink(missing_ok=True)


def _keep_private(folder: Path, warn: Warn) -> None:
    if sys.platform == "win32":
        return  # the user's own folder there is closed to others by its access list
    for path, mode in ((folder, 0o700), (folder / _CA_KEY, 0o600)):
        if path.stat().st_mode & 0o077:
            path.chmod(mode)
            warn(f"{path}: others could read it, and with the key impersonate any host to the stations; closed now")


def _moment() -> datetime:
    return datetime.fromtimestamp(now().utc_us / 1e6, UTC)
