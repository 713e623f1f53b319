"""The retirement of the oldest checkpoints of a chain, never the latest.

A record shows which checkpoints were retired.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from perdure.checkpoint import WorkflowCheckpoint, seal
from perdure.errors import RefusedCommand
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.retention import retire
from tests.conformance.chains import BEGINNING, append_chain, make_chain, make_checkpoint
from tests.conformance.held_pool import HeldPool, is_blocked


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresCheckpointStore:
    return PostgresCheckpointStore(pool)


@pytest.fixture
async def chain(store: PostgresCheckpointStore) -> list[WorkflowCheckpoint]:
    return await append_chain(store, make_chain("run", 6))


async def read_sequences(store: PostgresCheckpointStore) -> Sequence[int]:
    return [checkpoint.sequence for checkpoint in await store.list("run")]


async def test_record_of_a_retirement_links_to_the_oldest_kept(
    pool: PostgresPool, store: PostgresCheckpointStore, superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint]
) -> None:
    retired = await retire(pool, "run", keep=2, older_than=None)
    assert (retired.checkpoints, retired.up_to_sequence) == (4, 4)
    assert list(await store.list("run")) == chain[4:]
    (row,) = await superuser.fetch("SELECT * FROM retired_checkpoints")
    assert (row["workflow_id"], row["up_to_sequence"], row["checkpoints"]) == ("run", 4, 4)
    assert row["last_digest"] == chain[4].previous_digest
    assert (await retire(pool, "run", keep=2, older_than=None)).checkpoints == 0


@pytest.mark.parametrize("keep", [-1, 0, 1])
@pytest.mark.usefixtures("chain")
async def test_latest_checkpoint_is_never_retired(
    pool: PostgresPool, store: PostgresCheckpointStore, keep: int
) -> None:
    assert (await retire(pool, "run", keep=keep, older_than=BEGINNING + timedelta(days=1))).checkpoints == 5
    assert await read_sequences(store) == [6]


@pytest.mark.usefixtures("chain")
async def test_dry_run_retires_nothing(
    pool: PostgresPool, store: PostgresCheckpointStore, superuser: asyncpg.Connection
) -> None:
    assert (await retire(pool, "run", keep=2, older_than=None, dry_run=True)).up_to_sequence == 4
    assert await read_sequences(store) == [1, 2, 3, 4, 5, 6]
    assert await superuser.fetch("SELECT * FROM retired_checkpoints") == []


@pytest.mark.parametrize("second", range(8))
@pytest.mark.usefixtures("chain")
async def test_only_checkpoints_from_before_a_moment_are_retired(
    pool: PostgresPool, store: PostgresCheckpointStore, second: int
) -> None:
    """Checkpoint n was taken n seconds after the start; the checkpoint of this moment stays."""
    await retire(pool, "run", keep=2, older_than=BEGINNING + timedelta(seconds=second))
    assert await read_sequences(store) == list(range(min(max(second, 1), 5), 7))


async def test_kept_checkpoint_keeps_all_that_follow_it(pool: PostgresPool, store: PostgresCheckpointStore) -> None:
    """The clock of the worker was set back between checkpoints 2 and 3."""
    chain: list[WorkflowCheckpoint] = []
    for sequence, hours in enumerate((0, 9, 1, 9, 9), start=1):
        made = make_checkpoint("run", sequence, previous_digest=chain[-1].digest if chain else "")
        chain.append(seal(made.model_copy(update={"timestamp": BEGINNING + timedelta(hours=hours)})))
        await store.append(chain[-1])
    retired = await retire(pool, "run", keep=1, older_than=BEGINNING + timedelta(hours=5))
    assert (retired.checkpoints, retired.up_to_sequence) == (1, 1)
    assert list(await store.list("run")) == chain[1:]


@pytest.mark.usefixtures("chain")
async def test_second_retirement_during_an_open_one_retires_nothing_more(
    pool: PostgresPool,
    store: PostgresCheckpointStore,
    held_pool: HeldPool,
    superuser: asyncpg.Connection,
) -> None:
    first = asyncio.create_task(retire(held_pool, "run", keep=2, older_than=None))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(retire(pool, "run", keep=2, older_than=None))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    assert (await first).checkpoints == 4
    assert (await second).checkpoints == 0
    assert await read_sequences(store) == [5, 6]


async def test_retirement_leaves_other_runs_unchanged(
    pool: PostgresPool, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    another = make_chain("another", 3)
    for checkpoint in another:
        await store.append(checkpoint)
    assert (await retire(pool, "run", keep=1, older_than=None)).checkpoints == 5
    assert list(await store.list("another")) == another
    assert list(await store.list("run")) == chain[5:]
    assert (await retire(pool, "unknown", keep=1, older_than=None)).checkpoints == 0


async def test_login_without_the_role_is_told_the_grant(
    superuser: asyncpg.Connection, database_url: str, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    await superuser.execute("CREATE ROLE without_rights LOGIN PASSWORD 'secret'")
    try:
        await superuser.execute("GRANT SELECT, DELETE ON workflow_checkpoints TO without_rights")
        stranger = PostgresPool(f"postgresql://without_rights:secret@{database_url.rpartition('@')[2]}")
        with pytest.raises(RefusedCommand, match="GRANT perdure_retention TO without_rights"):
            await retire(stranger, "run", keep=1, older_than=None)
        await stranger.close()
    finally:
        await superuser.execute("DROP OWNED BY without_rights; DROP ROLE without_rights")
    assert list(await store.list("run")) == chain
