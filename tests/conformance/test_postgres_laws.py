"""The rules that the database itself enforces on checkpoints, for every login."""

import asyncio

import asyncpg
import pytest

from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import StaleWriter
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.checkpoints import LATEST
from perdure.stores.postgres.connection import PostgresPool
from tests.conformance.chains import append_chain, following, make_chain, make_checkpoint
from tests.conformance.held_pool import is_blocked


@pytest.fixture
async def store(pool: PostgresPool) -> PostgresCheckpointStore:
    return PostgresCheckpointStore(pool)


@pytest.fixture
async def chain(store: PostgresCheckpointStore) -> list[WorkflowCheckpoint]:
    return await append_chain(store, make_chain("run", 4))


CHANGES = [
    "UPDATE workflow_checkpoints SET processed_documents = 0",
    "UPDATE workflow_checkpoints SET processed_documents = 0 WHERE false",
    "DELETE FROM workflow_checkpoints",
    "DELETE FROM workflow_checkpoints WHERE sequence = 1",
    "TRUNCATE workflow_checkpoints",
    "TRUNCATE workflow_checkpoints CASCADE",
    """INSERT INTO workflow_checkpoints
           (checkpoint_id, workflow_id, timestamp, processed_documents, state_data, service_states, metadata)
       SELECT checkpoint_id, workflow_id, timestamp, 0, state_data, service_states, metadata
       FROM workflow_checkpoints WHERE sequence = 4
       ON CONFLICT (checkpoint_id) DO UPDATE SET processed_documents = 0""",
    "MERGE INTO workflow_checkpoints c USING (SELECT 1) AS source ON true WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "before",
    ["", "SET session_replication_role = replica;", "SET perdure.restoring = 'run';"],
    ids=["", "replica", "guc"],
)
@pytest.mark.usefixtures("chain")
async def test_stored_checkpoints_are_never_changed(superuser: asyncpg.Connection, before: str, change: str) -> None:
    with pytest.raises((asyncpg.RestrictViolationError, asyncpg.UniqueViolationError)) as refused:
        await superuser.execute(f"{before}{change}")
    assert refused.value.constraint_name in ("checkpoints_are_append_only", "one_content_per_checkpoint")
    assert await superuser.fetchval("SELECT sum(processed_documents) FROM workflow_checkpoints") == 1 + 2 + 3 + 4


async def test_retention_deletes_only_the_oldest(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], store: PostgresCheckpointStore
) -> None:
    await superuser.execute("SET ROLE perdure_retention")
    for sequence in (2, 4):
        with pytest.raises(asyncpg.RestrictViolationError) as refused:
            await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence = $1", sequence)
        assert refused.value.constraint_name == "retention_takes_the_oldest"
    for change in (CHANGES[0], CHANGES[4], "DELETE FROM runs", "CREATE TABLE other ()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await superuser.execute(change)
    assert await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence <= 2") == "DELETE 2"
    assert list(await store.list("run")) == chain[2:]
    assert await store.append(following(chain[-1])) is True
    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await superuser.execute("DELETE FROM workflow_checkpoints WHERE workflow_id = 'run'")
    assert refused.value.constraint_name == "retention_keeps_the_latest"
    assert await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence <= 4") == "DELETE 2"


@pytest.mark.usefixtures("chain")
async def test_inspectors_read_everything_and_change_nothing(superuser: asyncpg.Connection) -> None:
    await superuser.execute("CREATE TABLE made_later (id int)")
    await superuser.execute("SET ROLE perdure_inspector")
    names = [
        row["relname"]
        for row in await superuser.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm')"
        )
    ]
    assert {"workflow_checkpoints", "runs", "failures", "run_progress", "made_later"} <= set(names)
    for name in names:
        await superuser.fetch(f"SELECT * FROM {name} LIMIT 1")
    for change in ("DELETE FROM runs", "INSERT INTO made_later (id) VALUES (1)", *CHANGES[:6]):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RestrictViolationError)):
            await superuser.execute(change)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ("sequence = 9", "checkpoints_follow_without_gap"),
        ("previous_digest = 'x'", "checkpoints_follow_without_gap"),
        ("epoch = 0", "latest_epoch_writes"),
    ],
)
@pytest.mark.usefixtures("chain")
async def test_plain_sql_must_follow_the_chain(superuser: asyncpg.Connection, changes: str, constraint: str) -> None:
    field, value = changes.split(" = ")
    # The trigger must read the real table, even if a temporary table has the same name.
    await superuser.execute("CREATE TEMP TABLE workflow_checkpoints (LIKE public.workflow_checkpoints)")
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await superuser.execute(
            f"""INSERT INTO public.workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents,
                       state_data, service_states, metadata)
                SELECT 'chk_new', workflow_id, now(), 5, state_data, service_states,
                       metadata || jsonb_build_object('sequence', 5, 'previous_digest', digest)
                                || jsonb_build_object('{field}', {value})
                FROM public.workflow_checkpoints WHERE sequence = 4"""
        )
    assert refused.value.constraint_name == constraint


async def test_run_that_lost_its_epoch_appends_no_checkpoint(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], store: PostgresCheckpointStore
) -> None:
    await superuser.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 2)")
    with pytest.raises(StaleWriter):
        await store.append(following(chain[-1]))
    assert await store.append(following(chain[-1], epoch=2)) is True


async def test_append_waits_for_an_open_claim(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], store: PostgresCheckpointStore
) -> None:
    await superuser.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 1)")
    claim = superuser.transaction()
    await claim.start()
    await superuser.execute("UPDATE runs SET epoch = 2 WHERE workflow_id = 'run'")
    append = asyncio.create_task(store.append(following(chain[-1])))
    assert await is_blocked(superuser, append, by=superuser.get_server_pid())
    await claim.commit()
    with pytest.raises(StaleWriter):
        await append


async def test_older_epochs_are_restored_after_a_newer_claim(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], store: PostgresCheckpointStore
) -> None:
    await superuser.execute("INSERT INTO runs (workflow_id, epoch) VALUES ('run', 7)")
    lost = following(chain[-1])
    with pytest.raises(StaleWriter):
        await store.append(lost)
    assert await store.restore([*chain, lost]) == 1
    with pytest.raises(StaleWriter):
        await store.append(following(lost))


async def test_concurrent_writers_never_interleave(
    database_url: str, superuser: asyncpg.Connection, store: PostgresCheckpointStore
) -> None:
    """Of two open transactions, the second waits until the first has ended."""
    first = make_checkpoint("run")
    await store.append(first)
    first_writer = await asyncpg.connect(database_url)
    second_writer = await asyncpg.connect(database_url)
    try:
        transaction = first_writer.transaction()
        await transaction.start()
        await insert(first_writer, following(first, writer=1))
        second = asyncio.create_task(insert(second_writer, following(first, writer=2)))
        assert await is_blocked(superuser, second, by=first_writer.get_server_pid())
        await transaction.rollback()
        await second
        latest = await store.latest("run")
        assert latest is not None
        assert latest.state_data.model_extra == {"writer": 2}
    finally:
        await first_writer.close()
        await second_writer.close()


async def insert(conn: asyncpg.Connection, checkpoint: WorkflowCheckpoint) -> None:
    await conn.execute(
        """INSERT INTO workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents, state_data,
                                             service_states, metadata)
           SELECT c.checkpoint_id, c.workflow_id, c.timestamp, c.processed_documents, c.state_data, c.service_states,
                  c.metadata
           FROM jsonb_populate_record(NULL::workflow_checkpoints, $1::jsonb) AS c""",
        checkpoint.model_dump_json(),
    )


async def test_views_show_the_state_of_each_run(
    superuser: asyncpg.Connection, chain: list[WorkflowCheckpoint], store: PostgresCheckpointStore
) -> None:
    await store.append(make_checkpoint("another", status="completed"))
    latest = await superuser.fetch("SELECT workflow_id, sequence, digest FROM latest_checkpoints ORDER BY workflow_id")
    assert [(row["workflow_id"], row["sequence"]) for row in latest] == [("another", 1), ("run", 4)]
    assert latest[1]["digest"] == chain[-1].digest
    row = await superuser.fetchrow("SELECT * FROM checkpoint_history WHERE workflow_id = 'run' AND sequence = 2")
    assert row is not None
    assert (row["workflow_status"], row["documents_remaining"]) == ("in_progress", 3)
    assert row["services"] == "AnalyticsService unhealthy, IdentityService healthy"
    assert await superuser.fetch("SELECT * FROM broken_checkpoint_chains") == []


@pytest.mark.usefixtures("chain")
async def test_row_deleted_with_disabled_guards_is_reported(superuser: asyncpg.Connection) -> None:
    async with superuser.transaction():
        await superuser.execute("ALTER TABLE workflow_checkpoints DISABLE TRIGGER USER")
        await superuser.execute("DELETE FROM workflow_checkpoints WHERE sequence = 2")
        await superuser.execute("ALTER TABLE workflow_checkpoints ENABLE TRIGGER USER")
    (gap,) = await superuser.fetch("SELECT * FROM broken_checkpoint_chains")
    assert (gap["after_sequence"], gap["found_sequence"]) == (1, 3)


async def test_latest_checkpoint_is_found_by_an_index(superuser: asyncpg.Connection, pool: PostgresPool) -> None:
    async with superuser.transaction():
        # The guard runs once for each row, which is slow for 50,000 rows.
        await superuser.execute("ALTER TABLE workflow_checkpoints DISABLE TRIGGER USER")
        await superuser.execute(
            """INSERT INTO workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents,
                      state_data, service_states, metadata)
               SELECT 'chk_' || run || '_' || sequence, 'run-' || run, now(), sequence, '{}', '{}',
                      jsonb_build_object('sequence', sequence, 'epoch', 1, 'digest', 'd', 'previous_digest', 'p')
               FROM generate_series(1, 50) AS run, generate_series(1, 1000) AS sequence"""
        )
        await superuser.execute("ALTER TABLE workflow_checkpoints ENABLE TRIGGER USER")
    await superuser.execute("ANALYZE workflow_checkpoints")
    for query in (LATEST, "SELECT * FROM latest_checkpoints WHERE $1 <> ''"):
        rows = await superuser.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {query}", "run-17")
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        assert "one_checkpoint_per_sequence" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan
    assert len(await PostgresCheckpointStore(pool).workflow_ids()) == 50
