"""Opens a capture's database for writing, or says why that cannot be.

Decides whether a file is a capture that this version can continue. Refuses to touch one that it cannot.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ocpp_proxy.capture.jsontext import dumps, loads
from ocpp_proxy.capture.schema import APPLICATION_ID, SCHEMA_VERSION
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.record import CaptureHeader


def open_for_writing(path: Path, header: CaptureHeader, patience_s: float) -> sqlite3.Connection:
    """The capture at `path`, made with `header` if it is not there or empty, else continued. Raises BadInput."""
    is_new = not path.exists()
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=patience_s, check_same_thread=False)
        try:
            _prepare(connection, path, header)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        if is_new:
            _remove(path)
        is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        what = "another program is using it" if is_busy else error
        raise BadInput(f"cannot be written: {what}", str(path)) from None
    except BadInput:
        if is_new:
            _remove(path)
        raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of a capture, 0 for an empty database. Raises BadInput for anything else."""
    try:
        application, = connection.execute("PRAGMA application_id").fetchone()
        version, = connection.execute("PRAGMA user_version").fetchone()
        tables, = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        raise BadInput("is no SQLite file; expected a capture of ocpp-proxy (.db); `ocpp-proxy capture import` makes "
                       "one from other formats", str(path)) from None
    if application != APPLICATION_ID and (application or version or tables):
        raise BadInput("is a SQLite file, but no capture of ocpp-proxy", str(path))
    if version > SCHEMA_VERSION:
        raise BadInput(f"has schema version {version}, this ocpp-proxy knows up to {SCHEMA_VERSION}; "
                       "use a newer ocpp-proxy", str(path))
    return int(version)


def read_header(connection: sqlite3.Connection) -> CaptureHeader:
    """The header that the capture was made with."""
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    return CaptureHeader(**{key: loads(meta[key]) for key in ("version", "tool", "time_scale", "extra") if key in meta})


def _prepare(connection: sqlite3.Connection, path: Path, header: CaptureHeader) -> None:
    from ocpp_proxy.capture.migrations import migrate  # sqlite-utils takes a tenth of a second to load

    version = check_version(connection, path)
    mode, = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise BadInput("lies on a file system without shared memory, which recording needs; name a file on a local "
                       "disk", str(path))
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    migrate(connection)
    if not version:
        _write_meta(connection, {"version": header.version, "tool": header.tool, "time_scale": header.time_scale,
                                 "extra": header.extra})
    # Proves that writing works, before anything is relayed.
    _write_meta(connection, {"last_writer": {"tool": header.tool, "pid": os.getpid()}})


def _write_meta(connection: sqlite3.Connection, values: dict[str, object]) -> None:
    connection.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                           [(key, dumps(value)) for key, value in values.items()])


def _remove(path: Path) -> None:
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
