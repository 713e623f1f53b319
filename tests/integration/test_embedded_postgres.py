"""The embedded Postgres after a kill: its data stays intact, and the server starts again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.embedded.process import processes_in
from perdure.errors import RefusedCommand


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir)
    server.start()
    yield server
    server.stop()


def kill(postgres: EmbeddedPostgres) -> None:
    running = postgres.running()
    assert running
    server = psutil.Process(running.pid)
    server.kill()
    ended, _ = psutil.wait_procs([server], timeout=240)
    assert ended


async def test_orphaned_backends_end_before_the_server_starts(postgres: EmbeddedPostgres) -> None:
    connection, other = [await asyncpg.connect(postgres.dsn()) for _ in range(2)]
    busy = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
    async with asyncio.timeout(240):
        while not await other.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active')",
            connection.get_server_pid(),
        ):
            await asyncio.sleep(0.01)
    other.terminate()
    kill(postgres)
    orphans = list(processes_in(postgres.cluster, "postgres"))
    assert orphans  # without an orphan the test proves nothing

    await asyncio.to_thread(postgres.start)
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)):
        await busy
    assert not {orphan.pid for orphan in processes_in(postgres.cluster, "postgres")} & {
        orphan.pid for orphan in orphans
    }


async def test_committed_rows_survive_sigkill(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute("CREATE TABLE kept (answer int)")
    await connection.execute("INSERT INTO kept VALUES (42)")
    kill(postgres)
    connection.terminate()
    await asyncio.to_thread(postgres.start)
    connection = await asyncpg.connect(postgres.dsn())
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()


async def test_connection_without_password_is_refused(postgres: EmbeddedPostgres) -> None:
    scheme, _, place = postgres.dsn().rpartition("@")
    assert scheme
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://perdure:guess@{place}")
    assert postgres.cluster.stat().st_mode & 0o077 == 0


def test_interrupted_initialisation_starts_from_scratch(data_dir: Path) -> None:
    unfinished = data_dir / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(data_dir)
    server.start()
    assert server.stop()
    assert not unfinished.exists()


def test_failed_start_names_the_log_in_one_sentence(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    (postgres.cluster / "postgresql.conf").write_text("nonsense\n")
    with pytest.raises(RefusedCommand, match=str(postgres.log)):
        postgres.start()
    assert not list(processes_in(postgres.cluster, "postgres"))
