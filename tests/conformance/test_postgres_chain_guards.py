"""The guards of the table of checkpoints: which statements of any login they refuse."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import CheckpointConflict, CheckpointGap, StaleWriter
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.connection import PostgresPool
from tests.conformance.chains import append_chain, following, make_chain, make_checkpoint
from tests.conformance.held_pool import HeldPool, append_and_hold, is_blocked

INSERT = """INSERT INTO public.workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents,
                                                     state_data, service_states, metadata)
            SELECT checkpoint_id, workflow_id, timestamp, processed_documents, state_data, service_states, metadata
            FROM jsonb_populate_record(NULL::public.workflow_checkpoints, $1::jsonb)"""


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresCheckpointStore:
    return PostgresCheckpointStore(pool)


@pytest.fixture
async def chain(store: PostgresCheckpointStore) -> list[WorkflowCheckpoint]:
    return await append_chain(store, make_chain("run", 4))


async def test_equal_checkpoint_during_an_open_append_is_stored_once(
    store: PostgresCheckpointStore, held_pool: HeldPool, superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint]
) -> None:
    """A replaced worker and its successor append the same checkpoint at the same time."""
    checkpoint = following(chain[-1])
    first = asyncio.create_task(append_and_hold(held_pool, checkpoint))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(store.append(checkpoint))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    assert await first is True
    assert await second is False
    assert list(await store.list("run")) == [*chain, checkpoint]


async def test_other_checkpoint_during_an_open_append_is_refused(
    store: PostgresCheckpointStore, held_pool: HeldPool, superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint]
) -> None:
    first = asyncio.create_task(append_and_hold(held_pool, following(chain[-1], writer=1)))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(store.append(following(chain[-1], writer=2)))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    await first
    with pytest.raises(CheckpointConflict, match="is stored with other content"):
        await second


async def test_next_checkpoint_during_an_open_append_follows_it(
    store: PostgresCheckpointStore, held_pool: HeldPool, superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint]
) -> None:
    fifth = following(chain[-1])
    first = asyncio.create_task(append_and_hold(held_pool, fifth))
    holder = await held_pool.wait_until_held(first)
    second = asyncio.create_task(store.append(following(fifth)))
    await is_blocked(superuser, second, by=holder)
    held_pool.release()
    await first
    assert await second is True


async def test_append_never_waits_for_the_append_of_another_run(
    database_url: str, held_pool: HeldPool, chain: list[WorkflowCheckpoint]
) -> None:
    open_append = asyncio.create_task(append_and_hold(held_pool, following(chain[-1])))
    await held_pool.wait_until_held(open_append)
    impatient = PostgresPool(database_url, command_timeout_seconds=20)
    assert await PostgresCheckpointStore(impatient).append(make_checkpoint("another")) is True
    assert not open_append.done()
    held_pool.release()
    await open_append
    await impatient.close()


CHANGED: dict[str, Any] = {
    "workflow_id": "another",
    "timestamp": "2026-03-04T05:06:07Z",
    "processed_documents": 99,
    "state_data": {"workflow_status": "completed"},
    "service_states": {},
    "metadata": {"sequence": 4, "epoch": 1, "digest": "d", "previous_digest": "p"},
}


@pytest.mark.parametrize("field", CHANGED)
async def test_stored_id_with_another_field_is_a_conflict(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], field: str
) -> None:
    content = chain[-1].model_dump(mode="json")
    assert await superuser.execute(INSERT, json.dumps(content)) == "INSERT 0 0"
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await superuser.execute(INSERT, json.dumps({**content, field: CHANGED[field]}))
    assert refused.value.constraint_name == "one_content_per_checkpoint"


@pytest.mark.parametrize("mode", ["origin", "replica"])
async def test_checkpoint_out_of_order_is_refused_in_every_mode(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], mode: str
) -> None:
    await superuser.execute(f"SET session_replication_role = {mode}")
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await superuser.execute(INSERT, following(chain[-1], sequence=9).model_dump_json())
    assert refused.value.constraint_name == "checkpoints_follow_without_gap"


@pytest.mark.parametrize("sequence", [0, -1])
async def test_chain_begins_at_one_or_later(superuser: asyncpg.Connection, sequence: int) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await superuser.execute(INSERT, make_checkpoint("run", 1).model_dump_json().replace(
            '"sequence":1', f'"sequence":{sequence}'))  # fmt: skip
    assert refused.value.constraint_name == "sequence_starts_at_one"


async def test_restoring_one_run_admits_no_older_epoch_of_another(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint]
) -> None:
    await superuser.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 7)")
    await superuser.execute("SET perdure.restoring = 'another'")
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await superuser.execute(INSERT, following(chain[-1]).model_dump_json())
    assert refused.value.constraint_name == "latest_epoch_writes"
    await superuser.execute("SET perdure.restoring = 'run'")
    assert await superuser.execute(INSERT, following(chain[-1]).model_dump_json()) == "INSERT 0 1"


async def test_epochs_of_a_restored_chain_never_fall(store: PostgresCheckpointStore) -> None:
    first = make_checkpoint("run", epoch=3)
    with pytest.raises(StaleWriter):
        await store.restore([first, following(first, epoch=2)])


async def test_restore_stores_all_or_nothing(store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]) -> None:
    fifth = following(chain[-1])
    with pytest.raises(CheckpointGap):
        await store.restore([fifth, following(fifth, sequence=8)])
    assert list(await store.list("run")) == chain


@pytest.mark.parametrize("mode", ["origin", "replica"])
async def test_retention_leaves_no_gap_between_two_deleted(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint], mode: str
) -> None:
    await superuser.execute(f"SET session_replication_role = {mode}; SET ROLE perdure_retention")
    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence IN (1, 3)")
    assert refused.value.constraint_name == "retention_takes_the_oldest"
    assert list(await store.list("run")) == chain


async def test_retention_judges_each_run_alone(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    await append_chain(store, make_chain("another", 2))
    await superuser.execute("SET ROLE perdure_retention")
    for refused, constraint in (
        ("workflow_id = 'run'", "retention_keeps_the_latest"),
        ("workflow_id = 'run' AND sequence = 1 OR sequence = 2", "retention_takes_the_oldest"),
        ("sequence = 2 OR workflow_id = 'another'", "retention_takes_the_oldest"),
    ):
        with pytest.raises(asyncpg.RestrictViolationError) as error:
            await superuser.execute(f"DELETE FROM workflow_checkpoints WHERE {refused}")
        assert error.value.constraint_name == constraint
    assert await superuser.execute("DELETE FROM workflow_checkpoints WHERE workflow_id = 'run' AND sequence < 4")
    assert list(await store.list("run")) == chain[3:]
    assert len(await store.list("another")) == 2


async def test_retention_looks_at_the_real_table(
    superuser: asyncpg.Connection, store: PostgresCheckpointStore, chain: list[WorkflowCheckpoint]
) -> None:
    """A login may have a temporary table of the same name, with rows of its choice."""
    await superuser.execute("CREATE TEMP TABLE workflow_checkpoints AS TABLE public.workflow_checkpoints")
    await superuser.execute("UPDATE workflow_checkpoints SET sequence = 9 WHERE sequence < 9")
    await superuser.execute("GRANT ALL ON workflow_checkpoints TO perdure_retention; SET ROLE perdure_retention")
    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await superuser.execute("DELETE FROM public.workflow_checkpoints WHERE sequence = 3")
    assert refused.value.constraint_name == "retention_takes_the_oldest"
    assert list(await store.list("run")) == chain


@pytest.mark.parametrize("setting", ["run", ""])
@pytest.mark.usefixtures("chain")
async def test_setting_of_a_rebuild_lets_no_other_role_delete(superuser: asyncpg.Connection, setting: str) -> None:
    await superuser.execute(f"SET perdure.rebuilding = '{setting}'")
    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence = 4")
    assert refused.value.constraint_name == "checkpoints_are_append_only"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM workflow_checkpoints WHERE sequence = 3", (2, 4)),
        ('UPDATE workflow_checkpoints SET metadata = metadata || \'{"digest": "x"}\' WHERE sequence = 2', (2, 3)),
    ],
    ids=["gap", "digest"],
)
@pytest.mark.usefixtures("chain")
async def test_broken_chain_is_shown_by_its_view(
    superuser: asyncpg.Connection, change: str, found: tuple[int, int]
) -> None:
    async with superuser.transaction():
        await superuser.execute("ALTER TABLE workflow_checkpoints DISABLE TRIGGER USER")
        await superuser.execute(change)
    (row,) = await superuser.fetch("SELECT after_sequence, found_sequence FROM broken_checkpoint_chains")
    assert tuple(row) == found
