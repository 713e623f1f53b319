"""The replacement of the end of a damaged chain, by one role.

A row that another process has added in the meantime is not replaced.
"""

import asyncio
import json

import asyncpg
import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, RefusedCommand
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.rebuild import rebuild_chain
from tests.conformance.chains import append_chain, following, make_chain
from tests.conformance.held_pool import HeldPool, append_and_hold, is_blocked

REBUILD = "SELECT rebuild_checkpoints($1, $2, $3::jsonb)"


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresCheckpointStore:
    return PostgresCheckpointStore(pool)


@pytest.fixture
async def chain(store: PostgresCheckpointStore) -> list[WorkflowCheckpoint]:
    return await append_chain(store, make_chain("run", 6))


def as_json(*checkpoints: WorkflowCheckpoint) -> str:
    return json.dumps([checkpoint.model_dump(mode="json") for checkpoint in checkpoints])


async def begin_rebuild(conn: asyncpg.Connection) -> None:
    """Take the role, and the setting that the function sets. Every login may set the setting."""
    await conn.execute("SET ROLE perdure_rebuild; SET perdure.rebuilding = 'run'")


async def test_rebuilt_chain_ends_with_the_given_checkpoints(
    pool: PostgresPool, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    await append_chain(store, make_chain("another", 3))
    fourth = following(chain[2], writer=2)
    assert await rebuild_chain(pool, "run", 4, [fourth, following(fourth)], last_seen=6) == 2
    assert list(await store.list("run")) == [*chain[:3], fourth, following(fourth)]
    assert len(await store.list("another")) == 3
    assert await store.append(following(following(fourth))) is True


async def test_rebuild_without_checkpoints_shortens_the_chain(
    pool: PostgresPool, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    assert await rebuild_chain(pool, "run", 5, [], last_seen=6) == 0
    assert list(await store.list("run")) == chain[:4]


@pytest.mark.parametrize("deleted", ["2, 6", "2, 5", "1", "5", "3, 5, 6"])
async def test_rebuild_role_deletes_nothing_before_a_row_that_stays(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint], deleted: str
) -> None:
    await begin_rebuild(superuser)
    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await superuser.execute(f"DELETE FROM workflow_checkpoints WHERE sequence IN ({deleted})")
    assert refused.value.constraint_name == "rebuilding_replaces_the_end"
    assert list(await store.list("run")) == chain
    assert await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence IN (5, 6)") == "DELETE 2"


@pytest.mark.parametrize("mode", ["origin", "replica"])
async def test_rebuild_of_one_run_deletes_no_row_of_another(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint], mode: str
) -> None:
    another = await append_chain(store, make_chain("another", 8))
    await superuser.execute(f"SET session_replication_role = {mode}")
    await begin_rebuild(superuser)
    for condition in ("workflow_id = 'another'", "sequence = 8", "sequence >= 6"):
        with pytest.raises(asyncpg.RestrictViolationError) as refused:
            await superuser.execute(f"DELETE FROM workflow_checkpoints WHERE {condition}")
        assert refused.value.constraint_name == "rebuilding_replaces_the_end"
    assert list(await store.list("another")) == another
    assert list(await store.list("run")) == chain


async def test_rebuild_looks_at_the_real_table(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    """A login may have a temporary table of the same name, with rows of its choice."""
    await superuser.execute("CREATE TEMP TABLE workflow_checkpoints (LIKE public.workflow_checkpoints)")
    await superuser.execute("GRANT ALL ON workflow_checkpoints TO perdure_rebuild")
    await begin_rebuild(superuser)
    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await superuser.execute("DELETE FROM public.workflow_checkpoints WHERE sequence = 3")
    assert refused.value.constraint_name == "rebuilding_replaces_the_end"
    assert await superuser.fetchval(REBUILD, "run", 6, as_json(chain[5])) == 1
    assert list(await store.list("run")) == chain


async def test_rebuild_role_changes_nothing_but_through_a_rebuild(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    await superuser.execute("SET ROLE perdure_rebuild")
    for change in (
        "DELETE FROM workflow_checkpoints WHERE sequence = 6",
        "UPDATE workflow_checkpoints SET processed_documents = 0",
        "TRUNCATE workflow_checkpoints",
        "SET perdure.rebuilding = ''; DELETE FROM workflow_checkpoints WHERE sequence = 6",
    ):
        with pytest.raises((asyncpg.RestrictViolationError, asyncpg.InsufficientPrivilegeError)):
            await superuser.execute(change)
    assert list(await store.list("run")) == chain


async def test_rights_of_a_rebuild_end_with_it(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    await superuser.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 7)")
    await superuser.execute("BEGIN; SET LOCAL ROLE perdure_rebuild")
    assert await superuser.fetchval(REBUILD, "run", 5, as_json(*chain[4:])) == 2
    with pytest.raises(asyncpg.RestrictViolationError):
        await superuser.execute("SAVEPOINT before; DELETE FROM workflow_checkpoints WHERE sequence = 6")
    await superuser.execute("ROLLBACK TO before; RESET ROLE")
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await append_checkpoint_of_epoch_1(superuser, following(chain[-1]))
    assert refused.value.constraint_name == "latest_epoch_writes"
    await superuser.execute("ROLLBACK")
    assert list(await store.list("run")) == chain


async def append_checkpoint_of_epoch_1(conn: asyncpg.Connection, checkpoint: WorkflowCheckpoint) -> None:
    await conn.execute(
        """INSERT INTO workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents, state_data,
                                             service_states, metadata)
           SELECT checkpoint_id, workflow_id, timestamp, processed_documents, state_data, service_states, metadata
           FROM jsonb_populate_record(NULL::workflow_checkpoints, $1::jsonb)""",
        checkpoint.model_dump_json(),
    )


async def test_only_the_rebuild_role_may_call_the_rebuild(superuser: asyncpg.Connection) -> None:
    for role, may in (("perdure_rebuild", True), ("perdure_retention", False), ("perdure_inspector", False)):
        assert may == await superuser.fetchval(
            "SELECT has_function_privilege($1, 'rebuild_checkpoints(text, bigint, jsonb)', 'EXECUTE')", role
        )


async def test_rebuild_stores_every_given_checkpoint_or_none(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    """The given checkpoints belong to the run, and begin at the first replaced checkpoint."""
    await superuser.execute("SET ROLE perdure_rebuild")
    for replacement in (
        as_json(*make_chain("another", 2)),
        as_json(*chain[3:]),
        as_json(chain[4], chain[4]),
        as_json(chain[5]),
        as_json(chain[5], chain[4]),
    ):
        with pytest.raises(
            (asyncpg.RestrictViolationError, asyncpg.CheckViolationError, asyncpg.InsufficientPrivilegeError)
        ):
            await superuser.fetchval(REBUILD, "run", 5, replacement)
    await superuser.execute("RESET ROLE")
    assert list(await store.list("run")) == chain
    assert list(await store.workflow_ids()) == ["run"]


async def test_rebuild_after_a_new_checkpoint_is_refused(
    pool: PostgresPool, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    for last_seen in (5, 7):
        with pytest.raises(CheckpointGap, match="has written checkpoint 6 since the audit"):
            await rebuild_chain(pool, "run", 5, chain[4:5], last_seen=last_seen)
    assert list(await store.list("run")) == chain


async def test_rebuild_during_an_open_append_is_refused(
    pool: PostgresPool,
    store: PostgresCheckpointStore,
    held_pool: HeldPool,
    superuser: asyncpg.Connection,
    chain: list[WorkflowCheckpoint],
) -> None:
    seventh = following(chain[-1])
    appending = asyncio.create_task(append_and_hold(held_pool, seventh))
    holder = await held_pool.wait_until_held(appending)
    rebuilding = asyncio.create_task(rebuild_chain(pool, "run", 5, chain[4:], last_seen=6))
    await is_blocked(superuser, rebuilding, by=holder)
    held_pool.release()
    await appending
    with pytest.raises(CheckpointGap, match="has written checkpoint 7 since the audit"):
        await rebuilding
    assert list(await store.list("run")) == [*chain, seventh]


async def test_rebuild_in_sql_during_an_open_append_leaves_no_gap(
    superuser: asyncpg.Connection,
    database_url: str,
    store: PostgresCheckpointStore,
    held_pool: HeldPool,
    chain: list[WorkflowCheckpoint],
) -> None:
    appending = asyncio.create_task(append_and_hold(held_pool, following(chain[-1])))
    holder = await held_pool.wait_until_held(appending)
    rebuilder = await asyncpg.connect(database_url)
    await rebuilder.execute("SET ROLE perdure_rebuild")
    rebuilding = asyncio.create_task(rebuilder.fetchval(REBUILD, "run", 5, "[]"))
    await is_blocked(superuser, rebuilding, by=holder)
    held_pool.release()
    await appending
    await rebuilding
    await rebuilder.close()
    sequences = [checkpoint.sequence for checkpoint in await store.list("run")]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_rebuild_that_contradicts_the_rest_is_refused(
    pool: PostgresPool, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    unlinked = following(chain[3], previous_digest="0" * 64)
    with pytest.raises(CheckpointGap):
        await rebuild_chain(pool, "run", 5, [unlinked], last_seen=6)
    fifth = following(chain[3])
    with pytest.raises(CheckpointConflict):
        await rebuild_chain(pool, "run", 5, [fifth, following(chain[3], writer=2)], last_seen=6)
    assert list(await store.list("run")) == chain


async def test_rebuild_without_the_role_names_the_grant(
    superuser: asyncpg.Connection, database_url: str, chain: list[WorkflowCheckpoint]
) -> None:
    await superuser.execute("CREATE ROLE without_rights LOGIN PASSWORD 'secret'")
    try:
        await superuser.execute("GRANT SELECT ON workflow_checkpoints TO without_rights")
        user, _, place = database_url.removeprefix("postgresql://").rpartition("@")
        assert user
        stranger = PostgresPool(f"postgresql://without_rights:secret@{place}")
        with pytest.raises(RefusedCommand, match='GRANT perdure_rebuild TO "without_rights"'):
            await rebuild_chain(stranger, "run", 5, chain[4:], last_seen=6)
        await stranger.close()
    finally:
        await superuser.execute("DROP OWNED BY without_rights; DROP ROLE without_rights")
