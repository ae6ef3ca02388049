"""The tables of a capture and how older ones become today's.

Decides the database's shape, one function a version; a released function is never changed, since files made by it
exist. Refuses to know how records become rows (`rows`). There is no trigger, view or index on what a frame says:
nothing may slow the writing of a frame. `n` numbers the records of all tables in the order of the capture's lines.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from ocpp_proxy.capture.schema import APPLICATION_ID

MIGRATIONS = Migrations("ocpp-proxy capture")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database of `connection` to SCHEMA_VERSION, an empty one too. Raises sqlite3.Error."""
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    MIGRATIONS.apply(database)


@MIGRATIONS()
def v1(database: Database) -> None:
    """Connections, the records of each type, and `meta` for the capture's header."""
    at = {"at_us": int, "mono_ns": int}
    place = {"n": int, "connection": int}
    tables: dict[str, dict[str, type]] = {
        "meta": {"key": str, "value": str},
        "connection": {"id": int, "name": str},
        "opened": place | at | {
            "station": str, "station_address": str, "target": str, "offered": str, "subprotocol": str,
            "extensions": str, "status": int, "refused_by": str, "dial_ms": float, "station_headers": str,
            "csms_headers": str, "tls": str, "extra": str,
        },
        # The payload comes last: SQLite then finds the other columns without reading through it.
        "frame": place | {"seq": int} | at | {
            "sender": str, "receiver": str, "opcode": str, "origin": str, "incomplete": int, "held_ms": float,
            "fragments": str, "masked": str, "extra": str, "original": str, "data": str,
        },
        "part": {"n": int, "frame": int, "data": bytes},
        "gap": place | at | {"first_seq": int, "lost": int, "reason": str, "extra": str},
        "closed": place | at | {"by": str, "code": int, "reason": str, "echo": str, "extra": str},
        "entry": place | at | {"type": str, "fields": str},
    }
    keys = {"meta": "key", "connection": "id"}
    defaults = {"frame": {"origin": "relayed", "incomplete": 0}}
    for name, columns in tables.items():
        database.table(name).create(columns, pk=keys.get(name, "n"), defaults=defaults.get(name))
    database.table("connection").create_index(["name"], unique=True)
    database.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.conn.execute("PRAGMA user_version = 1")
