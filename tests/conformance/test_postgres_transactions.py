"""The time limits of transactions of stopped processes, and the snapshots of readers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from perdure.errors import DependencyUnavailable
from perdure.manifest import Lease
from perdure.services.analytics.export.tables import CHUNKS
from perdure.stores.postgres import connection as postgres_connection
from perdure.stores.postgres import identities as postgres_identities
from perdure.stores.postgres.audit import open_snapshot
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.exports import PostgresExportStore
from perdure.stores.postgres.identities import keep_alive, lock_whole_run
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.queued_run import RUN, queue
from tests.integration.made_documents import processed

LOCK = "UPDATE runs SET updated_at = now() WHERE workflow_id = 'run'"


@pytest.fixture
async def run(pool: PostgresPool) -> int:
    """Return the epoch of a run with two documents, one of them finished."""
    store = PostgresManifestStore(pool)
    epoch = await queue(store, "a.txt", "b.txt")
    await store.lease_batch(RUN, Lease(epoch, 1, 1), 0, 2)
    await store.commit(RUN, Lease(epoch, 1, 1), 0, processed(), attempts=1)
    return epoch


@pytest.mark.usefixtures("run")
async def test_idle_transaction_of_a_stopped_process_gives_its_locks_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection, "STOPPED_SECONDS", 1.0)
    stopped = PostgresPool(database_url)
    successor = PostgresPool(database_url, command_timeout_seconds=20)

    given_back: list[str] = []

    async def hold_and_wait() -> None:
        async with stopped.transaction() as conn:
            await conn.execute(LOCK)
            async with successor.connection() as other:
                given_back.append(await other.execute(LOCK))
            await conn.execute("SELECT 1")

    with pytest.raises(DependencyUnavailable):
        await hold_and_wait()
    assert given_back == ["UPDATE 1"]
    await stopped.close()
    await successor.close()


@pytest.mark.usefixtures("run")
async def test_long_statement_of_a_killed_process_gives_its_locks_back(database_url: str, run: int) -> None:
    killed = PostgresPool(database_url)
    successor = PostgresPool(database_url, command_timeout_seconds=20)
    async with killed.connection() as conn:
        await conn.execute("BEGIN")
        await lock_whole_run(conn, RUN, run)
        sleeping = asyncio.create_task(conn.execute("SELECT pg_sleep(600)"))
        async with successor.connection() as other:
            while not await other.fetchval("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"):
                await asyncio.sleep(0.01)
            conn.terminate()
            await other.execute(LOCK)
        await asyncio.gather(sleeping, return_exceptions=True)
    await killed.close()
    await successor.close()


async def test_transaction_that_waits_for_a_child_process_is_not_idle(
    pool: PostgresPool, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server sees statements of the transaction while its process waits for another process."""
    monkeypatch.setattr(postgres_identities, "_KEEP_ALIVE_SECONDS", 0.05)

    async def wait_for_two_statements(pid: int) -> str:
        starts: set[object] = set()
        async with asyncio.timeout(20):
            while len(starts) < 3:
                starts.add(await superuser.fetchval("SELECT query_start FROM pg_stat_activity WHERE pid = $1", pid))
                await asyncio.sleep(0.01)
        return "answer"

    async with pool.transaction() as conn:
        pid = await conn.fetchval("SELECT pg_backend_pid()")
        assert await keep_alive(conn, wait_for_two_statements(pid)) == "answer"


async def finish_another(pool: PostgresPool, epoch: int) -> None:
    await PostgresManifestStore(pool).commit(RUN, Lease(epoch, 1, 1), 1, processed(), attempts=1)


async def read_audit(pool: PostgresPool, meanwhile: Callable[[], Awaitable[None]]) -> tuple[Any, Any]:
    async with open_snapshot(pool, RUN) as snapshot:
        before = (await snapshot.totals(), await snapshot.rows())
        await meanwhile()
        return before, (await snapshot.totals(), await snapshot.rows())


async def read_export(pool: PostgresPool, meanwhile: Callable[[], Awaitable[None]]) -> tuple[Any, Any]:
    async with PostgresExportStore(pool).snapshot(RUN) as exported:
        before = await exported.count(CHUNKS)
        await meanwhile()
        return before, await exported.count(CHUNKS)


@pytest.mark.parametrize("read", [read_audit, read_export])
async def test_reader_of_a_snapshot_sees_no_later_commit(
    pool: PostgresPool, run: int, read: Callable[..., Awaitable[tuple[Any, Any]]]
) -> None:
    before, after = await read(pool, lambda: finish_another(pool, run))
    assert before == after
    before, after = await read(pool, lambda: asyncio.sleep(0))
    assert before == after


@pytest.mark.usefixtures("run")
async def test_reader_of_a_snapshot_writes_nothing(pool: PostgresPool) -> None:
    async with open_snapshot(pool, RUN) as snapshot:
        assert await snapshot._conn.fetchval("SHOW transaction_read_only") == "on"
    async with PostgresExportStore(pool).snapshot(RUN) as exported:
        assert await exported._conn.fetchval("SHOW transaction_read_only") == "on"
