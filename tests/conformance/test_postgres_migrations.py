"""Migrations are applied once and in order, and a changed file is refused."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from orchestration.embedded.postgres import EmbeddedPostgres
from perdure.errors import DependencyUnavailable, InvalidConfiguration
from perdure.stores.postgres.migrations import apply_migrations, load_migrations
from perdure.stores.postgres.schema import SCHEMA_FILE, dump, dump_schema

ALL = [migration.name for migration in load_migrations()]


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    name = f"empty_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name)
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


def write(folder: Path, **files: str) -> None:
    for name, sql in files.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(sql)


async def test_migrations_are_applied_once(empty_database_url: str) -> None:
    assert await apply_migrations(empty_database_url) == ALL
    assert await apply_migrations(empty_database_url) == []


def test_concurrent_processes_apply_each_migration_once(empty_database_url: str) -> None:
    command = [sys.executable, "-m", "perdure.stores.postgres.migrations", empty_database_url]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=SCHEMA_FILE.parents[1]) for _ in range(4)
    ]
    lines = [process.communicate(timeout=240)[1].splitlines() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sorted(line for of_process in lines for line in of_process) == [f"applied {name}" for name in ALL]


async def test_migrations_are_applied_over_a_given_connection(empty_database_url: str) -> None:
    conn = await asyncpg.connect(empty_database_url)
    try:
        assert await apply_migrations(conn) == ALL
        assert await conn.fetchval("SELECT count(*) FROM schema_migrations") == len(ALL)
        assert (
            await conn.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            == 0
        )
    finally:
        await conn.close()


async def test_edited_migration_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_a="CREATE TABLE a ();")
    await apply_migrations(empty_database_url, tmp_path)
    write(tmp_path, m0001_a="CREATE TABLE a (b int);")
    with pytest.raises(InvalidConfiguration, match=r"0001_a\.sql was changed"):
        await apply_migrations(empty_database_url, tmp_path)


async def test_database_of_a_newer_version_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_a="CREATE TABLE a ();", m0002_b="CREATE TABLE b ();")
    await apply_migrations(empty_database_url, tmp_path)
    (tmp_path / "0002_b.sql").unlink()
    with pytest.raises(InvalidConfiguration, match=r"0002_b\.sql, which this version"):
        await apply_migrations(empty_database_url, tmp_path)


async def test_migration_with_an_earlier_number_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    write(tmp_path, m0002_b="CREATE TABLE b ();")
    await apply_migrations(empty_database_url, tmp_path)
    write(tmp_path, m0001_a="CREATE TABLE a ();")
    with pytest.raises(InvalidConfiguration, match="later number"):
        await apply_migrations(empty_database_url, tmp_path)


async def test_failed_migration_keeps_those_before_it(empty_database_url: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_a="CREATE TABLE a ();", m0002_b="CREATE TABLE b (); SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await apply_migrations(empty_database_url, tmp_path)
    write(tmp_path, m0002_b="CREATE TABLE b ();")
    assert await apply_migrations(empty_database_url, tmp_path) == ["0002_b.sql"]


async def test_migration_that_is_not_recorded_is_not_applied(empty_database_url: str, tmp_path: Path) -> None:
    """The migration takes its own name in the record, so the record of its application fails."""
    record = "INSERT INTO schema_migrations (name, checksum) VALUES ('0001_a.sql', 'x')"
    write(tmp_path, m0001_a=f"CREATE TABLE a (); {record};")
    with pytest.raises(asyncpg.UniqueViolationError):
        await apply_migrations(empty_database_url, tmp_path)
    write(tmp_path, m0001_a="CREATE TABLE a ();")
    assert await apply_migrations(empty_database_url, tmp_path) == ["0001_a.sql"]


async def test_migrations_ignore_the_search_path_of_the_login(empty_database_url: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_a="CREATE TABLE a ();")
    conn = await asyncpg.connect(empty_database_url, server_settings={"search_path": "other, public"})
    try:
        await conn.execute("CREATE SCHEMA other")
        await apply_migrations(conn, tmp_path)
        tables = await conn.fetch("SELECT schemaname FROM pg_tables WHERE tablename IN ('a', 'schema_migrations')")
        assert [row["schemaname"] for row in tables] == ["public", "public"]
        assert await conn.fetchval("SHOW search_path") == "other, public"
    finally:
        await conn.close()


def test_only_numbered_files_are_migrations(tmp_path: Path) -> None:
    write(tmp_path, m0001_a="", schema="", m1_b="", m0002_b_md="")
    assert [migration.name for migration in load_migrations(tmp_path)] == ["0001_a.sql", "0002_b_md.sql"]
    write(tmp_path, m0002_c="")
    with pytest.raises(InvalidConfiguration, match="same number"):
        load_migrations(tmp_path)


async def test_unreachable_server_is_an_unavailable_dependency() -> None:
    with pytest.raises(DependencyUnavailable, match="Postgres is unavailable"):
        await apply_migrations("postgresql://user:secret@127.0.0.1:1/name")


async def test_schema_file_makes_the_same_database(empty_database_url: str, database_url: str) -> None:
    conn = await asyncpg.connect(empty_database_url)
    await conn.execute(SCHEMA_FILE.read_text("utf-8"))
    await conn.close()
    loaded = await asyncio.to_thread(dump, empty_database_url)
    migrated = await asyncio.to_thread(dump, database_url)
    assert "workflow_checkpoints" in loaded
    assert loaded == migrated
    assert await apply_migrations(empty_database_url) == []


async def test_schema_file_is_up_to_date(database_url: str) -> None:
    written = SCHEMA_FILE.read_text("utf-8")
    assert await dump_schema(database_url) == written, "run: python -m perdure.stores.postgres.schema DSN"


async def test_restored_older_dump_is_refused_in_one_sentence(database_url: str) -> None:
    """The restore of an older dump leaves tables newer than the recorded migrations."""
    conn = await asyncpg.connect(database_url)
    try:
        await conn.execute("DELETE FROM schema_migrations WHERE name = (SELECT max(name) FROM schema_migrations)")
        await conn.execute("DELETE FROM schema_migrations WHERE name = (SELECT max(name) FROM schema_migrations)")
        with pytest.raises(InvalidConfiguration, match=r"does not fit what the database holds .*docs/backups\.md"):
            await apply_migrations(database_url)
    finally:
        await conn.close()


async def test_identities_of_earlier_runs_get_their_name_as_member(empty_database_url: str, tmp_path: Path) -> None:
    for migration in load_migrations():
        if migration.name < "0008":
            (tmp_path / migration.name).write_text(migration.sql)
    await apply_migrations(empty_database_url, tmp_path)
    conn = await asyncpg.connect(empty_database_url)
    try:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 1)")
        await conn.execute(
            """INSERT INTO identities (workflow_id, identity_id, kind, normalised, name, mention_count, document_count)
               VALUES ('run', 'idn_a', 'person', 'ada', 'Ada', 3, 2)"""
        )
        await apply_migrations(conn)
        member = await conn.fetchrow("SELECT kind, normalised, identity_id, rule, score FROM identity_members")
        assert tuple(member or ()) == ("person", "ada", "idn_a", "same_name", 1)
    finally:
        await conn.close()
