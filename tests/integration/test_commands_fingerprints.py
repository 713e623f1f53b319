"""Fingerprints of outputs change with every output and with nothing else.

The proof of the demo uses these fingerprints.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from perdure.stores.postgres.comparison import read_fingerprints
from perdure.stores.postgres.connection import PostgresPool

VECTOR = [1.0] + [0.0] * 255


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    pool = PostgresPool(database_url)
    yield pool
    await pool.close()


async def produce(pool: PostgresPool, workflow_id: str, uris: list[str], *, attempt: int, committed: datetime) -> None:
    """Store outputs of every kind, which depend on the URIs and not on their order."""
    async with pool.transaction() as conn:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1)", workflow_id)
        for name in ("a", "b"):
            await conn.execute(
                "INSERT INTO identities VALUES ($1, $2, 'person', $2, $2, 1, 1)", workflow_id, f"idn_{name}"
            )
            await conn.execute(
                "INSERT INTO identity_members VALUES ($1, 'person', $2, $2, 'same_name', 1)", workflow_id, f"idn_{name}"
            )
            await conn.execute("INSERT INTO identity_aliases VALUES ($1, $2, 'A.', 1)", workflow_id, f"idn_{name}")
        await conn.execute("INSERT INTO graphs VALUES ($1, 2, 1)", workflow_id)
        await conn.execute("INSERT INTO graph_nodes VALUES ($1, 'idn_a', 0.5, 0, 1, 1)", workflow_id)
        await conn.execute("INSERT INTO graph_edges VALUES ($1, 'idn_a', 'idn_b', 1)", workflow_id)
        for position, uri in enumerate(uris):
            await conn.execute(
                """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, status, epoch,
                                          ordinal, attempt, attempts, sha256, quality_score, committed_at)
                   VALUES ($1, $2, $3, $3, 'file:///', 1, '1', 'processed', 1, $2, $4, $4, 'aa', 0.5, $5)""",
                workflow_id,
                position,
                uri,
                attempt,
                committed,
            )
            at = (workflow_id, position)
            await conn.execute("INSERT INTO document_texts VALUES ($1, $2, $3, '{}')", *at, f"Text of {uri}")
            await conn.execute("INSERT INTO document_sections VALUES ($1, $2, 0, 0, 1, 'Text')", *at)
            await conn.execute("INSERT INTO document_tables VALUES ($1, $2, 0, 0, 4, 1, '[[1]]', false)", *at)
            await conn.execute("INSERT INTO chunks VALUES ($1, $2, 0, 0, 4, $3)", *at, VECTOR)
            await conn.execute("INSERT INTO mentions VALUES ($1, $2, 0, 0, 4, 'person', 'Text', 'text', 0.5)", *at)
            await conn.execute("INSERT INTO document_statistics VALUES ($1, $2, 4, 1, 1, 1, '{}')", *at)
            await conn.execute("INSERT INTO document_vectors VALUES ($1, $2, $3)", *at, VECTOR)


CHANGES = {
    "documents": "UPDATE documents SET quality_score = 0.501",
    "texts": "UPDATE document_texts SET text = text || ' '",
    "sections": "UPDATE document_sections SET level = 2",
    "document_tables": "UPDATE document_tables SET cells = '[[2]]'",
    "chunks": "UPDATE chunks SET embedding = embedding + array_fill(0.001::real, ARRAY[256])::vector",
    "mentions": "DELETE FROM mentions WHERE position = 0 AND workflow_id = 'other'",
    "identities": "UPDATE identities SET name = 'A. Lovelace'",
    "members": "UPDATE identity_members SET rule = 'initials'",
    "aliases": "UPDATE identity_aliases SET mention_count = 2",
    "nodes": "UPDATE graph_nodes SET community = 1",
    "graph": "UPDATE graph_edges SET weight = 2",
    "tables": "UPDATE document_statistics SET identity_count = 2",
    "vectors": "UPDATE document_vectors SET embedding = embedding + array_fill(0.001::real, ARRAY[256])::vector",
}


async def test_fingerprints_ignore_order_times_and_attempts(pool: PostgresPool) -> None:
    uris = ["file:///a", "file:///b", "file:///c"]
    await produce(pool, "one", uris, attempt=1, committed=datetime(2024, 1, 1, tzinfo=UTC))
    await produce(pool, "other", uris[::-1], attempt=3, committed=datetime(2025, 1, 1, tzinfo=UTC))
    assert await read_fingerprints(pool, "one") == await read_fingerprints(pool, "other")


async def test_each_change_shows_in_the_fingerprint_of_its_kind_only(pool: PostgresPool) -> None:
    await produce(pool, "other", ["file:///a", "file:///b"], attempt=1, committed=datetime(2024, 1, 1, tzinfo=UTC))
    before = await read_fingerprints(pool, "other")
    assert before.keys() == CHANGES.keys()
    for kind, change in CHANGES.items():
        async with pool.connection() as conn:
            await conn.execute(change)
        after = await read_fingerprints(pool, "other")
        assert [name for name in after if after[name] != before[name]] == [kind]
        before = after


async def test_run_without_outputs_has_other_fingerprints(pool: PostgresPool) -> None:
    await produce(pool, "one", ["file:///a"], attempt=1, committed=datetime(2024, 1, 1, tzinfo=UTC))
    one = await read_fingerprints(pool, "one")
    nothing = await read_fingerprints(pool, "unknown-run")
    assert all(one[kind] != nothing[kind] for kind in one)
