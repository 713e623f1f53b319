"""The pool of connections while the server stops, restarts, hangs or loses answers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import asyncpg
import numpy as np
import pytest

from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.embedded.process import wait_until
from perdure.errors import DependencyUnavailable, InvalidConfiguration, ServerUnreachable
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool, check_connection
from tests.conformance.chains import following, make_checkpoint
from tests.proxy import Proxy


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def proxied_pool(proxy: Proxy) -> AsyncIterator[PostgresPool]:
    pool = PostgresPool(proxy.url, max_size=4)
    yield pool
    await pool.close()


async def fetch_value(pool: PostgresPool, query: str = "SELECT 1") -> object:
    async with pool.connection() as conn:
        return await conn.fetchval(query)


async def test_json_and_vectors_pass_in_both_directions(pool: PostgresPool) -> None:
    vector = np.linspace(-1, 1, 256, dtype=np.float32)
    async with pool.transaction() as conn:
        assert await conn.fetchval("SELECT $1::jsonb", {"a": [1, "é", None, 0.5]}) == {"a": [1, "é", None, 0.5]}
        assert np.array_equal(await conn.fetchval("SELECT $1::vector", vector), vector)
        await conn.execute("CREATE TEMP TABLE vectors (value vector(256)) ON COMMIT DROP")
        await conn.copy_records_to_table("vectors", records=[(vector,)])
        assert await conn.fetchval("SELECT round((value <-> $1)::numeric, 6) FROM vectors", vector) == 0


async def test_transaction_that_raises_leaves_nothing(pool: PostgresPool) -> None:
    async def write_and_raise() -> None:
        async with pool.transaction() as conn:
            await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('gone', 1)")
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_raise()
    assert await fetch_value(pool, "SELECT count(*) FROM runs") == 0


async def test_server_ends_the_transaction_of_a_stopped_process(pool: PostgresPool) -> None:
    async def stop_in_transaction() -> None:
        async with pool.transaction(limit_seconds=1) as conn:
            await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('held', 1)")
            await conn.prepare("SELECT count(*) FROM runs")  # the server waits for the next message of this statement
            backend = conn.get_server_pid()
            while await fetch_value(pool, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}"):
                await asyncio.sleep(0.05)
            await conn.fetchval("SELECT 1")

    with pytest.raises(DependencyUnavailable):
        await stop_in_transaction()
    assert await fetch_value(pool, "SELECT count(*) FROM runs") == 0


async def test_programming_error_is_no_unavailable_dependency(pool: PostgresPool) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await fetch_value(pool, "SELEC 1")
    with pytest.raises(asyncpg.CheckViolationError):
        await fetch_value(pool, "INSERT INTO runs (workflow_id, epoch) VALUES ('w', 0)")
    assert await fetch_value(pool) == 1


async def test_pool_outlives_a_restart_and_a_crash_of_the_server(
    postgres_server: EmbeddedPostgres, pool: PostgresPool
) -> None:
    for end in ("stop", "kill"):
        # These calls leave four idle connections in the pool.
        await asyncio.gather(*(fetch_value(pool, "SELECT pg_sleep(0.05)") for _ in range(4)))
        running = postgres_server.running()
        port = postgres_server.port
        assert running is not None
        if end == "stop":
            await asyncio.to_thread(postgres_server.stop)
        else:
            os.kill(running.pid, signal.SIGKILL)
            assert await asyncio.to_thread(wait_until, lambda: postgres_server.running() is None, 240.0)
        try:
            with pytest.raises(DependencyUnavailable, match="Postgres is unavailable: "):
                await fetch_value(pool)
        finally:
            await asyncio.to_thread(postgres_server.start, preferred_port=port)
        assert [await fetch_value(pool) for _ in range(8)] == [1] * 8


async def test_terminated_backend_costs_one_attempt(pool: PostgresPool) -> None:
    with pytest.raises(DependencyUnavailable):
        await fetch_value(pool, "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(DependencyUnavailable):
        async with pool.transaction() as conn:
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await fetch_value(pool) == 1


async def test_deadlock_is_an_unavailable_dependency(pool: PostgresPool) -> None:
    await fetch_value(pool, "INSERT INTO runs (workflow_id, epoch) VALUES ('a', 1), ('b', 1)")
    ready = asyncio.Barrier(2)

    async def cross(first: str, second: str) -> None:
        async with pool.transaction() as conn:
            await conn.execute("UPDATE runs SET epoch = 2 WHERE workflow_id = $1", first)
            await ready.wait()
            await conn.execute("UPDATE runs SET epoch = 2 WHERE workflow_id = $1", second)

    outcomes = await asyncio.gather(cross("a", "b"), cross("b", "a"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DependencyUnavailable", "NoneType"]


async def test_retry_finds_a_commit_whose_answer_was_lost(
    proxy: Proxy, proxied_pool: PostgresPool, pool: PostgresPool
) -> None:
    store = PostgresCheckpointStore(proxied_pool)
    direct = PostgresCheckpointStore(pool)
    first = make_checkpoint("run")
    assert await store.append(first) is True
    second = following(first)
    proxy.lose_answers = True
    with pytest.raises(DependencyUnavailable):
        await store.append(second)
    proxy.lose_answers = False
    assert await direct.latest("run") == second, "the proxy did not pass the commit on"
    assert await store.append(second) is False


async def test_silent_server_blocks_no_caller(proxy: Proxy) -> None:
    pool = PostgresPool(proxy.url, max_size=4, connect_timeout_seconds=1.0, command_timeout_seconds=1.0)
    await until_answered(pool)
    proxy.fall_silent()
    with pytest.raises(DependencyUnavailable, match="did not answer in time"):
        await fetch_value(pool)
    with pytest.raises(DependencyUnavailable):
        async with pool.transaction() as conn:
            await conn.execute("SELECT 1")
    proxy.speak()
    await until_answered(pool)
    await pool.close()


async def until_answered(pool: PostgresPool) -> None:
    """Ask until the server answers within the limits of the pool, which a busy machine may exceed."""
    while True:
        with suppress(DependencyUnavailable):
            assert await fetch_value(pool) == 1
            return


async def test_cancelled_caller_returns_its_connection(pool: PostgresPool) -> None:
    for _ in range(12):  # more callers than the pool has connections
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await fetch_value(pool, "SELECT pg_sleep(10)")
    assert await fetch_value(pool) == 1


async def test_wrong_password_or_database_is_an_unavailable_dependency(database_url: str) -> None:
    for wrong in (database_url.replace("@", "x@", 1), database_url + "_missing"):
        pool = PostgresPool(wrong)
        with pytest.raises(DependencyUnavailable):
            await fetch_value(pool)
        await pool.close()


async def test_database_without_tables_is_an_unavailable_dependency(postgres_server: EmbeddedPostgres) -> None:
    pool = PostgresPool(postgres_server.dsn("postgres"))
    with pytest.raises(DependencyUnavailable, match="migrations have not been applied"):
        await fetch_value(pool, "SELECT * FROM runs")
    await pool.close()


async def test_vectors_are_read_once_the_extension_exists(database_url: str, pool: PostgresPool) -> None:
    await fetch_value(pool, "DROP EXTENSION vector CASCADE")
    later = PostgresPool(database_url, max_size=1)
    assert await fetch_value(later) == 1
    await fetch_value(pool, "CREATE EXTENSION vector")
    async with later.connection() as conn:
        assert list(await conn.fetchval("SELECT '[1,2]'::vector")) == [1, 2]
    await later.close()


async def test_closed_pool_opens_again(pool: PostgresPool) -> None:
    assert await fetch_value(pool) == 1
    await pool.close()
    await pool.close()
    assert await fetch_value(pool) == 1


async def test_concurrent_first_callers_share_one_pool(pool: PostgresPool) -> None:
    assert await asyncio.gather(*(fetch_value(pool) for _ in range(20))) == [1] * 20
    used = await fetch_value(
        pool,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'",
    )
    assert isinstance(used, int)
    assert used <= 4


async def test_unreadable_address_is_a_configuration_error() -> None:
    pool = PostgresPool("nonsense")
    with pytest.raises(InvalidConfiguration):
        await fetch_value(pool)


async def test_check_names_the_fault_of_the_database(database_url: str) -> None:
    await check_connection(database_url)
    password = urlsplit(database_url).password
    assert password
    for wrong, message in [
        (database_url.replace("@", "x@", 1), "refuses this login: password authentication failed"),
        (database_url + "_missing", 'has no such database: database ".*_missing" does not exist'),
    ]:
        with pytest.raises(ServerUnreachable, match=message) as refused:
            await check_connection(wrong)
        assert password not in str(refused.value)
