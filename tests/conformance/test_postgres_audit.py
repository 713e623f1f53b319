"""The statements of the audit and of fingerprints find every single damage to a row."""

import asyncio
import random
import uuid
from collections.abc import Iterator, Sequence

import asyncpg
import pytest

from orchestration.embedded.postgres import EmbeddedPostgres
from perdure.manifest import Lease
from perdure.services.analytics import AnalyticsService
from perdure.services.identity import IdentityService
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.audit import Coverage, open_snapshot
from perdure.stores.postgres.audit_checks import NAMED_AT_MOST
from perdure.stores.postgres.comparison import read_fingerprints
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.differences import compare_runs
from perdure.stores.postgres.identities import PostgresIdentityStore
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.queued_run import RUN
from tests.integration.committed_run import committed, document
from tests.integration.made_documents import discovered, processed

MAX_IDENTITIES = 50
NAMES = ("Ada Lovelace", "ADA LOVELACE", "Charles Babbage", "Royal Society", "Mary Somerville")
DOCUMENTS = [
    document([("person", name) for name in names])
    for names in (NAMES, NAMES[:3], NAMES[2:], (NAMES[0], NAMES[0], NAMES[3]))
]

DAMAGE = [
    ("DELETE FROM document_texts WHERE position = 1", "missing_text"),
    ("UPDATE document_texts SET text = text || 'x' WHERE position = 1", "wrong_text_length"),
    ("DELETE FROM chunks WHERE position = 1", "wrong_chunk_count"),
    ("UPDATE chunks SET ordinal = 4 WHERE position = 1", "wrong_chunk_count"),
    ("DELETE FROM mentions WHERE position = 1 AND ordinal = 0", "wrong_mention_count"),
    ("UPDATE mentions SET ordinal = 9 WHERE position = 1 AND ordinal = 2", "wrong_mention_count"),
    ("DELETE FROM documents WHERE position = 1", "missing_document"),
    ("DELETE FROM documents WHERE position = 1", "orphaned_text"),
    ("DELETE FROM documents WHERE position = 1", "orphaned_chunks"),
    ("DELETE FROM documents WHERE position = 1", "orphaned_mentions"),
    ("DELETE FROM documents WHERE position = 1", "orphaned_statistics"),
    ("DELETE FROM documents WHERE position = 1", "orphaned_vector"),
    ("UPDATE documents SET status = 'pending' WHERE position = 1", "orphaned_text"),
    ("UPDATE documents SET status = 'pending' WHERE position = 1", "orphaned_chunks"),
    ("UPDATE documents SET sha256 = upper(sha256) WHERE position = 1", "incomplete_document"),
    ("UPDATE documents SET media_type = NULL WHERE position = 1", "incomplete_document"),
    ("UPDATE documents SET characters = NULL WHERE position = 1", "incomplete_document"),
    ("UPDATE documents SET committed_at = NULL WHERE position = 1", "incomplete_document"),
    ("UPDATE documents SET mention_count = NULL WHERE position = 1", "incomplete_document"),
    ("UPDATE chunks SET end_offset = end_offset + 1 WHERE position = 1", "misplaced_chunks"),
    ("UPDATE mentions SET start_offset = -1 WHERE position = 1 AND ordinal = 0", "misplaced_mentions"),
    ("UPDATE mentions SET start_offset = end_offset + 1 WHERE position = 1 AND ordinal = 0", "misplaced_mentions"),
    ("UPDATE identities SET mention_count = mention_count + 1 WHERE name = 'Charles Babbage'", "wrong_identity"),
    ("UPDATE identities SET document_count = document_count + 1 WHERE name = 'Charles Babbage'", "wrong_identity"),
    ("DELETE FROM identities WHERE name = 'Charles Babbage'", "wrong_identity"),
    ("UPDATE identities SET name = upper(name) WHERE name = 'Charles Babbage'", "wrong_name"),
    ("UPDATE identity_aliases SET mention_count = mention_count + 1 WHERE surface = 'ADA LOVELACE'", "wrong_alias"),
    ("DELETE FROM identity_aliases WHERE surface = 'ADA LOVELACE'", "wrong_alias"),
    ("UPDATE graphs SET node_count = node_count + 1", "wrong_graph"),
    ("UPDATE graphs SET edge_count = edge_count + 1", "wrong_graph"),
    ("UPDATE graph_edges SET weight = weight + 1 WHERE ctid = (SELECT min(ctid) FROM graph_edges)", "wrong_edge"),
    ("DELETE FROM graph_edges WHERE ctid = (SELECT min(ctid) FROM graph_edges)", "wrong_edge"),
    ("UPDATE graph_nodes SET degree = degree + 1 WHERE ctid = (SELECT min(ctid) FROM graph_nodes)", "wrong_node"),
    ("UPDATE graph_nodes SET strength = strength + 1 WHERE ctid = (SELECT min(ctid) FROM graph_nodes)", "wrong_node"),
    ("DELETE FROM graph_nodes WHERE ctid = (SELECT min(ctid) FROM graph_nodes)", "wrong_node"),
    ("UPDATE document_statistics SET identity_count = 9 WHERE position = 1", "wrong_statistics"),
    ("DELETE FROM document_statistics WHERE position = 1", "wrong_statistics"),
    ("UPDATE document_vectors SET embedding = embedding - embedding WHERE position = 1", "wrong_vector"),
    ("DELETE FROM document_vectors WHERE position = 1", "wrong_vector"),
    ("DELETE FROM documents WHERE position = 0", "missing_document"),
]  # fmt: skip
FINGERPRINT_DAMAGE = [
    ("UPDATE documents SET quality_score = 0.5 WHERE position = 1", {"documents"}),
    ("UPDATE documents SET warnings = '{late}' WHERE position = 1", {"documents"}),
    ("UPDATE documents SET language = 'de' WHERE position = 1", {"documents"}),
    ("UPDATE document_texts SET page_offsets = '{0,1}' WHERE position = 1", {"texts"}),
    ("UPDATE chunks SET embedding = embedding - embedding WHERE position = 1", {"chunks"}),
    ("UPDATE chunks SET end_offset = end_offset - 1 WHERE position = 1", {"chunks"}),
    ("UPDATE mentions SET confidence = 0.1 WHERE position = 1 AND ordinal = 0", {"mentions"}),
    ("UPDATE mentions SET kind = 'place' WHERE position = 1 AND ordinal = 0", {"mentions"}),
    ("UPDATE identities SET confidence = 0.1 WHERE name = 'Charles Babbage'", {"identities"}),
    ("UPDATE identity_members SET score = 0.1 WHERE normalised = 'charles babbage'", {"members"}),
    ("UPDATE identity_aliases SET rule = 'x' WHERE surface = 'ADA LOVELACE'", {"aliases"}),
    ("UPDATE graph_nodes SET community = 77 WHERE ctid = (SELECT min(ctid) FROM graph_nodes)", {"nodes"}),
    ("UPDATE graph_edges SET weight = 77 WHERE ctid = (SELECT min(ctid) FROM graph_edges)", {"graph"}),
    ("UPDATE document_statistics SET kinds = '{}' WHERE position = 1", {"tables"}),
    ("UPDATE document_vectors SET embedding = embedding - embedding WHERE position = 1", {"vectors"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def finished_database(postgres_server: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """Return the name of a database with one finished run."""
    name = f"finished_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, template=_template)

    async def finish() -> None:
        pool = PostgresPool(postgres_server.dsn(name))
        await finish_run(pool, RUN)
        await pool.close()

    asyncio.run(finish())
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, finished_database: str) -> Iterator[str]:
    """Return the address of a copy of the finished run, of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres_server.create_database(name, template=finished_database)
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


async def finish_run(pool: PostgresPool, workflow_id: str, order: Sequence[int] | None = None) -> None:
    epoch = await committed(pool, workflow_id, DOCUMENTS, order)
    await IdentityService(PostgresIdentityStore(pool)).resolve(workflow_id, epoch)
    await AnalyticsService(PostgresAnalyticsStore(pool)).build(workflow_id, epoch)
    async with pool.connection() as conn:
        await conn.execute("UPDATE documents SET sha256 = repeat('ab', 32)")


async def damage(conn: asyncpg.Connection, statement: str) -> None:
    """Execute a statement with foreign keys switched off."""
    await conn.execute("SET session_replication_role = replica")
    assert (await conn.execute(statement)).split()[-1] == "1", "the statement changed another number of rows"


async def find_kinds(pool: PostgresPool) -> set[str]:
    async with open_snapshot(pool, RUN) as snapshot:
        offences = await snapshot.check_documents() + await snapshot.check_services(MAX_IDENTITIES)
    return {offence.kind for offence in offences}


async def test_undamaged_rows_have_no_difference(pool: PostgresPool) -> None:
    assert await find_kinds(pool) == set()


@pytest.mark.parametrize(("statement", "kind"), DAMAGE, ids=[f"{kind}-{n}" for n, (_, kind) in enumerate(DAMAGE)])
async def test_damaged_row_is_found(
    pool: PostgresPool, superuser: asyncpg.Connection, statement: str, kind: str
) -> None:
    await damage(superuser, statement)
    assert kind in await find_kinds(pool)


async def test_all_differences_of_a_kind_are_counted(pool: PostgresPool, superuser: asyncpg.Connection) -> None:
    documents = [document([("person", "Ada")]) for _ in range(NAMED_AT_MOST + 3)]
    await committed(pool, "many", documents)
    await superuser.execute("DELETE FROM document_texts")
    async with open_snapshot(pool, "many") as snapshot:
        offences = await snapshot.check_documents()
    assert sum(offence.kind == "missing_text" for offence in offences) == NAMED_AT_MOST
    (more,) = [offence for offence in offences if offence.kind == "more" and offence.subject == "missing_text"]
    assert more.found == "3"


@pytest.mark.parametrize(
    ("watermark", "beyond", "expected"),
    [
        (2, [(3, 4)], set()),
        (3, [], {("unfinished_document", 2), ("uncovered_document", 3)}),
        (2, [], {("uncovered_document", 3)}),
        (2, [(3, 5)], {("unfinished_document", 4)}),
        (1, [(3, 4)], {("uncovered_document", 1)}),
    ],
)
async def test_checkpoint_and_results_cover_the_same_documents(
    pool: PostgresPool, watermark: int, beyond: list[tuple[int, int]], expected: set[tuple[str, int]]
) -> None:
    store = PostgresManifestStore(pool)
    epoch = await store.claim("part", "first", at_least=1)
    await store.record("part", epoch, [discovered(name) for name in "abcde"])
    await store.enqueue_unfinished("part", epoch, quarantined=False)
    await store.lease_batch("part", Lease(epoch, 1, 1), 0, 5)
    for position in (0, 1, 3):
        await store.commit("part", Lease(epoch, 1, 1), position, processed(), attempts=1)
    async with open_snapshot(pool, "part") as snapshot:
        offences = await snapshot.check_coverage(Coverage(epoch, watermark, beyond))
        later = await snapshot.check_coverage(Coverage(epoch - 1, 0, []))
    assert {(offence.kind, offence.position) for offence in offences} == expected
    assert {offence.position for offence in later} == {0, 1, 3}, "results of a later epoch are not covered"


async def test_fingerprints_depend_on_the_outputs_alone(pool: PostgresPool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    await finish_run(pool, "other", random.Random(seed).sample(range(len(DOCUMENTS)), len(DOCUMENTS)))
    assert await read_fingerprints(pool, RUN) == await read_fingerprints(pool, "other")
    assert await compare_runs(pool, RUN, "other", 5) == []


async def test_fingerprints_do_not_depend_on_the_place_of_rows(
    pool: PostgresPool, superuser: asyncpg.Connection, database_url: str
) -> None:
    """PostgreSQL reads a table in the order of an index or in the order of its file.

    A change of a row moves the row to the end of the file.
    """
    before = await read_fingerprints(pool, RUN)
    for table in ("documents", "document_texts", "chunks", "mentions", "document_statistics", "document_vectors"):
        await superuser.execute(f"UPDATE {table} SET position = position WHERE position < 2")
    database = await superuser.fetchval("SELECT current_database()")
    for way in ("indexscan", "bitmapscan", "indexonlyscan", "hashjoin", "mergejoin"):
        await superuser.execute(f"ALTER DATABASE {database} SET enable_{way} = off")
    other = PostgresPool(database_url)
    assert await read_fingerprints(other, RUN) == before
    await other.close()


@pytest.mark.parametrize(
    ("statement", "kinds"),
    FINGERPRINT_DAMAGE,
    ids=[f"{min(kinds)}-{n}" for n, (_, kinds) in enumerate(FINGERPRINT_DAMAGE)],
)
async def test_damaged_output_has_another_fingerprint(
    pool: PostgresPool, superuser: asyncpg.Connection, statement: str, kinds: set[str]
) -> None:
    before = await read_fingerprints(pool, RUN)
    await damage(superuser, statement)
    after = await read_fingerprints(pool, RUN)
    assert {kind for kind in before if before[kind] != after[kind]} == kinds


async def test_two_swapped_rows_have_another_fingerprint(pool: PostgresPool, superuser: asyncpg.Connection) -> None:
    """The texts of two documents are exchanged: the set of texts stays the same."""
    before = await read_fingerprints(pool, RUN)
    await superuser.execute("SET session_replication_role = replica")
    for change in ("position + 10", "13 - position"):
        await superuser.execute(f"UPDATE document_texts SET position = {change}")
    after = await read_fingerprints(pool, RUN)
    assert before["texts"] != after["texts"]


async def test_switched_off_guard_is_named(pool: PostgresPool, superuser: asyncpg.Connection) -> None:
    async with open_snapshot(pool, RUN) as snapshot:
        assert await snapshot.disabled_guards() == []
    await superuser.execute("ALTER TABLE workflow_checkpoints DISABLE TRIGGER append_follows_the_chain")
    async with open_snapshot(pool, RUN) as snapshot:
        assert await snapshot.disabled_guards() == ["append_follows_the_chain"]
