"""Captures of every version that was ever released are read and continued."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from capture_records import after, closed, frame, opened, record_into
from sqlite_utils import Database

from ocpp_proxy.capture import dbreader, migrations, open_capture, opening
from ocpp_proxy.capture.schema import APPLICATION_ID, SCHEMA_VERSION
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Closed, FrameRecord, Gap, Opened

# As version 1 was released. This text never changes.
VERSION_1 = """
CREATE TABLE "_sqlite_migrations" ("id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT, "applied_at" TEXT);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name" ON "_sqlite_migrations" ("migration_set", "name");
INSERT INTO "_sqlite_migrations" VALUES (1, 'ocpp-proxy capture', 'v1', '2026-11-21 12:00:00.000000+00:00');
CREATE TABLE "meta" ("key" TEXT PRIMARY KEY, "value" TEXT);
CREATE TABLE "connection" ("id" INTEGER PRIMARY KEY, "name" TEXT);
CREATE UNIQUE INDEX "idx_connection_name" ON "connection" ("name");
CREATE TABLE "opened" ("n" INTEGER PRIMARY KEY, "connection" INTEGER, "at_us" INTEGER, "mono_ns" INTEGER,
  "station" TEXT, "station_address" TEXT, "target" TEXT, "offered" TEXT, "subprotocol" TEXT, "extensions" TEXT,
  "status" INTEGER, "refused_by" TEXT, "dial_ms" REAL, "station_headers" TEXT, "csms_headers" TEXT, "tls" TEXT,
  "extra" TEXT);
CREATE TABLE "frame" ("n" INTEGER PRIMARY KEY, "connection" INTEGER, "seq" INTEGER, "at_us" INTEGER,
  "mono_ns" INTEGER, "sender" TEXT, "receiver" TEXT, "opcode" TEXT, "origin" TEXT DEFAULT 'relayed',
  "incomplete" INTEGER DEFAULT 0, "held_ms" REAL, "fragments" TEXT, "masked" TEXT, "extra" TEXT, "original" TEXT,
  "data" TEXT);
CREATE TABLE "part" ("n" INTEGER PRIMARY KEY, "frame" INTEGER, "data" BLOB);
CREATE TABLE "gap" ("n" INTEGER PRIMARY KEY, "connection" INTEGER, "at_us" INTEGER, "mono_ns" INTEGER,
  "first_seq" INTEGER, "lost" INTEGER, "reason" TEXT, "extra" TEXT);
CREATE TABLE "closed" ("n" INTEGER PRIMARY KEY, "connection" INTEGER, "at_us" INTEGER, "mono_ns" INTEGER,
  "by" TEXT, "code" INTEGER, "reason" TEXT, "echo" TEXT, "extra" TEXT);
CREATE TABLE "entry" ("n" INTEGER PRIMARY KEY, "connection" INTEGER, "at_us" INTEGER, "mono_ns" INTEGER,
  "type" TEXT, "fields" TEXT);
PRAGMA application_id = 1329811536;
PRAGMA user_version = 1;
INSERT INTO "meta" VALUES ('version', '1'), ('tool', '"ocpp-proxy 0.1.0"'), ('time_scale', '1.0'), ('extra', '{}');
INSERT INTO "connection" VALUES (1, 'c1');
INSERT INTO "opened" VALUES (1, 1, 1000000, 5, 'CP1', '192.0.2.7:40112', '/CP1', '["ocpp1.6"]', 'ocpp1.6', NULL, 101,
  NULL, 41.2, '[["Host","x"]]', '[]', '{"station":null,"csms":null}', NULL);
INSERT INTO "frame" ("n", "connection", "seq", "at_us", "sender", "receiver", "opcode", "data")
  VALUES (2, 1, 1, 2000000, 'station', 'csms', 'text', '[2,"1","Heartbeat",{}]');
INSERT INTO "gap" VALUES (3, 1, 3000000, NULL, 2, 4, 'disk full', NULL);
INSERT INTO "closed" VALUES (4, 1, 4000000, NULL, 'csms', 1001, 'bye', '[1001,""]', NULL);
"""
RECORDS_1 = [
    Opened(connection="c1", at=Instant(1_000_000, 5), station="CP1", station_address="192.0.2.7:40112", target="/CP1",
           offered=("ocpp1.6",), subprotocol="ocpp1.6", dial_ms=41.2, station_headers=(("Host", "x"),),
           tls={"station": None, "csms": None}),
    FrameRecord(connection="c1", seq=1, at=Instant(2_000_000), sender="station", to="csms", opcode="text",
                data=b'[2,"1","Heartbeat",{}]'),
    Gap(connection="c1", at=Instant(3_000_000), first_seq=2, lost=4, reason="disk full"),
    Closed(connection="c1", at=Instant(4_000_000), by="csms", code=1001, reason="bye", echo=(1001, "")),
]


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    path = tmp_path / "one.db"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    return path


def schema_of(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = {"".join(sql.split()) for sql, in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL")}
    found |= {str(connection.execute(f"PRAGMA {name}").fetchone()) for name in ("application_id", "user_version")}
    connection.close()
    return found


def test_version_1_is_read(version_1: Path) -> None:
    with open_capture(version_1) as capture:
        assert capture.header == CaptureHeader(tool="ocpp-proxy 0.1.0")
        assert list(capture.records()) == RECORDS_1


def test_version_1_is_continued(version_1: Path) -> None:
    record_into(version_1, [opened("c2"), frame(1, connection="c2")])
    with open_capture(version_1) as capture:
        assert list(capture.records()) == [*RECORDS_1, opened("c2"), frame(1, connection="c2")]


def test_version_1_is_made_as_it_was_released(version_1: Path, tmp_path: Path) -> None:
    if SCHEMA_VERSION == 1:
        assert schema_of(record_into(tmp_path / "new.db", [opened()])) == schema_of(version_1)
    assert int.from_bytes(b"OCPP", "big") == APPLICATION_ID


def test_there_are_as_many_migrations_as_versions() -> None:
    assert len(migrations.MIGRATIONS.pending(Database(memory=True))) == SCHEMA_VERSION


class TestALaterVersion:
    """What happens to the files of today once there is a version more."""

    @pytest.fixture(autouse=True)
    def _next_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        later = SCHEMA_VERSION + 1
        monkeypatch.setattr(opening, "SCHEMA_VERSION", later)
        monkeypatch.setattr(dbreader, "SCHEMA_VERSION", later)
        monkeypatch.setattr(migrations.MIGRATIONS, "_migrations", list(migrations.MIGRATIONS._migrations))

        @migrations.MIGRATIONS()
        def later_version(database: Database) -> None:
            database.conn.execute("UPDATE frame SET data = data || ' (migrated)'")
            database.conn.execute(f"PRAGMA user_version = {later}")

    def test_they_are_read_without_being_changed(self, version_1: Path) -> None:
        before = version_1.read_bytes()
        with open_capture(version_1) as capture:
            assert [record.data for record in capture.records() if isinstance(record, FrameRecord)] == [
                b'[2,"1","Heartbeat",{}] (migrated)']
            assert capture.path == version_1
        assert version_1.read_bytes() == before

    def test_they_are_migrated_when_they_are_continued(self, version_1: Path) -> None:
        record_into(version_1, [frame(7)])
        record_into(version_1, [closed(at=after(200))])
        with open_capture(version_1) as capture:
            assert [record.data for record in capture.records() if isinstance(record, FrameRecord)] == [
                b'[2,"1","Heartbeat",{}] (migrated)', frame(7).data]
        assert f"({SCHEMA_VERSION + 1},)" in schema_of(version_1)

    def test_a_migration_that_fails_leaves_the_file_as_it_was(
        self, version_1: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @migrations.MIGRATIONS()
        def broken(database: Database) -> None:
            database.conn.execute("DROP TABLE frame")
            database.conn.execute("SELECT nonsense FROM nowhere")

        with pytest.raises(Exception, match="cannot be written: no such table"):
            record_into(version_1, [frame(7)])
        monkeypatch.undo()
        connection = sqlite3.connect(version_1)
        assert connection.execute("SELECT count(*) FROM frame").fetchone() == (1,)
        connection.close()
