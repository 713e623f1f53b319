"""IdentityService and AnalyticsService on a real Postgres.

The file is longer than 300 lines because all tests share one small corpus and the functions that commit it.
"""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from orchestration.embedded.postgres import EmbeddedPostgres
from perdure.documents.document import ProcessedDocument
from perdure.errors import StaleWriter
from perdure.manifest import Lease
from perdure.services.analytics import AnalyticsService
from perdure.services.health import Service, capture, probe
from perdure.services.identity import IdentityService
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.integration.committed_run import committed as committed_run
from tests.integration.committed_run import document as made

PROBE_SECONDS = 120.0
"""More than a database on a busy machine takes; a stopped database refuses at once."""
NAMES = ["Ada Lovelace", "ADA LOVELACE", "Charles Babbage", "Royal Society"]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    opened = PostgresPool(database_url)
    yield opened
    await opened.close()


def document(names: Sequence[str]) -> ProcessedDocument:
    return made([("person", name) for name in names])


async def committed(
    pool: PostgresPool, workflow_id: str, documents: Sequence[Sequence[str]], order: Sequence[int]
) -> int:
    """Commit the documents of a run in this order, and return the epoch of the run."""
    return await committed_run(pool, workflow_id, [document(names) for names in documents], order)


async def outputs(pool: PostgresPool, workflow_id: str) -> list[object]:
    tables = (
        "identities",
        "identity_members",
        "identity_aliases",
        "graphs",
        "graph_nodes",
        "graph_edges",
        "document_statistics",
        "document_vectors",
    )
    async with pool.connection() as conn:
        return [
            [str(list(row.values())[1:]) for row in await conn.fetch(f"SELECT * FROM {table} WHERE workflow_id = $1 "
             "ORDER BY 2, 3", workflow_id)] for table in tables
        ]  # fmt: skip


async def test_outputs_do_not_depend_on_order_or_repetition(pool: PostgresPool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    documents = [[chance.choice(NAMES) for _ in range(chance.randint(1, 6))] for _ in range(12)]
    identity = IdentityService(PostgresIdentityStore(pool))
    analytics = AnalyticsService(PostgresAnalyticsStore(pool))
    found = []
    for workflow_id in ("one", "two"):
        order = chance.sample(range(12), 12)
        epoch = await committed(pool, workflow_id, documents, order)
        for _ in range(2):
            assert (await identity.resolve(workflow_id, epoch)).resolution_rate == 1.0
            built = await analytics.build(workflow_id, epoch)
            assert built.table_rows == built.vectors == 12
            found.append(await outputs(pool, workflow_id))
    assert found[0] == found[1] == found[2] == found[3]


async def test_spellings_meet_in_one_identity_named_by_the_most_frequent(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [["Ada Lovelace", "ADA LOVELACE"], ["Ada Lovelace"]], [0, 1])
    assert (await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)).identities == 1
    async with pool.connection() as conn:
        row = await conn.fetchrow("SELECT name, mention_count, document_count FROM identities")
        assert row is not None
        assert row
        assert tuple(row) == ("Ada Lovelace", 3, 2)
        assert await conn.fetchval("SELECT count(*) FROM identity_aliases") == 2


async def test_a_run_without_documents_resolves_to_nothing(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [], [])
    assert (await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)).identities == 0
    assert (await AnalyticsService(PostgresAnalyticsStore(pool)).build("run", epoch)).edges == 0


async def test_replaced_run_changes_no_output(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [NAMES], [0])
    await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)
    before = await outputs(pool, "run")
    await PostgresManifestStore(pool).claim("run", "second", at_least=1)
    with pytest.raises(StaleWriter):
        await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)
    with pytest.raises(StaleWriter):
        await AnalyticsService(PostgresAnalyticsStore(pool)).build("run", epoch)
    assert await outputs(pool, "run") == before


async def test_repeated_call_in_an_epoch_changes_no_output(pool: PostgresPool) -> None:
    identity = IdentityService(PostgresIdentityStore(pool))
    analytics = AnalyticsService(PostgresAnalyticsStore(pool))
    epoch = await committed(pool, "run", [NAMES, NAMES[:2]], [0, 1])
    resolved = await identity.resolve("run", epoch)
    built = await analytics.build("run", epoch)
    tables = (
        "identities",
        "identity_members",
        "identity_aliases",
        "graphs",
        "graph_nodes",
        "graph_edges",
        "document_statistics",
        "document_vectors",
    )
    query = " UNION ALL ".join(f"SELECT '{table}' || ctid::text || xmin::text FROM {table}" for table in tables)
    async with pool.connection() as conn:
        before = await conn.fetch(query)
    assert (await identity.resolve("run", epoch), await analytics.build("run", epoch)) == (resolved, built)
    async with pool.connection() as conn:
        assert await conn.fetch(query) == before


async def test_health_reports_the_counts_in_the_database(pool: PostgresPool) -> None:
    identity = IdentityService(PostgresIdentityStore(pool))
    analytics = AnalyticsService(PostgresAnalyticsStore(pool))
    epoch = await committed(pool, "run", [NAMES, NAMES], [0, 1])
    before = await probe(identity, "run", PROBE_SECONDS)
    assert (before.metadata["processed_entities"], before.metadata["resolution_rate"]) == (8, 0.0)
    assert (await probe(analytics, "run", PROBE_SECONDS)).metadata["graphs_generated"] == 0
    await identity.resolve("run", epoch)
    await analytics.build("run", epoch)
    assert (await probe(identity, "run", PROBE_SECONDS)).metadata["resolution_rate"] == 1.0
    state = await probe(analytics, "run", PROBE_SECONDS)
    assert state.metadata["graphs_generated"] == 1
    assert state.metadata["analysis_modes"] == ["graph", "table", "vector"]


async def test_mentions_after_the_last_resolution_count_as_unresolved(pool: PostgresPool) -> None:
    identity = IdentityService(PostgresIdentityStore(pool))
    manifest = PostgresManifestStore(pool)
    epoch = await committed(pool, "run", [NAMES, NAMES, NAMES], [0, 1, 2])
    assert (await identity.resolve("run", epoch)).resolution_rate == 1.0
    later = await manifest.claim("run", "second", at_least=1)
    await manifest.settle_candidate("run", later, 0, changed=True)
    assert await identity.health("run") == {"processed_entities": 8, "resolution_rate": 1.0}
    await manifest.enqueue_unfinished("run", later, quarantined=False)
    await manifest.lease_batch("run", Lease(later, 1, 1), 0, 1)
    await manifest.commit("run", Lease(later, 1, 1), 0, document(NAMES[:2]), attempts=1)
    assert await identity.health("run") == {"processed_entities": 10, "resolution_rate": 0.8}
    await identity.resolve("run", later)
    assert await identity.health("run") == {"processed_entities": 10, "resolution_rate": 1.0}
    async with pool.connection() as conn:
        assert await conn.fetchval("SELECT sum(mention_count) FROM identities") == 10


async def test_edges_count_the_documents_that_two_identities_share(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [["A", "B", "A"], ["B", "A"], ["B", "C"]], [2, 0, 1])
    await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)
    built = await AnalyticsService(PostgresAnalyticsStore(pool)).build("run", epoch)
    async with pool.connection() as conn:
        rows = await conn.fetch(
            """SELECT least(s.name, t.name) || greatest(s.name, t.name) AS pair, weight FROM graph_edges e
               JOIN identities s ON s.identity_id = source JOIN identities t ON t.identity_id = target ORDER BY pair"""
        )
        assert [tuple(row) for row in rows] == [("AB", 2), ("BC", 1)]
        assert tuple(await conn.fetchrow("SELECT node_count, edge_count FROM graphs") or ()) == (3, 2)
    assert (built.nodes, built.edges) == (3, 2)


async def test_document_vector_is_the_normalised_mean_of_its_chunks(pool: PostgresPool) -> None:
    epoch = await committed(pool, "run", [["A"], ["B"]], [1, 0])
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chunks = np.random.default_rng(seed).normal(size=(5, 256)).astype(np.float32)
    async with pool.connection() as conn:
        for ordinal, embedding in enumerate(chunks, start=1):
            await conn.execute("INSERT INTO chunks VALUES ('run', 0, $1, 0, 1, $2)", ordinal, embedding)
        first = await conn.fetchval("SELECT embedding FROM chunks WHERE position = 0 AND ordinal = 0")
        await AnalyticsService(PostgresAnalyticsStore(pool)).build("run", epoch)
        stored = await conn.fetch("SELECT embedding FROM document_vectors ORDER BY position")
    mean = np.vstack([first, chunks]).mean(axis=0)
    assert len(stored) == 2
    np.testing.assert_allclose(stored[0]["embedding"], mean / np.linalg.norm(mean), atol=1e-6)
    assert np.linalg.norm(stored[1]["embedding"]) == pytest.approx(1.0, abs=1e-6)


async def test_edges_join_only_the_most_mentioned_identities_of_a_document(pool: PostgresPool) -> None:
    names = [f"Name {number:02}" for number in range(60)]
    epoch = await committed(pool, "run", [names + names[:50]], [0])  # the first 50 are mentioned twice
    await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)
    built = await AnalyticsService(PostgresAnalyticsStore(pool)).build("run", epoch)
    assert (built.nodes, built.edges) == (60, 50 * 49 // 2)
    async with pool.connection() as conn:
        left_out = await conn.fetch(
            """SELECT name FROM identities i WHERE NOT EXISTS (
                   SELECT FROM graph_edges WHERE i.identity_id IN (source, target)) ORDER BY name"""
        )
    assert [row["name"] for row in left_out] == names[50:]


async def test_graph_is_deleted_with_its_identities(pool: PostgresPool) -> None:
    identity = IdentityService(PostgresIdentityStore(pool))
    analytics = AnalyticsService(PostgresAnalyticsStore(pool))
    epoch = await committed(pool, "run", [NAMES], [0])
    await identity.resolve("run", epoch)
    await analytics.build("run", epoch)
    await identity.resolve("run", await PostgresManifestStore(pool).claim("run", "second", at_least=1))
    assert (await analytics.health("run"))["graphs_generated"] == 0
    async with pool.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM graph_edges") == 0


async def test_every_foreign_key_has_an_index(pool: PostgresPool) -> None:
    """Without an index, a deletion of n rows searches the whole referring table n times."""
    async with pool.connection() as conn:
        keys = await conn.fetch(
            """SELECT c.conname, EXISTS (
                   SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL
                   AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey) AS indexed
               FROM pg_constraint c WHERE contype = 'f'"""
        )
    assert len(keys) >= 10
    assert [row["conname"] for row in keys if not row["indexed"]] == []


async def test_resolve_and_build_may_exceed_the_statement_timeout(pool: PostgresPool, database_url: str) -> None:
    epoch = await committed(pool, "run", [NAMES], [0])
    other = await committed(pool, "other", [NAMES], [0])
    assert (await IdentityService(PostgresIdentityStore(pool)).resolve("other", other)).identities == 3
    await make_slow(pool, "identities", 6.0)
    await make_slow(pool, "graph_edges", 6.0)
    impatient = PostgresPool(database_url, command_timeout_seconds=5.0)
    try:
        resolved, built = await asyncio.gather(
            IdentityService(PostgresIdentityStore(impatient)).resolve("run", epoch),
            AnalyticsService(PostgresAnalyticsStore(impatient)).build("other", other),
        )
        assert (resolved.identities, built.edges) == (3, 3)
    finally:
        await impatient.close()


async def test_worker_killed_while_building_does_not_block_the_next(pool: PostgresPool, database_url: str) -> None:
    epoch = await committed(pool, "run", [NAMES], [0])
    await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)
    await make_slow(pool, "graph_edges", 3600.0)
    program = f"""
import asyncio
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
asyncio.run(PostgresAnalyticsStore(PostgresPool({database_url!r})).build("run", {epoch}, 50))
"""
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    try:
        async with pool.connection() as conn, asyncio.timeout(240):
            while not await conn.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            ):
                assert worker.poll() is None
                await asyncio.sleep(0.05)
    finally:
        worker.kill()
        worker.wait()
    # The statement of the killed worker lasts an hour, and this call does not wait for its end.
    assert (await IdentityService(PostgresIdentityStore(pool)).resolve("run", epoch)).identities == 3


async def make_slow(pool: PostgresPool, table: str, seconds: float) -> None:
    """Make each INSERT statement on the table take this many seconds."""
    async with pool.connection() as conn:
        await conn.execute(
            f"""CREATE FUNCTION slow_{table}() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow_{table}()"""
        )


async def test_vector_mode_is_reported_only_with_the_vector_extension(pool: PostgresPool) -> None:
    analytics = AnalyticsService(PostgresAnalyticsStore(pool))
    async with pool.connection() as conn:
        await conn.execute("DROP EXTENSION vector CASCADE")
    state = await probe(analytics, "run", PROBE_SECONDS)
    assert state.status == "healthy"
    assert state.metadata["analysis_modes"] == ["graph", "table"]


async def test_services_are_unhealthy_while_their_database_is_stopped(
    pool: PostgresPool, postgres_server: EmbeddedPostgres
) -> None:
    services: tuple[Service, ...] = (
        IdentityService(PostgresIdentityStore(pool)), AnalyticsService(PostgresAnalyticsStore(pool))
    )  # fmt: skip
    before = await capture(services, "run", PROBE_SECONDS)
    port = postgres_server.port
    await asyncio.to_thread(postgres_server.stop)
    try:
        during = await capture(services, "run", PROBE_SECONDS)
    finally:
        await asyncio.to_thread(postgres_server.start, preferred_port=port)
    after = await capture(services, "run", PROBE_SECONDS)
    for name in ("IdentityService", "AnalyticsService"):
        assert [states[name].status for states in (before, during, after)] == ["healthy", "unhealthy", "healthy"]
        assert during[name].metadata["why"].startswith("Postgres is unavailable: ")
